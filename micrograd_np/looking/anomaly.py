"""Anomaly detection: the first op that gives NaN, infinity or a gradient out of changed arrays."""

import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from types import FrameType, FunctionType
from typing import Any
from zlib import crc32

import numpy as np

from ..layers.layer import Layer
from ..ops.common import Array, Result, Rule
from ..tape import op_name
from ..tensor import Tensor
from ..trace import watched

_PACKAGE = __name__.split(".")[0]


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise at the first op inside whose value or gradient is NaN or infinite.

    The message names the op, the line that called it, and its inputs. Gradients are looked at
    whenever `backward` passes an op that ran inside; it also raises if an array that such an op
    needs for its gradient has changed since. It holds for the current thread (and asynchronous
    task) alone. Every value is read once more or twice, so training takes several times as long;
    outside nothing is looked at, and nothing costs more.

    Raises
    ------
    FloatingPointError
        If a value or gradient is not finite.
    RuntimeError
        In `backward`, if an array has changed between forward and backward.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> x = mg.Tensor([4.0, 0.0], requires_grad=True)
    >>> y = mg.Tensor([0.0, 1.0])
    >>> with mg.detect_anomaly():
    ...     x / y
    Traceback (most recent call last):
    FloatingPointError: divide gave inf at (0,), from float64 (2,) with 4.0 there and float64 (2,) \
with 0.0 there; called in ...
    """
    with watched(_look):
        yield


def _look(
    op: Callable[..., Result], inputs: Sequence[Tensor], constants: dict[str, Any], result: Tensor
) -> None:
    """Look at an op's value, and have its rules look at what they get and give."""
    given = [x.data for x in inputs]
    called = _called(sys._getframe(1))
    _check_finite(f"{op_name(op)} gave", result.data, given, called)
    node = result._node
    if node is None:
        return
    wanted = [i for i, x in enumerate(inputs) if x._node is not None]
    known = {id(array): f"its input {i}" for i, array in enumerate(given)}
    known[id(result.data)] = "its value"
    edges = []
    for i, (parent, rule) in zip(wanted, node.edges or ()):
        what = f"the gradient of {op_name(op)} with respect to its input {i}"
        needed = [(a, _mark(a), known.get(id(a), "an array")) for a in _arrays_in(rule)]
        edges.append((parent, _looking(rule, what, needed, given, called)))
    node.edges = edges


def _looking(
    rule: Rule, what: str, needed: list[tuple[Array, int, str]], given: list[Array], called: str
) -> Rule:
    """Return a rule that does the same, and looks at what it needs and what it gives."""

    @wraps(rule)
    def looking(g: Array) -> Array:
        for array, mark, name in needed:
            if _mark(array) != mark:
                raise RuntimeError(
                    f"{what} needs {name} as it was, and the {array.dtype} {array.shape} has "
                    f"changed since; change it after backward, or a copy; {called}"
                )
        gradient = rule(g)
        _check_finite(f"{what} is", gradient, [g, *given], called)
        return gradient

    return looking


def _check_finite(what: str, array: Any, given: list[Array], called: str) -> None:
    place = _first_not_finite(array)
    if place is None:
        return
    sources = " and ".join(_described(x, place, np.shape(array)) for x in given)
    number = np.asarray(array)[place]
    raise FloatingPointError(f"{what} {number!s} at {place}, from {sources}; {called}")


def _first_not_finite(array: Any) -> tuple[int, ...] | None:
    if np.asarray(array).dtype.kind != "f":
        return None
    finite = np.isfinite(array)
    return None if finite.all() else tuple(int(i) for i in np.argwhere(~finite)[0])


def _described(x: Array, place: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Say of an array what may have led to a number that is not finite at a place."""
    text = f"{x.dtype} {x.shape}"
    if (own := _first_not_finite(x)) is not None:
        return f"{text} with {x[own]!s} at {own}"
    if x.shape == shape:
        return f"{text} with {x[place]!s} there"
    return f"{text} from {x.min()!s} to {x.max()!s}" if x.size else text


def _called(frame: FrameType) -> str:
    """Say which line outside the package called an op, and in which layer it ran, if in one."""
    layer = None
    while True:
        holder = frame.f_locals.get("self")
        layer = layer or (holder if isinstance(holder, Layer) else None)
        if not frame.f_back or frame.f_globals.get("__name__", "").split(".")[0] != _PACKAGE:
            break
        frame = frame.f_back
    within = f"in {type(layer).__name__}({layer._arguments()}), " if layer else ""
    name, number = frame.f_code.co_filename, frame.f_lineno
    line = linecache.getline(name, number).strip()
    return f"{within}called in {name}, line {number}" + f": {line}" * bool(line)


def _mark(array: Array) -> int:
    return crc32(array.tobytes())


def _arrays_in(rule: Any) -> Iterator[Array]:
    """Yield the arrays that a rule has at hand: in its closure, and in those of what it calls."""
    seen: set[int] = set()
    waiting = [rule]
    while waiting:
        held = waiting.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, np.ndarray):
            yield held
        elif isinstance(held, FunctionType):
            waiting += [*(held.__defaults__ or ()), *(held.__kwdefaults__ or {}).values()]
            waiting += [cell.cell_contents for cell in held.__closure__ or () if _is_full(cell)]
        elif isinstance(held, partial):
            waiting += [held.func, *held.args, *held.keywords.values()]
        elif callable(held):  # a method, for instance
            waiting += [getattr(held, "__func__", None), getattr(held, "__self__", None)]
        elif isinstance(held, (tuple, list)):
            waiting += held
        elif isinstance(held, dict):
            waiting += held.values()


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that was not assigned
        return False
