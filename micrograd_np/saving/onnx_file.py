"""Files in the ONNX format, which many runtimes read: the formula of a model with its numbers.

A model is exported op by op, so layers that users write of ops need nothing more. Neither do ops of
their own: for these stand the ops that their formula is made of.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

from ..extras import extra
from ..layers.layer import Layer, check_layer, unchanged
from ..operations import plain
from ..ops.common import Array, as_array
from ..trace import trace
from . import onnx_elementwise, onnx_networks, onnx_shapes
from .files import replacing
from .onnx_graph import DTYPES, TYPES, Graph, Node
from .onnx_runs import Lengths, Runs

FORMS = onnx_elementwise.FORMS | onnx_shapes.FORMS | onnx_networks.FORMS
_WITH_COMPARISONS = FORMS | onnx_elementwise.COMPARISONS
_OPSET, _IR_VERSION = 18, 8  # of 2022: what runtimes have known for long
_MOST_BYTES = 2**31 - 2**20  # of arrays, so that the nodes find room in 2 GB
_End = tuple[str, str, Lengths]  # name, kind and shape of an input or output


def export_onnx(
    model: Layer,
    path: str | os.PathLike[str],
    example_input: Any,
    *,
    batch_axis: int | Sequence[int | None] | None = 0,
) -> None:
    """Write what a model does in evaluation mode as an ONNX file, for batches of every size.

    The file is in single precision, whatever the model has: floats are float32, integers int64.
    Inputs and outputs are called ``input`` and ``output``, or ``input_0``, ``input_1``, ... if
    there are several. Parameters keep their names.

    The model is run a few times: with the example, and with batches of other sizes and values:
    integers between the example's, floats also beyond them and of both signs. What is the same each
    time is taken to be so for every input.

    Parameters
    ----------
    model
        The layer; it is not changed.
    path
        The file. At every moment it is the old file or the new one, whole.
    example_input
        An input that the model takes: an array, or a tuple of arrays for several.
    batch_axis
        The axis of the inputs whose length may change, here and in what depends on it: 1 for
        recurrent layers without `batch_first`; None if all lengths are fixed. A tuple has an entry
        for each input.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If `model` is no layer, or the example is not made of numbers.
    ValueError
        If a layer does what has no ONNX form, which the message names: it calls a loss, or an op
        of its own that does not work on tensors in place of arrays; it computes with the values of
        tensors without ops (tensors may be compared, but with the booleans nothing be computed),
        draws random numbers or does for some batches what it does not for others. Also if the
        model does not take the example, or the file would be larger than 2 GB.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mg.export_onnx(model, f"{folder}/model.onnx", np.zeros((1, 3)))
    """
    onnx = extra("onnx", "onnx", "export_onnx")
    check_layer(model, "the model comes first, then the path")
    given = example_input if isinstance(example_input, tuple) else (example_input,)
    examples = [as_array(plain(x)) for x in given]
    axes = _axes(batch_axis, examples)
    with unchanged(model):
        trace(model, *examples)  # so that a layer says itself what does not fit
        proto = _proto(onnx, *_written(Runs(model, examples, axes, _is_known), axes))
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"the model has no valid ONNX form: {error}") from error
    with replacing(path) as file:
        file.write(proto.SerializeToString(deterministic=True))


def _is_known(op: Callable[..., Any]) -> bool:
    """Whether an op has a form, or is one of the package, which would have one if it could."""
    return (
        op in _WITH_COMPARISONS
        or getattr(op, "__module__", "").split(".")[0] == __name__.split(".")[0]
    )


def _axes(
    batch_axis: int | Sequence[int | None] | None, examples: Sequence[Array]
) -> list[int | None]:
    """Return the axis of the batch for each input."""
    if batch_axis is None or isinstance(batch_axis, int):
        axes = [batch_axis] * len(examples)
    else:
        axes = [*batch_axis]
    shapes = [x.shape for x in examples]
    if len(axes) != len(shapes) or not all(
        axis is None or -len(shape) <= axis < len(shape) for axis, shape in zip(axes, shapes)
    ):
        raise ValueError(
            "batch_axis must be an axis of every input, None, or a tuple with one of these for "
            f"each; received {batch_axis} for shapes {', '.join(map(str, shapes))}"
            f"{': for an input of a shape write np.ones(shape)' * (set(shapes) == {()})}"
        )
    return [None if axis is None else axis % len(shape) for axis, shape in zip(axes, shapes)]


def _written(runs: Runs, axes: Sequence[int | None]) -> tuple[Graph, list[_End], list[_End]]:
    """Return the graph of a model, its inputs and its outputs."""
    graph = Graph()
    ends, outputs = _ends(graph, runs, "input"), _ends(graph, runs, "output")
    graph.made = {i: name for i, (name, *_) in enumerate(ends)}
    growing = ((end[0], axis) for end, axis in zip(ends, axes) if axis is not None)
    graph.batch = next(growing, graph.batch)
    for number, call in runs.needed():
        if call.op not in _WITH_COMPARISONS:
            raise call.refusal(
                "which has no ONNX form, and whose formula is not made of operators and NumPy "
                "functions that work on tensors, too: write it so, or put ops in its place"
            )
        graph.place = call.place
        inputs = [graph.typed(x, call.input_kind) for x in call.inputs]
        graph.made[number] = _WITH_COMPARISONS[call.op](graph, call, *inputs)
    graph.place = "output"
    for (name, *_), arrays in zip(outputs, zip(*runs.outputs)):
        graph.nodes.append(Node("Identity", [graph.value(runs.common(arrays))], [name], {}))
    return graph, ends, outputs


def _ends(graph: Graph, runs: Runs, name: str) -> list[_End]:
    """Name the inputs or the outputs of a model."""
    found = [*zip(*(runs.inputs if name == "input" else runs.outputs))]
    names = [name] if len(found) == 1 else [f"{name}_{i}" for i in range(len(found))]
    return [
        (graph.name(name), arrays[0].dtype.kind, runs.shape(arrays))
        for name, arrays in zip(names, found)
    ]


def _proto(onnx: Any, graph: Graph, inputs: list[_End], outputs: list[_End]) -> Any:
    """Make the library's object of a graph."""
    size = sum(array.nbytes for array in graph.arrays.values())
    if size > _MOST_BYTES:
        raise ValueError(f"an ONNX file holds at most 2 GB; this model has {size / 1e9:.1f} GB")
    helper = onnx.helper
    made = helper.make_graph(
        [
            helper.make_node(kind, given, results, name=results[0], **attributes)
            for kind, given, results, attributes in graph.nodes
        ],
        "micrograd_np",
        *(
            [
                helper.make_tensor_value_info(
                    name, TYPES[DTYPES[kind]], [n if isinstance(n, int) else str(n) for n in shape]
                )
                for name, kind, shape in ends
            ]
            for ends in (inputs, outputs)
        ),
        [onnx.numpy_helper.from_array(array, name) for name, array in graph.arrays.items()],
    )
    return helper.make_model(
        made, producer_name="micrograd_np", ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", _OPSET)],
    )  # fmt: skip
