"""Watching ops run, and the trace: all that a model did with an input, layer by layer, op by op."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from threading import Lock, RLock, get_ident
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from . import operations, tensor
from .layers.layer import Layer, in_mode
from .ops.common import Result
from .tape import Edges, no_grad
from .tensor import Tensor, as_tensor

# What a watcher is told of an op: the op, its inputs, its constants and the result. It may return
# another tensor of the same values in place of the result.
Watcher: TypeAlias = Callable[
    [Callable[..., Result], Sequence[Tensor], dict[str, Any], Tensor], Tensor | None
]


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Call ``watcher(op, inputs, constants, result)`` after every op of this thread or task.

    Ops that nobody watches cost what they did before: while somebody does, and only then, another
    function makes the results.
    """
    global _watching
    token = _watchers.set((*_watchers.get(), watcher))
    with _lock:
        _watching += 1
        tensor.result_of = _told_result
    try:
        yield
    finally:
        with _lock:
            _watching -= 1
            if not _watching:
                tensor.result_of = _result_of
        _watchers.reset(token)


def _told_result(op: Callable[..., Result], value: Any, edges: Edges) -> Tensor:
    """Make the result and tell the watchers of this thread."""
    result = _result_of(op, value, edges)
    if watchers := _watchers.get():
        call = sys._getframe(1).f_locals  # of `apply`, or of a way of its own beneath it
        inputs = call["inputs"] if "inputs" in call else [call[n] for n in "xy" if n in call]
        for watcher in watchers:
            other = watcher(op, inputs, call.get("constants", {}), result)
            result = result if other is None else other
    return result


_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())
_watching, _lock, _result_of = 0, Lock(), tensor.result_of
_comparing = RLock()


class OpCall(NamedTuple):
    """One op that ran: on which tensors, with which constants, giving what, inside which layer."""

    op: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    constants: dict[str, Any]
    result: Tensor
    path: tuple[str, ...]  # names of the layers around it, the outermost ("") first


class LayerCall(NamedTuple):
    """One call of a layer, told when it returned. What it ran inside comes before it."""

    layer: Layer
    inputs: tuple[Any, ...]
    output: Any
    path: tuple[str, ...]  # as above; its own name is the last


def trace(
    model: Layer, *inputs: Any, is_known: Callable[[Any], bool] | None = None
) -> tuple[Any, list[OpCall | LayerCall]]:
    """Run a model in evaluation mode without recording; return its output and what it did.

    What the model changes in its state remains, unless `unchanged` is around the call.
    Tensors in the trace are the very objects that were handed on, so identity tells who made what.
    If `is_known` is given, comparisons of tensors are told as ops, too, and in place of an op that
    is not known stand those that its formula is made of.
    """
    calls: list[OpCall | LayerCall] = []
    path: list[str] = []

    def see_op(op: Any, given: Any, constants: dict[str, Any], result: Tensor) -> Tensor | None:
        count = len(calls)
        is_own = is_known is not None and not is_known(op)
        value = _by_tensors(op, given, constants, result) if is_own else None
        if value is None:
            calls[count:] = [OpCall(op, tuple(given), constants, result, tuple(path))]
        return value

    def see_layer(name: str, layer: Layer) -> Callable[..., Any]:
        forward = layer.forward

        def seen(*given: Any, **options: Any) -> Any:
            path.append(name)
            try:
                output = forward(*given, **options)
                calls.append(LayerCall(layer, given, output, tuple(path)))
                return output
            finally:
                path.pop()

        return seen

    with ExitStack() as stack:
        stack.enter_context(in_mode(model, training=False))
        stack.enter_context(no_grad())
        for name, layer in list(model.layers_within()):
            stack.enter_context(_instead(layer, see_layer(name, layer)))
        if is_known is not None:
            stack.enter_context(_compared(see_op))
        stack.enter_context(watched(see_op))
        return model(*inputs), calls


@contextmanager
def _compared(see: Callable[[Any, Any, dict[str, Any], Tensor], Any]) -> Iterator[None]:
    """Tell of comparisons in this thread, whose results nobody can change then.

    Another thread that wants the same waits.
    """
    thread = get_ident()
    found: dict[int, Any] = {}

    def seen(ufunc: np.ufunc, x: Any, y: Any) -> Any:
        result = compare(ufunc, x, y)
        if get_ident() == thread and isinstance(result, np.ndarray):
            result.setflags(write=False)
            found[id(result)] = result
            see(ufunc, (x, as_tensor(y)), {}, Tensor(result))
        return result

    def uncopied(condition: Any) -> Any:
        return condition if found.get(id(condition)) is condition else mask(condition)

    with _comparing:
        compare, mask = operations.compared, operations.mask
        operations.compared, operations.mask = seen, uncopied
        try:
            yield
        finally:
            operations.compared, operations.mask = compare, mask


def _by_tensors(
    op: Any, given: Sequence[Tensor], constants: dict[str, Any], result: Tensor
) -> Tensor | None:
    """Run an op on tensors in place of arrays; return its value, or None if that cannot be done.

    NumPy's functions and operators work on tensors, too: each is an op, which is seen.
    """
    try:
        value: Any = op(*given, **constants)[0]
    except Exception:  # it does what only arrays can do
        return None
    if not isinstance(value, Tensor) or value.shape != result.shape:
        return None
    return value if np.allclose(value.data, result.data, rtol=1e-4, equal_nan=True) else None


@contextmanager
def _instead(layer: Layer, forward: Callable[..., Any]) -> Iterator[None]:
    """Let `forward` stand for that of one layer."""
    own = vars(layer).get("forward")
    layer.forward = forward
    try:
        yield
    finally:
        if own is None:
            del layer.forward
        else:
            layer.forward = own
