"""Initializers: the distributions they draw from, the fans they count, and what they refuse."""

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import initializers
from micrograd_np.initializers import Initializer

# Kind, and the variance that fan-in and fan-out should give.
SCALED: dict[str, Callable[[int, int], float]] = {
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
}
# Shapes with their fan-in and fan-out: vector, matrices (in, out), kernels (out, in, ...).
FANS = [
    ((6000,), 6000, 6000),
    ((40, 150), 40, 150),
    ((150, 40), 150, 40),
    ((50, 12, 10), 120, 500),
    ((32, 8, 5, 5), 200, 800),
    ((10, 6, 5, 5, 4), 600, 1000),
]
ALL: dict[str, Initializer] = {
    "zeros": initializers.zeros,
    "constant": initializers.constant(0.5),
    "normal": initializers.normal(),
    "uniform": initializers.uniform(-1, 2),
    "orthogonal": initializers.orthogonal(),
    **{
        f"{name}_{kind}": getattr(initializers, f"{name}_{kind}")
        for name in SCALED
        for kind in ("uniform", "normal")
    },
}


def test_the_public_initializers_are_those_tested_here() -> None:
    helpers = {"draw", "fans", "random_stream"}
    public = {
        name for name, made in vars(initializers).items() if name[0] != "_" and is_function(made)
    }
    assert public - helpers == set(ALL)
    for name in ALL:
        assert getattr(initializers, name).__doc__


def is_function(made: Any) -> bool:
    return getattr(made, "__module__", "") == initializers.__name__


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), FANS)
@pytest.mark.parametrize("name", SCALED)
def test_scaled_weights_have_their_variance(
    name: str, shape: Any, fan_in: int, fan_out: int
) -> None:
    variance = SCALED[name](fan_in, fan_out)
    size = prod(shape)
    uniform = getattr(initializers, f"{name}_uniform")(shape, np.random.default_rng(1))
    limit = sqrt(3 * variance)
    assert np.abs(uniform).max() <= limit
    assert uniform.max() > limit * (1 - 10 / size)
    assert uniform.min() < -limit * (1 - 10 / size)
    normal = getattr(initializers, f"{name}_normal")(shape, np.random.default_rng(1))
    for weights, kurtosis in ((uniform, 1.8), (normal, 3)):
        assert weights.shape == shape
        assert weights.dtype == np.float64
        assert abs(weights.mean()) < 4 * sqrt(variance / size)
        error = sqrt((kurtosis - 1) / size)  # of the measured variance, relative
        assert weights.var() == pytest.approx(variance, rel=4 * error)
        fourth = (weights**4).mean() / variance**2
        assert fourth == pytest.approx(kurtosis, abs=0.4)


def test_lecun_uniform_is_the_tutorials_draw_bit_for_bit() -> None:
    np.random.seed(1)
    expected = 2 * np.random.random((3, 1)) - 1
    np.random.seed(1)
    assert np.array_equal(initializers.lecun_uniform((3, 1)), expected)


def test_settings_are_those_of_the_distribution() -> None:
    rng, shape = np.random.default_rng(2), (100, 200)
    drawn = initializers.normal(3.0, 0.5)(shape, rng)
    assert drawn.mean() == pytest.approx(3, abs=0.02)
    assert drawn.std() == pytest.approx(0.5, rel=0.02)
    drawn = initializers.uniform(-1, 3)(shape, rng)
    assert -1 <= drawn.min() < -0.99 < 2.99 < drawn.max() < 3
    assert drawn.mean() == pytest.approx(1, abs=0.04)
    assert np.array_equal(initializers.zeros(shape), np.zeros(shape))
    filled = initializers.constant(2)(shape, rng)
    assert filled.dtype == np.float64
    assert (filled == 2).all()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 4), (6, 2, 5), (12, 2, 2, 2)])
def test_orthogonal_rows_or_columns_are_orthonormal(shape: tuple[int, ...]) -> None:
    weights = initializers.orthogonal(gain=-2)(shape, np.random.default_rng(3))
    assert weights.shape == shape
    matrix = weights.reshape(shape[0], -1) / 2
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)


def test_orthogonal_matrices_have_no_preferred_direction() -> None:
    rng = np.random.default_rng(4)
    drawn = np.stack([initializers.orthogonal()((3, 3), rng) for _ in range(2000)])
    # Without the correction of signs all diagonals would have negative means.
    assert np.abs(drawn.mean(0)).max() < 4 * sqrt(1 / 3 / 2000)
    np.testing.assert_allclose((drawn**2).mean(0), 1 / 3, atol=0.03)
    assert 850 < (np.linalg.det(drawn) > 0).sum() < 1150


@pytest.mark.parametrize("name", ALL)
def test_zero_sizes_and_every_kind_of_stream_work(name: str) -> None:
    initializer = ALL[name]
    for shape in ((0, 3), (3, 0), (0, 0), (4, 0, 3), (0, 4, 3), (2, 3, 0)):
        assert initializer(shape, None).shape == shape
    if name != "orthogonal":
        assert initializer((0,), None).shape == (0,)
        assert np.shape(initializer((), None)) == ()
    for stream in (np.random.default_rng, np.random.RandomState):
        first, second = (initializer((4, 3), stream(5)) for _ in range(2))
        assert np.array_equal(first, second)
    np.random.seed(6)
    expected = initializer((4, 3), None)
    np.random.seed(6)
    assert np.array_equal(initializer((4, 3), None), expected)
    if name not in ("zeros", "constant"):
        assert not np.array_equal(initializer((4, 3), None), expected)
        with pytest.raises(TypeError, match="rng must be None"):
            initializer((4, 3), 7)


@pytest.mark.parametrize("name", ALL)
def test_layers_take_them(name: str) -> None:
    layer = mg.Linear(3, 4, weight_init=ALL[name], rng=np.random.default_rng(7))
    expected = ALL[name]((3, 4), np.random.default_rng(7))
    assert np.array_equal(layer.weight.data, expected)
    assert layer.weight.data.flags.c_contiguous


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: initializers.normal(std=-1), ValueError, "std at least 0; received 0.0, -1"),
    (lambda: initializers.normal(mean=float("nan")), ValueError, "must be finite"),
    (lambda: initializers.normal(std=float("inf")), ValueError, "must be finite"),
    (lambda: initializers.uniform(1, 0), ValueError, "low at most high; received 1, 0"),
    (lambda: initializers.uniform(float("-inf"), 0), ValueError, "must be finite"),
    (lambda: initializers.uniform(0, float("nan")), ValueError, "must be finite"),
    (lambda: initializers.orthogonal(float("nan")), ValueError, "gain must be finite"),
    (
        lambda: initializers.orthogonal()((3,), None),
        ValueError,
        r"at least two axes; received shape \(3,\)",
    ),
    (lambda: mg.Linear(3, 1, weight_init=initializers.normal), TypeError, "real number"),  # type: ignore[arg-type]
    (lambda: mg.Linear(3, 1, weight_init=initializers.orthogonal), TypeError, "argument"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_what_gives_no_weights_is_refused(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()
