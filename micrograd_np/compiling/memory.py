"""Memory: where the arrays of a program lie. What is no longer read makes room for what comes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..ops.common import Array
from ..tape import Node
from .nesting import Place, address, arrays_in, is_whole, layout, mapped, memory_of
from .recording import Call
from .steps import is_own

_ALIGNED = 64
_FOREVER = 2**62


class Memory:
    """A plan for memory that calls made: which of them lies where.

    Parameters
    ----------
    calls
        The calls, in order.
    made
        How many bytes the memory has that may lie anywhere, by number.
    constant
        Arrays that are all of such memory, always.
    kept
        Memory that is read when the program has ended.
    apart
        Memory that is handed out, each of which shall be an array of its own.
    """

    def __init__(
        self,
        calls: list[Call],
        made: dict[int, int],
        constant: dict[int, Array],
        kept: set[int],
        apart: set[int],
    ) -> None:
        self._made = made
        self._same: dict[int, int] = {}  # memory that lies where other memory lay before
        self._written = {memory for call in calls for memory in call.writes}
        self._rooms: dict[int, Array] = dict(constant)
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for i, call in enumerate(calls):
            for memory in call.reads | call.writes:
                first.setdefault(memory, i)
                last[memory] = i
        last |= dict.fromkeys(kept | apart, _FOREVER)
        self.calls = [c for i, c in enumerate(calls) if not self._is_needless(c, i, first, last)]
        self._place(calls, last, apart)

    def _is_needless(self, call: Call, i: int, first: dict[int, int], last: dict[int, int]) -> bool:
        """Whether a call copies what nobody reads where it was: then it can stay there."""
        if call.way != "copy" or call.options:
            return False
        (source,), copy = call.args, call.result
        if not (isinstance(source, Place) and isinstance(copy, Place)):
            return False
        old, new = source.memory, copy.memory
        if (
            old not in self._written
            or last[old] > i
            or first[new] < i
            or (source.dtype, source.strides) != (copy.dtype, copy.strides)
            or not (source.is_whole and copy.is_whole and source.shape == copy.shape)
        ):
            return False
        self._same[new] = old
        root = self.place(old)
        last[root] = max(last[root], last[new])
        return True

    def place(self, memory: int) -> int:
        """Return which memory lies where another one does, of all that do the first."""
        while memory in self._same:
            memory = self._same[memory]
        return memory

    def _place(self, calls: list[Call], last: dict[int, int], apart: set[int]) -> None:
        """Give every memory its place, in the order in which it is first used."""
        roots = {self.place(memory) for memory in apart}
        free: list[Array] = []
        held: dict[int, list[Array]] = {}  # by the call that needs them last
        for i, call in enumerate(calls):
            for memory in sorted(map(self.place, call.reads | call.writes)):
                if memory not in self._made or memory in self._rooms:
                    continue
                size = self._made[memory]
                if memory in roots:
                    room = _room(size)
                else:
                    fitting = [r for r in free if size <= r.size <= 2 * size + 1024]
                    room = min(fitting, key=len) if fitting else _room(size)
                    free = [r for r in free if r is not room]
                    held.setdefault(last[memory], []).append(room)
                self._rooms[memory] = room
            free += held.pop(i, [])

    def moved(self, value: Any) -> Any:
        """Return nested arguments with every array in its place."""
        return mapped(value, self._moved)

    def _moved(self, x: Array | Place) -> Array:
        if not isinstance(x, Place):
            return x
        room = self._rooms[self.place(x.memory)]
        return np.ndarray(x.shape, x.dtype, room, x.start, x.strides)

    def size(self) -> int:
        """Return how many bytes were planned."""
        return sum(room.nbytes for room in {id(r): r for r in self._rooms.values()}.values())


def _room(size: int) -> Array:
    """Return bytes that begin where the processor likes it."""
    whole = np.empty(size + _ALIGNED, np.uint8)
    start = -address(whole) % _ALIGNED
    return whole[start : start + size]


def needed(calls: Iterable[Call], kept: set[int]) -> tuple[list[Call], dict[int, Array]]:
    """Return the calls whose effects somebody sees: who reads the memory `kept`, or other calls.

    And the arrays that stand for memory that is constant, for which nothing has to be called.
    """
    calls = list(calls)
    writers: dict[int, int] = {}
    for call in calls:
        for memory in call.writes:
            writers[memory] = writers.get(memory, 0) + 1
    constant = {
        memory: call.args[0]
        for call in calls
        if call.way == "constant" and _is_whole(call) and call.args[0].flags.c_contiguous
        for memory in call.writes
        if writers[memory] == 1 and call.args[0].strides == call.result.strides
    }
    ones = {(memory, x.dtype) for memory, x in constant.items() if x.ndim == 0 and x == 1}
    calls = [_without_one(call, ones) for call in calls]
    live, found = set(kept), []
    replaced: set[Any] = set()  # leaves whose gradient is another one before anybody looks
    for call in reversed(calls):
        if call.way == "copy" and _is_of_itself(call):
            continue
        if call.way == "grad" and call.function in replaced:
            continue
        if call.way == "grad":
            replaced.add(call.function)
        elif call.way == "step":
            replaced -= {g for g in call.args if isinstance(g, Node)}
            if not is_own(call.function):  # its rule may look at any of them
                replaced.clear()
        if call.way in ("guard", "draw", "unsure", "step", "grad") or call.writes & live:
            if call.way in ("copy", "into", "unsure", "out", "constant", "held") and _is_whole(
                call
            ):
                live -= call.writes - call.reads
            live |= call.reads
            if call.way != "made" and not (
                call.way == "constant" and call.writes <= constant.keys()
            ):
                found.append(call)
    return found[::-1], constant


def _without_one(call: Call, ones: set[tuple[int, Any]]) -> Call:
    """Return a product with the number 1, such as the gradient of a loss is, as a copy."""
    if call.function is not np.multiply or call.options or call.way != "out":
        return call
    for one, x in (call.args, call.args[::-1]):
        is_one = isinstance(one, Place) and one.shape == () and (one.memory, one.dtype) in ones
        if is_one and isinstance(x, np.ndarray | Place) and _kind(x) == _kind(call.result):
            return Call("copy", np.copyto, (x,), None, call.result, {memory_of(x)}, call.writes)
    return call


def _kind(x: Array | Place) -> Any:
    return x.shape, x.strides, x.dtype


def _is_of_itself(call: Call) -> bool:
    """Whether a call copies an array into itself, as the last part of ``x[i] += y`` does."""
    source, copy = call.args[0], call.result
    return isinstance(source, np.ndarray | Place) and layout(source) == layout(copy)


def _is_whole(call: Call) -> bool:
    return all(map(is_whole, arrays_in(call.result)))
