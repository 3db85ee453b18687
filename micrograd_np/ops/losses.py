"""Losses as ops: of each entry or each sample, or fused with their sum or mean where that is hot.

A prediction and its target have the same shape: nothing is broadcast. Classes lie along axis 1, or
along the only axis of a vector, and labels have the shape without that axis.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .common import Array, Result, Rule, floating, number
from .reductions import below_largest

EMPTY = "the loss of no values is not defined; check that the batch is not empty"
_add: Callable[..., Any] = np.add.reduce
_maximum: Callable[..., Any] = np.maximum.reduce
_minimum: Callable[..., Any] = np.minimum.reduce


def sum_of_squares(prediction: Array, target: Array) -> Result:
    """1/2 sum (prediction - target)**2; d/dprediction = prediction - target."""
    difference = _difference(prediction, target)
    flat = difference.ravel()
    if not flat.size:
        raise ValueError(EMPTY)
    half = number(0.5, flat.dtype)[()]
    return flat.dot(flat) * half, _opposite(lambda g: g * difference)


def mean_squared_error(prediction: Array, target: Array) -> Result:
    """mean (prediction - target)**2; d/dprediction = 2 (prediction - target) / n."""
    difference = _difference(prediction, target)
    flat = difference.ravel()
    if not flat.size:
        raise ValueError(EMPTY)
    count = number(flat.size, flat.dtype)
    return flat.dot(flat) / count, _opposite(lambda g: difference * ((g + g) / count))


def squared_error(prediction: Array, target: Array) -> Result:
    """(prediction - target)**2 of each entry; d/dprediction = 2 (prediction - target)."""
    difference = _difference(prediction, target)
    return difference * difference, _opposite(lambda g: g * (difference + difference))


def absolute_error(prediction: Array, target: Array) -> Result:
    """|prediction - target| of each entry; d/dprediction is the sign, 0 where they are equal."""
    difference = _difference(prediction, target)
    return np.abs(difference), _opposite(lambda g: g * np.sign(difference))


def huber(prediction: Array, target: Array, *, delta: float) -> Result:
    """c (d - c / 2) with d = prediction - target and c = d limited to ±delta; d/dprediction = c."""
    if not delta > 0:
        raise ValueError(f"delta must be greater than 0; received {delta}")
    difference = _difference(prediction, target)
    limit = number(float(delta), difference.dtype)
    limited = np.maximum(np.minimum(difference, limit), -limit)
    value = limited * (difference - limited * number(0.5, limit.dtype))
    return value, _opposite(lambda g: g * limited)


def binary_cross_entropy(prediction: Array, target: Array) -> Result:
    """-t log p - (1 - t) log(1 - p), no logarithm below -100; d/dp = (p - t) / (p (1 - p))."""
    prediction, target = _pair(prediction, target)
    remedy = ": use binary_cross_entropy_with_logits, or a sigmoid before this"
    _check_probabilities("predictions", prediction, remedy)
    _check_probabilities("targets", target)
    one, lowest = number(1, target.dtype), number(-100, prediction.dtype)
    log_yes = np.maximum(np.log(prediction), lowest)
    log_no = np.maximum(np.log1p(-prediction), lowest)

    def to_prediction(g: Array) -> Array:
        slope = prediction * (one - prediction)
        gradient: Array = g * (prediction - target) / np.maximum(slope, number(1e-12, slope.dtype))
        return gradient

    value = (target - one) * log_no - target * log_yes
    return value, (to_prediction, lambda g: g * (log_no - log_yes))


def binary_cross_entropy_with_logits(logits: Array, target: Array, *, pos_weight: Any) -> Result:
    """W t softplus(-x) + (1 - t) softplus(x); d/dx = (w t + 1 - t) sigmoid(x) - w t."""
    logits, target = _pair(logits, target)
    _check_probabilities("targets", target)
    one, zero = number(1, target.dtype), number(0, target.dtype)
    weight = one if pos_weight is None else np.array(pos_weight, target.dtype)
    yes, no = np.broadcast_to(weight, target.shape) * target, one - target
    tail = np.log1p(np.exp(-np.abs(logits)))
    softplus, opposite = np.maximum(logits, zero) + tail, np.maximum(-logits, zero) + tail
    return _product(yes, opposite) + _product(no, softplus), (
        lambda g: g * ((yes + no) / (one + np.exp(-logits)) - yes),
        lambda g: g * (weight * opposite - softplus),
    )


def kl_divergence(prediction: Array, target: Array) -> Result:
    """T log t - t x, which is 0 where t = 0, of log-probabilities x; d/dx = -t."""
    prediction, target = _pair(prediction, target)
    logarithm, one = np.log(target), number(1, target.dtype)
    value = _product(target, logarithm) - _product(target, prediction)
    return value, (lambda g: -g * target, lambda g: g * (logarithm + one - prediction))


def hinge(prediction: Array, target: Array) -> Result:
    """max(0, 1 - t x) with t = ±1; d/dx = -t where that is not 0."""
    prediction, target = _pair(prediction, target)
    wrong = np.abs(target) != 1
    if wrong.any():
        received = f"received {target[wrong][0]}: take 2 * targets - 1 of targets that are 0 or 1"
        raise ValueError(f"targets must be -1 or 1; {received}")
    value = np.maximum(number(1, target.dtype) - target * prediction, number(0, target.dtype))
    return value, (lambda g: -g * target * (value != 0), lambda g: -g * prediction * (value != 0))


def cross_entropy(
    logits: Array, *, labels: Array, weight: Any, ignored: int, smoothing: float, reduction: str
) -> Result:
    """-log softmax(logits)[label] of each sample, or their sum or mean; d/dx = softmax - one-hot.

    Exponentials of logits not far from 0 are finite without a shift, which saves the maximum of
    each row: with few classes that takes longer than all the rest. Smoothed labels, and classes
    that are not the last of two axes, take the way of probabilities.
    """
    logits = floating(logits)
    labels, share, even = _shares(labels, logits, weight, ignored, reduction)
    if smoothing or logits.ndim != 2:
        target = _target(logits, labels, share, even, weight, smoothing)
        values, (rule, _) = soft_cross_entropy(logits, target)
        return _total(values, lambda g: rule(np.broadcast_to(g, labels.shape)), reduction)
    positions = np.arange(0, logits.size, logits.shape[1])
    positions += labels
    lowest = _minimum(logits, axis=None, initial=0)
    highest = _maximum(logits, axis=None, initial=0)
    if np.maximum(-lowest, highest) <= _limit(logits.dtype, logits.shape[1]):
        exponentials = np.exp(logits, order="C")
        totals = np.einsum("ij->i", exponentials)  # several times as fast as sum(axis=1)
        losses = np.log(totals / exponentials.ravel().take(positions))  # so never negative
    else:
        exponentials = np.ascontiguousarray(below_largest(logits, 1)[0])
        picked = exponentials.ravel().take(positions)
        np.exp(exponentials, exponentials)
        totals = np.einsum("ij->i", exponentials)
        losses = np.log(totals) - picked

    def to_logits(g: Array) -> Array:
        each = g * share
        gradient: Array = exponentials * (each / totals)[:, None]
        gradient.ravel()[positions] -= each
        return gradient

    values = _product(share, losses) if share.ndim else share * losses
    return _total(values, to_logits, reduction)


def soft_cross_entropy(logits: Array, target: Array) -> Result:
    """-sum of target log softmax(logits) over the classes; d/dlogits = softmax sum(t) - t."""
    logits, target = _pair(logits, target)
    axis = _class_axis(logits)
    logarithms, _ = below_largest(logits, axis)
    exponentials = np.exp(logarithms)
    totals = _add(exponentials, axis=axis, keepdims=True)
    logarithms -= np.log(totals)

    def to_logits(g: Array) -> Array:
        gradient: Array = exponentials * (_add(target, axis=axis, keepdims=True) / totals)
        gradient -= target
        gradient *= np.expand_dims(g, axis)
        return gradient

    value = -_add(_product(target, logarithms), axis=axis)
    return value, (to_logits, lambda g: -np.expand_dims(g, axis) * logarithms)


def negative_log_likelihood(
    prediction: Array, *, labels: Array, weight: Any, ignored: int, reduction: str
) -> Result:
    """-prediction[label] of each sample, or their sum or mean; d/dx = -1 there, else 0."""
    prediction = floating(prediction)
    axis = _class_axis(prediction)
    labels, share, _ = _shares(labels, prediction, weight, ignored, reduction)
    places = np.expand_dims(labels, axis)
    picked = np.take_along_axis(prediction, places, axis).reshape(labels.shape)

    def to_prediction(g: Array) -> Array:
        gradient = np.zeros(prediction.shape, g.dtype)
        each = np.broadcast_to(-g * share, labels.shape)
        np.put_along_axis(gradient, places, np.expand_dims(each, axis), axis)
        return gradient

    return _total(_product(share, -picked), to_prediction, reduction)


def class_weights(weight: Any, logits: Array) -> Array:
    """Return a copy of the weight of each class, by default 1, that broadcasts along `logits`."""
    classes = logits.shape[_class_axis(logits)]
    each = np.ones(classes, logits.dtype) if weight is None else np.array(weight, logits.dtype)
    if each.shape != (classes,):
        raise ValueError(f"weight must be of {classes} classes; received the shape {each.shape}")
    return each.reshape(-1, *(1,) * (logits.ndim - 2))


def _shares(
    labels: Array, logits: Array, weight: Any, ignored: int, reduction: str
) -> tuple[Array, Array, Array]:
    """Return labels that are classes, and by what to multiply the loss of each sample.

    First including the weight of its label, then without it. For the mean both hold its divisor,
    the sum of the weights of the labels that are not ignored.
    """
    labels, all_count = _checked(labels, logits, ignored, reduction)
    if all_count and weight is None:
        same = number(1 / labels.size if reduction == "mean" else 1, logits.dtype)
        return labels, same, same
    kept = labels != ignored
    labels = labels * kept
    even = kept.astype(logits.dtype)
    share = class_weights(weight, logits).ravel().take(labels) * even
    if reduction == "mean":
        count = _add(share, axis=None)
        if not count:
            raise ValueError("the mean over no labels is not defined; all are ignored or weigh 0")
        share, even = share / count, even / count
    return labels, share, even


def _target(
    logits: Array, labels: Array, share: Array, even: Array, weight: Any, smoothing: float
) -> Array:
    """Return probabilities whose cross entropy is the loss of the labels."""
    axis, target = _class_axis(logits), np.zeros(logits.shape, logits.dtype)
    share = np.broadcast_to(share * (1 - smoothing), labels.shape)
    np.put_along_axis(target, np.expand_dims(labels, axis), np.expand_dims(share, axis), axis)
    if smoothing:
        even = np.broadcast_to(even * (smoothing / logits.shape[axis]), labels.shape)
        target += np.expand_dims(even, axis) * class_weights(weight, logits)
    return target


def _checked(labels: Array, logits: Array, ignored: int, reduction: str) -> tuple[Array, bool]:
    """Return labels that fit, and whether all of them count."""
    axis, shape = _class_axis(logits), logits.shape
    expected, classes = shape[:axis] + shape[axis + 1 :], shape[axis]
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"labels must be integers; received {labels.dtype} of shape {labels.shape}: use "
            f"astype(int), or give the probability of each class as floats of shape {shape}"
        )
    if labels.shape != expected:
        remedy = f": use reshape({expected})" if labels.size == math.prod(expected) else ""
        if labels.shape == shape:
            remedy = f": use argmax({axis}), or astype(float) if these are probabilities"
        elif labels.shape == shape[:-1]:
            remedy = ": classes are axis 1: use prediction.moveaxis(-1, 1)"
        received = f"received {labels.shape}{remedy}"
        raise ValueError(f"labels must have the shape {expected}, one for each sample; {received}")
    if not labels.size and reduction != "none":
        raise ValueError(EMPTY)
    labels = labels.astype(np.intp)  # a copy, because the caller's may change before backward
    # Read without a sign, a negative label is larger than any class.
    if _maximum(labels.view(np.uintp), axis=None, initial=0) < classes:
        return labels, not (0 <= ignored < classes and (labels == ignored).any())
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignored)
    if wrong.any():
        place = np.argwhere(wrong)[0].tolist()
        row = place[0] if len(place) == 1 else tuple(place)
        allowed = f"labels of {classes} classes must be 0 to {classes - 1}"
        raise IndexError(f"row {row} has the label {labels[wrong][0]}; {allowed}")
    return labels, False


def _opposite(rule: Rule) -> tuple[Rule, Rule]:
    """Return the rules of a function of prediction - target, given that of the prediction."""
    return rule, lambda g: -rule(g)


def _difference(prediction: Array, target: Array) -> Array:
    check_shapes(prediction, target)
    difference: Array = floating(prediction) - target
    return difference


def _pair(prediction: Array, target: Array) -> tuple[Array, Array]:
    check_shapes(prediction, target)
    return floating(prediction), floating(target)


def check_shapes(prediction: Array, target: Array) -> None:
    """Refuse shapes that differ: broadcasting would pair all with all."""
    if prediction.shape != target.shape:
        raise ValueError(
            "prediction and target must have the same shape; "
            f"reshape one of them, received {prediction.shape} and {target.shape}"
        )


def _check_probabilities(name: str, x: Array, remedy: str = "") -> None:
    low, high = _minimum(x, axis=None, initial=0), _maximum(x, axis=None, initial=1)
    if low < 0 or high > 1:
        received = low if low < 0 else high
        raise ValueError(f"{name} must be from 0 to 1; received {received}{remedy}")


def _product(x: Array, y: Array) -> Array:
    """x * y, but 0 where x is 0 and y is infinite: what does not count costs nothing."""
    product = np.asarray(x * y)
    if np.isnan(_add(product, axis=None)):
        product[np.isinf(y) & (x == 0)] = 0
    return product


def _total(values: Array, rule: Rule, reduction: str) -> Result:
    """Add up the losses of the samples, unless they are wanted one by one."""
    return (values if reduction == "none" else _add(values, axis=None)), (rule,)


def _class_axis(logits: Array) -> int:
    if not logits.ndim:
        raise ValueError("there must be an axis of classes; received a number")
    return min(1, logits.ndim - 1)


@lru_cache(maxsize=256)
def _limit(dtype: np.dtype[Any], classes: int) -> float:
    """Return up to what size of logits sums of exponentials, divided by one, are finite."""
    return float(np.log(np.finfo(dtype).max / max(classes, 1)) / 2) - 1
