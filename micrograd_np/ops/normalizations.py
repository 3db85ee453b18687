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
        products = g * y

        def to_x() -> Array:
            # The weight of a channel is the same for a whole row, that of a layer norm for none.
            scale = inverse * factors[0] if affine and by_channel else inverse
            if not depends:
                return unfold(g * scale)
            weight = factors[0] if affine and not by_channel else None
            gradient = y * -_mean(products, weight)
            gradient += g if weight is None else g * weight
            if "mean" in depends:
                gradient -= _mean(g, weight)
            gradient *= scale
            return unfold(gradient)

        def summed(array: Array, shape: Shape) -> Array:
            summing = ones(g.shape[by_channel], g.dtype)
            total: Array = array.dot(summing) if by_channel else summing.dot(array)
            return total.reshape(shape)

        return (
            to_x,
            lambda: summed(products, affine[0].shape),
            lambda: summed(g, affine[1].shape),
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


def _mean(rows: Array, weight: Array | None = None) -> Array:
    """Return the mean of each row, whose entries may be weighted."""
    count = rows.shape[1]
    share = np.full((1, count), 1 / max(count, 1), rows.dtype)
    if weight is not None:
        share *= weight
    mean: Array = rows @ share.T
    return mean


def _mean_of_products(x: Array, y: Array) -> Array:
    total = np.einsum("ij,ij->i", x, y)
    mean: Array = total / number(x.shape[1], total.dtype)
    return mean[:, None]
