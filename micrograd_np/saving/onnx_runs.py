"""Runs: what a model does with batches of three sizes, and what these runs have in common.

A run shows plain numbers. A length that differs from run to run grows with the batch; an array that
an op made is known by its identity; whatever else differs depends on the input in a way that no op
shows, and is refused: it would be frozen as it was for one input.
"""

import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..layers.layer import Layer
from ..operations import plain
from ..ops.common import Array
from ..tape import op_name
from ..tensor import Tensor
from ..trace import LayerCall, OpCall, trace

SIZES = 2, 3, 5  # the third confirms what the first two suggest
Path = tuple[str, ...]  # names of the layers around a call, the outermost ("") first
_MODEL: Path = ("",)
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Length:
    """A length that grows with the batch: so much for each sample, and so much more."""

    each: int
    fixed: int

    def __add__(self, more: int) -> "Length":
        return Length(self.each, self.fixed + more)

    def __str__(self) -> str:
        text = "batch" if self.each == 1 else f"{self.each}*batch"
        return f"{text}{self.fixed:+}" if self.fixed else text


Lengths = tuple[Any, ...]  # a shape: of integers and Lengths


@dataclass(frozen=True)
class Made:
    """An array that was there before: an input of the model or the result of a call."""

    number: int
    kind: str  # of its dtype


@dataclass(frozen=True)
class Constant:
    """An array that is the same in all runs, repeated to `shape`; parameters have a name."""

    array: Array
    shape: Lengths
    name: str = ""


