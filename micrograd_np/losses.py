"""Losses: numbers that say how far predictions are from targets.

Prediction and target have the same shape, and nothing is broadcast; only labels have one axis
less, that of the classes. `reduction` says what becomes of the losses of the entries or samples:
their "mean", their "sum", or "none": each is returned.
"""

from typing import Any

from . import ops
from .operations import plain
from .ops.common import as_array
from .ops.losses import EMPTY, check_shapes, class_weights
from .tensor import Tensor, apply, as_tensor


def sum_of_squares(prediction: Any, target: Any, *, reduction: str = "sum") -> Tensor:
    r"""Half the sum of the squared differences.

    .. math:: L = \frac{1}{2} \sum (prediction - target)^2

    Its gradient is prediction - target, so one step of gradient descent at learning rate 1 behind
    a sigmoid is the error-weighted derivative rule.

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any.
    reduction
        "sum" as in the formula, "mean" over the entries, or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ (nothing is broadcast), there are no values to reduce, or the
        reduction is unknown.
    """
    if reduction == "sum":
        return apply(ops.sum_of_squares, prediction, target)
    return _reduced(apply(ops.squared_error, prediction, target) * 0.5, reduction)


def mean_squared_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    r"""Mean of the squared differences.

    .. math:: L = \frac{1}{n} \sum (prediction - target)^2

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any; n is their number of entries.
    reduction
        "mean" as in the formula, "sum", or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ (nothing is broadcast), there are no values to reduce, or the
        reduction is unknown.
    """
    if reduction == "mean":
        return apply(ops.mean_squared_error, prediction, target)
    return _reduced(apply(ops.squared_error, prediction, target), reduction)


