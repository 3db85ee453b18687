"""Summary: a table of a model's layers, with what each of them gives, holds and computes."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import escape
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..layers.layer import Layer, check_layer, unchanged
from ..operations import plain
from ..tensor import Tensor
from ..trace import LayerCall, OpCall, trace

_COLUMNS = ["layer", "output shape", "parameters", "own", "trainable", "bytes", "multiply-adds"]


class LayerRow(NamedTuple):
    """One call of a layer, or a layer that was not called. Counts are with what is inside."""

    name: str  # as in `Layer.layers_within`: that of the model is empty
    layer: str  # class and arguments
    depth: int  # how many layers are around it
    output: Any  # shape of what it returned, or a tuple of shapes; None if it was not called
    parameters: int
    own: int  # parameters that are in no layer inside
    trainable: int
    bytes: int
    multiply_adds: int
    again: bool  # whether an earlier row is of the same layer


class Summary:
    """What `summary` found: a table when printed or shown, rows and totals for programs.

    Attributes
    ----------
    rows : list of LayerRow
        The model and, one level deeper each, the layers inside, in the order in which they ran.
    parameters, trainable, bytes, multiply_adds : int
        Totals, in which what is shared counts once.
    """

    def __init__(self, rows: list[LayerRow]) -> None:
        self.rows = rows
        self.parameters = rows[0].parameters
        self.trainable = rows[0].trainable
        self.bytes = rows[0].bytes
        self.multiply_adds = rows[0].multiply_adds

    def __repr__(self) -> str:
        lines = [_COLUMNS, *map(_cells, self.rows, self._labels())]
        widths = [max(map(len, column)) for column in zip(*lines)]
        widths[0] = min(widths[0], max(24, 100 - sum(widths[1:]) - 2 * len(widths[1:])))
        head, *body = [_text_row(cells, widths) for cells in lines]
        return "\n".join([head, "-" * len(head), *body, "", *self._notes()])

    def _repr_html_(self) -> str:
        head = _html_row(_COLUMNS, "th")
        body = [_html_row(_cells(row, label)) for row, label in zip(self.rows, self._labels())]
        notes = "".join(f"<p>{note}</p>" for note in self._notes())
        return f"<table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table>{notes}"

    def _labels(self) -> Iterator[str]:
        """Yield each row's layer behind its name in the layer around, indented."""
        names = {-1: ""}  # of the layers around, by depth
        for row in self.rows:
            names[row.depth] = row.name
            name = row.name.removeprefix(f"{names[row.depth - 1]}.")
            yield "  " * row.depth + (f"{name}: " if name else "") + row.layer

    def _notes(self) -> list[str]:
        """Return the totals and, if there are layers inside, what belongs to none of them."""
        notes = [
            f"Total: {self.parameters:,} parameters, {self.trainable:,} of them trainable; "
            f"{self.bytes:,} bytes; {self.multiply_adds:,} multiply-adds"
        ]
        inside = [row.multiply_adds for row in self.rows if row.depth == 1]
        own, computed = self.rows[0].own, self.multiply_adds - sum(inside)
        if inside and (own or computed):
            notes.append(f"In no layer inside: {own:,} parameters; {computed:,} multiply-adds")
        return notes


