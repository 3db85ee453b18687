"""Dropout: noise that keeps a network from relying on single units."""

from typing import Any

import numpy as np

from .. import initializers
from ..checks import below_one
from ..ops.common import Array
from ..tensor import Tensor
from .layer import Layer


class Dropout(Layer):
    r"""In training mode, set entries to 0 at random and scale up the others; else do nothing.

    .. math:: y = x \cdot keep / (1 - p)

    where keep is 1 with probability 1 - p, else 0, drawn anew for each entry and call.

    Parameters
    ----------
    p
        Probability of a 0, at least 0 and below 1.
    rng
        ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state, which
        ``numpy.random.seed`` sets.

    Notes
    -----
    Input and output have the same shape, which may be any.

    Raises
    ------
    ValueError
        If `p` is out of its range.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent
    Neural Networks from Overfitting" (2014).
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        self.p = below_one("p", p)
        self.rng = rng
        initializers.random_stream(rng)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * dropout_mask(x.shape, x.dtype, self.p, self.rng)


def dropout_mask(shape: tuple[int, ...], dtype: Any, p: float, rng: Any) -> Array:
    """Draw what entries are multiplied with: 0 with probability `p`, else 1 / (1 - p)."""
    kept = initializers.random_stream(rng).random(shape) >= p
    mask: Array = kept * np.asarray(1 / (1 - p), dtype if dtype.kind == "f" else np.float64)
    return mask
