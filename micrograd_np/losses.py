"""Losses: one number that says how far predictions are from targets of the same shape."""

from typing import Any

from . import ops
from .tensor import Tensor, apply


def sum_of_squares(prediction: Any, target: Any) -> Tensor:
    r"""Half the sum of the squared differences.

    .. math:: L = \frac{1}{2} \sum (prediction - target)^2

    Its gradient is prediction - target, so one step of gradient descent at learning rate 1 behind
    a sigmoid is the error-weighted derivative rule.

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any.

    Returns
    -------
    Tensor
        The loss, of shape ().

    Raises
    ------
    ValueError
        If the shapes differ (nothing is broadcast), or there are no values.
    """
    return apply(ops.sum_of_squares, prediction, target)


def mean_squared_error(prediction: Any, target: Any) -> Tensor:
    r"""Mean of the squared differences.

    .. math:: L = \frac{1}{n} \sum (prediction - target)^2

    Parameters
    ----------
    prediction, target
        Tensors or arrays of the same shape, which may be any; n is their number of entries.

    Returns
    -------
    Tensor
        The loss, of shape ().

    Raises
    ------
    ValueError
        If the shapes differ (nothing is broadcast), or there are no values.
    """
    return apply(ops.mean_squared_error, prediction, target)
