"""ONNX forms of the shape ops, which move entries about."""

from itertools import groupby
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np

from .. import ops
from .onnx_graph import Form, Forms, Graph, form
from .onnx_runs import Call, Constant, Length, Lengths, Made

FORMS: Forms = {
    op: lambda graph, call, x: graph.reshape(x, call.shape)
    for op in (ops.reshape, ops.squeeze, ops.expand_dims)
}
_LAST, _FIRST = 2**63 - 1, -(2**63) + 1  # beyond every end
_BETWEEN_SAMPLES = "which has no ONNX form where it moves entries between samples"
_BASIC = int, Length, slice, EllipsisType


# An array of no entries whose lengths are 0, 1, 2, ... shows by its shape where its axes go.
def _permuted(graph: Graph, call: Call, x: str) -> str:
    axes = call.on(np.empty(range(len(call.shape)))).shape
    return graph.add("Transpose", x, perm=axes)


FORMS |= dict.fromkeys((ops.transpose, ops.swapaxes, ops.moveaxis), _permuted)


@form(FORMS, ops.broadcast_to)
def _broadcast_to(graph: Graph, call: Call, x: str) -> str:
    return graph.add("Expand", x, [*call.shape])


@form(FORMS, ops.concatenate)
def _concatenate(graph: Graph, call: Call, *arrays: str) -> str:
    axis = call.constant("axis")
    parts = [graph.add("Reshape", x, [-1]) for x in arrays] if axis is None else arrays
    return graph.add("Concat", *parts, axis=axis or 0)


@form(FORMS, ops.stack)
def _stack(graph: Graph, call: Call, *arrays: str) -> str:
    axis = call.constant("axis") % len(call.shape)
    return graph.add("Concat", *(graph.add("Unsqueeze", x, [axis]) for x in arrays), axis=axis)


@form(FORMS, ops.flip)
def _flip(graph: Graph, call: Call, x: str) -> str:
    axis, ndim = call.constant("axis"), len(call.shape)
    axes = [*range(ndim)] if axis is None else np.atleast_1d(axis).tolist()
    count = len(axes)
    return graph.add("Slice", x, [_LAST] * count, [_FIRST] * count, axes, [-1] * count)