def summary(model: Layer, input_shape: Any) -> Summary:
    """Run a model once and tabulate its layers: what each of them gives, holds and computes.

    Each call of a layer has a row with the shape of its output; the number of its parameters and
    how many are its own, in no layer inside; how many of them are trainable; their bytes; and the
    multiply-adds of the call. Parameters are here all numbers that the layer holds: those that
    require a gradient, which are trainable, and state (frozen tensors, running statistics). What
    is shared counts once. A layer that was not called has no output.

    Multiply-adds are those of matrix products, convolutions, recurrent networks and attention,
    also with zeros of padding. Not counted is what is done entry by entry (activations,
    normalizations, pooling, biases) and what ops of your own do.

    Parameters
    ----------
    model
        A layer. It runs in evaluation mode and stays as it was.
    input_shape
        Shape of the input with the batch, such as ``(1, 28, 28)``, or an example of the input, an
        array; a list of these for several inputs. A shape stands for zeros in the model's dtype,
        or integers if the model takes no floats.

    Returns
    -------
    Summary
        Prints as a table and shows as one in a notebook. Its ``rows`` and its totals,
        ``parameters``, ``trainable``, ``bytes`` and ``multiply_adds``, are for programs.

    Raises
    ------
    TypeError
        If `model` is no layer, or `input_shape` neither whole numbers nor arrays.
    ValueError
        If a length is negative, or the model does not take the input: the layer says why.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> model = mg.Sequential(mg.Linear(9, 4, bias=True), mg.BatchNorm1d(4), mg.Linear(4, 1))
    >>> table = mg.summary(model, (1, 9))
    >>> table
    layer                         output shape  parameters  own  trainable  bytes  multiply-adds
    --------------------------------------------------------------------------------------------
    Sequential()                  (1, 1)                61    0         52    488             40
      0: Linear(9, 4, bias=True)  (1, 4)                40   40         40    320             36
      1: BatchNorm1d(4)           (1, 4)                17   17          8    136
      2: Linear(4, 1)             (1, 1)                 4    4          4     32              4
    <BLANKLINE>
    Total: 61 parameters, 52 of them trainable; 488 bytes; 40 multiply-adds
    >>> table.multiply_adds
    40
    """
    check_layer(model)
    floats = (value.dtype for value in model._held().values() if value.dtype.kind == "f")
    inputs = _inputs(input_shape, next(floats, np.dtype(float)))
    with unchanged(model), suppress(TypeError, IndexError):  # of what takes no floats (Embedding)
        return Summary(_rows(trace(model, *inputs)[1]))
    with unchanged(model):
        return Summary(_rows(trace(model, *_inputs(input_shape, np.dtype(int)))[1]))


