"""Convolutions and pooling: ops that slide a window over the last one or two axes.

Inside, images lie as (channels, batch, ...), because then a convolution is one matrix product, in
which each place of the window is a few long slices of memory. Values are views of that as (batch,
channels, ...), so that the next convolution finds the order it wants.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .common import Array, Result, jointly, number

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
    x: Array, weight: Array, bias: tuple[Array, ...], axes: int, groups: int, *steps: Any
) -> Result:
    images = _batch(x, axes)
    _check_kernels(images, weight, bias, axes, groups)
    batch, channels, *lengths = images.shape
    outputs, size = len(weight), math.prod(weight.shape[2:])
    dtype = np.result_type(x, weight, *bias)
    kernels = weight.reshape(groups, outputs // groups, channels // groups * size)
    # So many images at once that what the windows see of them takes little memory.
    each = channels * size * math.prod(lengths) * dtype.itemsize
    count = max(1, min(batch, _AT_ONCE // max(each, 1)))
    windows = {n: _Window((n, *lengths), weight.shape[2:], *steps) for n in {count, batch % count}}
    parts = [slice(start, min(start + count, batch)) for start in range(0, batch, count)]

    def columns(part: slice, window: _Window) -> Array:
        """Return what each place of the window sees, as one matrix for each group."""
        memory = window.memory(channels, dtype)
        window.inside(memory)[...] = images[part].swapaxes(0, 1)
        seen = np.empty((channels, size, *window.grid), dtype)
        for i, place in enumerate(window.looks(memory)):
            seen[:, i] = place
        return seen.reshape(groups, channels // groups * size, -1)

    value = np.empty((outputs, batch, *windows[count].counts), dtype)
    shift = bias[0].reshape(-1, *[1] * (axes + 1)) if bias else number(0, dtype)
    for part in parts:
        window = windows[part.stop - part.start]
        products = np.matmul(kernels, columns(part, window)).reshape(outputs, *window.grid)
        np.add(products[window.whole], shift, out=value[:, part])

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        rows = np.zeros((outputs, batch, *windows[count].grid[1:]), g.dtype)
        rows[windows[count].whole] = _batch(g, axes).swapaxes(0, 1)

        def to_x() -> Array:
            gradient = np.empty((channels, batch, *lengths), g.dtype)
            for part in parts:
                window = windows[part.stop - part.start]
                own = rows[:, part].reshape(groups, outputs // groups, -1)
                products = np.matmul(kernels.swapaxes(1, 2), own)
                products = products.reshape(channels, size, *window.grid)
                memory = window.memory(channels, g.dtype)
                for i, place in enumerate(window.looks(memory)):
                    place += products[:, i]
                gradient[:, part] = window.inside(memory)
            return gradient.swapaxes(0, 1).reshape(x.shape)

        def to_weight() -> Array:
            gradient = np.zeros(kernels.shape, g.dtype)
            for part in parts:
                own = rows[:, part].reshape(groups, outputs // groups, -1)
                seen = columns(part, windows[part.stop - part.start])
                gradient += np.matmul(own, seen.swapaxes(1, 2))
            return gradient.reshape(weight.shape)

        def to_bias() -> Array:
            total: Array = np.add.reduce(rows.reshape(outputs, -1), axis=1)
            return total

        return to_x, to_weight, to_bias

    result = value.swapaxes(0, 1)
    rules = jointly(2 + len(bias), back)
    return result if x.ndim == images.ndim else result[0], rules


class _Window:
    """Where kernels look: what a convolution's way there and its way back share.

    At stride 1 what a place of the window sees, over all images laid end to end, is one slice: a
    fast copy, at the price of values for windows that run over an edge, which `whole` cuts away.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        kernel: tuple[int, ...],
        stride: Any,
        padding: Any,
        dilation: Any,
    ) -> None:
        batch, *lengths = shape
        kernel, self.steps, pads, spread = window_settings(
            len(lengths), kernel, stride, padding, dilation
        )
        self.padded = (batch, *(n + sum(pad) for n, pad in zip(lengths, pads)))
        self.counts = _counts(self.padded[1:], kernel, self.steps, spread)
        self.places = [[i * d for i, d in zip(place, spread)] for place in np.ndindex(*kernel)]
        self.middle: Any = (
            ...,
            *(slice(before, before + n) for (before, _), n in zip(pads, lengths)),
        )
        self.flat = all(step == 1 for step in self.steps)
        self.grid = self.padded if self.flat else (batch, *self.counts)
        self.whole: Any = (..., *map(slice, self.counts))
        strides = [math.prod(self.padded[i + 2 :]) for i in range(len(lengths))]
        self.offsets = [sum(i * s for i, s in zip(place, strides)) for place in self.places]

    def memory(self, channels: int, dtype: Any) -> Array:
        """Return zeros for padded images end to end, with room for what the last place sees."""
        return np.zeros((channels, math.prod(self.padded) + self.offsets[-1]), dtype)

    def inside(self, memory: Array) -> Array:
        """Return the images without their padding, as a view (channels, batch, ...)."""
        images: Array = self._images(memory)[self.middle]
        return images

    def looks(self, memory: Array) -> list[Array]:
        """Return what each place of the window sees, as views (channels, ...grid)."""
        if self.flat:
            size = math.prod(self.padded)
            slices = [memory[:, start : start + size] for start in self.offsets]
            return [part.reshape(len(memory), *self.grid) for part in slices]
        images = self._images(memory)
        return [images[_look(place, self.steps, self.counts)] for place in self.places]

    def _images(self, memory: Array) -> Array:
        return memory[:, : math.prod(self.padded)].reshape(len(memory), *self.padded)


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
        part = g * share
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
        padded = np.full((*x.shape[:-2], *lengths), filling, x.dtype)
        padded[middle] = x
    else:
        padded = x
    counts = _counts(padded.shape[-2:], kernel, steps, (1, 1))
    looks = [_look(place, steps, counts) for place in np.ndindex(*kernel)]
    return padded, middle, looks, all(s >= k for s, k in zip(steps, kernel))


def _look(place: Sequence[int], steps: Sequence[int], counts: Sequence[int]) -> Any:
    """Return the index of what one place of the window sees as the window moves."""
    return (..., *(slice(i, i + s * (n - 1) + 1, s) for i, s, n in zip(place, steps, counts)))


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
    images: Array, weight: Array, bias: tuple[Array, ...], axes: int, groups: int
) -> None:
    if weight.ndim != axes + 2:
        raise ValueError(f"kernels must have {axes + 2} axes; received shape {weight.shape}")
    if (
        operator.index(groups) < 1
        or len(weight) % groups
        or images.shape[1] != weight.shape[1] * groups
    ):
        raise ValueError(
            f"{len(weight)} kernels of {weight.shape[1]} channels, with groups={groups}, take "
            f"{weight.shape[1] * groups} channels; received {images.shape[1]}"
        )
    if any(array.shape != weight.shape[:1] for array in bias):
        raise ValueError(f"bias must have shape {weight.shape[:1]}; received {bias[0].shape}")
