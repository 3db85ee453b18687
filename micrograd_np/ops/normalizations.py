"""Normalizations: rows brought to mean 0 and variance 1, then scaled and shifted.

All work on a matrix whose rows are normalized: for a layer norm the samples, for a batch norm the
channels. The means of its rows are matrix products, which take a fifth of the time of `mean`.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from .common import Array, Result, floating, jointly, number
from .products import ones

Shape = tuple[int, ...]


def layer_norm(x: Array, *affine: Array, shape: Shape, eps: float) -> Result:
    """(x - mean) / sqrt(var + eps) * weight + bias over the last axes, whose lengths are `shape`.

    `affine` is the weight and the bias, both of that shape, the weight alone, or nothing.
    """
    rows = _rows(x, shape)
    rows = rows - _mean(rows)
    variance = _mean_of_products(rows, rows)
    return _scaled(x, affine, rows, variance, eps, depends="mean and variance")


def rms_norm(x: Array, *affine: Array, shape: Shape, eps: float) -> Result:
    """x / sqrt(mean(x**2) + eps) * weight over the last axes, whose lengths are `shape`."""
    rows = _rows(x, shape)
    return _scaled(x, affine, rows, _mean_of_products(rows, rows), eps, depends="variance")


def batch_norm(
    x: Array, *affine: Array, mean: Array, variance: Array, eps: float, fixed: bool = False
) -> Result:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel, axis 1 of x.

    The statistics are the `moments` of x, which the gradient takes into account, or `fixed`.
    `affine` is the weight and the bias, one number per channel each, or nothing.
    """
    rows = _channels(x, _has_batch_last(x))
    mean, variance = (each.astype(rows.dtype, copy=False)[:, None] for each in (mean, variance))
    depends = "" if fixed else "mean and variance"
    return _scaled(x, affine, rows - mean, variance, eps, depends, by_channel=True)


def moments(x: Array) -> tuple[Array, Array]:
    """Return mean and (biased) variance of each channel, axis 1 of x."""
    rows = _channels(x, _has_batch_last(x))
    mean = _mean(rows)
    centred = rows - mean
    return mean[:, 0], _mean_of_products(centred, centred)[:, 0]


def _scaled(
    x: Array,
    affine: tuple[Array, ...],
    rows: Array,
    variance: Array,
    eps: float,
    depends: str,
    by_channel: bool = False,
) -> Result:
    """Divide `rows`, made of x, by their deviation; `depends` names what moves when x does."""
    one, batch_last = number(1, rows.dtype), _has_batch_last(x)
    inverse = one / np.sqrt(variance + number(eps, rows.dtype))
    y = rows * inverse
    factors = [array.reshape((-1, 1) if by_channel else (1, -1)) for array in affine]
    value = y * factors[0] if affine else y
    if len(affine) == 2:
        value += factors[1]

    def unfold(rows: Array) -> Array:
        if not by_channel:
            return rows.reshape(x.shape)
        if batch_last:
            return np.moveaxis(rows.reshape(*x.shape[1:], len(x)), -1, 0)
        return rows.reshape(x.shape[1], len(x), *x.shape[2:]).swapaxes(0, 1)

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        g = _channels(g, batch_last) if by_channel else g.reshape(y.shape)

        def to_x() -> Array:
            slope: Array = g * factors[0] if affine else g
            if not depends:
                return unfold(slope * inverse)
            gradient = y * -_mean_of_products(slope, y)
            gradient += slope
            if "mean" in depends:
                gradient -= _mean(slope)
            gradient *= inverse
            return unfold(gradient)

        letters = "ij,ij->i" if by_channel else "ij,ij->j"

        def summed(g: Array) -> Array:
            summing = ones(g.shape[by_channel], g.dtype)
            total: Array = g.dot(summing) if by_channel else summing.dot(g)
            return total

        return (
            to_x,
            lambda: np.einsum(letters, g, y).reshape(affine[0].shape),
            lambda: summed(g).reshape(affine[1].shape),
        )

    return unfold(value), jointly(1 + len(affine), back)


def _rows(x: Array, shape: Shape) -> Array:
    """Fold x into a matrix whose rows are what is normalized."""
    if x.shape[x.ndim - len(shape) :] != shape:
        raise ValueError(f"normalizes over last axes of lengths {shape}; received shape {x.shape}")
    return floating(x).reshape(math.prod(x.shape[: x.ndim - len(shape)]), math.prod(shape))


def _channels(x: Array, batch_last: bool) -> Array:
    """Fold x (batch, channels, ...) into a matrix with a row for each channel."""
    x = np.moveaxis(floating(x), 0, -1) if batch_last else floating(x).swapaxes(0, 1)
    return x.reshape(len(x), math.prod(x.shape[1:]))


def _has_batch_last(x: Array) -> bool:
    """Tell whether x lies in memory as convolutions lay it; its rows are then a view."""
    return x.strides[0] < x.strides[-1]


def _mean(rows: Array) -> Array:
    count = rows.shape[1]
    mean: Array = rows @ np.full((count, 1), 1 / max(count, 1), rows.dtype)
    return mean


def _mean_of_products(x: Array, y: Array) -> Array:
    total = np.einsum("ij,ij->i", x, y)
    mean: Array = total / number(x.shape[1], total.dtype)
    return mean[:, None]
