"""Activations: elementwise functions as layers, without parameters."""

from ..tensor import Tensor
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
