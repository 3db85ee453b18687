"""Convolutions and pooling of random shapes, settings and memory layouts equal plain loops.

The numbers are small integers, so that sums are exact in every order and in float32, too.
"""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_np as mg
from micrograd_np import ops
from tests.rows.convolutions import Index, convolve_by_hand, pool_by_hand, products, windows

FEW = st.integers(1, 3)
SEED = st.integers(0, 99)
BATCHES: st.SearchStrategy[Index] = st.sampled_from([(), (0,), (1,), (2,)])
LAYOUTS = ["rows", "columns", "channels before the batch", "channels last", "backwards", "gaps"]

quickly = settings(derandomize=True, deadline=None, max_examples=500, database=None)


def whole_numbers(shape: Index, dtype: Any, layout: str, seed: int) -> Any:
    """Return small whole numbers, which lie in memory in some way."""
    array = np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)
    if layout == "columns":
        return np.asfortranarray(array)
    if layout.startswith("channels") and array.ndim > 2:
        old, new = (0, 1) if layout.endswith("batch") else (1, -1)
        return np.moveaxis(np.moveaxis(array, old, new).copy(), new, old)
    every = (slice(None, None, -1 if layout == "backwards" else 2),) * array.ndim
    if layout == "backwards":
        return array[every].copy()[every]
    spread = np.zeros([2 * n for n in shape], dtype)
    spread[every] = array
    return spread[every] if layout == "gaps" else array


@st.composite
def arrays_of(draw: st.DrawFn, *shapes: Index) -> list[Any]:
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    ways = [draw(st.sampled_from(LAYOUTS)) for _ in shapes]
    return [whole_numbers(s, dtype, way, draw(SEED)) for s, way in zip(shapes, ways)]


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Any, dict[str, Any], list[Any]]:
    """Draw the op, its settings, and input, weight and maybe bias."""
    axes = draw(st.integers(1, 2))
    each = st.tuples(*[FEW] * axes)
    kernel, groups = draw(each), draw(FEW)
    padding: Any = draw(st.sampled_from(["same", "valid", 0, 1, 2, tuple(range(axes))]))
    stride = 1 if padding == "same" else draw(st.one_of(FEW, each))
    chosen = {"stride": stride, "padding": padding, "dilation": draw(each), "groups": groups}
    zeros = [0] * axes if isinstance(padding, str) else np.broadcast_to(padding, axes).tolist()
    spans = [d * (k - 1) + 1 for d, k in zip(chosen["dilation"], kernel)]
    least = [1 if padding == "same" else max(n - 2 * z, 1) for n, z in zip(spans, zeros)]
    lengths = [n + draw(st.integers(0, 3)) for n in least]
    depth, outputs = draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    shapes: list[Index] = [(*draw(BATCHES), depth * groups, *lengths), (outputs, depth, *kernel)]
    shapes += [(outputs,)] if draw(st.booleans()) else []
    return (ops.conv1d, ops.conv2d)[axes - 1], chosen, draw(arrays_of(*shapes))


@given(convolutions(), st.sampled_from(LAYOUTS), SEED)
@quickly
def test_convolutions_equal_loops_in_value_and_gradients(
    case: tuple[Any, dict[str, Any], list[Any]], layout: str, seed: int
) -> None:
    op, chosen, arrays = case
    value, rules = op(*arrays, **chosen)
    assert value.dtype == arrays[0].dtype
    assert np.array_equal(value, convolve_by_hand(*arrays, **chosen))

    g = whole_numbers(value.shape, value.dtype, layout, seed)
    x, weight = arrays[:2]
    images, slopes = (a if x.ndim == weight.ndim else a[None] for a in (x, g))
    to_x, to_weight, to_bias = np.zeros_like(images), np.zeros_like(weight), np.zeros(len(weight))
    for y_index, x_index, w_index in products(images.shape, weight.shape, chosen):
        to_x[x_index] += slopes[y_index] * weight[w_index]
        to_weight[w_index] += slopes[y_index] * images[x_index]
    for y_index in np.ndindex(slopes.shape):
        to_bias[y_index[1]] += slopes[y_index]
    expected = [to_x.reshape(x.shape), to_weight, to_bias]
    for i, rule in enumerate(rules):
        gradient = rule(g)
        assert gradient.dtype == value.dtype
        assert np.array_equal(gradient, expected[i])


