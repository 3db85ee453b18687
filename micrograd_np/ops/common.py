"""What the ops share: types, constants of the right dtype, and the border where data enter."""

from collections.abc import Callable, Iterable
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
    """Return a literal as a read-only 0-d array, twice as fast to add as a Python number."""
    with np.errstate(over="ignore"):
        array = np.array(value, dtype)
    array.setflags(write=False)
    return array


def scalar(value: float, dtype: np.dtype[Any]) -> Array:
    """Return any Python number as a 0-d array; -0.0 is no key of its own in the cache."""
    return number(value, dtype) if value else np.array(value, dtype)


def floating(x: Array) -> Array:
    """Return `x` itself if it holds floats, else a float64 copy of its integers or booleans."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def as_array(data: Any, dtype: npt.DTypeLike | None = None) -> Array:
    """Return `data` as an ndarray of numbers, without a copy where it is one already."""
    if data.__class__ is np.ndarray and dtype is None:
        array = data
    elif isinstance(data, np.ndarray) and isinstance(data, np.ma.MaskedArray):
        raise TypeError("masked arrays are not supported; fill the gaps first with .filled(value)")
    else:
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ValueError(f"data must be a rectangular array of numbers: {error}") from error
        except TypeError as error:
            if isinstance(data, (tuple, list)):
                raise TypeError(
                    f"a {type(data).__name__} of tensors is no tensor; take one of them, or join "
                    "them with numpy.stack"
                ) from error
            raise
    if data is None:
        raise TypeError(
            "data must be numbers; received None, which a function gives that lacks a return, and "
            "as its gradient a tensor that backward has not reached"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(
            "data must be floats, integers or booleans; received "
            f"{type(data).__name__} of dtype {array.dtype}"
        )
    if dtype is not None and np.dtype(dtype).kind not in "fiub":
        raise TypeError(f"dtype must be one of floats, integers or booleans; received {dtype}")
    return array if dtype is None else array.astype(dtype, copy=False)


def jointly(
    count: int, share: Callable[[Array], Iterable[Callable[[], Array]]]
) -> tuple[Rule, ...]:
    """Make `count` rules that share work: `share(g)` does it and returns how to finish each."""
    shared: Any = None
    unfinished: dict[int, Callable[[], Array]] = {}

    def rule(i: int) -> Rule:
        def finish(g: Array) -> Array:
            nonlocal shared
            if shared is not g or i not in unfinished:  # what is handed over is not kept
                shared = g
                unfinished.update(enumerate(share(g)))
            return unfinished.pop(i)()

        return finish

    return tuple(map(rule, range(count)))


# The C library of Linux gives large freed blocks back to the system, and each page of a block costs
# a microsecond to get again: up to a quarter of the time of a training step. Once it has freed a
# block of almost 32 MB it keeps up to 64 MB for the arrays to come. This one is never touched.
np.empty(2**25 - 2**14, np.uint8)
