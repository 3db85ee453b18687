"""micrograd_np: a neural-network framework on NumPy alone."""

from .gradcheck import gradcheck
from .initializers import lecun_uniform
from .layers import Layer, Linear, ReLU, Sequential, Sigmoid, Tanh
from .losses import mean_squared_error, sum_of_squares
from .optimizers import SGD, Optimizer
from .tape import no_grad
from .tensor import Tensor, apply

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Layer",
    "Linear",
    "Optimizer",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "Tensor",
    "__version__",
    "apply",
    "gradcheck",
    "lecun_uniform",
    "mean_squared_error",
    "no_grad",
    "sum_of_squares",
]
