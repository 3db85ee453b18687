"""Metrics: numbers that say how good predictions are, as functions of arrays.

Each takes predictions and targets. For classes, targets are integers from 0, and predictions are
scores with one axis more, axis 1, for the classes, of which the largest decides (as
`cross_entropy` takes them); or integers too; or, for two classes, one float per target, which
means class 1 above a threshold.
"""

from typing import Any

import numpy as np

from ..checks import at_least_one
from ..operations import plain
from ..ops.common import Array, as_array


def accuracy(predictions: Any, targets: Any, *, threshold: float | None = None) -> float:
    """Return the share of predictions that are right.

    Parameters
    ----------
    predictions, targets
        Scores of shape (n, classes, ...) and labels (n, ...); or both of the same shape.
    threshold
        Above which a float that stands for two classes means class 1: 0.5 for probabilities, 0
        for logits. None is 0.5, if all are from 0 to 1.

    Raises
    ------
    ValueError
        If the shapes do not fit, there is nothing, a score is NaN, a label is no class, or floats
        that stand for two classes are no probabilities and there is no threshold.
    TypeError
        If targets are no integers.

    Examples
    --------
    >>> from micrograd_np import metrics
    >>> metrics.accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0])
    0.6666666666666666
    >>> metrics.accuracy([0.9, 0.2], [1, 0])
    1.0
    """
    labels, truth, _ = _labels(predictions, targets, threshold)
    return float(np.mean(labels == truth))


def top_k_accuracy(predictions: Any, targets: Any, k: int) -> float:
    """Return the share of targets that are among the `k` classes of the largest scores.

    A class counts if fewer than `k` others have larger scores, so ties count.

    Parameters
    ----------
    predictions, targets
        Scores of shape (n, classes, ...) and labels (n, ...).
    k
        How many, from 1 to the number of classes.

    Raises
    ------
    ValueError
        If the shapes do not fit, there is nothing, a score is NaN, a label is no class, or `k` is
        out of its range.
    TypeError
        If targets are no integers.
    """
    at_least_one(k=k)
    scores, truth = as_array(plain(predictions)), _integers(targets)
    _check(scores, truth)
    if scores.ndim != truth.ndim + 1 or k > scores.shape[1]:
        raise ValueError(
            f"there must be scores of at least {k} classes along axis 1; received {scores.shape}"
        )
    _check_labels(truth, scores.shape[1])
    own = np.take_along_axis(scores, np.expand_dims(truth, 1), axis=1)
    return float(np.mean((scores > own).sum(axis=1) < k))


def confusion_matrix(
    predictions: Any, targets: Any, classes: int | None = None, *, threshold: float | None = None
) -> Array:
    """Return how often each class (row) was taken for each class (column).

    Parameters
    ----------
    predictions, targets, threshold
        As for `accuracy`.
    classes
        Number of classes; by default that of the scores, or what the largest label needs, but at
        least 2.

    Returns
    -------
    ndarray
        Counts of shape (classes, classes); those on the diagonal were right.

    Raises
    ------
    ValueError
        If there are fewer classes than labels need, or as `accuracy`.
    TypeError
        If labels are no integers.

    Examples
    --------
    >>> from micrograd_np import metrics
    >>> metrics.confusion_matrix([0, 1, 1, 2], [0, 1, 2, 2])
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 1, 1]])
    """
    labels, truth, given = _labels(predictions, targets, threshold)
    classes = given if classes is None else classes
    at_least_one(classes=classes)
    for array in (labels, truth):
        _check_labels(array, classes)
    counts = np.bincount(truth.ravel() * classes + labels.ravel(), minlength=classes**2)
    return counts.reshape(classes, classes)


def precision(
    predictions: Any, targets: Any, average: str | None = None, *, threshold: float | None = None
) -> Any:
    r"""Return which share of what was taken for a class belongs to it.

    .. math:: tp / (tp + fp), \quad 0 \text{ for a class that was never predicted}

    Parameters
    ----------
    predictions, targets, threshold
        As for `accuracy`.
    average
        "macro" for the mean over the classes, "weighted" for one weighted by how often each is
        true, "micro" for the whole, "binary" for class 1 alone, None for an array of all classes.

    Raises
    ------
    ValueError
        If there is no such average, "binary" is asked of more than two classes, or as `accuracy`.
    TypeError
        If labels are no integers.
    """
    right, predicted, true = _counts(predictions, targets, threshold)
    return _averaged(right, predicted, predicted + true > 0, true, average)


def recall(
    predictions: Any, targets: Any, average: str | None = None, *, threshold: float | None = None
) -> Any:
    r"""Return which share of what belongs to a class was taken for it.

    .. math:: tp / (tp + fn), \quad 0 \text{ for a class that is never true}

    Averages and errors are those of `precision`.

    Parameters
    ----------
    predictions, targets, average, threshold
        As for `precision`.
    """
    right, predicted, true = _counts(predictions, targets, threshold)
    return _averaged(right, true, predicted + true > 0, true, average)


def f1(
    predictions: Any, targets: Any, average: str | None = None, *, threshold: float | None = None
) -> Any:
    r"""Return the harmonic mean of precision and recall.

    .. math:: 2 tp / (2 tp + fp + fn), \quad 0 \text{ for a class that is never met}

    Averages and errors are those of `precision`.

    Parameters
    ----------
    predictions, targets, average, threshold
        As for `precision`.
    """
    right, predicted, true = _counts(predictions, targets, threshold)
    return _averaged(2 * right, predicted + true, predicted + true > 0, true, average)


