"""Graph: the nodes and named arrays of an ONNX model while it is written."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..ops.common import Array
from .onnx_runs import Constant, Length, Lengths, Made

DTYPES: dict[str, Any] = {"f": np.float32, "i": np.int64, "u": np.int64, "b": np.bool_}
TYPES: dict[Any, int] = {np.float32: 1, np.int64: 7, np.bool_: 9}  # their numbers in ONNX
# What writes the nodes of an op, given its inputs' names; it returns the name of the result.
Form: TypeAlias = Callable[..., str]
Forms: TypeAlias = dict[Callable[..., Any], Form]


class Node(NamedTuple):
    """One ONNX operator: of which kind, and what goes in and comes out by name."""

    kind: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]


class Graph:
    """Nodes in the order in which they run, and the arrays that they find there.

    Whatever goes into a node is a name, or becomes one: numbers and arrays are stored, lists are
    vectors of integers or lengths.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.arrays: dict[str, Array] = {}
        self.place = ""  # of the op that is being written
        self.made: dict[int, str] = {}  # names of inputs and results by number
        self.batch: tuple[str, int] = "", 0  # the input and its axis that tell the batch size
        self._lengths: dict[Length, str] = {}
        self._stored: dict[Any, str] = {}
        self._taken: set[str] = set()

    def add(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Write a node and return the name of its result."""
        return self.add_several(kind, 1, *inputs, **attributes)[0]

    def add_several(self, kind: str, count: int, *inputs: Any, **attributes: Any) -> list[str]:
        """Write a node that has several results and return their names."""
        given = [self.value(x) for x in inputs]
        outputs = [self.name(f"{self.place}/{kind}") for _ in range(count)]
        self.nodes.append(Node(kind, given, outputs, attributes))
        return outputs

    def name(self, wanted: str) -> str:
        """Return the name, or one like it that is free, and take it."""
        name, count = wanted, 0
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def value(self, x: Any) -> str:
        """Return the name of what goes into a node."""
        if isinstance(x, str):
            return x
        if isinstance(x, Made):
            return self.made[x.number]
        if isinstance(x, list):
            return self._vector(x)
        if isinstance(x, Constant):
            name = self._store(x.array, x.name)
            whole = not any(isinstance(n, Length) for n in x.shape)
            return name if whole else self.add("Expand", name, [*x.shape])
        return self._store(np.asarray(x))

    def typed(self, x: Any, kind: str) -> str:
        """Return the name of what goes into a node that wants floats, integers or booleans."""
        if isinstance(x, Made):
            return self.value(x) if DTYPES[x.kind] is DTYPES[kind] else self.cast(x, kind)
        if isinstance(x, Constant):
            same = DTYPES[x.array.dtype.kind] is DTYPES[kind]
            array = x.array if same else x.array.astype(DTYPES[kind])
            return self.value(Constant(array, x.shape, x.name))
        return self.value(np.asarray(x, DTYPES[kind]))

    def cast(self, x: Any, kind: str) -> str:
        """Convert to floats, integers or booleans."""
        return self.add("Cast", x, to=TYPES[DTYPES[kind]])

    def reshape(self, x: Any, shape: Lengths) -> str:
        """Bring entries into a shape."""
        growing = sum(isinstance(n, Length) for n in shape)
        if growing == 1 and 0 not in shape:
            return self.add("Reshape", x, [-1 if isinstance(n, Length) else n for n in shape])
        zeros = {"allowzero": 1} if growing or 0 in shape else {}  # which else stand for a copy
        return self.add("Reshape", x, [*shape], **zeros)

    def _store(self, array: Array, name: str = "") -> str:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            array = np.asarray(array, DTYPES[array.dtype.kind])
        key = (name or array.tobytes(), array.shape, array.dtype.kind)
        if key not in self._stored:
            self._stored[key] = self.name(name or f"{self.place}/constant")
            self.arrays[self._stored[key]] = array
        return self._stored[key]

    def _vector(self, lengths: Sequence[int | Length]) -> str:
        if not any(isinstance(n, Length) for n in lengths):
            return self._store(np.array(lengths, np.int64))
        return self.add("Concat", *(self._length(n) for n in lengths), axis=0)

    def _length(self, n: int | Length) -> str:
        """Return the name of a vector of one length."""
        if not isinstance(n, Length):
            return self._store(np.array([n]))
        if n not in self._lengths:
            if n == Length(1, 0):
                name, axis = self.batch
                made = self.add("Shape", name, start=axis, end=axis + 1)
            else:
                made = self.add("Mul", self._length(Length(1, 0)), [n.each])
                made = self.add("Add", made, [n.fixed]) if n.fixed else made
            self._lengths[n] = made
        return self._lengths[n]


def direct(kind: str) -> Form:
    """Write an op that is a node of its own."""
    return lambda graph, call, *inputs: graph.add(kind, *inputs)


def form(forms: Forms, op: Callable[..., Any]) -> Callable[[Form], Form]:
    """Enter the function below into a table, as the form of an op."""

    def enter(function: Form) -> Form:
        forms[op] = function
        return function

    return enter
