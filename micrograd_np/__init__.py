"""micrograd_np: a neural-network framework on NumPy alone."""

from . import initializers
from .gradcheck import gradcheck
from .layers import *
from .layers import __all__ as _layers
from .losses import mean_squared_error, sum_of_squares
from .optimizers import SGD, Optimizer
from .tape import no_grad
from .tensor import Tensor, apply

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Optimizer",
    "Tensor",
    "__version__",
    "apply",
    "gradcheck",
    "initializers",
    "mean_squared_error",
    "no_grad",
    "sum_of_squares",
]
__all__ += _layers