@st.composite
def pools(draw: st.DrawFn) -> tuple[dict[str, Any], Any]:
    """Draw the settings of a pool, and its input."""
    pair = st.tuples(FEW, FEW)
    kernel = draw(pair)
    padding = tuple(draw(st.integers(0, length // 2)) for length in kernel)
    chosen: dict[str, Any] = {"kernel_size": kernel, "padding": padding}
    if draw(st.booleans()):
        chosen["stride"] = draw(st.one_of(FEW, pair))
    lengths = [length + draw(st.integers(0, 4)) for length in kernel]
    (x,) = draw(arrays_of((*draw(BATCHES), draw(FEW), *lengths)))
    return chosen, x


@given(pools(), st.sampled_from(LAYOUTS), SEED)
@quickly
def test_maximum_pools_equal_loops_and_the_first_of_equal_entries_gets_the_gradient(
    case: tuple[dict[str, Any], Any], layout: str, seed: int
) -> None:
    chosen, x = case
    value, (to_x,) = ops.max_pool2d(x, **chosen)
    assert value.dtype == x.dtype
    assert np.array_equal(value, pool_by_hand(x, max, **chosen))
    g = whole_numbers(value.shape, value.dtype, layout, seed)
    expected = np.zeros_like(x)
    for images in np.ndindex(x.shape[:-2]):
        for place, inside in windows(x.shape, **chosen).items():
            entries = [x[(*images, *at)] for at in inside]
            first = inside[entries.index(max(entries))]
            expected[(*images, *first)] += g[(*images, *place)]
    assert to_x(g).dtype == value.dtype
    assert np.array_equal(to_x(g), expected)


@given(pools(), st.sampled_from(LAYOUTS), SEED)
@quickly
def test_average_pools_equal_loops_in_value_and_gradient(
    case: tuple[dict[str, Any], Any], layout: str, seed: int
) -> None:
    chosen, x = case
    size = chosen["kernel_size"][0] * chosen["kernel_size"][1]
    value, (to_x,) = ops.avg_pool2d(x, **chosen)
    assert value.dtype == x.dtype
    np.testing.assert_allclose(
        value, pool_by_hand(x, lambda seen: sum(seen) / size, **chosen), rtol=1e-5, atol=1e-6
    )
    g = whole_numbers(value.shape, value.dtype, layout, seed)
    expected = np.zeros_like(x)
    for images in np.ndindex(x.shape[:-2]):
        for place, inside in windows(x.shape, **chosen).items():
            for at in inside:
                expected[(*images, *at)] += g[(*images, *place)] / size
    assert to_x(g).dtype == value.dtype
    np.testing.assert_allclose(to_x(g), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3000, 10**9])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_a_batch_taken_in_parts_gives_the_same(
    size: int, options: dict[str, Any], monkeypatch: Any
) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((5, 4, 6, 7), (6, 4, 2, 3), (6,))]
    arrays[1] = arrays[1][:, : 4 // options.get("groups", 1)]
    weights = rng.standard_normal(mg.Tensor(arrays[0]).conv2d(*arrays[1:], **options).shape)

    def run() -> list[Any]:
        x, weight, bias = (mg.Tensor(array, requires_grad=True) for array in arrays)
        y = x.conv2d(weight, bias, **options)
        y.backward(weights)
        return [y.data, x.grad, weight.grad, bias.grad]

    expected = run()
    monkeypatch.setattr("micrograd_np.ops.convolutions._AT_ONCE", size)
    for found, wanted in zip(run(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
