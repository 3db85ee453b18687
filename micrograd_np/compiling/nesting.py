"""Nesting: arrays within lists, tuples, dicts and slices, and the memory that they lie in."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ops.common import Array


def mapped(value: Any, change: Callable[[Array], Any]) -> Any:
    """Return nested arguments with every array changed."""
    if isinstance(value, np.ndarray):
        return change(value)
    if isinstance(value, (tuple, list)):
        items = [mapped(item, change) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: mapped(item, change) for key, item in value.items()}
    if isinstance(value, slice):
        return slice(*(mapped(part, change) for part in (value.start, value.stop, value.step)))
    return value


def arrays_in(*values: Any) -> list[Array]:
    """Return the arrays among nested arguments."""
    found: list[Array] = []
    mapped(values, found.append)
    return found


def owner(array: Any) -> Any:
    """Return the object that owns an array's memory."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array
