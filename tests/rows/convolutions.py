"""Rows of the convolutions and of pooling, and their formulas as loops over single products."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

import micrograd_np as mg
from micrograd_np import ops

from . import Inputs, Row, numbers

Index = tuple[int, ...]
Settings = dict[str, Any]

SETTINGS: list[Settings] = [
    {}, {"stride": 2}, {"stride": (3, 1)}, {"padding": 1}, {"padding": (0, 2)},
    {"padding": "same"}, {"padding": "same", "dilation": (2, 1)}, {"padding": "valid"},
    {"dilation": 2, "padding": (0, 1)}, {"groups": 2}, {"groups": 4, "padding": 1},
    {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2), "groups": 2},
]  # fmt: skip
SETTINGS_OF_POOLS: list[Settings] = [
    {"kernel_size": 2}, {"kernel_size": (3, 1)}, {"kernel_size": 2, "stride": 1},
    {"kernel_size": (3, 2), "stride": (1, 2), "padding": 1}, {"kernel_size": 1, "stride": 3},
    {"kernel_size": 2, "stride": 2, "padding": (1, 0)}, {"kernel_size": 3, "padding": 1},
]  # fmt: skip


def rows() -> Iterator[Row]:
    for settings in SETTINGS:
        groups = settings.get("groups", 1)
        shapes: list[Index] = [(2, 4, 5, 4), (4, 4 // groups, 3, 2), (4,)]
        yield convolution("conv2d", settings, [numbers(*shapes[:2]), numbers(*shapes)])
        shapes = [(2, 4, 7), (8, 4 // groups, 3), (8,)]
        first = {
            name: value[0] if isinstance(value, tuple) else value
            for name, value in settings.items()
        }
        yield convolution("conv1d", first, [numbers(*shapes[:2]), numbers(*shapes)])
    yield convolution("conv2d", {"padding": 1}, unusual(2))
    yield convolution("conv2d", {"stride": 2, "padding": 1}, unusual(2))
    yield convolution("conv1d", {"padding": 1}, unusual(1))
    yield convolution("conv1d", {"stride": 2, "padding": 1}, unusual(1))
    for settings in SETTINGS_OF_POOLS:
        yield pool("max_pool2d", settings, max)
        yield pool("avg_pool2d", settings, partial(mean_by_hand, settings))


def unusual(axes: int) -> list[Inputs]:
    """No batch, an empty one, size one, kernels as large as the image, and views of all kinds."""
    length, kernel = (5,) * axes, (3,) * axes
    shapes: list[list[Index]] = [
        [(2, *length), (2, 2, *kernel), (2,)],
        [(0, 2, *length), (2, 2, *kernel), (2,)],
        [(1, 1, *[1] * axes), (1, 1, *[1] * axes), (1,)],
        [(2, 2, *kernel), (1, 2, *kernel)],
    ]
    # Channels last, every other kernel backwards, every other bias.
    x, weight, bias = numbers((2, *length, 3), (6, 3, *kernel), (6,))
    views = (np.moveaxis(x, -1, 1), weight[::-2, :, ::-1], bias[::2])
    # Channels before the batch, as values of convolutions lie, and kernels transposed.
    x, weight = numbers((3, 2, *length), (*kernel, 3, 2))
    turned = (x.swapaxes(0, 1)[..., ::-1], weight.T)
    return [*(numbers(*given) for given in shapes), views, turned]


def convolution(op: str, settings: Settings, inputs: list[Inputs]) -> Row:
    return Row(
        op,
        lambda *tensors: mg.apply(ops.ALL[op], *tensors, **settings),
        lambda *arrays: convolve_by_hand(*arrays, **settings),
        inputs,
    )


def pool(op: str, settings: Settings, combine: Callable[[list[Any]], Any]) -> Row:
    (x,) = numbers((2, 5, 6, 3))
    return Row(
        op,
        lambda x: mg.apply(ops.ALL[op], x, **settings),
        lambda x: pool_by_hand(x, combine, **settings),
        [
            *(numbers(shape) for shape in [(2, 3, 5, 4), (1, 3, 4), (0, 2, 4, 4)]),
            (np.moveaxis(x, -1, 1)[..., ::-1, :],),
        ],
    )


def convolve_by_hand(x: Any, weight: Any, *bias: Any, **settings: Any) -> Any:
    images = x if x.ndim == weight.ndim else x[None]
    lengths = ends(images.shape[2:], weight.shape[2:], settings)[0]
    found: dict[Index, list[float]] = {}
    for y_index, x_index, w_index in products(images.shape, weight.shape, settings):
        found.setdefault(y_index, []).append(images[x_index] * weight[w_index])
    value = np.zeros((len(images), len(weight), *lengths))
    for y_index in np.ndindex(value.shape):
        value[y_index] = math.fsum(found.get(y_index, [])) + (bias[0][y_index[1]] if bias else 0)
    return value if x.ndim == weight.ndim else value[0]


def products(x: Index, weight: Index, settings: Settings) -> Iterator[tuple[Index, Index, Index]]:
    """Yield where each product of a convolution goes to and where its two factors come from."""
    (batch, _, *lengths), (outputs, depth, *kernel) = x, weight
    counts, steps, spread, before = ends(lengths, kernel, settings)
    for n, o, c in product(range(batch), range(outputs), range(depth)):
        channel = c + depth * (o // (outputs // settings.get("groups", 1)))
        for place, k in product(product(*map(range, counts)), product(*map(range, kernel))):
            at = [p * s + i * d - b for p, s, i, d, b in zip(place, steps, k, spread, before)]
            if all(0 <= a < n for a, n in zip(at, lengths)):
                yield (n, o, *place), (n, channel, *at), (o, c, *k)


def ends(lengths: Any, kernel: Any, settings: Settings) -> tuple[list[int], ...]:
    """Return, for each axis, how many windows there are, their step, dilation and first zeros."""
    padding = settings.get("padding", 0)
    steps, spread = (per_axis(settings.get(name, 1), kernel) for name in ("stride", "dilation"))
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, spread)]
    before = per_axis(0 if isinstance(padding, str) else padding, kernel)
    both = [2 * zeros for zeros in before]
    if padding == "same":
        both = [span - 1 for span in spans]
        before = [zeros // 2 for zeros in both]
    padded = [n + zeros for n, zeros in zip(lengths, both)]
    counts = [len(range(0, n - span + 1, s)) for n, span, s in zip(padded, spans, steps)]
    return counts, steps, spread, before


def per_axis(setting: Any, kernel: Any) -> list[int]:
    return list(setting) if isinstance(setting, tuple) else [setting] * len(kernel)


def pool_by_hand(
    x: Any, combine: Callable[[list[Any]], Any], kernel_size: Any, stride: Any = None, **more: Any
) -> Any:
    found = windows(x.shape, kernel_size, stride, **more)
    value = np.zeros((*x.shape[:-2], *[1 + max(p[i] for p in found) for i in range(2)]))
    for images in np.ndindex(x.shape[:-2]):
        for place, inside in found.items():
            value[(*images, *place)] = combine([x[(*images, *at)] for at in inside])
    return value


def windows(
    shape: Index, kernel_size: Any, stride: Any = None, padding: Any = 0
) -> dict[Index, list[Index]]:
    """Return, for each window, which entries of an image it sees, row by row."""
    kernel = per_axis(kernel_size, (1, 1))
    settings = {"stride": kernel_size if stride is None else stride, "padding": padding}
    found: dict[Index, list[Index]] = {}
    depth = (1, 1)
    for y, x, _ in products((*depth, *shape[-2:]), (*depth, *kernel), settings):
        found.setdefault(y[2:], []).append(x[2:])
    return found


def mean_by_hand(settings: Settings, entries: list[Any]) -> float:
    return math.fsum(entries) / math.prod(per_axis(settings["kernel_size"], (1, 1)))
