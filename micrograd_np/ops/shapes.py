"""Shape ops: they move entries about, and their rules move the gradient back."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .common import Array, Axis, Result, Rule


def reshape(x: Array, *, shape: int | Sequence[int]) -> Result:
    """Return the same entries, in the same (C) order, in another shape."""
    return x.reshape(shape), (lambda g: g.reshape(x.shape),)


def transpose(x: Array, *, axes: Sequence[int] | None = None) -> Result:
    """Permute the axes; without `axes`, reverse them."""

    def to_x(g: Array) -> Array:
        if axes is None:
            return g.transpose()
        return g.transpose(np.argsort([a % x.ndim for a in axes]))

    return x.transpose(axes), (to_x,)


def swapaxes(x: Array, *, axis1: int, axis2: int) -> Result:
    """Exchange two axes."""
    return x.swapaxes(axis1, axis2), (lambda g: g.swapaxes(axis1, axis2),)


def squeeze(x: Array, *, axis: Axis = None) -> Result:
    """Drop axes of length one: all of them, or those named."""
    return x.squeeze(axis), (lambda g: g.reshape(x.shape),)


def expand_dims(x: Array, *, axis: int | Sequence[int]) -> Result:
    """Insert axes of length one, which stand at `axis` in the result."""
    return np.expand_dims(x, axis), (lambda g: g.reshape(x.shape),)


def broadcast_to(x: Array, *, shape: int | Sequence[int]) -> Result:
    """Repeat x along new axes and axes of length one until it has `shape`, without a copy."""
    return np.broadcast_to(x, shape), (lambda g: g,)


def concatenate(*arrays: Array, axis: int | None = 0) -> Result:
    """Join arrays along an existing axis; with axis None, join them flattened."""
    value = np.concatenate(arrays, axis=axis)
    along = 0 if axis is None else axis % value.ndim
    stops = np.cumsum([x.size if axis is None else x.shape[along] for x in arrays]).tolist()

    def rule(x: Array, start: int, stop: int) -> Rule:
        return lambda g: g[(slice(None),) * along + (slice(start, stop),)].reshape(x.shape)

    return value, tuple(map(rule, arrays, [0, *stops], stops))


def stack(*arrays: Array, axis: int = 0) -> Result:
    """Join arrays of one shape along a new axis."""
    value = np.stack(arrays, axis=axis)
    along: tuple[Any, ...] = (slice(None),) * (axis % value.ndim)

    def rule(i: int) -> Rule:
        return lambda g: g[(*along, i)]

    return value, tuple(rule(i) for i in range(len(arrays)))


def getitem(x: Array, *, index: Any) -> Result:
    """x[index], by NumPy's rules; an entry that is taken several times sums its gradients."""

    def to_x(g: Array) -> Array:
        gradient = np.zeros(x.shape, g.dtype)
        if _may_repeat(index):
            np.add.at(gradient, index, g)
        else:
            gradient[index] = g
        return gradient

    return x[index], (to_x,)


def _may_repeat(index: Any) -> bool:
    """Tell whether an index may take an entry twice: only arrays of integers can."""
    parts = index if isinstance(index, tuple) else (index,)
    arrays = (np.asarray(part) for part in parts if isinstance(part, (list, np.ndarray)))
    return any(array.dtype.kind != "b" for array in arrays)
