"""Reach: what a function reads of Python's objects, and whether all of it is as it was.

A program stands for a function only as long as the numbers, layers, tensors and arrays that it
reads are those of the recorded run. They are found in its closure, its globals and its arguments,
and in what these hold.
"""

import dis
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..layers.layer import Layer
from ..optimizers import Optimizer
from ..tensor import Tensor

_LIBRARIES = {*sys.stdlib_module_names, "numpy", __name__.split(".")[0]} - {"__main__"}
VALUES = (bool, int, float, complex, str, bytes, type(None))
_WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "cell": lambda place, key: place.cell_contents,
    "data": lambda place, key: place._data,
    "node": lambda place, key: place._node,
    "len": lambda place, key: len(place),
    "item": lambda place, key: place[key],
}
MOST = 20_000  # checks


class Check(NamedTuple):
    """What was found at a place: in a cell, a tensor, a dict or list; or how long that is."""

    way: str
    place: Any
    key: Any
    value: Any

    def holds(self) -> bool:
        """Whether the same, or an equal number, is there still."""
        try:
            now = _WAYS[self.way](self.place, self.key)
        except (KeyError, IndexError, ValueError):
            return False
        return now is self.value or (
            isinstance(self.value, VALUES) and type(now) is type(self.value) and now == self.value
        )


class Reach:
    """What a function and its arguments lead to: checks, and the kinds of things found."""

    def __init__(self, function: Callable[..., Any], arguments: Iterable[Any]) -> None:
        self.checks: list[Check] = []
        self.tensors: list[Tensor] = []
        self.layers: list[Layer] = []
        self.arrays: list[Any] = []
        self.optimizers: list[Optimizer] = []
        self.hints: dict[int, str] = {}  # names of tensors and arrays, by identity
        self._seen: dict[int, Any] = {}
        waiting = [("", function), *(("", argument) for argument in arguments)]
        while waiting and len(self.checks) <= MOST:
            hint, value = waiting.pop()
            if isinstance(value, VALUES):
                continue
            if not self.hints.get(id(value)):
                self.hints[id(value)] = hint if hint.isidentifier() else ""
            if id(value) in self._seen:
                continue
            self._seen[id(value)] = value
            waiting += reversed(list(self._inside(value)))

    def changed(self) -> str:
        """Name the first thing that is not as it was; nothing if all is."""
        if len(self.checks) > MOST:
            return "more objects than can be checked"
        for check in self.checks:
            if not check.holds():
                return f"{check.key or type(check.place).__name__}"
        return ""

    def _inside(self, value: Any) -> Iterable[tuple[str, Any]]:
        """Take note of a thing, and return what it holds, by name."""
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, types.MethodType):
            return [("self", value.__self__), ("", value.__func__)]
        if isinstance(value, Tensor):
            self.tensors.append(value)
            self.checks.append(Check("data", value, "data", value._data))
            self.checks.append(Check("node", value, "requires_grad", value._node))
        elif isinstance(value, np.ndarray):
            self.arrays.append(value)
        elif isinstance(value, Optimizer):
            self.optimizers.append(value)
            return [("", value.parameters)]
        elif isinstance(value, (list, dict)):
            return self._items(value)
        elif isinstance(value, (tuple, set, frozenset)):
            return [("", item) for item in value]
        elif not _is_foreign(type(value)) or isinstance(value, Layer):
            return self._of_instance(value)
        return []

    def _of_instance(self, value: Any) -> Iterable[tuple[str, Any]]:
        if isinstance(value, Layer):
            self.layers.append(value)
        methods = [
            ("", method)
            for kind in type(value).__mro__
            if not _is_foreign(kind)
            for method in vars(kind).values()
            if isinstance(method, types.FunctionType)
        ]
        return [*self._items(getattr(value, "__dict__", {})), *methods]

    def _of_function(self, function: Any) -> Iterable[tuple[str, Any]]:
        found = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        named = [("", value) for value in found]
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            if cell != types.CellType():  # an empty one
                self.checks.append(Check("cell", cell, name, cell.cell_contents))
                named.append((name, cell.cell_contents))
        space = function.__globals__
        for name in () if _is_foreign(function) else _globals_of(function.__code__):
            if name not in space:
                continue
            value = space[name]
            self.checks.append(Check("item", space, name, value))
            named.append((name, value))
            if isinstance(value, types.ModuleType) and not _is_foreign(value):
                used = [n for n in function.__code__.co_names if n in vars(value)]
                self.checks += [Check("item", vars(value), n, vars(value)[n]) for n in used]
                named += [(n, vars(value)[n]) for n in used]
        return named

    def _items(self, held: Any) -> Iterable[tuple[str, Any]]:
        self.checks.append(Check("len", held, "", len(held)))
        items = list(held.items() if isinstance(held, dict) else enumerate(held))
        self.checks += [
            Check("item", held, key, value) for key, value in items if isinstance(key, (str, int))
        ]
        return [(str(key), value) for key, value in items]


def _is_foreign(thing: Any) -> bool:
    """Whether a function, class or module is part of a library, whose globals do not change."""
    name = thing.__name__ if isinstance(thing, types.ModuleType) else thing.__module__
    return (name or "").split(".")[0] in _LIBRARIES


def _globals_of(code: types.CodeType) -> list[str]:
    """Return the names of a module that a function reads, also in functions inside."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += _globals_of(constant)
    return list(dict.fromkeys(names))
