"""Initializers: functions of a shape and a random stream that return a layer's first weights.

The fan-in of a weight, the number of inputs that each output sums over, is its first axis.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any, TypeAlias

import numpy as np

from .ops.common import Array

Initializer: TypeAlias = Callable[[tuple[int, ...], Any], Array]


def lecun_uniform(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw uniformly from ±sqrt(3 / fan_in): outputs vary as much as the inputs do.

    Parameters
    ----------
    shape
        Shape of the weight, (in, out).
    rng
        ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state.

    Returns
    -------
    ndarray
        float64 weights of variance 1 / fan_in.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998).
    """
    limit = sqrt(3 / shape[0])
    weights: Array = random_stream(rng).uniform(-limit, limit, shape)
    return weights


def random_stream(rng: Any) -> Any:
    """Return what `rng` draws from: NumPy's global state if it is None."""
    if rng is None:
        return np.random
    if not isinstance(rng, (np.random.Generator, np.random.RandomState)):
        raise TypeError(
            "rng must be None, a numpy.random.Generator or a RandomState; received "
            f"{rng!r}: pass numpy.random.default_rng(seed) for a stream of its own"
        )
    return rng


def draw(initializer: Initializer, shape: tuple[int, ...], rng: Any) -> Array:
    """Call an initializer and check that what it returns has the shape asked for."""
    random_stream(rng)
    weights = np.asarray(initializer(shape, rng))
    if weights.shape != shape:
        raise ValueError(f"weight_init must return shape {shape}; received {weights.shape}")
    return weights
