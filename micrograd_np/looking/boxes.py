"""Boxes: what a graph is made of, read from the tape or seen while a function runs.

A box is one tensor together with the op that made it. A graph is a list of boxes in which what an
op read comes before what it made.
"""

from collections.abc import Callable, Sequence
from inspect import Parameter, signature
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..layers.layer import Layer, contents, in_mode, unchanged
from ..operations import plain
from ..ops.common import Array
from ..tape import Node, op_name
from ..tensor import Tensor, as_tensor
from ..trace import watched

FEW = 4  # a tensor of so many entries shows them
LONGEST = 28  # characters of a constant

Named: TypeAlias = tuple[str, Tensor | Array]


class Box(NamedTuple):
    """One tensor of a graph, and the op that made it."""

    kind: str  # "parameter", "input", "constant" or "value"
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    notes: tuple[str, ...] = ()  # such as "data 0.7071"
    op: str = ""  # of values only
    constants: tuple[str, ...] = ()  # of the op, such as "axis=1"
    sources: tuple[int, ...] = ()  # the numbers of the boxes that the op read

    @property
    def lines(self) -> list[str]:
        """What is written in the box."""
        return [*[self.name] * bool(self.name), f"{self.shape} {self.dtype}", *self.notes]

    @property
    def is_number(self) -> bool:
        """Whether it is a number in a formula, such as the 2 of x / 2."""
        return self.kind == "constant" and not self.shape

    @property
    def op_lines(self) -> list[str]:
        """What is written in the oval of the op."""
        return [self.op, *self.constants]


def recorded(tensor: Tensor, names: Any) -> list[Box]:
    """Return the boxes of what the tape knows of a tensor."""
    held = [("", tensor), *named(names)]
    known = {x._node: (name, x.data) for name, x in held if isinstance(x, Tensor)}
    boxes: list[Box] = []
    numbers: dict[Node, int] = {}
    for made in _ops_below(tensor._node):
        for node in (*(parent for parent, _ in made.edges or ()), made):
            if node not in numbers:
                numbers[node] = len(boxes)
                name, data = known.get(node, ("", None))
                notes = _notes(data, node.grad)
                op = op_name(node.op) if node.op else ""
                sources = tuple(numbers[parent] for parent, _ in node.edges or ())
                kind = "value" if node.order else "parameter"
                boxes.append(Box(kind, name, node.shape, node.dtype, notes, op, (), sources))
    return boxes


def _ops_below(root: Node | None) -> list[Node]:
    """Return the nodes of ops that `root` came from, itself too, oldest first."""
    if root is None or not root.order:
        raise RuntimeError(
            "graph needs a tensor that recorded ops have made; this one is a leaf, or depends on "
            "none with requires_grad=True, or was computed under no_grad(): pass a function and "
            "its inputs to draw what it does"
        )
    found, waiting = {root}, [root]
    while waiting:
        edges = waiting.pop().edges
        if edges is None:
            raise RuntimeError(
                "graph needs the graph of this tensor, which a backward has freed; draw it before "
                "backward, or pass retain_graph=True to that"
            )
        new = {parent for parent, _ in edges if parent.order} - found
        found |= new
        waiting += new
    return sorted(found, key=lambda node: node.order)


def watched_boxes(function: Callable[..., Any], inputs: tuple[Any, ...], names: Any) -> list[Box]:
    """Call a function, or a layer in evaluation mode, and return the boxes of all that it did."""
    inputs = tuple(map(_as_input, inputs))
    given = named(dict(zip(_argument_names(function, len(inputs)), inputs)))
    own = named(function) if isinstance(function, Layer) else []
    watcher = _Watcher(given, own + named(names))
    with in_mode(function, training=False), unchanged(function), watched(watcher):
        function(*inputs)
    if not watcher.boxes:
        raise ValueError(
            "a function must run an op on tensors to be drawn; this one ran none (arrays and "
            "numbers passed to graph become tensors, those inside other objects do not)"
        )
    return watcher.boxes


