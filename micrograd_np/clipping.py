"""Clipping: limits for the gradients, to be set between `backward` and a step.

One bad batch, or a recurrent network, can make gradients so large that a single step undoes the
training before it.
"""

from collections.abc import Iterable
from math import sqrt
from typing import Any

import numpy as np

from .ops.common import Array, number
from .parameters import distinct, listed


def clip_grad_norm(parameters: Iterable[Any], max_norm: float) -> float:
    r"""Scale all gradients, in place, so that their common norm is at most `max_norm`.

    .. math:: g \leftarrow g \cdot min(1, max\_norm / (norm + 10^{-6}))

    where the norm is the root of the sum of the squares of all entries of all gradients. To be
    called between `backward` and `step`.

    Parameters
    ----------
    parameters
        Tensors, as from ``layer.parameters()``; those without a gradient are passed over.
    max_norm
        At least 0; infinity changes nothing.

    Returns
    -------
    float
        The norm before clipping. If it is not finite, the gradients are not worth a step.

    Raises
    ------
    ValueError
        If `max_norm` is negative or NaN, or a tensor comes twice.
    TypeError
        If `parameters` are no list of tensors.

    References
    ----------
    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013),
    in PyTorch's form.
    """
    return _clip_norm(_gradients(parameters, "max_norm", max_norm), max_norm)


def _clip_norm(gradients: list[Array], max_norm: float) -> float:
    """Shorten gradients together, in place; return the norm that they had."""
    with np.errstate(all="ignore"):
        # In float64, where the squares of large float32 numbers do not overflow.
        flat = (g.ravel().astype(np.float64, copy=False) for g in gradients)
        norm = sqrt(sum(float(g.dot(g)) for g in flat))
        if not norm + 1e-6 <= max_norm:  # a norm of NaN, too, is passed on
            for g in gradients:
                g *= np.array(max_norm / (norm + 1e-6), g.dtype)
    return norm


def clip_grad_value(parameters: Iterable[Any], clip_value: float) -> None:
    """Bring every entry of the gradients, in place, into the range ±`clip_value`.

    Parameters
    ----------
    parameters
        Tensors, as from ``layer.parameters()``; those without a gradient are passed over.
    clip_value
        At least 0; infinity changes nothing.

    Raises
    ------
    ValueError
        If `clip_value` is negative or NaN, or a tensor comes twice.
    TypeError
        If `parameters` are no list of tensors.
    """
    for g in _gradients(parameters, "clip_value", clip_value):
        limit = number(clip_value, g.dtype)
        np.clip(g, -limit, limit, out=g)


def _gradients(parameters: Iterable[Any], name: str, limit: float) -> list[Array]:
    """Return the gradients to be clipped to a limit that is checked, too."""
    if not limit >= 0:
        raise ValueError(f"{name} must be at least 0; received {limit}")
    found = distinct(listed(parameters))
    return [parameter.grad for parameter in found if parameter.grad is not None]