class Runs:
    """A model's runs. Inputs are numbered first, then the calls of ops."""

    def __init__(
        self,
        model: Layer,
        examples: Sequence[Array],
        axes: Sequence[int | None],
        is_known: Callable[[Any], bool],
    ) -> None:
        self._dynamic = any(axis is not None for axis in axes)
        self._layers = dict(model.layers_within())
        self._held = {name: plain(held) for name, held in model._held().items()}
        self._names = {id(array): name for name, array in self._held.items()}
        before = {name: array.copy() for name, array in self._held.items()}
        self.inputs = [
            [_probe(x, axis, size, number) for x, axis in zip(examples, axes)]
            for number, size in enumerate(SIZES)
        ]
        traces = [_traced(model, inputs, is_known) for inputs in self.inputs]
        self._changed = {n for n, x in self._held.items() if not _alike(x, before[n])}
        self.outputs = [list(arrays_in(output)) for output, _ in traces]
        self._calls = [[c for c in calls if isinstance(c, OpCall)] for _, calls in traces]
        self._made = [
            {id(x): i for i, x in enumerate([*inputs, *(call.result.data for call in calls)])}
            for inputs, calls in zip(self.inputs, self._calls)
        ]
        self._keep = traces  # while they live no identity is given to another array
        self._returned = {  # by the innermost layer, which comes first
            id(x): call.path
            for call in reversed(traces[0][1]) if isinstance(call, LayerCall)
            for x in arrays_in(call.output)
        }  # fmt: skip
        self._check_alike()

    def _check_alike(self) -> None:
        """Refuse a model that does other things with other inputs."""
        first, *others = self._calls
        for calls in others:
            for one, two in zip(first, calls):
                if (op_name(one.op), one.path) != (op_name(two.op), two.path):
                    raise self.refusal(
                        one.path, f"runs {op_name(one.op)} for one input and {op_name(two.op)} for "
                        "another: what it does must not depend on the input or the batch size"
                    )  # fmt: skip
        if len({len(calls) for calls in self._calls}) > 1 or len(set(map(len, self.outputs))) > 1:
            raise self.refusal(
                _MODEL, "does more for one input than for another: what it does must not depend on "
                "the input or the batch size"
            )  # fmt: skip
        if not self.outputs[0]:
            raise self.refusal(_MODEL, "must return a tensor, or several")

    def needed(self) -> Iterator[tuple[int, "Call"]]:
        """Yield number and call of all that the outputs depend on, in order."""
        made, count = self._made[0], len(self.inputs[0])
        wanted = {made.get(id(x)) for x in self.outputs[0]}
        for i, call in reversed([*enumerate(self._calls[0], count)]):
            if i in wanted:
                used = arrays_in([*call.inputs, *call.constants.values()])
                wanted |= {made.get(id(x)) for x in used}
        for i, calls in enumerate(zip(*self._calls), count):
            if i in wanted:
                yield i, Call(self, calls)

    def refusal(self, path: Path, why: str) -> ValueError:
        """Return an error that names a layer."""
        kind, name = type(self._layers[path[-1]]).__name__, path[-1]
        place = f"layer {name} ({kind})" if name else f"the model ({kind})"
        return ValueError(f"{place} {why}")

    def shape(self, arrays: Sequence[Array], path: Path = _MODEL) -> Lengths:
        """Return the common shape of an array of all runs."""
        if len({x.ndim for x in arrays}) > 1:
            raise self.refusal(path, "makes arrays whose number of axes depends on the batch size")
        return tuple(self.common(ns, path) for ns in zip(*(x.shape for x in arrays)))

    def common(self, found: Sequence[Any], path: Path = _MODEL) -> Any:
        """Return what stands for the values that the runs have in one place."""
        first = found[0]
        if isinstance(first, Tensor | np.ndarray):
            return self._array([plain(x) for x in found], path)
        if isinstance(first, tuple | list) and len({len(x) for x in found}) == 1:
            return type(first)(self.common(items, path) for items in zip(*found))
        if isinstance(first, slice):
            parts = ([x.start, x.stop, x.step] for x in found)
            return slice(*(self.common(items, path) for items in zip(*parts)))
        if all(x is first or x == first for x in found):
            return operator.index(first) if isinstance(first, np.integer) else first
        if self._dynamic and all(isinstance(x, int | np.integer) for x in found):
            each = int(found[1] - first) // (SIZES[1] - SIZES[0])
            length = Length(each, int(first) - each * SIZES[0])
            if all(length.each * n + length.fixed == x for n, x in zip(SIZES, found)):
                return length
        received = " and ".join(map(str, dict.fromkeys(found)))
        raise self.refusal(
            path, f"uses {received} for inputs of different values and batch sizes: besides what "
            "grows with the batch, only ops may depend on the input"
        )  # fmt: skip

    def _array(self, arrays: list[Array], path: Path) -> Made | Constant:
        made = {numbers.get(id(x)) for numbers, x in zip(self._made, arrays)}
        if len(made) == 1 and (number := made.pop()) is not None:
            return Made(number, arrays[0].dtype.kind)
        name = self._names.get(id(arrays[0]), "")
        shape = self.shape(arrays, path)
        rows = arrays
        for axis, length in enumerate(shape):
            if isinstance(length, Length):  # then it must be one row that is repeated
                rows = [x.take([0], axis) for x in rows]
        repeated = [np.broadcast_to(rows[0], x.shape) for x in arrays]
        if not all(map(_alike, arrays, repeated)) or name in self._changed:
            raise self.refusal(
                self._returned.get(id(arrays[0]), path),
                "takes values out of tensors (.data, or what is made of a comparison) or draws "
                "them, so what was computed from the input without ops would be the same for every "
                "input: compute it with ops",
            )
        return Constant(rows[0], shape, name)