class _Watcher:
    """Makes boxes of the ops that it sees.

    Tensors are told apart by their arrays, which is what ops get as constants. All that it meets
    is held, so that no identity comes twice.
    """

    def __init__(self, inputs: list[Named], others: list[Named]) -> None:
        self.boxes: list[Box] = []
        self.numbers: dict[int, int] = {}
        self.held: list[Array] = [plain(x) for _, x in [*inputs, *others]]
        self.inputs = {id(plain(x)) for _, x in inputs}
        self.known = {id(plain(x)): (name, x) for name, x in [*inputs, *others]}

    def __call__(
        self, op: Any, read: Sequence[Tensor], constants: dict[str, Any], result: Tensor
    ) -> None:
        """See an op."""
        arrays = {name: x for name, x in constants.items() if isinstance(x, np.ndarray)}
        sources = [*(self.number(x) for x in read), *(self.number(x, k) for k, x in arrays.items())]
        texts = [
            f"{name}={_text(x)}"
            for name, x in constants.items()
            if not (name in arrays or x is None or x is False)
        ]
        self.add(result, "value", "", op_name(op), tuple(texts), tuple(sources))

    def number(self, x: Tensor | Array, name: str = "") -> int:
        """Return the number of the box of what an op read."""
        key = id(plain(x))
        place = self.numbers.get(key)
        if place is None or self.boxes[place].is_number:  # each has its own box
            x = self.known.get(key, (name, x))[1]
            wanted = isinstance(x, Tensor) and x.requires_grad and x.is_leaf
            kind = "parameter" if wanted else "input" if key in self.inputs else "constant"
            self.add(x, kind, name)
        return self.numbers[key]

    def add(self, x: Tensor | Array, kind: str, name: str, *made: Any) -> None:
        """Add the box of a tensor."""
        array = plain(x)
        self.held.append(array)
        self.numbers[id(array)] = len(self.boxes)
        name = self.known.get(id(array), (name,))[0]
        notes = _notes(array, getattr(x, "grad", None))
        self.boxes.append(Box(kind, name, array.shape, array.dtype, notes, *made))


def named(value: Any) -> list[Named]:
    """Return the tensors and arrays in layers, lists and dicts, each once, with dotted names."""
    if not isinstance(value, Layer | Tensor | dict | list | tuple | None):
        raise TypeError(
            "names must be a layer, or a dict or list of layers and tensors; received "
            f"{type(value).__name__}"
        )
    found: list[Named] = []
    seen: set[int] = set()
    waiting = [("", value)]
    while waiting:
        name, held = waiting.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, Tensor | np.ndarray):
            found.append((name, held))
        inside = [(f"{name}.{key}" if name else str(key), x) for key, x in contents(held)]
        waiting += reversed(inside)
    return found


def _argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """Return what a function calls its first `count` arguments."""
    try:
        called = function.forward if isinstance(function, Layer) else function
        parameters = list(signature(called).parameters.values())
    except (TypeError, ValueError):  # some builtin functions have no signature
        parameters = []
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]
    return [*names[:count], *(f"input {i}" for i in range(len(names), count))]


def _as_input(x: Any) -> Any:
    """Make a tensor of an array, a list of numbers or a number; all else passes as it is."""
    is_list = isinstance(x, list) and not any(isinstance(item, Tensor) for item in x)
    numbers = (np.ndarray, np.generic, bool, int, float)
    return as_tensor(x) if is_list or isinstance(x, numbers) else x


def _notes(data: Array | None, grad: Array | None = None) -> tuple[str, ...]:
    """Write the values and the gradient of a tensor of few entries."""
    return tuple(
        f"{label} {', '.join(map(_text, array.ravel().tolist()))}"
        for label, array in (("data", data), ("grad", grad))
        if array is not None and 0 < array.size <= FEW
    )


def _text(value: Any) -> str:
    """Write a constant, in short."""
    match value:
        case float() | np.floating():
            return f"{value:.4g}"
        case bool() | int() | str() | np.generic() | np.dtype() | None:
            text = str(value)
        case type():  # a dtype
            text = value.__name__
        case slice():
            parts = ["" if x is None else str(x) for x in (value.start, value.stop, value.step)]
            text = ":".join(parts if parts[2] else parts[:2])
        case tuple() | list():
            text = f"({', '.join(map(_text, value))}{',' * (len(value) == 1)})"
        case _:
            text = "..." if value is Ellipsis else type(value).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
