"""Undoing: what a program changed before it turns out that it does not fit, or a call raises."""

from typing import Any

import numpy as np

from ..ops.common import Array
from ..saving.checkpoint import fill, state_of
from .memory import Memory
from .recording import Call
from .runs import Run


def saved_before(run: Run, memory: Memory) -> "Saved | None":
    """Return what has to be saved before a program begins; None if nothing has to be undone."""
    calls = memory.calls
    unsure = ("guard", "unsure")
    last = max([i for i, call in enumerate(calls) if call.way in unsure], default=-1)
    before = calls[: last + 1]
    if any(call.way in ("step", "grad") for call in before):
        run.recorder.cannot("it decides by values after backward")
    # So it has to be where a call raises an exception before others see a change.
    ends = [i for i, call in enumerate(calls) if call.way in ("grad", "step")]
    before = calls[: min(ends, default=len(calls))]
    failing = [i for i, call in enumerate(before) if not _is_safe(call)]
    before = before[: max(failing, default=-1) + 1]
    found, place = run.recorder.found, memory.place
    arrays = [found[m] for m in {m for c in before for m in c.writes} if m in found]
    streams = {id(s): s for c in before if c.way == "draw" for s in [c.function.__self__]}
    # Where a gradient will be, that of the last call lies until then.
    written = {place(m) for c in before for m in c.writes}
    nodes = [c.function for c in before if c.way == "held"]
    nodes += [c.function for c in calls if c.way == "grad" and written & set(map(place, c.reads))]
    nodes = [n for n in dict.fromkeys(nodes) if run.had_grad[id(n)]]
    if not (arrays or streams or nodes):
        return None
    grads = [(node, np.empty(node.shape, node.dtype)) for node in nodes]
    return Saved(arrays, list(streams.values()), grads)


def _is_safe(call: Call) -> bool:
    """Whether a call raises no exception and decides nothing."""
    ufunc = getattr(call.function, "__self__", call.function)
    return call.way in ("copy", "constant", "held", "draw") or (
        call.way == "out" and (isinstance(ufunc, np.ufunc) or call.function is np.ndarray.dot)
    )


class Saved:
    """Arrays and random streams as they were before a program began."""

    def __init__(self, arrays: list[Array], streams: list[Any], grads: list[Any]) -> None:
        self._pairs = [(array, array.copy()) for array in arrays]
        self._streams, self._grads = streams, grads
        self._states: list[Any] = []

    def save(self) -> None:
        for array, copy in self._pairs:
            np.copyto(copy, array)
        for node, copy in self._grads:
            np.copyto(copy, node.grad)
        self._states = [state_of(stream) for stream in self._streams]

    def undo(self, result: Any) -> Any:
        for array, copy in self._pairs:
            np.copyto(array, copy)
        for stream, state in zip(self._streams, self._states):
            fill(stream, state)
        for node, grad in self._grads:
            np.copyto(node.grad, grad)
        return result
