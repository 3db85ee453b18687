"""Reach: what a function reads of Python's objects, and whether all of it is as it was.

A program stands for a function only as long as the numbers, layers, tensors and arrays that it
reads are those of the recorded run. They are found in its closure, its globals and its arguments,
and in what these hold. A thing of a kind that is not known here cannot be checked, and is refused.
"""

import argparse
import dis
import enum
import functools
import os
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..layers.layer import Layer
from ..optimizers import Optimizer
from ..tensor import Tensor
from .memories import mark_of

_LIBRARIES = {*sys.stdlib_module_names, "numpy", __name__.split(".")[0]} - {"__main__"}
VALUES = (bool, int, float, complex, str, bytes, type(None), np.generic)
_FIXED = (
    types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.EllipsisType,
    types.NotImplementedType, types.GenericAlias, types.UnionType, enum.Enum, np.dtype, np.ufunc,
    range, slice, re.Pattern, os.PathLike,
)  # fmt: skip
_KEYS = (str, int, float, tuple, type(None), enum.Enum)
_WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "cell": lambda place, key: place.cell_contents,
    "data": lambda place, key: place._data,
    "node": lambda place, key: place._node,
    "attribute": getattr,
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

    def now(self) -> Any:
        """Return what is there now; the class itself stands for nothing."""
        try:
            return _WAYS[self.way](self.place, self.key)
        except (KeyError, IndexError, ValueError, AttributeError):
            return Check

    def holds(self) -> bool:
        """Whether the same, or an equal number, is there still."""
        now = self.now()
        return now is self.value or (
            isinstance(self.value, VALUES)
            and type(now) is type(self.value)
            and repr(now) == repr(self.value)
        )

    def put(self, value: Any) -> None:
        """Put something else there."""
        if self.way == "cell":
            self.place.cell_contents = value
        elif self.way == "attribute":
            setattr(self.place, self.key, value)
        else:
            self.place[self.key] = value


