"""Traced arrays: ordinary arrays that tell a recorder what is called on them.

NumPy's protocols (`__array_ufunc__`, `__array_function__`) tell of functions, the methods here of
methods. Without a recorder they are arrays as any other.
"""

from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..ops.common import Array
from .nesting import mapped

current: ContextVar[Any] = ContextVar("recorder", default=None)


class Traced(np.ndarray):
    """An array whose use is noted while there is a recorder."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(hasattr(x, "__array_ufunc__") and not _is_numpys(x) for x in inputs):
            return NotImplemented
        if recorder := current.get():
            return recorder.ufunc(ufunc, method, inputs, options)
        return function_of(ufunc, method)(*stripped(inputs), **stripped(options))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if not all(issubclass(kind, np.ndarray) for kind in types):
            return NotImplemented
        if recorder := current.get():
            return recorder.function(function, args, options)
        return function(*stripped(args), **stripped(options))

    def __bool__(self) -> bool:
        value = bool(plain(self))
        if recorder := current.get():
            recorder.guard(plain(self), value)
        return value

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Any:
        if recorder := current.get():
            return recorder.item(plain(self), stripped(index))
        return plain(self)[stripped(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        recorder, place = current.get(), stripped(index)
        if recorder:
            place = recorder.index(place)
        plain(self)[place] = stripped(value)
        if recorder:
            recorder.set_item(plain(self), place, stripped(value))

    def __reduce__(self) -> Any:
        return plain(self).__reduce__()

    def view(self, *args: Any, **options: Any) -> Any:
        made = np.ndarray.view(self, *args, **options)
        if not isinstance(made, Traced) and (recorder := current.get()):
            recorder.cannot("it makes an array of another class")
        return made


class TracedScalar(Traced):
    """What would be one of NumPy's scalars, which nothing changes in place."""


class TracedNumber(TracedScalar):
    """What would be one of Python's: it may be returned, but not be computed with."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if recorder := current.get():
            recorder.cannot("it computes with a number of Python's")
        numbers = [float(plain(x)) if isinstance(x, TracedNumber) else x for x in inputs]
        return function_of(ufunc, method)(*numbers, **options)


def _handing_over(name: str) -> Callable[..., Any]:
    """Make a method that gives a value to Python, where no recorder sees what becomes of it."""

    def method(self: Traced, *args: Any, **options: Any) -> Any:
        if recorder := current.get():
            recorder.cannot(f"{name.strip('_')} takes a value out of an array")
        value: Any = plain(self)
        return getattr(value[()] if isinstance(self, TracedScalar) else value, name)(
            *args, **options
        )

    return method


def _noted(name: str) -> Callable[..., Any]:
    """Make a method that is noted."""

    def method(self: Traced, *args: Any, **options: Any) -> Any:
        recorder = current.get()
        if recorder is None:
            return getattr(plain(self), name)(*stripped(args), **stripped(options))
        if not isinstance(self, TracedScalar):
            return recorder.method(plain(self), name, stripped(args), options)
        copy = recorder.make(np.array, (self,), {})  # of which nothing can be a view
        result = recorder.method(plain(copy), name, stripped(args), options)
        is_scalar = isinstance(result, Traced) and not result.ndim
        return traced(result, TracedScalar) if is_scalar else result

    return method


for _name in (
    "__complex__", "__contains__", "__float__", "__format__", "__index__", "__int__", "__repr__",
    "__str__", "dump", "dumps", "item", "tobytes", "tofile", "tolist",
):  # fmt: skip
    setattr(Traced, _name, _handing_over(_name))
for _name in (
    "all", "any", "argmax", "argmin", "argpartition", "argsort", "astype", "byteswap", "choose",
    "clip", "compress", "copy", "cumprod", "cumsum", "diagonal", "dot", "fill", "flatten", "max",
    "mean", "min", "nonzero", "partition", "prod", "put", "ravel", "repeat", "reshape", "round",
    "searchsorted", "sort", "std", "sum", "swapaxes", "take", "trace", "transpose", "var",
):  # fmt: skip
    setattr(Traced, _name, _noted(_name))


def _copied(self: Traced, memo: Any = None) -> Any:
    return self if isinstance(self, TracedScalar) else self.copy("K")


for _name in ("__copy__", "__deepcopy__"):
    setattr(Traced, _name, _copied)


def _flat(self: Traced) -> Any:
    if recorder := current.get():
        recorder.cannot("flat takes values out of an array")
    return plain(self).flat


def _set_flat(self: Traced, values: Any) -> None:
    plain(self)[...] = np.reshape(values, self.shape)  # which is noticed when it is read


for _name, _property in {"flat": property(_flat, _set_flat)}.items():
    setattr(Traced, _name, _property)
for _name in ("__hash__", "__round__", "as_integer_ratio", "is_integer"):
    setattr(TracedScalar, _name, _handing_over(_name))
for _name in (
    "add", "and", "floordiv", "lshift", "matmul", "mod", "mul", "or", "pow", "rshift", "sub",
    "truediv", "xor",
):  # fmt: skip
    setattr(TracedScalar, f"__i{_name}__", getattr(np.ndarray, f"__{_name}__"))


def plain(array: Any) -> Array:
    """Return an array as NumPy's own kind, of the same memory."""
    return np.ndarray.view(array, np.ndarray)


def traced(array: Array, kind: type[Traced] = Traced) -> Any:
    """Return an array whose use is noted, of the same memory."""
    return np.ndarray.view(array, kind)


def stripped(value: Any) -> Any:
    """Return nested arguments with plain arrays in place of traced ones."""
    return mapped(value, lambda array: plain(array) if isinstance(array, Traced) else array)


def _is_numpys(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic)


def function_of(ufunc: Any, method: str) -> Callable[..., Any]:
    """Return a ufunc or its method of a name."""
    found: Callable[..., Any] = ufunc if method == "__call__" else getattr(ufunc, method)
    return found
