"""Shape ops: they move entries about, and their rules move the gradient back."""

import math
from collections.abc import Sequence
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


def moveaxis(x: Array, *, source: int | Sequence[int], destination: int | Sequence[int]) -> Result:
    """Move axes to other places; the rest keep their order."""
    return np.moveaxis(x, source, destination), (lambda g: np.moveaxis(g, destination, source),)


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


def flip(x: Array, *, axis: Axis = None) -> Result:
    """Reverse the order of the entries along the axes; with None, along all."""
    return np.flip(x, axis), (lambda g: np.flip(g, axis),)


def roll(x: Array, *, shift: int | Sequence[int], axis: Axis = None) -> Result:
    """Shift entries along the axes, from the end back to the start; with None, flattened."""
    back = np.negative(shift)
    return np.roll(x, shift, axis), (lambda g: np.roll(g, back, axis),)


def pad(x: Array, *, pad_width: Any, constant_values: Any = 0) -> Result:
    """Put constants around x: `pad_width` of them, or (before, behind), or one such pair per axis.

    `constant_values` is one number or has the form of `pad_width`.
    """
    value = np.pad(x, pad_width, constant_values=constant_values)
    starts = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2))[:, 0].tolist()
    inside = tuple(slice(start, start + n) for start, n in zip(starts, x.shape))
    return value, (lambda g: g[inside],)


def tril(x: Array, *, k: int = 0) -> Result:
    """Set what lies above the k-th diagonal of each matrix to zero."""
    return np.tril(x, k), (lambda g: np.tril(g, k),)


def triu(x: Array, *, k: int = 0) -> Result:
    """Set what lies below the k-th diagonal of each matrix to zero."""
    return np.triu(x, k), (lambda g: np.triu(g, k),)


def getitem(x: Array, *, index: Any) -> Result:
    """x[index], by NumPy's rules; an entry that is taken several times sums its gradients."""
    parts = tuple(map(_own, index)) if isinstance(index, tuple) else _own(index)

    def to_x(g: Array) -> Array:
        if isinstance(parts, np.ndarray) and parts.dtype.kind != "b":
            return scatter_rows(x.shape, parts, g)
        gradient = np.zeros_like(x, g.dtype)  # laid out as x: its op may lay out values otherwise
        arrays = [p for p in (parts if isinstance(parts, tuple) else (parts,)) if _is_array(p)]
        if any(array.dtype.kind != "b" for array in arrays):  # which may take an entry twice
            np.add.at(gradient, parts, g)
        else:
            gradient[parts] = g
        return gradient

    return x[parts], (to_x,)


def take(x: Array, *, indices: Any, axis: int | None = None) -> Result:
    """Take entries by index along an axis or, with None, from x flattened; gradients add up."""
    own = np.asarray(_own(indices))

    def to_x(g: Array) -> Array:
        if axis is None:
            return scatter_rows((x.size,), own, g).reshape(x.shape)
        along = axis % x.ndim
        rows = g.reshape(*x.shape[:along], own.size, *x.shape[along + 1 :])
        rows = np.moveaxis(rows, along, 0)
        total = scatter_rows((x.shape[along], *rows.shape[1:]), own.reshape(-1), rows)
        return np.moveaxis(total, 0, along)

    return np.take(x, own, axis), (to_x,)


def take_along_axis(x: Array, *, indices: Any, axis: int = -1) -> Result:
    """Take entries by an index of their own along an axis: `indices` has as many axes as x."""
    own = np.asarray(_own(indices))
    if own.ndim != x.ndim or not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"indices must have the {x.ndim} axes of x, and `axis` must be one of them; received "
            f"indices of shape {own.shape} and axis {axis}"
        )
    index = list(np.ogrid[tuple(map(slice, x.shape))])
    index[axis] = own
    return getitem(x, index=tuple(index))


def scatter_rows(shape: tuple[int, ...], indices: Array, g: Array) -> Array:
    """Add the rows of `g` to zeros of `shape`, each where its index says: x[indices] undone.

    Entry by entry, because np.add.at is several times as fast along one axis as along more.
    """
    total = np.zeros(shape, g.dtype)
    if len(shape) == 1 or g.size < 256:
        np.add.at(total, indices, g)
    else:
        width = math.prod(shape[1:])
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