class Reach:
    """What a function and its arguments lead to: checks, and the kinds of things found."""

    def __init__(self, function: Callable[..., Any], arguments: Iterable[Any]) -> None:
        self.checks: list[Check] = []
        self.tensors: list[Tensor] = []
        self.layers: list[Layer] = []
        self.arrays: list[Any] = []
        self.optimizers: list[Optimizer] = []
        self.streams: list[Any] = []
        self.hints: dict[int, str] = {}  # names of tensors and arrays, by identity
        self.refused = ""  # why what is read cannot be checked
        self._names: set[str] = set()  # of attributes that functions read
        self._seen: dict[int, Any] = {}
        self._classes: set[type] = set()
        waiting = [("", function), *(("", argument) for argument in arguments)]
        while waiting and len(self.checks) <= MOST:
            hint, value = waiting.pop()
            if isinstance(value, VALUES):
                continue
            if not self.hints.get(id(value)):
                self.hints[id(value)] = hint if hint.isidentifier() else ""
            if id(value) not in self._seen:
                self._seen[id(value)] = value
                waiting += reversed(list(self._inside(value)))
        if waiting:
            self.refused = "it reads more objects than can be checked"
        for optimizer in self.optimizers:  # whose own methods are run as they are
            held = vars(optimizer)
            read = [key for key in held if key.lstrip("_") in self._names - {"parameters"}]
            self.checks += [Check("item", held, key, held[key]) for key in read]

    def changed(self) -> str:
        """Name the first thing that is not as it was; nothing if all is."""
        for check in self.checks:
            if not check.holds():
                return f"{check.key or type(check.place).__name__}"
        return ""

    def _inside(self, value: Any) -> Iterable[tuple[str, Any]]:
        """Take note of a thing, and return what it holds, by name."""
        kind = type(value)
        if isinstance(value, types.FunctionType):
            return self._of_function(value)
        if isinstance(value, Tensor):
            self.tensors.append(value)
            self.checks.append(Check("data", value, "data", value._data))
            self.checks.append(Check("node", value, "requires_grad", value._node))
        elif isinstance(value, np.ndarray):
            self.arrays.append(value)
        elif isinstance(value, Optimizer):
            self.optimizers.append(value)
            if kind.step is not Optimizer.step:
                self.refused = f"{kind.__name__} has a step of its own"
            return [("", value.parameters)]  # its rule is run as it is
        elif kind in (np.random.Generator, np.random.RandomState):
            self.streams.append(value)
        elif isinstance(value, (list, dict)):
            return self._items(value)
        elif isinstance(value, tuple):
            return [("", item) for item in value]
        elif (parts := _parts(value)) is not None:
            return [("", part) for part in parts]
        elif isinstance(value, type):
            return [] if _is_foreign(value) else self._of_class(value)
        elif isinstance(value, (types.SimpleNamespace, argparse.Namespace)):
            return self._items(vars(value))
        elif isinstance(value, Layer) or not _is_foreign(kind) or _is_ours(kind):
            return self._of_instance(value)
        elif not isinstance(value, (types.ModuleType, *_FIXED)):
            self.refused = f"it reads a {kind.__name__}, which cannot be checked"
        return []

    def _of_instance(self, value: Any) -> Iterable[tuple[str, Any]]:
        if isinstance(value, Layer):
            self.layers.append(value)
        slots = [
            Check("attribute", value, name, getattr(value, name))
            for kind in type(value).__mro__
            for name, member in vars(kind).items()
            if isinstance(member, types.MemberDescriptorType) and hasattr(value, name)
        ]
        self.checks += slots
        held = [(check.key, check.value) for check in slots]
        return [*self._items(getattr(value, "__dict__", {})), *held, *self._of_class(type(value))]

    def _of_class(self, kind: type) -> Iterable[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        for base in kind.__mro__:
            if _is_foreign(base) or base in self._classes:
                continue
            self._classes.add(base)
            members = {
                name: member
                for name, member in vars(base).items()
                if callable(member) or not name.startswith("__")
            }
            self.checks += [Check("item", vars(base), name, m) for name, m in members.items()]
            found += members.items()
        return found

    def _of_function(self, function: Any) -> Iterable[tuple[str, Any]]:
        found = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        named = [("", value) for value in found]
        for name in ("__defaults__", "__kwdefaults__"):
            if found:
                self.checks.append(Check("attribute", function, name, getattr(function, name)))
        if vars(function):
            named += self._items(vars(function))
        is_library = str(function.__globals__.get("__name__")).split(".")[0] in _LIBRARIES
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            if cell == types.CellType():  # an empty one
                continue
            # The sets of the standard library's own functions are no business of a user's.
            if not (is_library and isinstance(cell.cell_contents, set)):
                self.checks.append(Check("cell", cell, name, cell.cell_contents))
                named.append((name, cell.cell_contents))
        # What is typed in, as in an example, has no file.
        if _is_foreign(function) and not function.__code__.co_filename.startswith("<"):
            return named
        names, attributes, imports = _read_by(function.__code__)
        self._names |= attributes
        if imports:
            self.refused = "it imports while it runs"
        space = function.__globals__
        for name in sorted(names & space.keys()):
            value = space[name]
            self.checks.append(Check("item", space, name, value))
            named.append((name, value))
        modules = [value for _, value in named if isinstance(value, types.ModuleType)]
        for module in modules:
            used = [] if _is_foreign(module) else sorted(attributes & vars(module).keys())
            values = [vars(module)[name] for name in used]
            self.checks += [Check("item", vars(module), *pair) for pair in zip(used, values)]
            named += zip(used, values)
            modules += [m for m in values if isinstance(m, types.ModuleType) and m not in modules]
        return named

    def _items(self, held: Any) -> Iterable[tuple[str, Any]]:
        self.checks.append(Check("len", held, "", len(held)))
        items = list(held.items() if isinstance(held, dict) else enumerate(held))
        if not all(isinstance(key, _KEYS) for key, _ in items):
            self.refused = "it reads a dict with keys that cannot be checked"
        self.checks += [Check("item", held, key, value) for key, value in items]
        return [(str(key), value) for key, value in items]


def _parts(value: Any) -> list[Any] | None:
    """Return what a wrapper of functions holds; None if it is none."""
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, property):
        return [part for part in (value.fget, value.fset) if part]
    if hasattr(value, "__wrapped__") and not isinstance(value, type):  # lru_cache, staticmethod
        return [value.__wrapped__]
    return None


def _is_foreign(thing: Any) -> bool:
    """Whether a function, class or module is part of a library, whose globals do not change."""
    name = thing.__name__ if isinstance(thing, types.ModuleType) else thing.__module__
    return (name or "").split(".")[0] in _LIBRARIES


def _is_ours(kind: type) -> bool:
    return kind.__module__.split(".")[0] == __name__.split(".")[0]


def _read_by(code: types.CodeType) -> tuple[set[str], set[str], bool]:
    """Return the globals and attributes that a function reads, and whether it imports."""
    names: set[str] = set()
    imports = False
    for instruction in dis.get_instructions(code):
        if instruction.opname == "LOAD_GLOBAL":
            names.add(instruction.argval)
        imports = imports or instruction.opname == "IMPORT_NAME"
    attributes = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            more_names, more_attributes, more_imports = _read_by(constant)
            names |= more_names
            attributes |= more_attributes
            imports = imports or more_imports
    return names, attributes, imports


def leaves_below(nodes: list[Any]) -> list[Any]:
    """Return the leaves among nodes and below them, where graphs were made before."""
    waiting, found, seen = [node for node in reversed(nodes) if node is not None], [], set()
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            found += [node] * (not node.order)
            waiting += [parent for parent, _ in node.edges or ()]
    return found


def remembered(optimizer: Any) -> tuple[str, Any]:
    """Return an optimizer's settings, and the identities and contents of what it remembers."""
    held = {k: v for k, v in vars(optimizer).items() if k not in ("parameters", "state", "_groups")}
    state = [
        {k: (id(v), mark_of(v)) if isinstance(v, np.ndarray) else v for k, v in own.items()}
        for own in optimizer.state
    ]
    return repr(held), (id(optimizer.state), list(map(id, optimizer.state)), state)