def mean_absolute_error(predictions: Any, targets: Any) -> float:
    """Return the mean distance of predictions and targets.

    Parameters
    ----------
    predictions, targets
        Arrays of the same shape.

    Raises
    ------
    ValueError
        If the shapes differ or there is nothing.
    """
    x, y = _alike(predictions, targets)
    with np.errstate(all="ignore"):
        return float(np.mean(np.abs(x - y)))


def r2(predictions: Any, targets: Any) -> float:
    r"""Return the share of the targets' variance that the predictions explain.

    .. math:: 1 - \sum (y - x)^2 / \sum (y - mean(y))^2

    along the first axis, and the mean of that over the others. It is 1 for perfect predictions, 0
    for the mean, and 0 also where targets that do not vary were missed.

    Parameters
    ----------
    predictions, targets
        Arrays of the same shape with at least two samples.

    Raises
    ------
    ValueError
        If the shapes differ or there are fewer than two samples.
    """
    x, y = _alike(predictions, targets)
    if not y.ndim or len(y) < 2:
        raise ValueError(f"r2 needs at least two samples; received shape {y.shape}")
    with np.errstate(all="ignore"):
        missed = np.sum((y - x) ** 2, axis=0)
        varied = np.sum((y - y.mean(axis=0)) ** 2, axis=0)
        found = np.where(varied == 0, missed == 0, 1 - missed / varied)
        return float(np.mean(found))


def _labels(predictions: Any, targets: Any, threshold: float | None) -> tuple[Array, Array, int]:
    """Return the predicted and the true labels, of the same shape, and the number of classes."""
    scores, truth = as_array(plain(predictions)), _integers(targets)
    _check(scores, truth)
    if scores.ndim > truth.ndim:
        labels, classes = np.argmax(scores, axis=1), scores.shape[1]
    elif scores.dtype.kind == "f":
        _check_labels(truth, 2)
        labels, classes = (scores > _above(scores, threshold)).astype(int), 2
    else:
        labels = scores.astype(int)
        classes = max(2, int(labels.max()) + 1, int(truth.max()) + 1)
    for array in (labels, truth):
        _check_labels(array, classes)
    return labels, truth, classes


def _above(scores: Array, threshold: float | None) -> float:
    """Return the threshold, by default that of probabilities."""
    if threshold is not None:
        return threshold
    wrong = scores[(scores < 0) | (scores > 1)]
    if wrong.size:
        raise ValueError(
            f"predictions must be probabilities from 0 to 1; received {wrong[0]}: these look like "
            "logits: pass threshold=0"
        )
    return 0.5


def _check(scores: Array, truth: Array) -> None:
    """Raise unless scores are of the targets' shape, or of at least two classes for each."""
    of_classes = scores.ndim == truth.ndim + 1 >= 2 and scores.shape[1] >= 2
    shape = scores.shape[:1] + scores.shape[2:] if of_classes else scores.shape
    if shape != truth.shape or not scores.size:
        remedy = "; write targets[:, None]" * (scores.shape == (*truth.shape, 1))
        raise ValueError(
            "predictions must have the targets' shape, or scores of at least two classes along "
            f"axis 1, and at least one sample; received {scores.shape} and {truth.shape}{remedy}"
        )
    if scores.dtype.kind == "f" and np.isnan(scores).any():
        row = tuple(int(i) for i in np.argwhere(np.isnan(scores))[0])
        raise ValueError(f"predictions must not be NaN; the one at {row} is")


def _integers(targets: Any) -> Array:
    """Return targets as integers, which may be floats, as losses of two classes take them."""
    truth = as_array(plain(targets))
    if truth.dtype.kind == "f" and not np.all(np.isfinite(truth) & (truth == np.round(truth))):
        raise TypeError(f"targets must be labels, integers from 0; received {truth.dtype}")
    return truth.astype(int)


def _check_labels(labels: Array, classes: int) -> None:
    wrong = np.argwhere((labels < 0) | (labels >= classes))
    if len(wrong):
        row = tuple(int(i) for i in wrong[0])
        raise ValueError(
            f"labels must be from 0 to {classes - 1}; the one at {row} is {labels[row]}"
        )


def _counts(predictions: Any, targets: Any, threshold: float | None) -> tuple[Array, Array, Array]:
    """Return, for each class, how often it was rightly predicted, predicted, and true."""
    matrix = confusion_matrix(predictions, targets, threshold=threshold)
    return np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)


def _averaged(part: Array, whole: Array, met: Array, true: Array, average: str | None) -> Any:
    """Return the parts' shares of the whole, averaged over the classes that are met at all."""
    shares = part / np.maximum(whole, 1)
    if average is None:
        return shares
    if average == "binary":
        if len(shares) != 2:
            raise ValueError(
                f"average='binary' is for two classes; received {len(shares)}: use 'macro'"
            )
        return float(shares[1])
    if average == "micro":
        return float(part.sum() / whole.sum())
    if average not in ("macro", "weighted"):
        raise ValueError(
            f"average must be 'macro', 'weighted', 'micro', 'binary' or None; received {average!r}"
        )
    return float(np.average(shares[met], weights=true[met] if average == "weighted" else None))


def _alike(predictions: Any, targets: Any) -> tuple[Array, Array]:
    """Return predictions and targets as floats, if they have the same shape."""
    x, y = as_array(plain(predictions)), as_array(plain(targets))
    if x.shape != y.shape or not x.size:
        raise ValueError(
            "predictions and targets must have the same shape and at least one entry; received "
            f"{x.shape} and {y.shape}"
        )
    return x.astype(np.float64), y.astype(np.float64)
