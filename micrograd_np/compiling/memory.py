"""Memory: where the arrays of a program lie. What is no longer read makes room for what comes."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..ops.common import Array
from .nesting import arrays_in, mapped, owner
from .recording import Call

_ALIGNED = 64
_FOREVER = 2**62


class Memory:
    """A plan for memory that calls made: which of them lies where.

    Parameters
    ----------
    calls
        The calls, in order.
    made
        The memory that may be moved, by identity.
    kept
        Memory that is read when the program has ended.
    apart
        Memory that is handed out, each of which shall be an array of its own.
    """

    def __init__(
        self, calls: list[Call], made: dict[int, Any], kept: set[int], apart: set[int]
    ) -> None:
        self._made = made
        self._same: dict[int, int] = {}  # memory that lies where other memory lay before
        self._written = {memory for call in calls for memory in call.writes}
        self._places: dict[int, tuple[Array, int]] = {}
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        for i, call in enumerate(calls):
            for memory in call.reads | call.writes:
                first.setdefault(memory, i)
                last[memory] = i
        last |= dict.fromkeys(kept | apart, _FOREVER)
        self.calls = [c for i, c in enumerate(calls) if not self._is_needless(c, i, first, last)]
        movable = [m for m in made if m in self._written and isinstance(made[m], np.ndarray)]
        self._place(calls, {self._of(m) for m in movable}, last, apart)

    def _is_needless(self, call: Call, i: int, first: dict[int, int], last: dict[int, int]) -> bool:
        """Whether a call copies what nobody reads where it was: then it can stay there."""
        if call.way != "copy" or call.options:
            return False
        (source,), copy = call.args, call.result
        if not isinstance(source, np.ndarray):
            return False
        old, new = id(owner(source)), id(owner(copy))
        if (
            old not in self._made.keys() & self._written
            or new not in self._made
            or last[old] > i
            or first[new] < i
            or (source.dtype, source.strides) != (copy.dtype, copy.strides)
            or not source.size == owner(source).size == copy.size == owner(copy).size
        ):
            return False
        self._same[new] = old
        root = self._of(old)
        last[root] = max(last[root], last[new])
        return True

    def _of(self, memory: int) -> int:
        while memory in self._same:
            memory = self._same[memory]
        return memory

    def _place(
        self, calls: list[Call], movable: set[int], last: dict[int, int], apart: set[int]
    ) -> None:
        """Give every memory its place, in the order in which it is first used."""
        roots = {self._of(memory) for memory in apart}
        free: list[Array] = []
        held: dict[int, list[Array]] = {}  # by the call that needs them last
        for i, call in enumerate(calls):
            for memory in sorted(map(self._of, call.reads | call.writes)):
                if memory not in movable or memory in self._places:
                    continue
                size = self._made[memory].nbytes
                if memory in roots:
                    room = _room(size)
                else:
                    fitting = [r for r in free if size <= r.size <= 2 * size + 1024]
                    room = min(fitting, key=len) if fitting else _room(size)
                    free = [r for r in free if r is not room]
                    held.setdefault(last[memory], []).append(room)
                self._places[memory] = room, 0
            free += held.pop(i, [])

    def moved(self, value: Any) -> Any:
        """Return nested arguments with every array in its place."""
        return mapped(value, self._moved)

    def _moved(self, array: Array) -> Array:
        held = owner(array)
        memory = self._of(id(held))
        if memory not in self._places:
            return array
        room, start = self._places[memory]
        start += _address(array) - _address(held)
        return np.ndarray(array.shape, array.dtype, room, start, array.strides)

    def size(self) -> int:
        """Return how many bytes were planned."""
        return sum(r.nbytes for r in {id(r): r for r, _ in self._places.values()}.values())


def _room(size: int) -> Array:
    """Return bytes that begin where the processor likes it."""
    whole = np.empty(size + _ALIGNED, np.uint8)
    start = -_address(whole) % _ALIGNED
    return whole[start : start + size]


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def needed(calls: Iterable[Call], kept: set[int]) -> list[Call]:
    """Return the calls whose effects somebody sees: who reads the memory `kept`, or other calls."""
    calls = list(calls)
    writers: dict[int, int] = {}
    for call in calls:
        for memory in call.writes:
            writers[memory] = writers.get(memory, 0) + 1
    ones = {
        memory
        for call in calls
        if call.way == "constant" and call.result.ndim == 0 and call.result == 1
        for memory in call.writes
        if writers[memory] == 1
    }
    calls = [_without_one(call, ones) for call in calls]
    live, found = set(kept), []
    for call in reversed(calls):
        if call.way == "copy" and _is_of_itself(call):
            continue
        if call.way in ("guard", "draw", "unsure", "step", "grad") or call.writes & live:
            if call.way in ("copy", "into", "unsure", "out", "constant", "held") and _is_whole(
                call
            ):
                live -= call.writes - call.reads
            live |= call.reads
            is_same_always = call.way == "constant" and all(writers[m] == 1 for m in call.writes)
            if call.way != "made" and not is_same_always:
                found.append(call)
    return found[::-1]


def _without_one(call: Call, ones: set[int]) -> Call:
    """Return a product with the number 1, such as the gradient of a loss is, as a copy."""
    if call.function is not np.multiply or call.options or call.way != "out":
        return call
    for one, x in (call.args, call.args[::-1]):
        is_one = isinstance(one, np.ndarray) and one.ndim == 0 and id(owner(one)) in ones
        if is_one and isinstance(x, np.ndarray) and _kind(x) == _kind(call.result):
            reads = {id(owner(x))}
            return Call("copy", np.copyto, (x,), None, call.result, reads, call.writes)
    return call


def _kind(array: Array) -> Any:
    return array.shape, array.strides, array.dtype


def _is_of_itself(call: Call) -> bool:
    """Whether a call copies an array into itself, as the last part of ``x[i] += y`` does."""
    source, copy = call.args[0], call.result
    return isinstance(source, np.ndarray) and _layout(source) == _layout(copy)


def _layout(array: Array) -> Any:
    return _address(array), array.shape, array.strides, array.dtype


def _is_whole(call: Call) -> bool:
    return all(array.size == owner(array).size for array in arrays_in(call.result))
