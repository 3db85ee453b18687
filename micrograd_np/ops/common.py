"""What the ops share: the types of an array, a rule and an op's result, and typed constants."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Rule: TypeAlias = Callable[[Array], Array]
Result: TypeAlias = tuple[Array, tuple[Rule, ...]]
Axis: TypeAlias = int | tuple[int, ...] | None


@lru_cache(maxsize=256)
def number(value: float, dtype: np.dtype[Any]) -> Array:
    """Return `value` as a read-only 0-d array: NumPy adds it twice as fast as a Python number."""
    with np.errstate(over="ignore"):
        array = np.array(value, dtype)
    array.setflags(write=False)
    return array


def floating(x: Array) -> Array:
    """Return `x` itself if it holds floats, else a float64 copy of its integers or booleans."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)
