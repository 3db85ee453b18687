"""Losses: right by formula and by PyTorch, finite far out, never broadcast, never swapped."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_np as mg
from micrograd_np import losses

INF, NAN = math.inf, math.nan
OF_ENTRIES = [
    losses.sum_of_squares,
    losses.mean_squared_error,
    losses.mean_absolute_error,
    losses.huber,
    losses.binary_cross_entropy,
    losses.binary_cross_entropy_with_logits,
    losses.kl_divergence,
    losses.hinge,
]
PAIRS = [*OF_ENTRIES, losses.cross_entropy]  # with probabilities
OF_LABELS = [losses.cross_entropy, losses.negative_log_likelihood]
each_pair = pytest.mark.parametrize("loss", PAIRS)
each_of_labels = pytest.mark.parametrize("loss", OF_LABELS)


def test_every_loss_is_tried_here() -> None:
    found = {f for f in vars(losses).values() if getattr(f, "__module__", "") == losses.__name__}
    assert {f for f in found if not f.__name__.startswith("_")} == {*PAIRS, *OF_LABELS}


# Values

X = [[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]]
T = [[0.25, -0.5, -1.0], [1.5, 2.75, 0.25]]
P = [[0.5, 0.25, 0.875], [0.125, 0.75, 0.625]]
Q = [[0.125, 0.5, 0.75], [0.875, 0.25, 1.0]]
Y = [2, 0]
DEEP = [[[0.5, -1.0], [1.5, 0.25]], [[-0.75, 2.0], [1.0, 0.5]]]  # two classes, two places
DEEP_Y = [[1, 0], [0, -100]]
W = [0.5, 2.0, 1.5]

# Computed once with PyTorch 2.13 in float64: the function of the same meaning in
# torch.nn.functional, with the same arguments, on the tensors above, then .sum().backward().
# Each row: loss, arguments, options, value, gradient of each argument that is not of labels.
PYTORCH: list[tuple[Any, list[Any], dict[str, Any], Any, list[Any]]] = [
    (losses.mean_squared_error, [X, T], {}, 2.39583333,
     [[0.0833333333, -0.333333333, 1.0, -0.0833333333, -0.666666667, -0.166666667],
      [-0.0833333333, 0.333333333, -1.0, 0.0833333333, 0.666666667, 0.166666667]]),
    (losses.mean_absolute_error, [X, T], {}, 1.16666667,
     [[0.166666667, -0.166666667, 0.166666667, -0.166666667, -0.166666667, -0.166666667],
      [-0.166666667, 0.166666667, -0.166666667, 0.166666667, 0.166666667, 0.166666667]]),
    (losses.huber, [X, T], {"delta": 0.75}, 0.640625,
     [[0.0416666667, -0.125, 0.125, -0.0416666667, -0.125, -0.0833333333],
      [-0.0416666667, 0.125, -0.125, 0.0416666667, 0.125, 0.0833333333]]),
    (losses.binary_cross_entropy, [P, Q], {}, 0.92799867,
     [[0.25, -0.222222222, 0.19047619, -1.14285714, 0.444444444, -0.266666667],
      [0, 0.183102048, -0.324318358, 0.324318358, -0.183102048, -0.085137604]]),
    (losses.binary_cross_entropy_with_logits, [X, Q], {}, 0.778901297,
     [[0.0829098885, -0.0529290794, 0.021799513, -0.0162833565, 0.0715297832, -0.0936960835],
      [-0.0833333333, 0.25, -0.333333333, -0.208333333, -0.125, 0.0416666667]]),
    (losses.binary_cross_entropy_with_logits, [X, Q], {"pos_weight": W}, 0.990258517,
     [[0.0868426038, -0.121060286, 0.0143493304, -4.48046815e-05, 0.058162229, -0.140544125],
      [-0.122839749, 0.53356888, -0.322755999, -0.229327423, -0.060521499, 0.110494952]]),
    (losses.kl_divergence, [np.log(P), Q], {}, 0.325949287,
     [[-0.0208333333, -0.0833333333, -0.125, -0.145833333, -0.0416666667, -0.166666667],
      [-0.0643823935, 0.282191197, 0.140974887, 0.490985025, -0.0164353814, 0.245000605]]),
    (losses.cross_entropy, [X, Y], {}, 0.414966327,
     [[0.0890151028, 0.0120468841, -0.101061987, -0.226725306, 0.16574948, 0.0609758262]]),
    (losses.cross_entropy, [X, Y], {"weight": W}, 0.320384188,
     [[0.133522654, 0.0180703262, -0.15159298, -0.113362653, 0.0828747401, 0.0304879131]]),
    (losses.cross_entropy, [X, Y], {"ignore_index": 0}, 0.225802049,
     [[0.178030206, 0.0240937683, -0.202123974, 0, 0, 0]]),
    (losses.cross_entropy, [X, Y], {"label_smoothing": 0.25, "reduction": "sum"}, 1.41326599,
     [[0.0946968722, -0.059239565, -0.0354573071, -0.286783946, 0.248165627, 0.038618319]]),
    (losses.cross_entropy, [X, Y], {"weight": W, "label_smoothing": 0.25}, 0.836943584,
     [[0.108980358, -0.0657649606, -0.0432153976, -0.0147637587, 0.0340725485, -0.0193087898]]),
    (losses.cross_entropy, [DEEP, DEEP_Y], {}, 1.24180497,
     [[0.0896471405, -0.259099954, -0.0896471405, 0.259099954, -0.283984267, 0, 0.283984267, 0]]),
    (losses.cross_entropy, [DEEP, DEEP_Y], {"label_smoothing": 0.25, "reduction": "none"},
     [[0.438261688, 1.34567908], [1.69147415, 0]],
     [[0.143941421, -0.652299861, -0.143941421, 0.652299861, -0.726952802, 0, 0.726952802, 0]]),
    (losses.cross_entropy, [X, Q], {}, 2.57837768,
     [[0.0598957663, -0.233435534, 0.173539768, 0.143208724, 0.227217645, -0.370426369],
      [0.862901025, 1.86290102, 0.112901025, 0.302065303, 0.552065303, 1.0520653]]),
    (losses.cross_entropy, [X, Q], {"weight": W, "label_smoothing": 0.25}, 3.61925307,
     [[0.131441271, -0.434553286, 0.303112015, 0.405776031, 0.0874272619, -0.493203292],
      [0.323587884, 2.79435154, 0.127013653, 0.113274489, 0.828097954, 1.18357347]]),
    (losses.negative_log_likelihood, [np.log(P), Y], {"weight": W}, 0.62000893,
     [[0, 0, -0.75, -0.25, 0, 0]]),
    (losses.negative_log_likelihood, [DEEP, DEEP_Y], {}, 0.0833333333,
     [[0, -0.333333333, -0.333333333, 0, -0.333333333, 0, 0, 0]]),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "arguments", "options", "value", "gradients"), PYTORCH)
def test_values_and_gradients_are_pytorchs(
    loss: Any, arguments: Any, options: Any, value: Any, gradients: Any
) -> None:
    tensors = [mg.Tensor(x, requires_grad=True, dtype=float) for x in arguments[: len(gradients)]]
    result = loss(*tensors, *arguments[len(gradients) :], **options)
    np.testing.assert_allclose(result.data, value, rtol=1e-8, atol=1e-12)
    result.backward(np.ones(result.shape))
    for tensor, gradient in zip(tensors, gradients, strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad.ravel(), gradient, rtol=1e-8, atol=1e-12)


def test_sum_of_squares_pulls_by_the_difference() -> None:
    p, t = mg.Tensor([[1.0, 5.0]], requires_grad=True), mg.Tensor([[3.0, 4.0]], requires_grad=True)
    loss = losses.sum_of_squares(p, t)
    assert (loss.item(), loss.shape) == (2.5, ())
    (loss * 2).backward()
    assert p.grad is not None
    assert t.grad is not None
    assert (p.grad.tolist(), t.grad.tolist()) == ([[-4, 2]], [[4, -2]])


def test_hinge_is_what_is_missing_to_a_margin_of_one() -> None:
    x, t = mg.Tensor([2.0, 0.5, -3.0], requires_grad=True), mg.Tensor([1.0, 1, 1])
    t.requires_grad = True
    value = losses.hinge(x, t, reduction="none")
    assert value.data.tolist() == [0, 0.5, 4]
    value.backward([1, 2, 3])
    assert x.grad is not None
    assert t.grad is not None
    assert (x.grad.tolist(), t.grad.tolist()) == ([0, -2, -3], [0, -1, 9])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_prediction_and_target_do_not_change_places(reduction: str) -> None:
    for loss in (losses.binary_cross_entropy, losses.kl_divergence):
        value, swapped = loss(P, Q, reduction=reduction), loss(Q, P, reduction=reduction)
        assert abs(value.data.sum() - swapped.data.sum()) > 0.01
    in_place = -(0.5 * math.log(0.25) + 0.5 * math.log(0.75))
    assert losses.binary_cross_entropy(0.25, 0.5).item() == pytest.approx(in_place, rel=1e-15)
    divergence = 0.25 * (math.log(0.25) - math.log(0.5))
    assert losses.kl_divergence(math.log(0.5), 0.25).item() == pytest.approx(divergence, rel=1e-15)


@each_pair
def test_reductions_are_those_of_the_losses_one_by_one(loss: Any) -> None:
    target = np.sign(P) if loss is losses.hinge else Q
    each = loss(P, target, reduction="none")
    samples = (2,) if loss is losses.cross_entropy else (2, 3)
    assert each.shape == samples
    total = math.fsum(each.data.ravel())
    for reduction, value in [("sum", total), ("mean", total / math.prod(samples))]:
        reduced = loss(P, target, reduction=reduction)
        assert reduced.shape == ()
        assert reduced.item() == pytest.approx(value, rel=1e-14)
    default = "sum" if loss is losses.sum_of_squares else "mean"
    assert loss(P, target).item() == loss(P, target, reduction=default).item()


@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([1.0, 30.0, 400.0, 1e4]),
    st.sampled_from(["mean", "sum", "none"]),
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_labels_mean_the_same_as_probabilities_that_are_0_and_1(
    samples: int, classes: int, scale: float, reduction: str, dtype: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((samples, classes)) * scale).astype(dtype)
    labels = rng.integers(0, classes, samples)
    results = []
    for target in (labels, np.eye(classes, dtype=dtype)[labels]):
        x = mg.Tensor(logits, requires_grad=True)
        loss = losses.cross_entropy(x, target, reduction=reduction)
        loss.backward(np.ones(loss.shape))
        results.append((loss.data, x.grad))
    close = 1e-5 if dtype == np.float32 else 1e-13
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=close, atol=close)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [0.5, 9.7, 30.1, 42.9, 45.3, 80.7, 340.9, 360.1, 700.3, 1e4])
@pytest.mark.parametrize("others", [1, 999])
def test_cross_entropy_is_exact_and_never_negative_at_any_size(
    size: float, others: int, dtype: Any
) -> None:
    size, eps = float(dtype(size)), float(np.finfo(dtype).eps)
    logits = np.array([[size] + [-size] * others], dtype)
    tail = math.exp(-2 * size)
    cases = [
        (logits, 0, math.log1p(others * tail)),
        (logits, 1, 2 * size + math.log1p(others * tail)),
        (-logits, 0, 2 * size + math.log(others + tail)),
        (-logits, 1, math.log(others + tail)),
    ]
    for x, label, expected in cases:
        value = losses.cross_entropy(x, [label]).item()
        assert value >= 0
        rounding = eps * (2 if others == 1 else 64)  # of a sum of 1000
        assert value == pytest.approx(expected, rel=4 * eps, abs=rounding)


def test_smoothing_moves_a_part_of_the_probability_to_all_classes() -> None:
    value = losses.cross_entropy(X, Q, label_smoothing=0.25)
    smoothed = losses.cross_entropy(X, np.multiply(Q, 0.75) + 0.25 / 3)
    assert value.item() == pytest.approx(smoothed.item(), rel=1e-15)
    assert value.item() != pytest.approx(losses.cross_entropy(X, Q).item(), rel=1e-3)


# Far out

HALF = math.log(2)
WINS = 1 / (1 + math.exp(-1))
FAR: list[tuple[str, Any, Any, Any, Any, Any]] = [
    ("squares", losses.mean_squared_error, [INF, -INF], [0, 0], [INF, INF], [INF, -INF]),
    ("absolute", losses.mean_absolute_error, [INF, 1, -9], [0, 1, 0], [INF, 0, 9], [1, 0, -1]),
    ("huber", losses.huber, [INF, -INF, 1000, 1], [0, 0, 0, 0], [INF, INF, 999.5, 0.5],
     [1, -1, 1, 1]),
    ("probabilities", losses.binary_cross_entropy, [0, 0, 1, 1], [0, 1, 0, 1], [0, 100, 100, 0],
     [0, -1e12, 1e12, 0]),
    ("logits", losses.binary_cross_entropy_with_logits, [1000, -1000, 1000, -1000, 1000, -1000],
     [1, 1, 0, 0, 0.5, 0.25], [0, 1000, 1000, 0, 500, 250], [0, -1, 1, 0, 0.5, -0.25]),
    ("infinite logits", losses.binary_cross_entropy_with_logits, [INF, -INF, INF, -INF],
     [1, 1, 0, 0], [0, INF, INF, 0], [0, -1, 1, 0]),
    ("divergence", losses.kl_divergence, [-1, -INF, -INF, 0, -1000], [0, 0, 0.5, 1, 1],
     [0, 0, INF, 0, 1000], [0, 0, -0.5, -1, -1]),
    ("hinge", losses.hinge, [1, 1000, -1000, INF, -INF, INF], [1, 1, 1, 1, 1, -1],
     [0, 0, 1001, 0, INF, INF], [0, 0, -1, 0, -1, 1]),
    ("classes", losses.cross_entropy,
     [[1000, -1000], [1000, 1000], [0, 1], [-1000, 1000]], [0, 0, 0, 0], [0, HALF, 1 + math.log(
         1 + math.exp(-1)), 2000], [[0, 0], [-0.5, 0.5], [-WINS, WINS], [-1, 1]]),
    ("infinite classes", losses.cross_entropy,
     [[INF, 0], [INF, 0], [0, -INF], [0, -INF], [-INF, INF]], [0, 1, 0, 1, 1],
     [0, INF, 0, INF, 0], [[0, 0], [1, -1], [0, 0], [1, -1], [0, 0]]),
    ("likelihood", losses.negative_log_likelihood, [[0, -INF], [0, -INF]], [0, 1], [0, INF],
     [[-1, 0], [0, -1]]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "loss", "x", "target", "value", "gradient"), FAR, ids=[row[0] for row in FAR]
)
def test_losses_far_out_have_their_limits_without_a_warning(
    name: str, loss: Any, x: Any, target: Any, value: Any, gradient: Any, dtype: Any
) -> None:
    tensor = mg.Tensor(np.array(x, dtype), requires_grad=True)
    result = loss(tensor, target, reduction="none")
    np.testing.assert_allclose(result.data, value, rtol=1e-6)
    result.backward(np.ones(result.shape))
    assert tensor.grad is not None
    np.testing.assert_allclose(tensor.grad, gradient, rtol=1e-6)
    assert loss(x, target, reduction="sum").item() == pytest.approx(sum(value))


@pytest.mark.parametrize("row", [row for row in FAR if "classes" in row[0]], ids=lambda row: row[0])
def test_all_ways_to_give_classes_have_the_same_limits(row: Any) -> None:
    _, _, x, labels, value, gradient = row
    ways: list[tuple[Any, Any, dict[str, Any]]] = [
        (x, np.eye(2)[labels], {}),
        (x, np.eye(2)[labels], {"weight": [1, 1]}),
        (x, labels, {"weight": [1, 1]}),
        (np.expand_dims(x, 2), np.expand_dims(labels, 1), {}),
    ]
    for logits, target, options in ways:
        tensor = mg.Tensor(logits, requires_grad=True, dtype=float)
        result = losses.cross_entropy(tensor, target, reduction="none", **options)
        np.testing.assert_allclose(result.data.ravel(), value, rtol=1e-13)
        result.backward(np.ones(result.shape))
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad.reshape(-1, 2), gradient, rtol=1e-13)


def test_small_losses_of_logits_keep_their_digits() -> None:
    value = losses.binary_cross_entropy_with_logits([40.0, -40.0], [1, 0], reduction="none")
    np.testing.assert_allclose(value.data, math.exp(-40), rtol=1e-15)


def test_a_row_of_minus_infinity_is_undefined_and_spoils_no_other() -> None:
    x = mg.Tensor([[-INF, -INF], [0.0, 0.0]], requires_grad=True)
    value = losses.cross_entropy(x, [0, 0], reduction="none")
    np.testing.assert_equal(value.data, [NAN, HALF])
    value.sum().backward()
    np.testing.assert_equal(x.grad, [[NAN, NAN], [-0.5, 0.5]])


def test_targets_beside_certain_predictions_have_finite_gradients() -> None:
    target = mg.Tensor([0.0, 0.5, 1.0], requires_grad=True)
    losses.binary_cross_entropy([0.0, 1.0, 0.0], target, reduction="sum").backward()
    assert target.grad is not None
    assert target.grad.tolist() == [100, -100, 100]


@each_pair
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nan_passes_through(loss: Any, reduction: str) -> None:
    for target in ([1.0, 1.0], [0.0, 1.0]):
        if loss is not losses.hinge or target[0]:
            assert np.isnan(loss([NAN, 0.5], target, reduction=reduction).data).any()


@each_of_labels
def test_nan_passes_through_beside_labels(loss: Any) -> None:
    value = loss([[NAN, 0.5], [1.0, 2.0]], [0, 1], reduction="none").data
    assert np.isnan(value).tolist() == [True, False]
    assert math.isnan(loss([[NAN, 0.5], [1.0, 2.0]], [0, 1]).item())


# Shapes, dtypes, memory


@pytest.mark.parametrize("loss", OF_ENTRIES)
@pytest.mark.parametrize(
    ("p", "t"), [((4, 1), (4,)), ((4,), (4, 1)), ((2, 3), (3,)), ((), (1,)), ((3,), (4,))]
)
def test_shapes_that_differ_are_refused(loss: Any, p: Any, t: Any) -> None:
    with pytest.raises(ValueError, match="must have the same shape; reshape one of them") as caught:
        loss(np.ones(p), np.ones(t))
    assert f"received {p} and {t}" in str(caught.value)


@each_pair
def test_nothing_is_broadcast_by_weights_or_reductions(loss: Any) -> None:
    options: list[dict[str, Any]] = [{"reduction": r} for r in ("mean", "sum", "none")]
    if loss is losses.cross_entropy:
        options += [{"weight": [1, 1, 1]}, {"label_smoothing": 0.1}]
    for option in options:
        with pytest.raises(ValueError, match="must have the same shape"):
            loss(np.ones((4, 3)), np.ones((4, 1)), **option)
        with pytest.raises(ValueError, match="must have the same shape"):
            loss(np.ones((4, 1)), np.ones((4, 3)), **option)


@each_pair
def test_an_empty_batch_has_losses_but_no_sum_and_no_mean(loss: Any) -> None:
    for option in ({}, {"reduction": "sum"}, {"reduction": "mean"}):
        with pytest.raises(ValueError, match="loss of no values is not defined"):
            loss(np.ones((0, 2)), np.ones((0, 2)), **option)
    assert loss(np.ones((0, 2)), np.ones((0, 2)), reduction="none").shape[0] == 0


@each_of_labels
def test_an_empty_batch_of_labels_has_losses_but_no_sum_and_no_mean(loss: Any) -> None:
    logits, labels = np.ones((0, 2)), np.ones(0, int)
    for reduction in ("mean", "sum"):
        with pytest.raises(ValueError, match="loss of no values is not defined"):
            loss(logits, labels, reduction=reduction)
    assert loss(logits, labels, reduction="none").shape == (0,)


@pytest.mark.parametrize("loss", [*PAIRS, losses.negative_log_likelihood])
def test_an_unknown_reduction_is_refused(loss: Any) -> None:
    target = [0] if loss is losses.negative_log_likelihood else [[1.0]]
    message = 'reduction must be "mean", "sum" or "none"; received \'average\''
    with pytest.raises(ValueError, match=message):
        loss([[1.0]], target, reduction="average")


@pytest.mark.parametrize("loss", OF_ENTRIES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", [np.float32, np.int64, np.uint8, bool, list])
def test_float32_stays_float32_beside_targets(loss: Any, reduction: str, kind: Any) -> None:
    target = [[1], [1]] if kind is list else np.ones((2, 1), kind)
    weighted = loss is losses.binary_cross_entropy_with_logits
    check_float32(loss, target, reduction=reduction, **({"pos_weight": [2.0]} if weighted else {}))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_float32_stays_float32_beside_probabilities(reduction: str) -> None:
    for options in ({}, {"weight": [2.0]}, {"label_smoothing": 0.5}):
        target = np.ones((2, 1), np.float32)
        check_float32(losses.cross_entropy, target, reduction=reduction, **options)


@each_of_labels
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_float32_stays_float32_beside_labels(loss: Any, reduction: str) -> None:
    options: list[dict[str, Any]] = [{}, {"weight": [2.0]}, {"ignore_index": 1}]
    if loss is losses.cross_entropy:
        options.append({"label_smoothing": 0.5})
    for option in options:
        check_float32(loss, [0, 0], reduction=reduction, **option)


def check_float32(loss: Any, target: Any, **options: Any) -> None:
    x = mg.Tensor(np.full((2, 1), 0.5, np.float32), requires_grad=True)
    value = loss(x, target, **options)
    value.backward(np.ones(value.shape))
    assert x.grad is not None
    assert value.dtype == np.float32
    assert x.grad.dtype == np.float32


@pytest.mark.parametrize("loss", OF_ENTRIES)
def test_lists_numbers_integers_and_booleans_are_taken(loss: Any) -> None:
    number = loss(1, 1).item()
    assert number == loss(np.array(1.0), np.array(1.0)).item()
    assert loss([True], [True]).item() == number
    assert loss(np.ones(1, np.uint8), np.ones(1, np.uint8)).item() == number
    assert loss(np.ones(1, np.int64), np.ones(1)).item() == number


def test_logits_may_be_integers() -> None:
    for target in (0, [1.0, 0.0]):
        value = losses.cross_entropy([2, 1], target).item()
        assert value == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-15)
    assert losses.negative_log_likelihood([[-3, -1], [-1, -2]], [0, 1]).item() == 2.5


def test_unsigned_integers_do_not_wrap() -> None:
    zero, one = np.zeros(2, np.uint8), np.ones(2, np.uint8)
    assert losses.sum_of_squares(zero, one).item() == 1
    for loss in (losses.mean_squared_error, losses.mean_absolute_error, losses.hinge):
        assert loss(zero, one, reduction="none").data.tolist() == [1, 1]
    assert losses.huber(zero, one, reduction="none").data.tolist() == [0.5, 0.5]


@each_of_labels
@pytest.mark.parametrize("kind", ["int8", "uint8", "int64", "uint64", ">i4", "list", "tensor"])
def test_labels_may_be_integers_of_any_kind(loss: Any, kind: str) -> None:
    x, labels = np.arange(12.0).reshape(3, 4) % 5, [3, 0, 1]
    given: Any = labels if kind == "list" else mg.Tensor(labels)
    if kind not in ("list", "tensor"):
        given = np.array(labels, kind)
    expected = np.mean([loss(x[i], labels[i]).item() for i in range(3)])
    for options in ({}, {"weight": mg.Tensor([1.0, 1, 1, 1])}, {"ignore_index": 2}):
        assert loss(x, given, **options).item() == pytest.approx(expected, rel=1e-14)
    assert loss(x[0], given[0]).shape == ()


@each_of_labels
@pytest.mark.parametrize("options", [{}, {"weight": [1.0, 2.0, 3.0]}, {"ignore_index": 0}])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2)])
def test_what_a_loss_was_given_may_change_before_backward(
    loss: Any, options: Any, shape: Any
) -> None:
    gradients = []
    for change in (False, True):
        x = mg.Tensor(np.sin(np.arange(12.0)).reshape(shape), requires_grad=True)
        labels = np.array([1, 2, 0, 1]).reshape(shape[:1] + shape[2:])
        given = {name: np.array(value) for name, value in options.items()}
        value = loss(x * 1, labels, **given)
        if change:
            labels[...] = 2
            for array in given.values():
                array[...] = 1
        value.backward()
        assert x.grad is not None
        gradients.append(x.grad.tolist())
    assert gradients[0] == gradients[1]


def test_the_weight_of_positives_may_change_before_backward() -> None:
    x, weight = mg.Tensor([1.0, 2.0], requires_grad=True), np.array([2.0, 3.0])
    value = losses.binary_cross_entropy_with_logits(x, [1, 1], pos_weight=weight, reduction="sum")
    weight[:] = 0
    value.backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [-2 / (1 + math.e), -3 / (1 + math.exp(2))], rtol=1e-14)


@pytest.mark.parametrize("scale", [1, 1000])
def test_logits_may_lie_in_memory_in_any_order(scale: float) -> None:
    base = np.sin(np.arange(24.0)).reshape(4, 6) * scale
    straight = mg.Tensor(base[1:, ::2], requires_grad=True)
    turned = mg.Tensor(base[1:, ::2].T, requires_grad=True)
    expected = losses.cross_entropy(straight, [0, 1, 2])
    value = losses.cross_entropy(turned.T, [0, 1, 2])
    expected.backward()
    value.backward()
    assert value.item() == expected.item() == losses.cross_entropy(base[1:, ::2], [0, 1, 2]).item()
    assert straight.grad is not None
    assert turned.grad is not None
    assert np.array_equal(turned.grad.T, straight.grad)


# Labels that do not count


@each_of_labels
def test_ignored_samples_count_for_nothing(loss: Any) -> None:
    x = mg.Tensor([[0.25, -1.5], [-INF, 0.0], [2.0, 0.5]], requires_grad=True)
    counted = loss(x.data[::2], [1, 0], reduction="none").data
    for label, options in ((-100, {}), (-1, {"ignore_index": -1}), (7, {"ignore_index": 7})):
        labels = [1, label, 0]
        each = loss(x, labels, reduction="none", **options)
        np.testing.assert_allclose(each.data, [counted[0], 0, counted[1]], rtol=1e-14)
        assert loss(x, labels, **options).item() == pytest.approx(counted.mean(), rel=1e-15)
        value = loss(x, labels, reduction="sum", **options)
        assert value.item() == pytest.approx(counted.sum(), rel=1e-15)
        x.grad = None
        value.backward()
        assert x.grad is not None
        assert x.grad[1].tolist() == [0, 0]
        assert np.all(x.grad[::2, 0] != 0) or loss is losses.negative_log_likelihood


@each_of_labels
def test_a_batch_that_is_ignored_has_a_sum_of_0_but_no_mean(loss: Any) -> None:
    x = mg.Tensor([[0.25, -1.5], [1.0, 0.0]], requires_grad=True)
    ignoring: list[tuple[list[int], dict[str, Any]]] = [
        ([-100, -100], {}),
        ([1, 1], {"ignore_index": 1}),
        ([1, 1], {"weight": [1, 0]}),
    ]
    for labels, options in ignoring:
        with pytest.raises(ValueError, match="mean over no labels is not defined"):
            loss(x, labels, **options)
        x.grad = None
        value = loss(x, labels, reduction="sum", **options)
        value.backward()
        assert value.item() == 0
        assert x.grad is not None
        assert not x.grad.any()


# Errors

ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda loss: loss(np.ones((3, 4)), [0, 4, 1]), IndexError,
     r"of shape \(3, 4\): row 1 has the label 4; labels of 4 classes must be 0 to 3"),
    (lambda loss: loss(np.ones((3, 4)), [0, 1, -1]), IndexError, "row 2 has the label -1; labels"),
    (lambda loss: loss(np.ones((3, 4)), [-100, 1, -1]), IndexError, "row 2 has the label -1"),
    (lambda loss: loss(np.ones((3, 4)), [0, -100, 1], ignore_index=-1), IndexError,
     "row 1 has the label -100"),
    (lambda loss: loss(np.ones(4), 4), IndexError, r"row \(\) has the label 4"),
    (lambda loss: loss(np.ones((2, 4, 3)), [[0, 1, 2], [3, 4, 0]]), IndexError,
     r"row \(1, 1\) has the label 4"),
    (lambda loss: loss(np.ones((3, 4)), [0.0, 1.0, 2.0]), TypeError,
     r"labels must be integers; received float64 of shape \(3,\): use astype\(int\), or give the "
     r"probability of each class as floats of shape \(3, 4\)"),
    (lambda loss: loss(np.ones((3, 4)), [True, False, True]), TypeError, "received bool"),
    (lambda loss: loss(np.ones((3, 4)), np.ones((3, 4), bool)), TypeError, "received bool"),
    (lambda loss: loss(np.ones((3, 4)), [0, 1]), ValueError,
     r"of shape \(3, 4\): labels must have the shape \(3,\), one for each .*; received \(2,\)$"),
    (lambda loss: loss(np.ones((3, 4)), [[0], [1], [2]]), ValueError,
     r"the shape \(3,\), one for each sample; received \(3, 1\): use reshape\(\(3,\)\)"),
    (lambda loss: loss(np.ones((3, 4)), np.ones((3, 4), int)), ValueError,
     r"received \(3, 4\): use argmax\(1\), or astype\(float\) if these are probabilities"),
    (lambda loss: loss(np.ones((2, 4, 3)), np.ones((2, 4), int)), ValueError,
     r"received \(2, 4\): classes are axis 1: use prediction.moveaxis\(-1, 1\)$"),
    (lambda loss: loss(np.ones(4), [1]), ValueError, r"the shape \(\), one .* received \(1,\)"),
    (lambda loss: loss(np.ones((2, 4, 3)), [1, 2]), ValueError, r"the shape \(2, 3\)"),
    (lambda loss: loss(1.0, 0), ValueError, "there must be an axis of classes"),
    (lambda loss: loss(np.ones((2, 4)), [1, 2], weight=[1, 2, 3]), ValueError,
     r"weight must be of 4 classes; received the shape \(3,\)"),
    (lambda loss: loss(np.ones((2, 4)), [1, 2], weight=2), ValueError, "weight must be of 4"),
]  # fmt: skip


@each_of_labels
@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_labels_that_do_not_fit_are_named(loss: Any, call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        call(loss)
    assert kind is TypeError or loss.__name__ in str(caught.value)


OTHER_ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda: losses.binary_cross_entropy([0.5, 1.5], [0, 1]), ValueError,
     r"predictions must be from 0 to 1; received 1\.5: use binary_cross_entropy_with_logits"),
    (lambda: losses.binary_cross_entropy([0.5, -0.5], [0, 1]), ValueError, r"received -0\.5"),
    (lambda: losses.binary_cross_entropy([0.5, 0.5], [0, 2]), ValueError,
     r"targets must be from 0 to 1; received 2"),
    (lambda: losses.binary_cross_entropy_with_logits([5, 5], [0, -1]), ValueError,
     r"targets must be from 0 to 1; received -1"),
    (lambda: losses.binary_cross_entropy_with_logits([5, 5], [0, 1], pos_weight=[1, 2, 3]),
     ValueError, r"binary_cross_entropy_with_logits of shape \(2,\)"),
    (lambda: losses.binary_cross_entropy_with_logits([5], [0], pos_weight=[1, 2, 3]),
     ValueError, r"binary_cross_entropy_with_logits of shape \(1,\)"),
    (lambda: losses.hinge([0.5, 0.5], [1, 0]), ValueError,
     r"targets must be -1 or 1; received 0.*: take 2 \* targets - 1 of targets that are 0 or 1"),
    (lambda: losses.hinge(0.5, 2), ValueError, "received 2"),
    (lambda: losses.huber([1.0], [1.0], delta=0), ValueError,
     "delta must be greater than 0; received 0"),
    (lambda: losses.huber([1.0], [1.0], delta=NAN), ValueError, "delta must be greater than 0"),
    (lambda: losses.cross_entropy([[1.0]], [0], label_smoothing=1.5), ValueError,
     r"label_smoothing must be from 0 to 1; received 1\.5"),
    (lambda: losses.cross_entropy([[1.0]], [0], label_smoothing=-0.5), ValueError, "received -0"),
    (lambda: losses.cross_entropy([[1.0]], [[1.0]], ignore_index=0), ValueError,
     "only labels can be ignored"),
    (lambda: losses.cross_entropy([[1.0, 2.0]], [[1.0, 0.0]], weight=[1]), ValueError,
     r"weight must be of 2 classes; received the shape \(1,\)"),
    (lambda: losses.cross_entropy(1.0, 1.0), ValueError, "there must be an axis of classes"),
    (lambda: losses.cross_entropy([[1.0]], ["a"]), TypeError, "data must be floats, integers"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), OTHER_ERRORS)
def test_what_a_loss_cannot_take_is_named(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call()