@form(FORMS, ops.pad)
def _pad(graph: Graph, call: Call, x: str) -> str:
    """Write one node for each stretch of sides with the same constant, in NumPy's order."""
    ndim = len(call.shape)
    widths = np.broadcast_to(np.asarray(_numbers(call, "pad_width")), (ndim, 2)).ravel()
    fills = np.broadcast_to(np.asarray(_numbers(call, "constant_values")), (ndim, 2)).ravel()
    for fill, sides in groupby(range(2 * ndim), lambda i: fills[i].item()):
        pads = np.zeros(2 * ndim, np.int64)
        for i in sides:
            pads[i // 2 + ndim * (i % 2)] = widths[i]
        if pads.any():
            x = graph.add("Pad", x, pads.tolist(), graph.typed(fill, call.kind))
    return graph.add("Identity", x) if not widths.any() else x


def _numbers(call: Call, name: str) -> Any:
    value = call.constant(name)
    return value.array if isinstance(value, Constant) else value


def _triangle(upper: int) -> Form:
    return lambda graph, call, x: graph.add("Trilu", x, call.constant("k"), upper=upper)


FORMS |= {ops.tril: _triangle(0), ops.triu: _triangle(1)}


@form(FORMS, ops.getitem)
def _getitem(graph: Graph, call: Call, x: str) -> str:
    index = call.constant("index", may_grow=True)
    parts = index if isinstance(index, tuple) else (index,)
    if all(_is_basic(part) for part in parts):
        return _sliced(graph, call, x, parts)
    *before, last = parts
    if isinstance(last, Made) and all(p == slice(None) for p in before):
        return graph.add("Gather", x, last, axis=len(before))
    return _gathered(graph, call, x)


def _is_basic(part: Any) -> bool:
    return part is None or (isinstance(part, _BASIC) and not isinstance(part, bool))


def _sliced(graph: Graph, call: Call, x: str, parts: tuple[Any, ...]) -> str:
    """Cut, with a slice of length one for an integer, and then drop and add axes."""
    hidden = len(call.shapes[0]) - sum(part not in (None, Ellipsis) for part in parts)
    cuts, axis = [], 0
    for part in parts:
        if part is Ellipsis:
            axis += hidden
        elif part is not None:
            cuts += [(*_bounds(part), axis)] * (part != slice(None))
            axis += 1
    if cuts:
        starts, ends, steps, axes = map(list, zip(*cuts))
        x = graph.add("Slice", x, starts, ends, axes, steps)
    only_cut = cuts and all(isinstance(part, slice | EllipsisType) for part in parts)
    return x if only_cut else graph.reshape(x, call.shape)


def _bounds(part: Any) -> tuple[Any, Any, int]:
    """Return start, end and step of what is taken along an axis."""
    if not isinstance(part, slice):
        return part, _LAST if part == -1 else part + 1, 1
    step = 1 if part.step is None else part.step
    ends = (0, _LAST) if step > 0 else (_LAST, _FIRST)
    start, end = (e if p is None else p for p, e in zip((part.start, part.stop), ends))
    return start, end, step


@form(FORMS, ops.take)
def _take(graph: Graph, call: Call, x: str) -> str:
    indices, axis = call.constant("indices"), call.constant("axis")
    x = graph.add("Reshape", x, [-1]) if axis is None else x
    places = indices if isinstance(indices, list) else graph.typed(indices, "i")
    return graph.add("Gather", x, places, axis=axis or 0)


@form(FORMS, ops.take_along_axis)
def _take_along_axis(graph: Graph, call: Call, x: str) -> str:
    indices = call.constant("indices")
    if isinstance(indices, Made):
        return graph.add("GatherElements", x, indices, axis=call.constant("axis"))
    return _gathered(graph, call, x)


@form(FORMS, ops.roll)
def _roll(graph: Graph, call: Call, x: str) -> str:
    axis, growing = call.constant("axis"), _growing(call, call.shapes[0])
    axes = range(len(call.shape)) if axis is None else np.atleast_1d(axis) % len(call.shape)
    if growing in axes:
        raise call.refusal(_BETWEEN_SAMPLES)
    return _gathered(graph, call, x)


def _gathered(graph: Graph, call: Call, x: str) -> str:
    """Gather entries from where the op itself, given their places in a sample, says.

    The samples lie along the axis that grows with the batch, if there is one.
    """
    shape = call.arrays[0].shape
    axis, to = _growing(call, call.shapes[0]), _growing(call, call.shape)
    if axis is None:
        places = call.on(np.arange(prod(shape)).reshape(shape))
        return graph.add("Gather", graph.add("Reshape", x, [-1]), places, axis=0)
    rest = np.delete(shape, axis).tolist()
    samples = np.arange(shape[axis]) * prod(rest)
    labels = np.add.outer(samples, np.arange(prod(rest)).reshape(rest))
    places = call.on(np.moveaxis(labels, 0, axis))
    places = places if to is None else np.moveaxis(places, to, 0)
    if to is None or not np.array_equal(places, np.add.outer(samples, places[0])):
        raise call.refusal(_BETWEEN_SAMPLES)
    if axis:
        x = graph.add("Transpose", x, perm=[axis, *np.delete(range(len(shape)), axis).tolist()])
    x = graph.reshape(x, (call.shapes[0][axis], prod(rest)))
    y = graph.add("Gather", x, places[0], axis=1)
    axes = [*range(1, to + 1), 0, *range(to + 1, places.ndim)]
    return graph.add("Transpose", y, perm=axes) if to else y


def _growing(call: Call, lengths: Lengths) -> int | None:
    """Return the axis that grows with the batch, if there is one."""
    axes = [axis for axis, length in enumerate(lengths) if isinstance(length, Length)]
    if len(axes) > 1:
        raise call.refusal("which has no ONNX form where several axes grow with the batch")
    return axes[0] if axes else None
