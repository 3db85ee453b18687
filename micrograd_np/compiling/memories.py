"""Memories: what a recorder knows of the memory that arrays lie in.

Memory from outside stays and is known by its identity. Memory that came to be meanwhile is freed as
soon as nobody needs it, so it has a number, and places in it stand for arrays.
"""

from collections.abc import Iterable
from typing import Any
from weakref import ref
from zlib import crc32

import numpy as np

from ..ops.common import Array
from .nesting import Place, address, mapped, owner
from .traced import plain


class Memories:
    """The memory that was met, and what it held when it was last written."""

    def __init__(self) -> None:
        self.made: dict[int, int] = {}  # bytes of memory that came to be meanwhile, by number
        self.found: dict[int, Any] = {}  # memory from outside, in the order of its first use
        self._kept: dict[int, Any] = {}  # memory that came to be and stays where it is
        self._numbers: dict[int, tuple[int, ref[Any]]] = {}  # of what was made, by identity
        self.marks: dict[int, int | None] = {}  # what memory held when it was last written
        self.reason = ""  # why the run cannot be done again

    def cannot(self, reason: str) -> None:
        """Note why the run cannot be done again."""
        self.reason = self.reason or reason

    def memory(self, array: Array) -> int:
        """Return the number of an array's memory, which is its identity if it stays."""
        held = owner(array)
        if number := self._number(held):
            return number
        if id(held) not in self._kept and id(held) not in self.found:
            self.found[id(held)] = held
            self.marks[id(held)] = mark_of(held)
        return id(held)

    def _number(self, held: Any) -> int:
        """Return the number of memory that was made, else 0."""
        number, reference = self._numbers.get(id(held), (0, None))
        return number if reference is not None and reference() is held else 0

    def knows(self, array: Array) -> bool:
        """Whether an array's memory was met before."""
        held = owner(array)
        return bool(self._number(held)) or id(held) in self._kept or id(held) in self.found

    def fresh(self, array: Array) -> Array:
        """Take note of memory that came to be; return the array plain."""
        held = owner(array)
        if isinstance(held, np.ndarray):
            number = -1 - len(self.made)
            self.made[number] = held.nbytes
            self._numbers[id(held)] = number, ref(held)
            self.marks[number] = mark_of(held)
        else:
            self.keep(array)
        if array.dtype.hasobject:
            self.cannot("it makes an array of Python objects")
        return plain(array)

    def keep(self, array: Array) -> Array:
        """Take note of memory that came to be and stays."""
        held = owner(array)
        self._kept[id(held)] = held
        self.marks[id(held)] = mark_of(held)
        return array

    def placed(self, value: Any) -> Any:
        """Return nested arguments with the places of what lies in memory that was made."""

        def place(array: Any) -> Any:
            held = owner(array)
            if not (number := self._number(held)):
                return array
            start, is_whole = address(array) - address(held), array.nbytes == held.nbytes
            return Place(number, start, array.shape, array.strides, array.dtype, is_whole)

        return mapped(value, place)

    def mark(self, arrays: Iterable[Array]) -> None:
        """Take note of what memory holds now that a call has written into arrays."""
        for held in map(owner, arrays):
            self.marks[self.memory(held)] = mark_of(held)

    def check(self, arrays: Iterable[Array]) -> None:
        """Check that what is read was written by calls, not by somebody whom no recorder sees."""
        for held in {id(held): held for held in map(owner, arrays)}.values():
            memory = self.memory(held)
            if self.marks[memory] is None or self.marks[memory] != mark_of(held):
                shape = getattr(held, "shape", "?")
                if getattr(held, "size", 1):
                    self.cannot(f"an array of shape {shape} is filled where no recorder sees it")


def mark_of(held: Any) -> int:
    """Return a checksum of an array."""
    if not isinstance(held, np.ndarray):
        return 0
    flat: Any = held.ravel("K")  # no copy of what lies in one piece
    return crc32(flat.tobytes() if held.dtype.hasobject else flat.view(np.uint8))
