"""Products: matrix products and the sums of products that are made of them."""

from collections.abc import Callable
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .common import Array, Result, Rule


def matmul(x: Array, y: Array) -> Result:
    """x @ y, over the last axis of x and the last but one of y; earlier axes broadcast.

    For matrices d/dx = g y^T and d/dy = x^T g. A vector counts as a row on the left and as a
    column on the right, an axis that the value does not have.
    """
    if x.ndim == 2 and y.ndim == 2 and x.dtype is y.dtype:
        # For small matrices the method takes half the time of the operator.
        return x.dot(y), (lambda g: g.dot(y.T), lambda g: x.T.dot(g))
    if x.ndim > 2 and y.ndim == 2:
        return _folded(matmul, x, y)
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y

    def with_both_axes(g: Array) -> Array:
        g = g[..., None] if y.ndim == 1 else g
        return g[..., None, :] if x.ndim == 1 else g

    def to_x(g: Array) -> Array:
        gradient = with_both_axes(g) @ _row_by_row(columns.swapaxes(-1, -2))
        return gradient[..., 0, :] if x.ndim == 1 else gradient

    def to_y(g: Array) -> Array:
        gradient = rows.swapaxes(-1, -2) @ _row_by_row(with_both_axes(g))
        return gradient[..., 0] if y.ndim == 1 else gradient

    return np.matmul(x, _row_by_row(y)), (to_x, to_y)


def _row_by_row(y: Array) -> Array:
    """Copy a right factor of many small matrices that lie transposed, for 2/3 of the time.

    Only where its columns are short: longer ones take as much time to copy as it saves.
    """
    if y.ndim < 3 or y.strides[-1] == y.itemsize or y.shape[-2] > min(32, 2 * y.shape[-1]):
        return y
    return np.ascontiguousarray(y)


def linear(x: Array, weight: Array, bias: Array) -> Result:
    """x @ weight + bias over the last axis of x, for weight (in, out) and bias (out,).

    d/dx = g weight^T, d/dweight = x^T g, d/dbias = the sum of the rows of g.
    """
    if weight.ndim != 2 or bias.ndim != 1 or x.shape[-1:] + bias.shape != weight.shape:
        raise ValueError("weight must be a matrix as long as the last axis of x, as wide as bias")
    if x.ndim != 2:
        return _folded(linear, x, weight, bias)
    value = x.dot(weight)
    if value.dtype is bias.dtype:
        np.add(value, bias, value)
    else:
        value = value + bias
    return value, (
        lambda g: g.dot(weight.T),
        lambda g: x.T.dot(g),
        lambda g: _ones(len(g), g.dtype).dot(g),
    )


def _folded(op: Callable[..., Result], x: Array, *others: Array) -> Result:
    """Run an op whose x is a matrix on one tall matrix, into which the rows of x are folded."""
    folded = (prod(x.shape[:-1]), x.shape[-1])
    value, rules = op(x.reshape(folded), *others)
    shape = value.shape

    def unfolding(rule: Rule) -> Rule:
        return lambda g: rule(g.reshape(shape))

    to_x, *to_others = map(unfolding, rules)
    unfolded = value.reshape(*x.shape[:-1], shape[-1])
    return unfolded, (lambda g: to_x(g).reshape(x.shape), *to_others)


@lru_cache(maxsize=16)
def _ones(length: int, dtype: np.dtype[Any]) -> Array:
    """Return a read-only vector whose product with a matrix sums its rows, 4 times as fast."""
    ones = np.ones(length, dtype)
    ones.setflags(write=False)
    return ones
