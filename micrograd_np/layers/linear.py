"""Linear: the product with a matrix of weights."""

from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import initializers
from ..tensor import Tensor
from .layer import Layer


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
        weight_init: initializers.Initializer | None = None,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if index(value) < 1:
                raise ValueError(f"{name} must be at least 1; received {value}")
        self.in_features = in_features
        self.out_features = out_features
        shape = (in_features, out_features)
        weight = initializers.draw(weight_init or initializers.lecun_uniform, shape, rng)
        self.weight = Tensor(weight, requires_grad=True, dtype=dtype or np.float64)
        self.bias = None
        if bias:
            self.bias = Tensor(np.zeros(out_features), requires_grad=True, dtype=self.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        try:
            y = x @ self.weight
        except ValueError as error:
            raise ValueError(
                f"Linear({self.in_features}, {self.out_features}) takes inputs whose last axis is "
                f"{self.in_features} long; received shape {x.shape}"
            ) from error
        return y if self.bias is None else y + self.bias
