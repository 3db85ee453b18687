"""Graphs: what was computed, as a picture and as text for Mermaid and Graphviz."""

from collections.abc import Callable
from typing import Any

from ..tensor import Tensor
from .boxes import Box, recorded, watched_boxes
from .drawing import COLOURS, draw, escaped

LINES = 60  # of ops that are printed


def graph(computation: Tensor | Callable[..., Any], *inputs: Any, names: Any = None) -> "Graph":
    """Draw what made a tensor, or what a function does with its inputs.

    A tensor's graph is read from the tape, before `backward` frees it. The tape knows what
    gradients flow through, and no more: data and constants are not on it, and values only of the
    tensors that are at hand, which are the tensor itself and those with names. A function is
    called, and all the ops that run are drawn, with everything that they read; a layer runs in
    evaluation mode and stays as it was. Tensors of up to 4 entries show them.

    Parameters
    ----------
    computation
        A tensor that recorded ops have made; or a layer or any function.
    *inputs
        What the function is called with. Arrays, lists of numbers and numbers become tensors.
    names
        What tensors are called: a layer, whose parameters get their dotted names, or a dict or
        list of layers and tensors. A layer that is drawn, and the arguments of a function, need no
        mention.

    Returns
    -------
    Graph
        A notebook shows it as a picture, a terminal as text.

    Raises
    ------
    RuntimeError
        If the tensor was made by no recorded op, or its graph was freed.
    ValueError
        If the function runs no op.
    TypeError
        If the computation is neither a tensor nor a function, or a tensor comes with inputs, or
        the names hold something else.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> graph = mg.graph(lambda a, b, c: (a * b + c).tanh(), 2.0, -3.0, 6.5)
    >>> graph
    graph of 3 ops
    #2 = multiply(a (), b ()) -> () float64, data -6
    #4 = add(#2, c ()) -> () float64, data 0.5
    #5 = tanh(#4) -> () float64, data 0.4621
    >>> graph.svg().startswith("<svg")
    True
    """
    if isinstance(computation, Tensor):
        if inputs:
            raise TypeError(
                "the graph of a tensor needs no inputs; pass the function that they go into instead"
            )
        return Graph(recorded(computation, names))
    if not callable(computation):
        raise TypeError(
            "graph draws a tensor, or a function and its inputs; received "
            f"{type(computation).__name__}"
        )
    return Graph(watched_boxes(computation, inputs, names))


class Graph:
    """A computation: tensors and the ops that made them.

    Its texts are ASCII, and the same for the same computation. This saves the picture:
    ``pathlib.Path("graph.svg").write_text(graph.svg())``.

    Attributes
    ----------
    boxes
        One record per tensor, what an op read before what it made: kind, name, shape, dtype,
        notes, and of values the op, its constants and the numbers of the boxes that it read.
    """

    def __init__(self, boxes: list[Box]) -> None:
        self.boxes = boxes

    def mermaid(self) -> str:
        """Return the graph in Mermaid's language, which many Markdown pages show as a picture.

        Mermaid itself draws 500 arrows at most, unless it is configured otherwise.
        """
        lines = ["flowchart LR"]
        for i, box in enumerate(self.boxes):
            lines.append(f'    t{i}["{_label(box.lines, "<br/>", "#")}"]:::{box.kind}')
            if box.op:
                lines.append(f'    op{i}(["{_label(box.op_lines, "<br/>", "#")}"]):::op --> t{i}')
                lines += [f"    t{source} --> op{i}" for source in box.sources]
        for kind, (fill, stroke, border) in COLOURS.items():
            style = f"fill:{fill},stroke:{stroke},stroke-width:{border}px,color:#000"
            lines.append(f"    classDef {kind} {style}")
        return "\n".join([*lines, ""])

    def dot(self) -> str:
        """Return the graph in DOT, the language of Graphviz."""
        lines = ["digraph {", "    rankdir=LR"]
        lines.append('    node [fontname="Helvetica" style="rounded,filled" shape=box]')
        for i, box in enumerate(self.boxes):
            label = _label(box.lines, "\\n", "&#")
            lines.append(f'    t{i} [label="{label}" {_dot_style(box.kind)}]')
            if box.op:
                label = _label(box.op_lines, "\\n", "&#")
                lines.append(f'    op{i} [label="{label}" {_dot_style("op")}]')
                lines += [f"    t{source} -> op{i}" for source in box.sources]
                lines.append(f"    op{i} -> t{i}")
        return "\n".join([*lines, "}", ""])

    def svg(self) -> str:
        """Return the graph as an SVG picture.

        Raises
        ------
        ValueError
            If the graph is too large for a picture. Its texts have no limit.
        """
        return draw(self.boxes, self._title())

    def _repr_svg_(self) -> str | None:
        """Show the picture in a notebook, or the text if it is too large."""
        try:
            return self.svg()
        except ValueError:
            return None

    def __repr__(self) -> str:
        made = [i for i, box in enumerate(self.boxes) if box.op]
        lines = [self._title()]
        half = LINES // 2
        if len(made) > LINES:
            lines += [*map(self._line, made[:half]), f"... {len(made) - 2 * half:,} more"]
            made = made[-half:]
        return "\n".join([*lines, *map(self._line, made)])

    def _title(self) -> str:
        count = sum(bool(box.op) for box in self.boxes)
        return f"graph of {count:,} op{'s' * (count != 1)}"

    def _line(self, i: int) -> str:
        """Write a value and the op that made it."""
        box = self.boxes[i]
        name = f"{box.name} = " * bool(box.name)
        arguments = ", ".join([*map(self._argument, box.sources), *box.constants])
        about = ", ".join([f"{box.shape} {box.dtype}", *box.notes])
        return f"#{i} = {name}{box.op}({arguments}) -> {about}"

    def _argument(self, i: int) -> str:
        """Write what an op read: a value by its number, all else by its name or kind."""
        box = self.boxes[i]
        if box.op:
            return f"#{i}"
        if box.is_number:
            return box.notes[0].removeprefix("data ")
        return f"{box.name or f'#{i} {box.kind}'} {box.shape}"


def _label(lines: list[str], end: str, mark: str) -> str:
    """Write lines as the label of a box."""
    return end.join(escaped(line, mark) for line in lines)


def _dot_style(kind: str) -> str:
    """Write a kind's colours as attributes of DOT."""
    fill, stroke, border = COLOURS[kind]
    shape = " shape=ellipse style=filled" * (kind == "op")
    return f'fillcolor="{fill}" color="{stroke}" penwidth={border}{shape}'