def _inputs(given: Any, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return one input or several, as arrays."""
    inputs = _example(given, dtype)
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _example(given: Any, dtype: np.dtype[Any]) -> Any:
    """Return zeros of a shape, an array as it is, and a tuple of these for several."""
    if isinstance(given, np.ndarray | Tensor):
        return given
    items = given if isinstance(given, list | tuple) else [None]
    if all(isinstance(n, int | np.integer) for n in items):
        if min(items, default=0) < 0:
            raise ValueError(f"lengths of a shape must be at least 0; received {given}")
        return np.zeros(items, dtype)
    if all(isinstance(item, list | tuple | np.ndarray | Tensor) for item in items):
        return tuple(_example(item, dtype) for item in items)
    raise TypeError(
        "input_shape must be whole numbers, the batch among them, such as (1, 28, 28), or an "
        f"array, or a list of such; received {given!r}"
    )


def _rows(calls: list[OpCall | LayerCall]) -> list[LayerRow]:
    """Make a row of each layer's call, before those of what it ran and what it did not run."""
    met = {id(call.layer): False for call in calls if isinstance(call, LayerCall)}
    finished = defaultdict[int, list[LayerRow]](list)  # by depth, until what is around returns
    costs = defaultdict[int, int](int)
    for call in calls:
        depth = len(call.path) - 1
        if isinstance(call, OpCall):
            costs[depth] += _multiply_adds(call)
            continue
        cost = costs.pop(depth, 0)
        costs[depth - 1] += cost
        again = met[id(call.layer)]
        met[id(call.layer)] = True
        name = call.path[-1]
        row = _row(call.layer, name, depth, _shape(call.output), cost, again)
        unused = _unused(call.layer, name, depth + 1, met)
        finished[depth] += [row, *finished.pop(depth + 1, []), *unused]
    return finished[0]


def _row(
    layer: Layer, name: str, depth: int, output: Any = None, cost: int = 0, again: bool = False
) -> LayerRow:
    held = layer._held().values()
    layers = [child for _, child in layer._children() if isinstance(child, Layer)]
    inside = {id(value) for child in layers for value in child._held().values()}
    return LayerRow(
        name, f"{type(layer).__name__}({layer._arguments()})", depth, output,
        parameters=sum(value.size for value in held),
        own=sum(value.size for value in held if id(value) not in inside),
        trainable=sum(parameter.size for parameter in layer.parameters()),
        bytes=sum(plain(value).nbytes for value in held),
        multiply_adds=cost, again=again,
    )  # fmt: skip


def _unused(layer: Layer, name: str, depth: int, met: dict[int, bool]) -> Iterator[LayerRow]:
    """Yield rows of the layers inside that no call and no earlier row is of."""
    for key, child in layer._children():
        if isinstance(child, Layer) and id(child) not in met:
            met[id(child)] = True
            path = f"{name}.{key}" if name else key
            yield _row(child, path, depth)
            yield from _unused(child, path, depth + 1, met)


def _shape(output: Any) -> Any:
    """Return the shape of a tensor, or a tuple of those in a tuple, list or dict."""
    if isinstance(output, dict):
        return _shape(tuple(output.values()))
    if isinstance(output, list | tuple):
        return tuple(map(_shape, output))
    return getattr(output, "shape", None)


def _cells(row: LayerRow, label: str) -> list[str]:
    """Return what a row of the table says: of several outputs the first, and nothing for 0."""
    output = row.output
    while isinstance(output, tuple) and any(isinstance(item, tuple) for item in output):
        output = next(item for item in output if isinstance(item, tuple))
    shape = "" if output is None else str(output) + ", ..." * (output is not row.output)
    held = [f"{count:,}" for count in (row.parameters, row.own, row.trainable, row.bytes)]
    if row.again or not row.parameters:
        held = ["as above" if row.parameters else "", "", "", ""]
    return [label, shape, *held, f"{row.multiply_adds:,}" if row.multiply_adds else ""]


def _text_row(cells: list[str], widths: list[int]) -> str:
    (label, shape, *counts), (width, second, *others) = cells, widths
    label = label if len(label) <= width else f"{label[: width - 3]}..."
    texts = [label.ljust(width), shape.ljust(second), *map(str.rjust, counts, others)]
    return "  ".join(texts).rstrip()


def _html_row(cells: list[str], tag: str = "td") -> str:
    left, right = "text-align: left; white-space: pre", "text-align: right"
    styles = [left, left, *[right] * len(cells[2:])]
    texts = [f'<{tag} style="{style}">{escape(c)}</{tag}>' for style, c in zip(styles, cells)]
    return f"<tr>{''.join(texts)}</tr>"


# Multiply-adds


def _multiply_adds(call: OpCall) -> int:
    count = _COUNTS.get(call.op)
    return count(call.result, *call.inputs, **call.constants) if count else 0


def _of_product(y: Tensor, x: Tensor, *_: Tensor) -> int:
    return y.size * x.shape[-1]


def _of_convolution(y: Tensor, x: Tensor, weight: Tensor, *_: Tensor, **settings: Any) -> int:
    return y.size * math.prod(weight.shape[1:])


def _of_recurrent(
    y: Tensor, x: Tensor, hidden: Tensor, weight_ih: Tensor, weight_hh: Tensor, *_: Any, **__: Any
) -> int:
    return math.prod(x.shape[:2]) * (weight_ih.size + weight_hh.size)


def _of_lstm(y: Tensor, x: Tensor, hidden: Tensor, cell: Tensor, *weights: Tensor) -> int:
    return _of_recurrent(y, x, hidden, *weights)


def _of_attention(y: Tensor, *projected: Tensor, **_: Any) -> int:
    return 2 * y.size * projected[-1].shape[1]  # for the scores, and for the means of the values


def _of_weights(y: Tensor, query: Tensor, key: Tensor, *, heads: int, **_: Any) -> int:
    return y.size * query.shape[-1] // heads


def _of_tensordot(y: Tensor, x: Tensor, other: Tensor, **_: Any) -> int:
    # With the lengths of axes on the left, on the right and summed: sqrt(l r * l s * s r).
    return math.isqrt(y.size * x.size * other.size)


def _of_einsum(y: Tensor, *arrays: Tensor, subscripts: str) -> int:
    """Count as written: for each place of all letters, one less than there are factors."""
    lengths: dict[Any, int] = {}
    for term, x in zip(subscripts.replace(" ", "").partition("->")[0].split(","), arrays):
        before, _, after = term.partition("...")
        hidden = range(len(before + after) - x.ndim, 0)
        for letter, length in zip([*before, *hidden, *after], x.shape):
            if lengths.get(letter, 1) == 1:
                lengths[letter] = length
    return math.prod(lengths.values()) * (len(arrays) - 1)


_COUNTS: dict[Callable[..., Any], Callable[..., int]] = {
    ops.matmul: _of_product, ops.linear: _of_product,
    ops.tensordot: _of_tensordot, ops.einsum: _of_einsum,
    ops.conv1d: _of_convolution, ops.conv2d: _of_convolution,
    ops.rnn: _of_recurrent, ops.gru: _of_recurrent, ops.lstm: _of_lstm,
    ops.attention: _of_attention, ops.attention_weights: _of_weights,
}  # fmt: skip
