"""Reductions: ops that take an axis, several axes or all of them away."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .common import Array, Axis, Result, floating, number

# NumPy's own methods, at half the cost of np.sum, np.max and np.min.
_add: Callable[..., Any] = np.add.reduce
_maximum: Callable[..., Any] = np.maximum.reduce
_minimum: Callable[..., Any] = np.minimum.reduce


def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """Sum over `axis`; every summand has the derivative 1."""
    value = _add(x, axis=axis, keepdims=keepdims)
    return value, (lambda g: np.broadcast_to(g.reshape(_kept(x, axis)), x.shape),)


def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """Sum over `axis` divided by the number n of summands; d/dx = 1 / n."""
    x = floating(x)
    wide = np.dtype(np.float32) if x.dtype == np.float16 else x.dtype  # as NumPy's own mean
    total = np.asarray(_add(x, axis=axis, dtype=wide, keepdims=keepdims))
    count = number(_count(x, total, 0), wide)

    def to_x(g: Array) -> Array:
        return np.broadcast_to(np.reshape(g / count, _kept(x, axis)), x.shape)

    return (total / count).astype(x.dtype, copy=False), (to_x,)


def var(x: Array, *, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Result:
    """Sum over `axis` of (x - mean)**2, divided by n - ddof; d/dx = 2 (x - mean) / (n - ddof)."""
    x = floating(x)
    total = np.asarray(_add(x, axis=axis, keepdims=True))
    count = _count(x, total, ddof)
    centred = x - total / number(count, x.dtype)
    squares = _add(centred * centred, axis=axis, keepdims=keepdims)
    divisor = number(count - ddof, x.dtype)

    def to_x(g: Array) -> Array:
        share = np.reshape((g + g) / divisor, total.shape)
        return centred * share

    return squares / divisor, (to_x,)


def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """Largest entry over `axis`; entries that tie share the gradient equally."""
    value = _maximum(x, axis=axis, keepdims=keepdims)
    return value, (lambda g: _shared(g, x, value, axis),)


def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """Smallest entry over `axis`; entries that tie share the gradient equally."""
    value = _minimum(x, axis=axis, keepdims=keepdims)
    return value, (lambda g: _shared(g, x, value, axis),)


def _shared(g: Array, x: Array, value: Array, axis: Axis) -> Array:
    kept = _kept(x, axis)
    winners = x == np.reshape(value, kept)
    count = np.count_nonzero(winners, axis=axis, keepdims=True)
    shared: Array = winners * (g.reshape(kept) / np.asarray(count, g.dtype))
    return shared


def _kept(x: Array, axis: Axis) -> tuple[int, ...]:
    """Shape of a reduction of `x` had it kept its axes at length one."""
    if axis is None or x.ndim == 0:
        return (1,) * x.ndim
    axes = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape))


def _count(x: Array, total: Array, ddof: int) -> int:
    """Return how many entries of `x` went into each of `total`, refusing an average of nothing."""
    count = x.size // total.size if total.size else ddof + 1
    if count <= ddof:
        raise ValueError(
            f"needs more than {ddof} values to average; received {count}, in an array of shape "
            f"{x.shape}"
        )
    return count
