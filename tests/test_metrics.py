"""Metrics: scikit-learn's values for labels of every kind, and refusals of what has no value."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

import micrograd_np as mg
from micrograd_np import metrics

AVERAGES: list[Any] = [None, "macro", "weighted", "micro"]
SHARES: dict[str, tuple[Any, Any]] = {
    "precision": (metrics.precision, reference.precision_score),
    "recall": (metrics.recall, reference.recall_score),
    "f1": (metrics.f1, reference.f1_score),
}


def scores_for(labels: Any, classes: int, rng: np.random.Generator) -> Any:
    """Return scores whose largest along axis 1 is at the labels."""
    scores = rng.standard_normal((len(labels), classes, *labels.shape[1:]))
    np.put_along_axis(scores, np.expand_dims(labels, 1), 10.0, axis=1)
    return scores


def of_many_classes(classes: int) -> list[tuple[str, Any, Any, Any, Any]]:
    """Return rows of a name, what metrics take, and the labels that it stands for."""
    rng = np.random.default_rng(classes)
    labels, truth = rng.integers(0, classes, (2, 40))
    images, true_images = labels.reshape(5, 2, 4), truth.reshape(5, 2, 4)
    scores = scores_for(labels, classes, rng)
    return [
        ("integers", labels, truth, labels, truth),
        ("bytes", labels.astype(np.uint8), truth.astype(np.uint8), labels, truth),
        ("lists", labels.tolist(), truth.tolist(), labels, truth),
        ("targets that are floats", labels, truth.astype(np.float32), labels, truth),
        ("columns", labels[:, None], truth[:, None], labels, truth),
        ("scores", scores, truth, labels, truth),
        ("scores of float32", scores.astype(np.float32), truth, labels, truth),
        ("integer scores", np.round(scores * 100).astype(int), truth, labels, truth),
        ("tensors", mg.Tensor(scores, requires_grad=True), mg.Tensor(truth), labels, truth),
        ("images", scores_for(images, classes, rng), true_images, labels, truth),
    ]


def of_two_classes() -> list[tuple[str, Any, Any, Any, Any]]:
    rng = np.random.default_rng(0)
    probabilities, truth = rng.random(40), rng.integers(0, 2, 40)
    labels = (probabilities > 0.5).astype(int)
    return [
        ("probabilities", probabilities, truth, labels, truth),
        ("a column", probabilities[:, None], truth[:, None].astype(float), labels, truth),
        ("booleans", labels.astype(bool), truth.astype(bool), labels, truth),
        ("one of two", labels.astype(bool), truth, labels, truth),
    ]


ROWS = [*of_two_classes(), *of_many_classes(2), *of_many_classes(5)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_labels_of_every_kind_give_scikit_learns_values(row: Any) -> None:
    _, predictions, targets, labels, truth = row
    assert metrics.accuracy(predictions, targets) == reference.accuracy_score(truth, labels)
    matrix = metrics.confusion_matrix(predictions, targets)
    assert matrix.tolist() == reference.confusion_matrix(truth, labels).tolist()
    assert matrix.dtype.kind == "i"
    for ours, theirs in SHARES.values():
        for average in AVERAGES:
            expected = theirs(truth, labels, average=average)
            np.testing.assert_allclose(ours(predictions, targets, average), expected, rtol=1e-14)
        if labels.max() == 1:
            expected = theirs(truth, labels)
            np.testing.assert_allclose(ours(predictions, targets, "binary"), expected, rtol=1e-14)


@pytest.mark.parametrize("seed", range(30))
def test_classes_that_are_absent_count_as_in_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, classes = rng.integers(1, 8), 6
    labels, truth = rng.integers(0, classes, (2, count))
    scores = scores_for(labels, classes, rng)
    matrix = metrics.confusion_matrix(scores, truth)
    expected = reference.confusion_matrix(truth, labels, labels=range(classes))
    assert matrix.tolist() == expected.tolist()
    for ours, theirs in SHARES.values():
        each = theirs(truth, labels, average=None, labels=range(classes), zero_division=0)
        np.testing.assert_allclose(ours(scores, truth), each, rtol=1e-14)
        for average in AVERAGES[1:]:
            expected = theirs(truth, labels, average=average, zero_division=0)
            for predictions in (scores, labels):
                found = ours(predictions, truth, average)
                assert isinstance(found, float)
                assert found == pytest.approx(expected, rel=1e-14)


def test_values_written_out() -> None:
    labels, truth = [0, 0, 1, 1, 1, 3], [0, 1, 1, 1, 3, 3]
    assert metrics.confusion_matrix(labels, truth).tolist() == [
        [1, 0, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1],
    ]  # fmt: skip
    assert metrics.precision(labels, truth).tolist() == [1 / 2, 2 / 3, 0, 1]
    assert metrics.recall(labels, truth).tolist() == [1, 2 / 3, 0, 1 / 2]
    assert metrics.f1(labels, truth).tolist() == [2 / 3, 2 / 3, 0, 2 / 3]
    assert metrics.precision(labels, truth, "macro") == pytest.approx(13 / 18)
    assert metrics.precision(labels, truth, "weighted") == pytest.approx(9 / 12)
    assert metrics.precision(labels, truth, "micro") == pytest.approx(4 / 6)


def test_a_class_that_nothing_belongs_to_has_no_part_in_the_mean() -> None:
    assert metrics.recall([0, 2], [0, 2], "macro") == 1
    assert metrics.recall([0, 1], [0, 2], "macro") == pytest.approx(1 / 3)


def test_one_class_alone_is_the_first_of_two() -> None:
    assert metrics.confusion_matrix([0, 0], [0, 0]).tolist() == [[2, 0], [0, 0]]
    assert metrics.confusion_matrix([0.1, 0.2], [0, 0]).tolist() == [[2, 0], [0, 0]]
    assert metrics.f1([0, 0], [0, 0], "binary") == 0
    assert metrics.f1([False], [False], "binary") == 0


def test_a_matrix_can_have_more_classes_than_are_met() -> None:
    assert metrics.confusion_matrix([0, 1], [1, 1], classes=3).tolist() == [
        [0, 0, 0], [1, 1, 0], [0, 0, 0],
    ]  # fmt: skip
    assert metrics.confusion_matrix([0], [0], classes=1).tolist() == [[1]]


def test_the_threshold_itself_means_class_0() -> None:
    logits, truth = [-1.0, 0.0, 0.2, 0.5, 3.0], [0, 0, 1, 1, 1]
    assert metrics.accuracy(logits, truth, threshold=0) == 1
    assert metrics.accuracy(logits, truth, threshold=0.5) == 3 / 5
    assert metrics.confusion_matrix(logits, truth, threshold=0).tolist() == [[2, 0], [0, 3]]
    for ours, _ in SHARES.values():
        assert ours(logits, truth, "binary", threshold=0) == 1
        assert ours(logits, truth, "micro", threshold=0.5) == 3 / 5


def test_the_first_of_equal_scores_decides() -> None:
    assert metrics.accuracy([[1.0, 1.0, 0.0]] * 2, [0, 1]) == 1 / 2


@pytest.mark.parametrize("name", ["accuracy", "confusion_matrix", *SHARES])
@pytest.mark.parametrize("wrong", [-0.1, 1.1, -np.inf, np.inf])
def test_logits_are_not_taken_for_probabilities(name: str, wrong: float) -> None:
    measure = getattr(metrics, name)
    measure([0.0, 1.0], [0, 1])
    measure([0.5, wrong], [0, 1], threshold=0.5)
    with pytest.raises(ValueError, match=rf"0 to 1; received {wrong}: .* pass threshold=0$"):
        measure([0.5, wrong], [0, 1])


# Top k


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_is_scikit_learns(k: int) -> None:
    rng = np.random.default_rng(k)
    scores, truth = rng.standard_normal((50, 4)), rng.integers(0, 4, 50)
    expected = reference.top_k_accuracy_score(truth, scores, k=k, labels=range(4))
    assert metrics.top_k_accuracy(scores, truth, k) == expected
    images = scores.reshape(5, 10, 4).swapaxes(1, 2)
    assert metrics.top_k_accuracy(images, truth.reshape(5, 10), k) == expected
    assert metrics.top_k_accuracy(scores, truth, 4) == 1


def test_ties_are_among_the_top_k() -> None:
    scores = [[0.2, 0.5, 0.2, 0.2]]
    found = [[metrics.top_k_accuracy(scores, [label], k) for label in range(4)] for k in (1, 2, 3)]
    assert found == [[0, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]


# Numbers


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.uint8])
@pytest.mark.parametrize("shape", [(9,), (9, 1), (9, 3), (9, 2, 3)])
def test_errors_and_r2_are_scikit_learns(dtype: Any, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, y = (10 * rng.random((2, *shape))).astype(dtype)
    flat_x, flat_y = x.reshape(9, -1).astype(float), y.reshape(9, -1).astype(float)
    expected = reference.mean_absolute_error(flat_y, flat_x)
    assert metrics.mean_absolute_error(x, mg.Tensor(y)) == pytest.approx(expected, rel=1e-14)
    assert metrics.r2(x, y) == pytest.approx(reference.r2_score(flat_y, flat_x), rel=1e-12)
    assert type(metrics.r2(x, y)) is type(metrics.mean_absolute_error(x, y)) is float


def test_r2_of_targets_that_do_not_vary() -> None:
    y = np.array([[1.0, 2, 5], [1, 2, 6], [1, 2, 7]])
    x = np.array([[1.0, 2, 5], [1, 3, 6], [1, 2, 7]])
    assert metrics.r2(x, y) == reference.r2_score(y, x) == 2 / 3
    assert metrics.r2([3.0, 3.0], [3.0, 3.0]) == 1
    assert metrics.r2([3.0, 4.0], [3.0, 3.0]) == 0
    assert metrics.r2([2.0, 2.0], [1.0, 3.0]) == 0


def test_training_that_diverges_gives_no_warnings() -> None:
    far, nan = [1e200, np.inf, -np.inf], [np.nan, 1.0, 2.0]
    for y in ([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]):
        assert metrics.r2(far, y) in (-np.inf, 0)
        assert metrics.mean_absolute_error(far, y) == np.inf
        assert np.isnan(metrics.mean_absolute_error(nan, y))
    assert np.isnan(metrics.r2(nan, [1.0, 2.0, 3.0]))
    assert np.isnan(metrics.mean_absolute_error([np.inf], [np.inf]))
    assert metrics.accuracy(far, [1, 1, 0], threshold=0) == 1


# What they refuse

LABELLED: dict[str, Callable[..., Any]] = {
    "accuracy": metrics.accuracy,
    "top_k_accuracy": lambda p, t: metrics.top_k_accuracy(p, t, 1),
    "confusion_matrix": metrics.confusion_matrix,
    **{name: ours for name, (ours, _) in SHARES.items()},
}


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize(
    ("predictions", "targets", "kind", "message"),
    [
        (np.ones((3, 2)), [0, 1], ValueError, r"received \(3, 2\) and \(2,\)"),
        (np.ones((3, 1)), [0, 1, 1], ValueError, r"at least two classes.*\(3, 1\) and \(3,\)"),
        (np.ones((3, 2, 4)), np.zeros((3, 5), int), ValueError, r"received \(3, 2, 4\) and \(3, 5"),
        (np.ones((3, 2, 2)), [0, 1, 1], ValueError, r"received \(3, 2, 2\) and \(3,\)"),
        (np.ones(3), np.zeros((3, 2), int), ValueError, r"received \(3,\) and \(3, 2\)"),
        (np.ones(3), 1, ValueError, r"received \(3,\) and \(\)"),
        (np.ones((0, 2)), np.zeros(0, int), ValueError, "at least one sample"),
        ([[0.1, np.nan], [0.3, 0.4]], [0, 1], ValueError, r"not be NaN; the one at \(0, 1\) is"),
        ([[0.1, 0.2]], [2], ValueError, r"labels must be from 0 to 1; the one at \(0,\) is 2"),
        ([[0.1, 0.2]] * 2, [0, -100], ValueError, r"the one at \(1,\) is -100"),
        ([[0.1, 0.2]], [0.5], TypeError, "integers from 0; received float64"),
        ([[0.1, 0.2]], [np.inf], TypeError, "integers from 0"),
        ([[0.1, 0.2]], [np.nan], TypeError, "integers from 0"),
        ([[0.1, 0.2]], ["cat"], TypeError, "must be floats, integers or booleans"),
    ],
)
def test_what_is_no_classification_is_refused(
    name: str, predictions: Any, targets: Any, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        LABELLED[name](predictions, targets)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: metrics.accuracy([0.0, 2.0], [0, 2]), ValueError, r"0 to 1; the one at \(1,\)"),
        (lambda: metrics.accuracy([0.9, -0.9], [1, -1]), ValueError, "0 to 1; .* is -1"),
        (lambda: metrics.accuracy([0, -1], [0, 1]), ValueError, "0 to 1; .* is -1"),
        (lambda: metrics.accuracy([0.1, np.nan], [0, 1]), ValueError, r"NaN; the one at \(1,\)"),
        (lambda: metrics.top_k_accuracy([0.1], [0], 1), ValueError, r"of at least 1 .*\(1,\)"),
        (lambda: metrics.top_k_accuracy([[1.0, 2]], [0], 3), ValueError, r"of at least 3 .*\(1, 2"),
        (lambda: metrics.top_k_accuracy([[1.0, 2]], [0], 0), ValueError, "k must be at least 1"),
        (lambda: metrics.top_k_accuracy([[1.0, 2]], [0], 1.0), TypeError, "k must be an integer"),  # type: ignore[arg-type]
        (lambda: metrics.confusion_matrix([2], [0], 2), ValueError, "from 0 to 1; .* is 2"),
        (lambda: metrics.confusion_matrix([0], [2], 2), ValueError, "from 0 to 1; .* is 2"),
        (lambda: metrics.confusion_matrix([0], [0], 0), ValueError, "classes must be at least 1"),
        (lambda: metrics.f1([0, 2], [0, 1], "binary"), ValueError, "two classes; received 3: use"),
        (lambda: metrics.f1([0, 1], [0, 1], "mean"), ValueError, "or None; received 'mean'"),
        (lambda: metrics.mean_absolute_error([1.0], [[1.0]]), ValueError, r"\(1,\) and \(1, 1\)"),
        (lambda: metrics.mean_absolute_error([], []), ValueError, "at least one entry"),
        (lambda: metrics.r2([1.0, 2.0], [1.0]), ValueError, r"\(2,\) and \(1,\)"),
        (lambda: metrics.r2([1.0], [1.0]), ValueError, r"two samples; received shape \(1,\)"),
        (lambda: metrics.r2(1.0, 1.0), ValueError, r"two samples; received shape \(\)"),
    ],
)
def test_bad_arguments_are_refused(
    call: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call()


def test_they_measure_in_fit() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 2)), rng.integers(0, 2, 60)
    model = mg.Linear(2, 2, rng=rng)
    history = mg.fit(
        model, x, y, loss=mg.cross_entropy, optimizer=mg.SGD(model.parameters(), 0.1), epochs=2,
        metrics={"accuracy": metrics.accuracy, "f1": lambda p, t: metrics.f1(p, t, "macro")},
        validation=(x[:20], y[:20]), rng=rng,
    )  # fmt: skip
    predictions = mg.predict(model, x[:20])
    assert history["val_accuracy"][-1] == metrics.accuracy(predictions, y[:20])
    assert history["val_f1"][-1] == metrics.f1(predictions, y[:20], "macro")


def test_labels_beside_a_column_of_predictions_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"\(2, 1\) and \(2,\); write targets\[:, None\]$"):
        metrics.accuracy([[0.9], [0.2]], [1, 0])
