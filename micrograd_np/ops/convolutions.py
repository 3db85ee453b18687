"""Convolutions and pooling: ops that slide a window over the last one or two axes.

Inside, images lie as (channels, ..., batch): a convolution is then one matrix product, and whatever
a window sees are long slices of memory, at every stride. Values are views of that as (batch,
channels, ...), so that what comes next finds the order it wants.
"""

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .common import Array, Result, number
from .products import ones

Lengths = tuple[int, ...]
_AT_ONCE = 2**23  # bytes


def conv1d(
    x: Array,
    weight: Array,
    *bias: Array,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    """Slide kernels (out, in / groups, k) over x (batch, in, n) or (in, n); see `conv2d`."""
    return _convolution(x, weight, bias, 1, groups, stride, padding, dilation)


def conv2d(
    x: Array,
    weight: Array,
    *bias: Array,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Result:
    """Slide kernels (out, in / groups, k, l) over images x (batch, in, n, m) or (in, n, m).

    y[., o, i, j] = bias[o] + sum over c, p, q of weight[o, c, p, q] x[., c, i s + p d, j s + q d]
    with stride s and dilation d, numbers or one per axis. `padding` puts zeros before and behind:
    a number, one per axis, "valid" (none) or "same" (as many as keep the lengths, at stride 1).
    """
    return _convolution(x, weight, bias, 2, groups, stride, padding, dilation)


def _convolution(
    x: Array,
    weight: Array,
    bias: tuple[Array, ...],
    axes: int,
    groups: int,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> Result:
    images = _batch(x, axes)
    _check_kernels(x, weight, bias, axes, groups)
    (batch, channels, *lengths), outputs = images.shape, len(weight)
    kernel, steps, pads, spread = window_settings(axes, weight.shape[2:], stride, padding, dilation)
    padded = [n + sum(pad) for n, pad in zip(lengths, pads)]
    middle: Any = (slice(None), *(slice(pad[0], pad[0] + n) for n, pad in zip(lengths, pads)))
    counts = _counts(padded, kernel, steps, spread)
    places = [[i * d for i, d in zip(place, spread)] for place in np.ndindex(*kernel)]
    looks = [(slice(None), *_look(place, steps, counts)) for place in places]
    dtype = np.result_type(x, weight, *bias)
    kernels = weight.reshape(groups, outputs // groups, channels // groups * len(looks))
    # So many images at once that what the windows see of them takes little memory.
    each = channels * len(looks) * math.prod(counts) * dtype.itemsize
    count = max(1, min(batch, _AT_ONCE // max(each, 1)))
    parts = [slice(start, min(start + count, batch)) for start in range(0, max(batch, 1), count)]

    def columns(part: slice) -> Array:
        """Return what each place of the window sees, as one matrix for each group."""
        inner = np.moveaxis(images[part], 0, -1)
        memory = np.zeros((channels, *padded, inner.shape[-1]), dtype, like=x)
        memory[middle] = inner
        stacked = np.empty((channels, len(looks), *counts, inner.shape[-1]), dtype, like=x)
        for i, look in enumerate(looks):
            stacked[:, i] = memory[look]
        return stacked.reshape(groups, channels // groups * len(looks), -1)

    kept = [columns(part) for part in parts] if len(parts) == 1 else None

    def seen() -> Iterable[Array]:
        """Return the columns of each part: those of one part are kept for the way back."""
        return kept or map(columns, parts)

    def rows(g: Array, part: slice) -> Array:
        """Return g as one matrix for each group."""
        inner = np.moveaxis(_batch(g, axes)[part], 0, -1)
        return inner.reshape(groups, outputs // groups, -1)

    value = _joined([np.matmul(kernels, each).reshape(outputs, *counts, -1) for each in seen()])
    if bias:
        value += bias[0].reshape(-1, *[1] * (axes + 1))

    def to_x(g: Array) -> Array:
        gradients = []
        for part in parts:
            products = np.matmul(kernels.swapaxes(1, 2), rows(g, part))
            products = products.reshape(channels, len(looks), *counts, -1)
            memory = np.zeros((channels, *padded, products.shape[-1]), g.dtype, like=g)
            for i, look in enumerate(looks):
                memory[look] += products[:, i]
            gradients.append(memory[middle])
        return np.moveaxis(_joined(gradients), -1, 0).reshape(x.shape)

    def to_weight(g: Array) -> Array:
        gradient = np.zeros((groups, kernels.shape[2], outputs // groups), g.dtype)
        for part, each in zip(parts, seen()):  # the other way round it takes twice the time
            gradient += np.matmul(each, rows(g, part).swapaxes(1, 2))
        return gradient.swapaxes(1, 2).reshape(weight.shape)

    def to_bias(g: Array) -> Array:
        flat = rows(g, slice(None)).reshape(outputs, -1)
        total: Array = flat.dot(ones(flat.shape[1], g.dtype))
        return total

    result = np.moveaxis(value, -1, 0)
    rules = (to_x, to_weight, to_bias)[: 2 + len(bias)]
    return result if x.ndim == images.ndim else result[0], rules


def _joined(parts: list[Array]) -> Array:
    """Join the parts of a batch, which is the last axis."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def max_pool2d(x: Array, *, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Result:
    """Largest entry in each window of x (batch, channels, n, m) or (channels, n, m).

    The gradient goes to the window's first largest entry, row by row. `stride` is the window's
    size unless given; padding counts as -inf.
    """
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded, middle, looks, apart = _pooling(x, kernel_size, stride, padding, lowest)
    first, *others = [padded[look] for look in looks]
    value = first.copy("K")
    for other in others:
        np.maximum(value, other, out=value)

    def give(place: Array, g: Array, won: Array) -> None:
        if apart:  # of windows that do not overlap, each place gets but once
            np.multiply(g, won, out=place)
        else:
            place += g * won

    def to_x(g: Array) -> Array:
        g = _laid_out_as(value, g)
        gradient = np.zeros_like(padded, g.dtype)
        free = np.ones_like(value, bool)
        for look in looks[:-1]:
            won = padded[look] == value
            won &= free
            free ^= won
            give(gradient[look], g, won)
        give(gradient[looks[-1]], g, free)  # what is left, also where NaN equals nothing
        inside: Array = gradient[middle]
        return inside

    return value, (to_x,)


def avg_pool2d(x: Array, *, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Result:
    """Mean of each window of x (batch, channels, n, m) or (channels, n, m), zeros of padding too.

    `stride` is the window's size unless given.
    """
    padded, middle, looks, _ = _pooling(x, kernel_size, stride, padding, 0)
    share = number(1 / len(looks), x.dtype if x.dtype.kind == "f" else np.dtype(float))
    total = padded[looks[0]] * share
    for look in looks[1:]:
        total += padded[look] * share

    def to_x(g: Array) -> Array:
        gradient = np.zeros_like(padded, g.dtype)
        part = _laid_out_as(total, g) * share
        for look in looks:
            gradient[look] += part
        inside: Array = gradient[middle]
        return inside

    return total, (to_x,)


def _pooling(
    x: Array, kernel_size: Any, stride: Any, padding: Any, filling: float
) -> tuple[Array, Any, list[Any], bool]:
    """Return x padded, where x is in it, what each place sees, and if no windows overlap."""
    _batch(x, 2)
    kernel, steps, pads = pool_settings(kernel_size, stride, padding)
    middle: Any = (..., *(slice(pad, pad + n) for pad, n in zip(pads, x.shape[-2:])))
    if any(pads):
        lengths = [n + 2 * pad for pad, n in zip(pads, x.shape[-2:])]
        padded = np.full((*x.shape[:-2], *lengths), filling, x.dtype, like=x)
        padded[middle] = x
    else:
        padded = x
    counts = _counts(padded.shape[-2:], kernel, steps, (1, 1))
    looks = [(..., *_look(place, steps, counts)) for place in np.ndindex(*kernel)]
    return padded, middle, looks, all(s >= k for s, k in zip(steps, kernel))


def _laid_out_as(value: Array, g: Array) -> Array:
    """Return g in the memory order of `value`: passes over mixed orders take 5 times as long."""
    if g.strides == value.strides:
        return g
    copy = np.empty_like(value, g.dtype)
    copy[...] = g
    return copy


def _look(place: Sequence[int], steps: Sequence[int], counts: Sequence[int]) -> Any:
    """Return the index of what one place of the window sees as the window moves."""
    return tuple(slice(i, i + s * (n - 1) + 1, s) for i, s, n in zip(place, steps, counts))


def _counts(
    lengths: Sequence[int], kernel: Sequence[int], steps: Sequence[int], spread: Sequence[int]
) -> Lengths:
    """Return how many windows fit along each axis."""
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, spread)]
    if any(span > n for span, n in zip(spans, lengths)):
        raise ValueError(
            f"a window of {tuple(spans)} does not fit into {tuple(lengths)} (with the padding)"
        )
    return tuple((n - span) // s + 1 for n, span, s in zip(lengths, spans, steps))


def window_settings(
    axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Lengths, Lengths, list[Lengths], Lengths]:
    """Return lengths, steps, zeros before and behind, and dilations of a window, by axis."""
    kernel = _per_axis("kernel_size", kernel_size, axes, 1)
    steps = _per_axis("stride", stride, axes, 1)
    spread = _per_axis("dilation", dilation, axes, 1)
    if padding == "same":
        if any(step != 1 for step in steps):
            raise ValueError(f'padding="same" needs stride 1; received {steps}')
        totals = [d * (k - 1) for k, d in zip(kernel, spread)]
        return kernel, steps, [(total // 2, total - total // 2) for total in totals], spread
    pads = _per_axis("padding", 0 if padding == "valid" else padding, axes, 0)
    return kernel, steps, [(pad, pad) for pad in pads], spread


def pool_settings(kernel_size: Any, stride: Any, padding: Any) -> tuple[Lengths, Lengths, Lengths]:
    """Return lengths, steps and padding of a pool's window, by axis."""
    kernel = _per_axis("kernel_size", kernel_size, 2, 1)
    steps = kernel if stride is None else _per_axis("stride", stride, 2, 1)
    pads = _per_axis("padding", padding, 2, 0)
    if any(2 * pad > length for pad, length in zip(pads, kernel)):
        raise ValueError(f"padding must be at most half of kernel_size {kernel}; received {pads}")
    return kernel, steps, pads


def _per_axis(name: str, value: Any, axes: int, least: int) -> Lengths:
    """Return a setting for each axis: one number stands for all."""
    try:
        found = tuple(
            map(operator.index, value if isinstance(value, (tuple, list)) else [value] * axes)
        )
    except TypeError as error:
        raise TypeError(
            f"{name} must be an integer or {axes} of them; received {value!r}"
        ) from error
    if len(found) != axes or min(found) < least:
        raise ValueError(
            f"{name} must be an integer of at least {least}, or {axes} of them; received {value}"
        )
    return found


def _batch(x: Array, axes: int) -> Array:
    """Return x with a batch axis, which may be missing."""
    if x.ndim not in (axes + 1, axes + 2):
        raise ValueError(
            f"takes inputs of shape (batch, channels, {'length' if axes == 1 else 'height, width'})"
            f", or without the batch; received {x.shape}"
        )
    return x if x.ndim == axes + 2 else x[None]


def _check_kernels(
    x: Array, weight: Array, bias: tuple[Array, ...], axes: int, groups: int
) -> None:
    if weight.ndim != axes + 2:
        raise ValueError(f"kernels must have {axes + 2} axes; received shape {weight.shape}")
    if (
        operator.index(groups) < 1
        or len(weight) % groups
        or x.shape[-1 - axes] != weight.shape[1] * groups
    ):
        channels = weight.shape[1] * groups
        remedy = ""
        if x.shape[-1] == channels:
            remedy = f"; move the last axis, as in np.moveaxis(x, -1, {x.ndim - axes - 1})"
        elif channels == 1 and x.ndim == axes + 1:
            remedy = "; add the axis of the channel, as in x[:, None]"
        raise ValueError(
            f"{len(weight)} kernels of {weight.shape[1]} channels, with groups={groups}, take "
            f"inputs of shape (batch, {channels}, {'height, width' if axes == 2 else 'length'}); "
            f"received {x.shape}{remedy}"
        )
    if any(array.shape != weight.shape[:1] for array in bias):
        raise ValueError(f"bias must have shape {weight.shape[:1]}; received {bias[0].shape}")
