"""micrograd_np: a neural-network framework on NumPy alone."""

from . import compiling, initializers, layers, looking, saving, schedules, training
from .clipping import clip_grad_norm, clip_grad_value
from .compiling import *
from .gradcheck import gradcheck
from .layers import *
from .looking import *
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge,
    huber,
    kl_divergence,
    mean_absolute_error,
    mean_squared_error,
    negative_log_likelihood,
    sum_of_squares,
)
from .optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .saving import *
from .tape import no_grad
from .tensor import Tensor, apply
from .training import *

__version__ = "0.1.0"

__all__ = [
    "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "Tensor", "__version__", "apply",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "clip_grad_norm",
    "clip_grad_value", "cross_entropy", "gradcheck", "hinge", "huber", "initializers",
    "kl_divergence", "mean_absolute_error", "mean_squared_error", "negative_log_likelihood",
    "no_grad", "schedules", "sum_of_squares",
]  # fmt: skip
for _part in (layers, training, saving, looking, compiling):
    __all__ += _part.__all__
