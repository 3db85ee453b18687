"""Shape ops: they move entries about, and their rules move the gradient back."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .common import Array, Axis, Result, Rule


def reshape(x: Array, *, shape: int | Sequence[int]) -> Result:
    """Return the same entries, in the same (C) order, in another shape."""
    return x.reshape(shape), (lambda g: g.reshape(x.shape),)


def transpose(x: Array, *, axes: int | Sequence[int] | None = None) -> Result:
    """Permute the axes; without `axes`, reverse them."""

    def to_x(g: Array) -> Array:
        if axes is None:
            return g.transpose()
        return g.transpose(np.argsort(np.atleast_1d(axes) % x.ndim))

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
    parts = tuple(map(_own, index)) if isinstance(index, tuple) else _own(index)

    def to_x(g: Array) -> Array:
        if _is_array(parts) and parts.dtype.kind != "b":
            return scatter_rows(x.shape, parts, g)
        gradient = np.zeros(x.shape, g.dtype)
        arrays = [p for p in (parts if isinstance(parts, tuple) else (parts,)) if _is_array(p)]
        if any(array.dtype.kind != "b" for array in arrays):  # which may take an entry twice
            np.add.at(gradient, parts, g)
        else:
            gradient[parts] = g
        return gradient

    return x[parts], (to_x,)


def scatter_rows(shape: tuple[int, ...], indices: Array, g: Array) -> Array:
    """Add the rows of `g` to zeros of `shape`, each where its index says: x[indices] undone.

    Entry by entry, because np.add.at is several times as fast along one axis as along more.
    """
    total = np.zeros(shape, g.dtype)
    if len(shape) == 1 or g.size < 256:
        np.add.at(total, indices, g)
    else:
        width = prod(shape[1:])
        places = indices.astype(np.intp).reshape(-1, 1) * width + np.arange(width)
        np.add.at(total.reshape(-1), places.reshape(-1), g.reshape(-1))
    return total


def _own(part: Any) -> Any:
    """Copy what an index has in arrays or lists: the way back must see what the way there saw."""
    if part is None or part is Ellipsis or isinstance(part, (slice, int, np.integer)):
        return part
    array = np.array(part)
    return array.astype(np.intp) if array.size == 0 and not _is_array(part) else array


def _is_array(part: Any) -> bool:
    return isinstance(part, np.ndarray)
