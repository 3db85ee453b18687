"""NumPy's protocols: NumPy functions on tensors give tensors, or a TypeError that names them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import operations, ops
from .operations import Operations, constant, plain
from .ops.common import Array


class NumPyProtocol(Operations):
    """What NumPy asks of a tensor that stands among the arguments of one of its functions."""

    __slots__ = ()

    requires_grad: bool

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.requires_grad:
            raise TypeError(
                "a tensor that requires a gradient does not turn into an array by itself, because "
                "the gradient would be lost; use .detach() or .data"
            )
        array = np.asarray(self._data, dtype)
        if copy is False and array is not self._data:
            raise ValueError(f"dtype {self._data.dtype} cannot become {dtype} without a copy")
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method == "__call__" and not options:
            if ufunc in _UFUNCS:
                return self._apply(_UFUNCS[ufunc], *inputs)
            if ufunc in _COMPARISONS:
                return ufunc(*map(plain, inputs))
        call = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        raise _no_rule(call + "".join(f" with {option}=" for option in options))

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, options: Any
    ) -> Any:
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](self._apply, *args, **options)
        if function not in _METHODS:
            raise _no_rule(f"{function.__module__}.{function.__name__}".removeprefix("numpy."))
        if not args:
            raise TypeError(f"numpy.{function.__name__} takes the tensor as its first argument")
        return getattr(self._as_tensor(args[0]), _METHODS[function])(*args[1:], **options)


def _no_rule(call: str) -> TypeError:
    return TypeError(
        f"numpy.{call} has no rule for tensors; write it with the ops there are, give it rules "
        "with apply, or use .data where no gradient is needed"
    )


def _several(op: Callable[..., Any]) -> Callable[..., Any]:
    """Call an op of several arrays as NumPy calls its function: with a sequence of them."""
    return lambda apply, arrays, axis=0: apply(op, *arrays, axis=axis)


def _where(apply: Callable[..., Any], condition: Any, x: Any, y: Any) -> Any:
    return apply(ops.where, x, y, condition=operations.mask(condition))


def _clip(
    apply: Callable[..., Any],
    x: Any,
    a_min: Any = None,
    a_max: Any = None,
    *,
    min: Any = None,
    max: Any = None,
) -> Any:
    low, high = min if a_min is None else a_min, max if a_max is None else a_max
    return apply(ops.clip, x, minimum=constant(low), maximum=constant(high))


def _einsum(apply: Callable[..., Any], subscripts: Any, *arrays: Any, optimize: Any = True) -> Any:
    """Call einsum; in which order to multiply is its own choice."""
    if not isinstance(subscripts, str):
        raise TypeError('numpy.einsum takes subscripts such as "ij,jk->ik" before tensors')
    return apply(ops.einsum, *arrays, subscripts=subscripts)


def _norm(
    apply: Callable[..., Any], x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False
) -> Any:
    is_of_vectors = isinstance(axis, (int, np.integer)) or x.ndim == 1
    if ord is not None and not (ord == 2 and is_of_vectors):
        raise _no_rule(f"linalg.norm with ord={ord!r}")
    return apply(ops.norm, x, axis=axis, keepdims=keepdims)


_COMPARISONS = {
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal
}  # fmt: skip
_UFUNCS = {
    ufunc: op
    for name, op in ops.ALL.items()
    if isinstance(ufunc := getattr(np, name, None), np.ufunc)
}
# NumPy's functions call the methods of the same names, whose arguments have NumPy's order ...
_METHODS = {
    getattr(np, name): name
    for name in vars(Operations)
    if not name.startswith("_") and hasattr(np, name)
} | {np.amax: "max", np.amin: "min", np.around: "round"}
# ... but for these.
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.clip: _clip,
    np.concatenate: _several(ops.concatenate),
    np.einsum: _einsum,
    np.linalg.norm: _norm,
    np.ndim: lambda apply, x: x.ndim,
    np.reshape: lambda apply, x, shape: apply(ops.reshape, x, shape=shape),
    np.shape: lambda apply, x: x.shape,
    np.size: lambda apply, x: x.size,
    np.stack: _several(ops.stack),
    np.transpose: lambda apply, x, axes=None: apply(ops.transpose, x, axes=axes),
    np.where: _where,
}
