"""Reductions: ops that take an axis, several axes or all of them away."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .common import Array, Axis, Result, floating, number
from .products import ones

# NumPy's own methods, at half the cost of np.sum, np.max and np.min.
_add: Callable[..., Any] = np.add.reduce
_maximum: Callable[..., Any] = np.maximum.reduce
_minimum: Callable[..., Any] = np.minimum.reduce
_multiply: Callable[..., Any] = np.multiply.reduce


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


def std(x: Array, *, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Result:
    """Square root of the variance; d/dx = (x - mean) / (n - ddof) / std, but 0 where std is 0."""
    variance, (to_x,) = var(x, axis=axis, ddof=ddof, keepdims=keepdims)
    value = np.sqrt(variance)
    return value, (lambda g: to_x(_divided(g, value + value)),)


def norm(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """Square root of the sum of squares over `axis`; d/dx = x / norm, but 0 where norm is 0."""
    x = floating(x)
    value = np.sqrt(_add(x * x, axis=axis, keepdims=keepdims))
    return value, (lambda g: x * _divided(g, value).reshape(_kept(x, axis)),)


def _divided(g: Array, value: Array) -> Array:
    """g / value, but 0 where the value is 0."""
    return np.asarray(g / np.where(value == 0, number(np.inf, g.dtype), value))


def prod(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """Product over `axis`; d/dx = the product of the other factors, whatever zeros there are."""

    def to_x(g: Array) -> Array:
        kept = _kept(x, axis)
        axes = [i for i, n in enumerate(x.shape) if n != kept[i]]
        last = range(-len(axes), 0)
        factors = np.moveaxis(x, axes, last)
        rows = factors.reshape(
            *factors.shape[: x.ndim - len(axes)], math.prod(x.shape[i] for i in axes)
        )
        others = _before(rows) * _before(rows[..., ::-1])[..., ::-1]
        return np.moveaxis(others.reshape(factors.shape), last, axes) * g.reshape(kept)

    return _multiply(x, axis=axis, keepdims=keepdims), (to_x,)


def _before(rows: Array) -> Array:
    """Return for each entry the product of those before it in its row."""
    products = np.ones_like(rows)
    np.multiply.accumulate(rows[..., :-1], axis=-1, out=products[..., 1:])
    return products


def cumsum(x: Array, *, axis: int | None = None) -> Result:
    """Sum the entries up to each one, along `axis` or, with None, flattened in C order."""

    def to_x(g: Array) -> Array:
        along = 0 if axis is None else axis
        return np.flip(np.cumsum(np.flip(g, along), along), along).reshape(x.shape)

    return np.cumsum(x, axis), (to_x,)


def logsumexp(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """log of the sum of e**x over `axis`, without overflow; d/dx = softmax(x).

    Where all entries are -inf it is -inf, and the gradient is NaN.
    """
    powers, largest = below_largest(floating(x), axis)
    np.exp(powers, powers)
    total = total_over(powers, axis)
    value = np.log(total) + largest
    return value if keepdims else value.squeeze(axis), (
        lambda g: powers * (g.reshape(total.shape) / total),
    )


def softmax(x: Array, *, axis: int = -1) -> Result:
    """e**x divided by its sum over `axis`; d/dx = g s - s sum(g s) for the value s.

    Entries of inf share 1 equally. Where all entries are -inf the value is NaN.
    """
    value, _ = below_largest(floating(x), axis)
    np.exp(value, value)
    value /= total_over(value, axis)

    def to_x(g: Array) -> Array:
        slope = g * value
        slope -= value * total_over(slope, axis)
        return slope

    return value, (to_x,)


def log_softmax(x: Array, *, axis: int = -1) -> Result:
    """x - logsumexp(x) over `axis`, the logarithm of softmax; d/dx = g - softmax(x) sum(g).

    Entries of inf share the probability equally. Where all entries are -inf the value is NaN.
    """
    value, _ = below_largest(floating(x), axis)
    value -= np.log(total_over(np.exp(value), axis))

    def to_x(g: Array) -> Array:
        share = np.asarray(np.exp(value))
        share *= total_over(g, axis)
        return np.asarray(np.subtract(g, share, share))

    return value, (to_x,)


def below_largest(x: Array, axis: Axis) -> tuple[Array, Array]:
    """Return x minus its largest entry over `axis`, and that entry: their e**x do not overflow."""
    largest = _largest(x, axis)
    if not np.isfinite(largest).all():
        zero, inf = number(0, x.dtype), number(np.inf, x.dtype)
        x = np.where(largest == inf, np.where(x == inf, zero, -inf), x)
        return np.asarray(x - np.where(np.isfinite(largest), largest, zero)), largest
    return np.asarray(x - largest), largest


def _largest(x: Array, axis: Axis) -> Array:
    """Find the largest over `axis`, which is kept; of short rows in a tenth of the time."""
    if x.ndim > 1 and axis in (-1, x.ndim - 1) and 0 < x.shape[-1] <= 64:
        columns = np.ascontiguousarray(x.reshape(-1, x.shape[-1]).T)
        return np.asarray(_maximum(columns, axis=0)).reshape(*x.shape[:-1], 1)
    return np.asarray(_maximum(x, axis=axis, keepdims=True))


def total_over(x: Array, axis: Axis) -> Array:
    """Sum over `axis`, which is kept; a product with ones sums rows in a third of the time."""
    if x.ndim and axis in (-1, x.ndim - 1):
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        sums: Array = rows.dot(ones(x.shape[-1], x.dtype))
        return sums.reshape(*x.shape[:-1], 1)
    return np.asarray(_add(x, axis=axis, keepdims=True))


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
