"""Initializers: functions of a shape and a random stream that return a layer's first weights.

The fan-in of a weight is the number of inputs that each output sums over, its fan-out the number
of outputs that each input goes into. A matrix has the shape (in, out), a convolution's kernel the
shape (out, in, ...), where both fans count the positions of the kernel, too. What has settings is
called with them first: ``weight_init=normal(std=0.02)``, but ``weight_init=he_normal``.
"""

from collections.abc import Callable
from inspect import cleandoc
from math import isfinite, prod, sqrt
from typing import Any, TypeAlias, TypeVar

import numpy as np

from .ops.common import Array

Initializer: TypeAlias = Callable[[tuple[int, ...], Any], Array]
_Drawn = TypeVar("_Drawn", bound=Callable[..., Array])
_TAKES = """Parameters
----------
shape
    Shape of the weight.
rng
    ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state."""


def _drawing(what: str) -> Callable[[_Drawn], _Drawn]:
    """Say in the docstring of an initializer what it takes, and what it returns."""

    def documented(initializer: _Drawn) -> _Drawn:
        summary, _, more = cleandoc(initializer.__doc__ or "").partition("\n\n")
        sections = [summary, _TAKES, f"Returns\n-------\nndarray\n    float64 weights of {what}."]
        initializer.__doc__ = "\n\n".join([*sections, *[more] * bool(more)]) + "\n"
        return initializer

    return documented


def zeros(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Return zeros; nothing is drawn from `rng`.

    Parameters
    ----------
    shape
        Shape of the weight.
    rng
        Not used.
    """
    return np.zeros(shape)


def constant(value: float) -> Initializer:
    """Return an initializer that fills weights with one value.

    Parameters
    ----------
    value
        The value.
    """
    return lambda shape, rng: np.full(shape, value, np.float64)


def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """Return an initializer that draws from N(mean, std²); ValueError if `std` is negative.

    Parameters
    ----------
    mean, std
        Mean and standard deviation.
    """
    if not (isfinite(mean) and isfinite(std) and std >= 0):
        raise ValueError(f"mean and std must be finite, std at least 0; received {mean}, {std}")
    return lambda shape, rng: random_stream(rng).normal(mean, std, shape)


def uniform(low: float, high: float) -> Initializer:
    """Return an initializer that draws uniformly from [low, high); ValueError if low > high.

    Parameters
    ----------
    low, high
        The limits.
    """
    if not (isfinite(low) and isfinite(high) and low <= high):
        raise ValueError(f"low and high must be finite, low at most high; received {low}, {high}")
    return lambda shape, rng: random_stream(rng).uniform(low, high, shape)


@_drawing("variance 1 / fan_in")
def lecun_uniform(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw uniformly from ±sqrt(3 / fan_in): outputs vary as much as the inputs do.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998).
    """
    return _scaled("uniform", 1, fans(shape)[0], shape, rng)


@_drawing("variance 1 / fan_in")
def lecun_normal(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw from N(0, 1 / fan_in); see `lecun_uniform`."""
    return _scaled("normal", 1, fans(shape)[0], shape, rng)


@_drawing("variance 2 / (fan_in + fan_out)")
def glorot_uniform(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw uniformly from ±sqrt(6 / (fan_in + fan_out)): values and gradients vary alike.

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks"
    (2010).
    """
    return _scaled("uniform", 2, sum(fans(shape)), shape, rng)


@_drawing("variance 2 / (fan_in + fan_out)")
def glorot_normal(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw from N(0, 2 / (fan_in + fan_out)); see `glorot_uniform`."""
    return _scaled("normal", 2, sum(fans(shape)), shape, rng)


@_drawing("variance 2 / fan_in")
def he_uniform(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw uniformly from ±sqrt(6 / fan_in): outputs keep their scale where ReLUs come between.

    References
    ----------
    He, Zhang, Ren and Sun, "Delving Deep into Rectifiers: Surpassing Human-Level Performance on
    ImageNet Classification" (2015).
    """
    return _scaled("uniform", 2, fans(shape)[0], shape, rng)


@_drawing("variance 2 / fan_in")
def he_normal(shape: tuple[int, ...], rng: Any = None) -> Array:
    """Draw from N(0, 2 / fan_in); see `he_uniform`."""
    return _scaled("normal", 2, fans(shape)[0], shape, rng)


def orthogonal(gain: float = 1.0) -> Initializer:
    """Return an initializer that draws orthonormal rows or columns, times `gain`.

    Of a matrix, the rows or the columns, whichever are fewer, have length `gain` and are at right
    angles; every such matrix is equally likely. A kernel of shape (out, in, ...) counts as one of
    shape (out, in * ...). The initializer raises ValueError for fewer than two axes.

    Parameters
    ----------
    gain
        Length of the rows or columns.

    References
    ----------
    Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks" (2014).
    """
    if not isfinite(gain):
        raise ValueError(f"gain must be finite; received {gain}")

    def initializer(shape: tuple[int, ...], rng: Any) -> Array:
        if len(shape) < 2:
            raise ValueError(f"orthogonal weights have at least two axes; received shape {shape}")
        rows, columns = shape[0], prod(shape[1:])
        tall = random_stream(rng).normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        q *= np.copysign(gain, np.diag(r))  # without signs the factorization would prefer some
        return (q if rows >= columns else q.T).reshape(shape)

    return initializer


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return fan-in and fan-out of a weight; both are the length where there is one axis.

    Parameters
    ----------
    shape
        Shape of the weight.
    """
    if len(shape) < 3:
        return (shape[0], shape[-1]) if shape else (1, 1)
    return prod(shape[1:]), shape[0] * prod(shape[2:])


def _scaled(kind: str, scale: float, fan: int, shape: tuple[int, ...], rng: Any) -> Array:
    """Draw weights of mean 0 and variance scale / fan from the distribution of that name."""
    stream, fan = random_stream(rng), max(fan, 1)  # an empty weight has a fan of 0
    if kind == "normal":
        weights: Array = stream.normal(0, sqrt(scale / fan), shape)
    else:
        limit = sqrt(3 * scale / fan)
        weights = stream.uniform(-limit, limit, shape)
    return weights


def random_stream(rng: Any) -> Any:
    """Return what `rng` draws from: NumPy's global state if it is None.

    Parameters
    ----------
    rng
        ``numpy.random.Generator`` or ``RandomState``, or None.
    """
    if rng is None:
        return np.random
    if not isinstance(rng, (np.random.Generator, np.random.RandomState)):
        raise TypeError(
            "rng must be None, a numpy.random.Generator or a RandomState; received "
            f"{rng!r}: pass numpy.random.default_rng(seed) for a stream of its own"
        )
    return rng


def draw(initializer: Initializer, shape: tuple[int, ...], rng: Any) -> Array:
    """Call an initializer and check that what it returns has the shape asked for.

    Parameters
    ----------
    initializer
        What a layer was given as its `weight_init`.
    shape
        Shape of the weight.
    rng
        ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state.

    Returns
    -------
    ndarray
        The weights.
    """
    random_stream(rng)
    try:
        weights = np.asarray(initializer(shape, rng))
    except TypeError as error:
        raise TypeError(
            f"weight_init must be a function of shape and rng; received {initializer!r} "
            f"({error}); those with settings are called first, as initializers.normal()"
        ) from error
    if weights.shape != shape:
        raise ValueError(f"weight_init must return shape {shape}; received {weights.shape}")
    return weights