def mean_absolute_error(prediction: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    r"""Mean of the absolute differences, which outliers pull less than their squares.

    .. math:: L = \frac{1}{n} \sum |prediction - target|

    The gradient is 0 where prediction and target are equal.

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any; n is their number of entries.
    reduction
        "mean" as in the formula, "sum", or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ, there are no values to reduce, or the reduction is unknown.
    """
    return _reduced(apply(ops.absolute_error, prediction, target), reduction)


def huber(prediction: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    r"""Half the squared difference near 0, growing only in proportion beyond `delta`.

    .. math::

        \ell = \begin{cases} \frac{1}{2} d^2 & |d| \le \delta \\
        \delta (|d| - \frac{1}{2} \delta) & \text{else} \end{cases}
        \qquad d = prediction - target

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any.
    delta
        Where the two pieces meet, greater than 0.
    reduction
        "mean", "sum", or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ, there are no values to reduce, or the reduction is unknown; if delta
        is not greater than 0.

    References
    ----------
    Huber, Robust estimation of a location parameter, 1964.
    """
    return _reduced(apply(ops.huber, prediction, target, delta=delta), reduction)


def binary_cross_entropy(prediction: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    r"""Cross entropy of probabilities p against targets t, each of one event.

    .. math:: \ell = -t \log p - (1 - t) \log(1 - p)

    No logarithm is taken to be below -100, nor p (1 - p) in the gradient below 1e-12, so that
    certain predictions that are wrong cost 100 and not infinity. If the probabilities come from a
    sigmoid, `binary_cross_entropy_with_logits` of what went into it is exact everywhere.

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any, of numbers from 0 to 1.
    reduction
        "mean", "sum", or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ, there are no values to reduce, or the reduction is unknown; if a
        prediction or a target lies outside [0, 1].
    """
    return _reduced(apply(ops.binary_cross_entropy, prediction, target), reduction)


def binary_cross_entropy_with_logits(
    logits: Any, target: Any, *, pos_weight: Any = None, reduction: str = "mean"
) -> Tensor:
    r"""Cross entropy of the probabilities sigmoid(x) against targets t, finite for all finite x.

    .. math:: \ell = -w t \log \sigma(x) - (1 - t) \log(1 - \sigma(x))

    Parameters
    ----------
    logits, target
        Tensors or arrays of the same shape, which may be any; targets are numbers from 0 to 1.
    pos_weight
        w, how much a positive example counts: a number or an array that broadcasts to the shape
        of the logits, 1 by default. Taken as constant.
    reduction
        "mean", "sum", or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ, there are no values to reduce, or the reduction is unknown; if a
        target lies outside [0, 1], or `pos_weight` does not broadcast.
    """
    values = apply(ops.binary_cross_entropy_with_logits, logits, target, pos_weight=pos_weight)
    return _reduced(values, reduction)


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    r"""Cross entropy of the probabilities softmax(x) against labels y or probabilities t.

    .. math::

        \ell = -w_y \log \mathrm{softmax}(x)_y
        \qquad \text{or} \qquad
        \ell = -\sum_c w_c t_c \log \mathrm{softmax}(x)_c

    The mean over labels is the sum divided by the sum of their weights :math:`w_y`; the mean over
    probabilities is the sum divided by the number of samples. Logits may be of any size, and
    infinite: only a row of -inf alone gives NaN.

    Parameters
    ----------
    logits
        Floats of shape (samples, classes), (samples, classes, ...) or (classes,).
    target
        Labels: integers from 0 to classes - 1 in the shape of the logits without the axis of the
        classes. Or probabilities: floats in the shape of the logits, which gradients reach too.
    weight
        One number for each class, how much it counts; by default 1. Taken as constant.
    ignore_index
        The label of samples that do not count.
    label_smoothing
        The part, from 0 to 1, of the target that is spread evenly over all classes [1]_.
    reduction
        "mean", "sum", or "none" for the loss of each sample.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the labels.

    Raises
    ------
    IndexError
        If a label is no class: the message has its row.
    TypeError
        If labels are booleans or floats.
    ValueError
        If the shapes do not fit, there are no values to reduce, all labels are ignored and their
        mean is asked for, `ignore_index` meets probabilities, `label_smoothing` lies outside
        [0, 1], or the reduction is unknown.

    References
    ----------
    .. [1] Szegedy et al., Rethinking the Inception architecture for computer vision, 2016.
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1; received {label_smoothing}")
    logits, labels = as_tensor(logits), as_array(plain(target))
    if labels.dtype.kind != "f" or labels.ndim != logits.ndim:
        return apply(
            ops.cross_entropy,
            logits,
            labels=labels,
            weight=weight,
            ignored=ignore_index,
            smoothing=label_smoothing,
            reduction=_known(reduction),
        )
    check_shapes(logits.data, labels)
    if ignore_index >= 0:
        raise ValueError(f"only labels can be ignored, not probabilities; received {ignore_index=}")
    if label_smoothing or weight is not None:
        each = class_weights(weight, logits.data)
        even = label_smoothing / each.size
        target = (as_tensor(target) * (1 - label_smoothing) + even) * each
    return _reduced(apply(ops.soft_cross_entropy, logits, target), reduction)


def negative_log_likelihood(
    prediction: Any,
    target: Any,
    *,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""Negative log-likelihood of labels y under log-probabilities x.

    .. math:: \ell = -w_y x_y

    Of the log-softmax of logits this is their `cross_entropy`, which is faster in one piece. The
    mean is the sum divided by the sum of the weights :math:`w_y`.

    Parameters
    ----------
    prediction
        Log-probabilities of shape (samples, classes), (samples, classes, ...) or (classes,).
    target
        Labels: integers from 0 to classes - 1 in the shape of the prediction without the axis of
        the classes.
    weight
        One number for each class, how much it counts; by default 1. Taken as constant.
    ignore_index
        The label of samples that do not count.
    reduction
        "mean", "sum", or "none" for the loss of each sample.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the labels.

    Raises
    ------
    IndexError
        If a label is no class: the message has its row.
    TypeError
        If labels are booleans or floats.
    ValueError
        If the shapes do not fit, there are no values to reduce, all labels are ignored and their
        mean is asked for, or the reduction is unknown.
    """
    return apply(
        ops.negative_log_likelihood,
        prediction,
        labels=as_array(plain(target)),
        weight=weight,
        ignored=ignore_index,
        reduction=_known(reduction),
    )


def kl_divergence(prediction: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    r"""Kullback-Leibler divergence of probabilities t from log-probabilities x.

    .. math:: \ell = t (\log t - x)

    What t does not hold possible costs nothing, whatever x is. The mean is over all entries, as in
    PyTorch. The divergence is a sum over the outcomes: for its mean over the samples take
    ``kl_divergence(prediction, target, reduction="sum") / len(target)``.

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any: logarithms of probabilities, and
        probabilities.
    reduction
        "mean", "sum", or "none" for the summand of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ, there are no values to reduce, or the reduction is unknown.

    References
    ----------
    Kullback and Leibler, On information and sufficiency, 1951.
    """
    return _reduced(apply(ops.kl_divergence, prediction, target), reduction)


def hinge(prediction: Any, target: Any, *, reduction: str = "mean") -> Tensor:
    r"""How far scores x are from being on the side of their targets with a margin of 1.

    .. math:: \ell = \max(0, 1 - t x)

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any; targets are -1 or 1.
    reduction
        "mean", "sum", or "none" for the loss of each entry.

    Returns
    -------
    Tensor
        The loss, of shape (), or of the shape of the arrays.

    Raises
    ------
    ValueError
        If the shapes differ, there are no values to reduce, or the reduction is unknown; if a
        target is neither -1 nor 1.

    References
    ----------
    Cortes and Vapnik, Support-vector networks, 1995.
    """
    return _reduced(apply(ops.hinge, prediction, target), reduction)


def _reduced(values: Tensor, reduction: str) -> Tensor:
    """Return the mean or the sum of the losses, or as they are."""
    if _known(reduction) == "none":
        return values
    if not values.size:
        raise ValueError(EMPTY)
    return values.mean() if reduction == "mean" else values.sum()


def _known(reduction: str) -> str:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'reduction must be "mean", "sum" or "none"; received {reduction!r}')
    return reduction
