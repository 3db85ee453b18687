"""Linear and Embedding: the product with a matrix of weights, and the choice of its rows."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import initializers, ops
from ..checks import at_least_one
from ..tensor import Tensor, apply
from .layer import Layer, parameter

_STANDARD_NORMAL = initializers.normal()


class Linear(Layer):
    """Weighted sums of the input features.

    .. math:: y = x W + b

    Parameters
    ----------
    in_features, out_features
        Lengths of the last axis of the input and of the output, at least 1.
    bias
        Whether to add a bias, which starts at zero.
    weight_init
        Function of shape and rng that returns the first weights; by default
        `initializers.lecun_uniform`: uniform in ±sqrt(3 / in_features).
    rng
        ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state, which
        ``numpy.random.seed`` sets.
    dtype
        Float dtype of the parameters, by default float64.

    Attributes
    ----------
    weight : Tensor
        W, of shape (in_features, out_features).
    bias : Tensor or None
        b, of shape (out_features,).

    Notes
    -----
    Input of shape (..., in_features) gives output of shape (..., out_features).

    Raises
    ------
    ValueError
        If the number of features is below 1, or the input's last axis is not in_features long.
    TypeError
        If an argument is of the wrong kind.

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), for the initial weights.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = False,
        *,
        weight_init: initializers.Initializer = initializers.lecun_uniform,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        at_least_one(in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        shape = (in_features, out_features)
        self.weight = parameter(initializers.draw(weight_init, shape, rng), dtype)
        self.bias = parameter(np.zeros(out_features), dtype) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        try:
            if self.bias is None:
                return x @ self.weight
            return apply(ops.linear, x, self.weight, self.bias)
        except ValueError as error:
            raise self._fitting(error, np.shape(x)) from error

    def _fitting(self, error: ValueError, shape: tuple[int, ...]) -> ValueError:
        """Say of an input that does not fit what would, before the product says it."""
        if shape and shape[-1] == self.in_features:
            return error
        remedy = "; put Flatten() before it" * (math.prod(shape[1:]) == self.in_features)
        return ValueError(
            f"takes inputs whose last axis has length {self.in_features}; received shape {shape}"
            f"{remedy}"
        )


class Embedding(Layer):
    """A table with a row of weights for each index, such as a vector for each word.

    .. math:: y_i = W_{x_i}

    Parameters
    ----------
    num_embeddings, embedding_dim
        Number of rows and length of each, at least 1.
    padding_idx
        Row that starts as zeros and gets no gradient, for what only fills up a batch.
    weight_init
        Function of shape and rng; by default the standard normal distribution.
    rng, dtype
        As for `Linear`.

    Attributes
    ----------
    weight : Tensor
        W, of shape (num_embeddings, embedding_dim).

    Notes
    -----
    Integers of shape (...) give output of shape (..., embedding_dim). The gradients of a row that
    is taken several times are summed.

    Raises
    ------
    IndexError
        If an index is negative or not below num_embeddings.
    TypeError
        If the input is not made of integers.
    ValueError
        If a size is below 1, or padding_idx is no row.

    References
    ----------
    Bengio, Ducharme, Vincent and Jauvin, "A Neural Probabilistic Language Model" (2003).
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        weight_init: initializers.Initializer = _STANDARD_NORMAL,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        at_least_one(num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"padding_idx must be a row of the {num_embeddings}; received {padding_idx}"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        weight = initializers.draw(weight_init, (num_embeddings, embedding_dim), rng)
        self.weight = parameter(weight, dtype)
        if padding_idx is not None:
            self.weight.data[padding_idx] = 0

    def forward(self, x: Tensor) -> Tensor:
        return apply(ops.embedding, self.weight, indices=x.data, padding_idx=self.padding_idx)
