"""Nesting: arrays within lists, tuples, dicts and slices, and the memory that they lie in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..ops.common import Array


@dataclass(slots=True, frozen=True)
class Place:
    """Where an array lay in memory that is gone."""

    memory: int  # its number
    start: int  # bytes from its beginning
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    is_whole: bool  # whether it has every entry of that memory


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return nested arguments with every array and place changed."""
    if isinstance(value, np.ndarray | Place):
        return change(value)
    if isinstance(value, (tuple, list)):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(mapped(part, change) for part in (value.start, value.stop, value.step)))
    return value


def arrays_in(*values: Any) -> list[Any]:
    """Return the arrays and places among nested arguments."""
    found: list[Any] = []
    mapped(values, found.append)
    return found


def owner(array: Any) -> Any:
    """Return the object that owns an array's memory."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array


def memory_of(x: Array | Place) -> int:
    """Return which memory an array or place belongs to."""
    return x.memory if isinstance(x, Place) else id(owner(x))


def is_whole(x: Array | Place) -> bool:
    """Whether an array or place has all of its memory."""
    return x.is_whole if isinstance(x, Place) else x.nbytes == getattr(owner(x), "nbytes", -1)


def address(array: Array) -> int:
    """Return where an array begins."""
    found: int = array.__array_interface__["data"][0]
    return found


def layout(x: Array | Place) -> Any:
    """Return what is the same of two that are the same part of the same memory."""
    start = x.start if isinstance(x, Place) else address(x)
    return memory_of(x), start, x.shape, x.strides, x.dtype
