"""Dropout and batch norm: what differs between training and evaluation."""

import gc
import math
import statistics
import weakref
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

BATCHES = np.random.default_rng(0).standard_normal((3, 5, 2)) * 3 + 1


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("p", mg.Dropout),
        ("dropout", lambda p: mg.LSTM(3, 2, dropout=p)),
        ("dropout", lambda p: mg.MultiHeadAttention(4, 2, dropout=p)),
        ("dropout", lambda p: mg.TransformerBlock(4, 2, dropout=p)),
    ],
)
def test_a_probability_is_at_least_zero_and_below_one(name: str, make: Any, p: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at least 0 and below 1; received {p}$"):
        make(p)


def test_dropout_of_zero_and_in_evaluation_is_the_identity() -> None:
    x = np.arange(6.0).reshape(2, 3)
    for layer in (mg.Dropout(0.0), mg.Dropout(0), mg.Dropout(0.9).eval()):
        assert np.array_equal(layer(x).data, x)
        assert layer(np.arange(3)).dtype == np.int64


@pytest.mark.parametrize("p", [0.25, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_scales_up_the_others(p: float) -> None:
    y = mg.Dropout(p, rng=np.random.default_rng(0))(np.full((200, 300), 3.0)).data
    assert set(np.unique(y)) == {0.0, 3 * (1 / (1 - p))}
    assert np.mean(y == 0) == pytest.approx(p, abs=0.01)
    assert np.array_equal(
        mg.Dropout(p, rng=np.random.default_rng(0))(np.full((200, 300), 3)).data, y
    )
    for axis in (0, 1):  # each entry for itself: no row and no column is all alike
        assert np.std(np.mean(y == 0, axis)) == pytest.approx(
            math.sqrt(p * (1 - p) / y.shape[axis]), rel=0.2
        )


def test_dropout_draws_anew_at_each_call_and_again_from_the_same_seed() -> None:
    x = np.ones((20, 20))
    for make in (np.random.default_rng, np.random.RandomState):
        first, second = (mg.Dropout(rng=make(1)) for _ in range(2))
        one, two = first(x), first(x)
        assert not np.array_equal(one.data, two.data)
        assert np.array_equal(one.data, second(x).data)
        assert np.array_equal(two.data, second(x).data)
    np.random.seed(5)
    one = mg.Dropout()(x)
    np.random.seed(5)
    assert np.array_equal(one.data, mg.Dropout()(x).data)
    with pytest.raises(TypeError, match="rng must be None"):
        mg.Dropout(rng=5)


def test_the_gradient_of_dropout_passes_through_the_same_mask() -> None:
    x = mg.Tensor(BATCHES, requires_grad=True)
    y = mg.Dropout(0.4)(x)
    g = np.random.default_rng(1).standard_normal(x.shape)
    y.backward(g)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, g * (y.data / BATCHES), rtol=1e-12)
    assert np.any(x.grad == 0)


def by_channel(x: Any) -> list[list[float]]:
    """List the values of each channel, axis 1."""
    return [[float(entry) for entry in x[:, c].ravel()] for c in range(x.shape[1])]


def test_batch_norm_uses_the_biased_variance_of_the_batch_in_training() -> None:
    for x in (BATCHES[0], BATCHES.swapaxes(1, 2), BATCHES.reshape(5, 3, 2, 1)):
        kind: Any = mg.BatchNorm2d if x.ndim == 4 else mg.BatchNorm1d
        layer = kind(x.shape[1], eps=0.5)
        layer.weight.data[...], layer.bias.data[...] = 2, 7
        y = layer(x)
        for c, values in enumerate(by_channel(x)):
            mean, variance = statistics.mean(values), statistics.pvariance(values)
            expected = (x[:, c] - mean) / math.sqrt(variance + 0.5) * 2 + 7
            np.testing.assert_allclose(y.data[:, c], expected, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
def test_running_averages_follow_momentum_and_the_unbiased_variance(
    momentum: float | None,
) -> None:
    layer = mg.BatchNorm1d(2, momentum=momentum)
    mean, variance = [0.0, 0.0], [1.0, 1.0]
    for i, x in enumerate(BATCHES):
        layer(x)
        share = 1 / (i + 1) if momentum is None else momentum
        for c, values in enumerate(by_channel(x)):
            mean[c] = (1 - share) * mean[c] + share * statistics.mean(values)
            variance[c] = (1 - share) * variance[c] + share * statistics.variance(values)
        np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
        np.testing.assert_allclose(layer.running_var, variance, rtol=1e-12)
        assert layer.num_batches_tracked.tolist() == i + 1
        assert layer.num_batches_tracked.dtype == np.int64


def test_batch_norm_in_evaluation_uses_the_running_averages_and_leaves_them() -> None:
    layer = mg.BatchNorm1d(2)
    for x in BATCHES:
        layer(x)
    before = layer.eval().state_dict()
    x = np.array([[100.0, -100.0]])  # even of a single sample
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + 1e-5)
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12)
    np.testing.assert_allclose(layer(np.repeat(x, 3, 0)).data, np.repeat(expected, 3, 0))
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(mg.BatchNorm1d, (1, 3)), (mg.BatchNorm1d, (1, 3, 1)), (mg.BatchNorm2d, (1, 3, 1, 1)),
     (mg.BatchNorm1d, (0, 3)), (mg.BatchNorm2d, (2, 3, 0, 4))],
)  # fmt: skip
def test_one_value_per_channel_is_refused_in_training_and_leaves_the_averages(
    kind: Any, shape: tuple[int, ...]
) -> None:
    layer = kind(3)
    layer(np.random.default_rng(0).standard_normal((4, 3, 2, 2)[: len(shape)]))
    before = layer.state_dict()
    with pytest.raises(ValueError, match="more than one value per channel") as caught:
        layer(np.ones(shape))
    assert str(caught.value).startswith(f"{kind.__name__}(3): ")
    assert f"received shape {shape}: use larger batches, or eval()" in str(caught.value)
    with pytest.raises(ValueError, match="channels on axis 1"):
        layer(np.ones((4, 2, 3, 3)))
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())
    assert layer.eval()(np.ones(shape)).shape == shape


