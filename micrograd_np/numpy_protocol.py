"""NumPy's protocols: NumPy functions on tensors give tensors, or a TypeError that names them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import ops
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
        if function not in _FUNCTIONS:
            raise _no_rule(f"{function.__module__}.{function.__name__}".removeprefix("numpy."))
        return _FUNCTIONS[function](self._apply, *args, **options)


def _no_rule(call: str) -> TypeError:
    return TypeError(
        f"numpy.{call} has no rule for tensors; write it with the ops there are, give it rules "
        "with apply, or use .data where no gradient is needed"
    )


def _op(op: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """Call an op of one array as NumPy calls its function: some constants also by position."""

    def call(apply: Callable[..., Any], x: Any, *constants: Any, **options: Any) -> Any:
        if len(constants) > len(names):
            raise TypeError(
                f"numpy.{op.__name__} of a tensor takes {list(names)} by position; received "
                f"{len(constants)} arguments more than the tensor"
            )
        return apply(op, x, **dict(zip(names, constants)), **options)

    return call


def _several(op: Callable[..., Any]) -> Callable[..., Any]:
    """Call an op of several arrays as NumPy calls its function: with a sequence of them."""
    return lambda apply, arrays, axis=0: apply(op, *arrays, axis=axis)


def _where(apply: Callable[..., Any], condition: Any, x: Any, y: Any) -> Any:
    return apply(ops.where, x, y, condition=np.array(condition, bool))


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


_COMPARISONS = {
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal
}  # fmt: skip
_UFUNCS = {
    ufunc: getattr(ops, name)
    for name in ops.__all__
    if isinstance(ufunc := getattr(np, name, None), np.ufunc)
}
_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.amax: _op(ops.max, "axis"),
    np.amin: _op(ops.min, "axis"),
    np.broadcast_to: _op(ops.broadcast_to, "shape"),
    np.clip: _clip,
    np.concatenate: _several(ops.concatenate),
    np.expand_dims: _op(ops.expand_dims, "axis"),
    np.max: _op(ops.max, "axis"),
    np.mean: _op(ops.mean, "axis"),
    np.min: _op(ops.min, "axis"),
    np.ndim: lambda apply, x: x.ndim,
    np.reshape: _op(ops.reshape, "shape"),
    np.shape: lambda apply, x: x.shape,
    np.size: lambda apply, x: x.size,
    np.squeeze: _op(ops.squeeze, "axis"),
    np.stack: _several(ops.stack),
    np.sum: _op(ops.sum, "axis"),
    np.swapaxes: _op(ops.swapaxes, "axis1", "axis2"),
    np.transpose: _op(ops.transpose, "axes"),
    np.var: _op(ops.var, "axis"),
    np.where: _where,
}
if hasattr(np, "astype"):  # since NumPy 2.1
    _FUNCTIONS[np.astype] = _op(ops.astype, "dtype")