class Call:
    """The call of an op, as all runs have it."""

    def __init__(self, runs: Runs, calls: Sequence[OpCall]) -> None:
        self._runs, self._calls, self._first = runs, calls, calls[0]
        self.op, self._path = self._first.op, self._first.path
        layer = self._path[-1] or type(runs._layers[""]).__name__
        self.place = f"{layer}/{op_name(self.op)}"
        self.kind = self._first.result.dtype.kind
        kinds = {x.dtype.kind for x in self._first.inputs}
        is_comparison = isinstance(self.op, np.ufunc)
        self.input_kind = next(k for k in "fiub" if k in kinds) if is_comparison else self.kind
        self.shape = runs.shape([call.result.data for call in calls], self._path)
        self.inputs = [
            runs.common(tensors, self._path) for tensors in zip(*(call.inputs for call in calls))
        ]
        self.arrays = [x.data for x in self._first.inputs]  # of the first run
        self.shapes = [
            runs.shape([x.data for x in tensors], self._path)
            for tensors in zip(*(call.inputs for call in calls))
        ]

    def constant(self, name: str, may_grow: bool = False) -> Any:
        """Return one of the op's constants, or its default; refuse lengths if none may grow."""
        if name not in self._first.constants:
            return inspect.signature(self.op).parameters[name].default
        value = self._runs.common([call.constants[name] for call in self._calls], self._path)
        if _holds(Length, value) and not may_grow:
            raise self.refusal(f"which has no ONNX form where its {name} grows with the batch")
        return value

    def fixed(self, length: int | Length) -> int:
        """Return a length that must not grow."""
        if isinstance(length, Length):
            raise self.refusal("which has no ONNX form where such a length grows with the batch")
        return length

    def on(self, array: Array) -> Array:
        """Run the op on an array, with the constants of the first run, which are those of all."""
        for name in self._first.constants:
            if _holds(Made, self.constant(name)):
                raise self.refusal(f"which has no ONNX form where its {name} is computed like this")
        value: Array = self.op(array, **self._first.constants)[0]
        return value

    def refusal(self, why: str) -> ValueError:
        """Return an error that names the layer and the op."""
        return self._runs.refusal(self._path, f"calls the op {op_name(self.op)}, {why}")


def arrays_in(value: Any) -> Iterator[Array]:
    """Yield the arrays, and those of tensors, in nested tuples, lists, dicts."""
    if isinstance(value, Tensor | np.ndarray):
        yield plain(value)
    elif isinstance(value, tuple | list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from arrays_in(item)


def _holds(kind: type, value: Any) -> bool:
    parts = value if isinstance(value, tuple | list) else ()
    if isinstance(value, slice):
        parts = value.start, value.stop, value.step
    return isinstance(value, kind) or any(_holds(kind, part) for part in parts)


def _traced(
    model: Layer, inputs: Sequence[Array], is_known: Callable[[Any], bool]
) -> tuple[Any, list[OpCall | LayerCall]]:
    try:
        return trace(model, *inputs, is_known=is_known)
    except (ValueError, IndexError, TypeError) as error:
        raise ValueError(
            "the model must take batches of every size, with values around those of the example; "
            f"inputs of shape {', '.join(str(x.shape) for x in inputs)} failed: {error}"
        ) from error


def _probe(example: Array, axis: int | None, size: int, number: int) -> Array:
    """Return an input like the example, of another batch size and other values.

    No two runs have the same. Integers are between the example's, floats also beyond them and of
    both signs.
    """
    shape = list(example.shape)
    if axis is not None:
        shape = [size, *np.delete(shape, axis)]
    low, high = _limits(example)
    share = (np.arange(1, 1 + prod(shape)) * _GOLDEN + number / len(SIZES)) % 1
    values = low + share * (high - low)
    values = values if example.dtype.kind == "f" else np.floor(low + share * (high - low + 1))
    values = values.astype(example.dtype).reshape(shape)
    return values if axis is None else np.moveaxis(values, 0, axis)


def _limits(example: Array) -> tuple[float, float]:
    numbers = example[np.isfinite(example)].astype(float)
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    if example.dtype.kind == "f":
        spread = max(high - low, 1)
        return min(low, 0) - spread, max(high, 0) + spread
    if low == high:
        low, high = sorted((0.0, low or 1.0))
    return low, high


def _alike(x: Array, y: Array) -> bool:
    return x is y or np.array_equal(x, y, equal_nan=True)