def test_two_values_per_channel_are_enough() -> None:
    layer = mg.BatchNorm1d(1, momentum=1.0, eps=0)
    assert layer([[1.0], [5.0]]).data.tolist() == [[-1], [1]]
    assert (layer.running_mean.tolist(), layer.running_var.tolist()) == ([3], [8])


def test_batch_norm_without_running_averages_always_uses_the_batch() -> None:
    layer = mg.BatchNorm1d(2, track_running_stats=False)
    assert list(layer.state_dict()) == ["weight", "bias"]
    trained = layer(BATCHES[0])
    assert np.array_equal(layer.eval()(BATCHES[0]).data, trained.data)
    assert layer(np.zeros((0, 2))).shape == (0, 2)
    assert mg.gradcheck(layer, BATCHES[0])


def test_batch_norm_without_affine_has_no_parameters() -> None:
    layer = mg.BatchNorm1d(2, affine=False)
    assert layer.parameters() == []
    y = layer(BATCHES[0])
    np.testing.assert_allclose(y.data.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.data.var(0), 1, rtol=1e-4)
    x = mg.Tensor(BATCHES[0].astype(np.float32), requires_grad=True)
    for mode in (True, False):  # its statistics are float64, the input decides
        assert layer.train(mode)(x).dtype == np.float32


def test_running_averages_keep_no_graph_alive() -> None:
    layer = mg.BatchNorm1d(2)
    x = mg.Tensor(BATCHES[0], requires_grad=True)
    y = layer(x * x)
    held = weakref.ref(y.data), weakref.ref(x.data)
    gc.disable()
    try:
        del x, y
        assert [ref() for ref in held] == [None, None]
    finally:
        gc.enable()
    assert type(layer.running_mean) is np.ndarray


def test_a_channel_without_variance_becomes_the_bias() -> None:
    x = mg.Tensor(np.full((4, 2), 3.0), requires_grad=True)
    for layer in (mg.BatchNorm1d(2), mg.LayerNorm(2)):
        y = layer(x)
        assert np.array_equal(y.data, np.zeros((4, 2)))
        y.backward(BATCHES[0, :4])
        assert x.grad is not None
        assert np.isfinite(x.grad).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rms_norm_adds_the_machine_epsilon_of_its_dtype(dtype: Any) -> None:
    eps = float(np.finfo(dtype).eps)
    x = np.array([[1.0, -2.0]]) * math.sqrt(eps)
    y = mg.RMSNorm(2, dtype=dtype)(x.astype(dtype))
    np.testing.assert_allclose(y.data, x / math.sqrt(2.5 * eps + eps), rtol=1e-6)


def test_norms_refuse_a_negative_eps_and_momentum() -> None:
    for make in (mg.BatchNorm1d, mg.BatchNorm2d, mg.LayerNorm, mg.RMSNorm):
        with pytest.raises(ValueError, match="eps must be a finite number, at least 0"):
            make(3, eps=-1e-5)
        with pytest.raises(TypeError, match="eps must be a number; received 'a'"):
            make(3, eps="a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="momentum must be a finite number, at least 0"):
        mg.BatchNorm1d(3, momentum=-0.1)


def test_what_a_batch_norm_does_without_is_none() -> None:
    layer = mg.BatchNorm1d(3, affine=False, track_running_stats=False)
    assert (layer.weight, layer.bias, layer.running_mean, layer.running_var) == (None,) * 4
    assert layer.state_dict() == {}


def test_two_values_per_channel_are_enough_to_train() -> None:
    layer = mg.BatchNorm1d(3)
    y = layer([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]])
    np.testing.assert_allclose(y.data, [[-1, 0, 1], [1, 0, -1]], atol=1e-5)
    np.testing.assert_allclose(layer.running_var, [1.1, 0.9, 1.1])


def test_padding_may_be_any_row_counted_from_either_end() -> None:
    for row in (-5, -1, 0, 4):
        weight = mg.Embedding(5, 2, padding_idx=row).weight
        assert [not weight.data[i].any() for i in range(5)] == [i == row % 5 for i in range(5)]
    for row in (-6, 5):
        with pytest.raises(ValueError, match=f"padding_idx must be a row of the 5; received {row}"):
            mg.Embedding(5, 2, padding_idx=row)
