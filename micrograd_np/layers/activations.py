"""Activations: functions without parameters as layers; input and output have the same shape."""

from .. import ops
from ..tensor import Tensor, apply
from .layer import Layer


class Sigmoid(Layer):
    """Logistic function, from (-inf, inf) to (0, 1).

    .. math:: y = 1 / (1 + e^{-x})

    Input and output have the same shape, which may be any.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid()


class Tanh(Layer):
    """Hyperbolic tangent, from (-inf, inf) to (-1, 1).

    .. math:: y = (e^x - e^{-x}) / (e^x + e^{-x})

    Input and output have the same shape, which may be any.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh()


class ReLU(Layer):
    """Rectified linear unit: the positive part.

    .. math:: y = max(x, 0)

    Input and output have the same shape, which may be any. The derivative at 0 is 0.

    References
    ----------
    Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines" (2010).
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.relu()


class LeakyReLU(Layer):
    r"""Rectified linear unit that lets a share of the negative part through.

    .. math:: y = max(x, 0) + negative\_slope \cdot min(x, 0)

    Input and output have the same shape, which may be any. At 0 the
    derivative is `negative_slope`.

    Parameters
    ----------
    negative_slope
        The share.

    References
    ----------
    Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models" (2013).
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return apply(ops.leaky_relu, x, negative_slope=self.negative_slope)


class ELU(Layer):
    """Exponential linear unit, from (-inf, inf) to (-alpha, inf).

    .. math:: y = max(x, 0) + alpha (e^{min(x, 0)} - 1)

    Input and output have the same shape, which may be any.

    Parameters
    ----------
    alpha
        How far below 0 the values go.

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Fast and Accurate Deep Network Learning by Exponential
    Linear Units (ELUs)" (2016).
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return apply(ops.elu, x, alpha=self.alpha)


class GELU(Layer):
    r"""Gaussian error linear unit: x times the probability that a normal number is below x.

    .. math:: y = x \Phi(x) = x (1 + erf(x / \sqrt{2})) / 2

    or, with ``approximate="tanh"``, :math:`x (1 + tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))) / 2`,
    which is faster in float64. Input and output have the same shape, which may be any.

    Parameters
    ----------
    approximate
        "none" or "tanh".

    Raises
    ------
    ValueError
        If `approximate` is neither "none" nor "tanh".

    References
    ----------
    Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)" (2016).
    """

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f'approximate must be "none" or "tanh"; received {approximate!r}')
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return apply(ops.gelu, x, approximate=self.approximate)


class SiLU(Layer):
    """Sigmoid linear unit, also called swish.

    .. math:: y = x / (1 + e^{-x})

    Input and output have the same shape, which may be any.

    References
    ----------
    Elfwing, Uchibe and Doya, "Sigmoid-Weighted Linear Units for Neural Network Function
    Approximation in Reinforcement Learning" (2018).
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.silu()


class Softplus(Layer):
    """A smooth ReLU, from (-inf, inf) to (0, inf).

    .. math:: y = log(1 + e^{beta x}) / beta

    Input and output have the same shape, which may be any.

    Parameters
    ----------
    beta
        How sharp the bend is, above 0.

    Raises
    ------
    ValueError
        If `beta` is not above 0.

    References
    ----------
    Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating Second-Order Functional Knowledge for
    Better Option Pricing" (2001).
    """

    def __init__(self, beta: float = 1.0) -> None:
        if not beta > 0:
            raise ValueError(f"beta must be above 0; received {beta}")
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return x.softplus() if self.beta == 1 else (x * self.beta).softplus() / self.beta


class Softmax(Layer):
    r"""Exponentials that sum to 1 along an axis: probabilities.

    .. math:: y_i = e^{x_i} / \sum_j e^{x_j}

    Input and output have the same shape. Where all entries are -inf the result is NaN. As a last
    layer leave it out: `cross_entropy` takes logits.

    Parameters
    ----------
    dim
        The axis, by default the last.

    References
    ----------
    Bridle, "Probabilistic Interpretation of Feedforward Classification Network Outputs" (1990).
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.softmax(axis=self.dim)


class LogSoftmax(Layer):
    r"""Logarithm of `Softmax`, exact where that would be rounded to 0.

    .. math:: y_i = x_i - log \sum_j e^{x_j}

    Input and output have the same shape.

    Parameters
    ----------
    dim
        The axis, by default the last.
    """

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.log_softmax(axis=self.dim)
