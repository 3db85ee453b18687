"""The operators and methods of tensors: each runs one op."""

from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from . import ops
from .ops.common import Array, Axis, Result

T = TypeVar("T", bound="Operations")
_NO_CONSTANTS: dict[str, Any] = {}


def _unary(op: Callable[[Array], Result]) -> Callable[[T], T]:
    """Make a method of an op of one array."""

    def method(self: T) -> T:
        return self._apply_to_one(op, self, _NO_CONSTANTS)

    method.__name__, method.__doc__ = op.__name__, op.__doc__
    return method


def _binary(op: Callable[[Array, Array], Result]) -> Callable[[T, Any], T]:
    """Make a method or an operator of an op of two arrays."""

    def method(self: T, other: Any) -> T:
        return self._apply_to_two(op, self, other)

    method.__name__, method.__doc__ = op.__name__, op.__doc__
    return method


def _reflected(op: Callable[[Array, Array], Result]) -> Callable[[T, Any], T]:
    """Make an operator of an op of two arrays whose first is the other operand."""

    def method(self: T, other: Any) -> T:
        return self._apply_to_two(op, other, self)

    return method


def _comparison(ufunc: np.ufunc) -> Callable[["Operations", Any], Any]:
    """Make an operator that compares values and returns an array of booleans."""

    def method(self: "Operations", other: Any) -> Any:
        try:
            return ufunc(self._data, plain(other))
        except TypeError:
            return NotImplemented

    return method


def plain(x: Any) -> Any:
    """Return a tensor's array, and anything else as it is."""
    return x._data if isinstance(x, Operations) else x


def constant(x: Any) -> Any:
    """Return a tensor's array, refusing one that needs a gradient, and anything else as it is."""
    return np.asarray(x) if isinstance(x, Operations) else x


def _unpacked(lengths: tuple[Any, ...]) -> Any:
    """Let reshape(2, 3) and reshape((2, 3)) mean the same."""
    return lengths[0] if len(lengths) == 1 else lengths


class Operations:
    """Operators and methods; `Tensor` inherits them and says how an op is run."""

    __slots__ = ()

    _data: Array
    _apply: Callable[..., Self]
    _apply_to_one: Callable[..., Self]
    _apply_to_two: Callable[..., Self]
    _as_tensor: Callable[[Any], Self]

    # Operators

    __add__ = _binary(ops.add)
    __radd__ = _reflected(ops.add)
    __sub__ = _binary(ops.subtract)
    __rsub__ = _reflected(ops.subtract)
    __mul__ = _binary(ops.multiply)
    __rmul__ = _reflected(ops.multiply)
    __truediv__ = _binary(ops.divide)
    __rtruediv__ = _reflected(ops.divide)
    __pow__ = _binary(ops.power)
    __rpow__ = _reflected(ops.power)
    __matmul__ = _binary(ops.matmul)
    __rmatmul__ = _reflected(ops.matmul)
    __neg__ = _unary(ops.negative)
    __abs__ = _unary(ops.absolute)

    def __pos__(self) -> Self:
        return self

    __eq__ = _comparison(np.equal)
    __ne__ = _comparison(np.not_equal)
    __lt__ = _comparison(np.less)
    __le__ = _comparison(np.less_equal)
    __gt__ = _comparison(np.greater)
    __ge__ = _comparison(np.greater_equal)
    __hash__ = object.__hash__  # by identity, so that tensors can be keys

    # Elementwise

    absolute = _unary(ops.absolute)
    exp = _unary(ops.exp)
    log = _unary(ops.log)
    sqrt = _unary(ops.sqrt)
    square = _unary(ops.square)
    sin = _unary(ops.sin)
    cos = _unary(ops.cos)
    tanh = _unary(ops.tanh)
    sigmoid = _unary(ops.sigmoid)
    relu = _unary(ops.relu)
    maximum = _binary(ops.maximum)
    minimum = _binary(ops.minimum)

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Limit the entries to the range from `min` to `max`, numbers or arrays (constants)."""
        return self._apply(ops.clip, self, minimum=constant(min), maximum=constant(max))

    def where(self, condition: Any, other: Any) -> Self:
        """Return this tensor's entries where `condition` holds, else those of `other`."""
        return self._apply(ops.where, self, other, condition=np.array(condition, bool))

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Return the tensor converted to `dtype`; its gradient comes back in the old one."""
        return self._apply(ops.astype, self, dtype=dtype)

    # Reductions

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Sum over one axis, several (a tuple) or all (None)."""
        return self._apply(ops.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Average over one axis, several (a tuple) or all (None)."""
        return self._apply(ops.mean, self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, *, ddof: int = 0, keepdims: bool = False) -> Self:
        """Variance over one axis, several (a tuple) or all (None), with divisor n - ddof."""
        return self._apply(ops.var, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def max(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Largest entry over one axis, several (a tuple) or all (None)."""
        return self._apply(ops.max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Smallest entry over one axis, several (a tuple) or all (None)."""
        return self._apply(ops.min, self, axis=axis, keepdims=keepdims)

    # Shapes

    def reshape(self, *shape: Any) -> Self:
        """Return the same entries in another shape; one axis may be -1."""
        return self._apply(ops.reshape, self, shape=_unpacked(shape))

    def transpose(self, *axes: Any) -> Self:
        """Permute the axes, as in NumPy; without arguments, reverse them."""
        return self._apply(ops.transpose, self, axes=_unpacked(axes) if axes else None)

    def swapaxes(self, axis1: int, axis2: int) -> Self:
        """Exchange two axes."""
        return self._apply(ops.swapaxes, self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: Axis = None) -> Self:
        """Drop all axes of length one, or those named."""
        return self._apply(ops.squeeze, self, axis=axis)

    def expand_dims(self, axis: int | Sequence[int]) -> Self:
        """Insert axes of length one."""
        return self._apply(ops.expand_dims, self, axis=axis)

    def broadcast_to(self, shape: int | Sequence[int]) -> Self:
        """Repeat along new axes and axes of length one up to `shape`."""
        return self._apply(ops.broadcast_to, self, shape=shape)

    def concatenate(self, *others: Any, axis: int | None = 0) -> Self:
        """Join others behind this tensor along an axis; with axis None, flattened."""
        return self._apply(ops.concatenate, self, *others, axis=axis)

    def stack(self, *others: Any, axis: int = 0) -> Self:
        """Join others of the same shape behind this tensor along a new axis."""
        return self._apply(ops.stack, self, *others, axis=axis)

    def __getitem__(self, index: Any) -> Self:
        """Take entries by NumPy's rules: slices, integers, booleans, arrays of them."""
        return self._apply(ops.getitem, self, index=index)
