"""Ops: NumPy functions that also say how to go back.

An op takes arrays (positional) and constants (keyword-only) and returns ``(value, rules)``.
``rules`` holds one function per array: it takes ``g``, the gradient of the final scalar with
respect to the value, and returns the gradient with respect to that array. Rules never write into
``g``, the arrays or the value. What they return is ``g`` itself, a view, or an array of their own
making that they hand over; it may still have the broadcast shape, which the tape sums away.

Every public function of the modules here that returns a `Result` is an op.
"""

from .attention import *
from .common import Result
from .convolutions import *
from .elementwise import *
from .embedding import *
from .losses import *
from .normalizations import *
from .products import *
from .recurrent import *
from .reductions import *
from .shapes import *

ALL = {
    name: op
    for name, op in globals().items()
    if getattr(op, "__annotations__", {}).get("return") == Result
}
