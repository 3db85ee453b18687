"""Ops: NumPy functions that also say how to go back.

An op takes arrays (positional) and constants (keyword-only) and returns ``(value, rules)``.
``rules`` holds one function per array: it takes ``g``, the gradient of the final scalar with
respect to the value, and returns the gradient with respect to that array. Rules never write into
``g``, the arrays or the value. What they return is ``g`` itself, a view, or an array of their own
making that they hand over; it may still have the broadcast shape, which the tape sums away.
"""

from .elementwise import (
    absolute,
    add,
    astype,
    clip,
    cos,
    divide,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    relu,
    sigmoid,
    sin,
    sqrt,
    square,
    subtract,
    tanh,
    where,
)
from .losses import mean_squared_error, sum_of_squares
from .products import matmul
from .reductions import max, mean, min, sum, var
from .shapes import (
    broadcast_to,
    concatenate,
    expand_dims,
    getitem,
    reshape,
    squeeze,
    stack,
    swapaxes,
    transpose,
)

__all__ = [
    "absolute",
    "add",
    "astype",
    "broadcast_to",
    "clip",
    "concatenate",
    "cos",
    "divide",
    "exp",
    "expand_dims",
    "getitem",
    "log",
    "matmul",
    "max",
    "maximum",
    "mean",
    "mean_squared_error",
    "min",
    "minimum",
    "multiply",
    "negative",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "sin",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "subtract",
    "sum",
    "sum_of_squares",
    "swapaxes",
    "tanh",
    "transpose",
    "var",
    "where",
]
