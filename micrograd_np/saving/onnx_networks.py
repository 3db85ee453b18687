"""ONNX forms of the ops that are whole layers: windows, recurrence, attention, normalizations."""

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any

import numpy as np

from .. import ops
from ..ops.convolutions import pool_settings, window_settings
from .onnx_graph import Form, Forms, Graph, form
from .onnx_runs import Call, Made

FORMS: Forms = {}
_LOWEST = float(np.finfo(np.float32).min)


@form(FORMS, ops.embedding)
def _embedding(graph: Graph, call: Call, weight: str) -> str:
    return graph.add("Gather", weight, call.constant("indices"), axis=0)


# Windows


def _batched(graph: Graph, call: Call, x: str, axes: int, write: Callable[[str], str]) -> str:
    """Write what takes a batch of images for one that may have no batch axis."""
    if len(call.shape) == axes + 2:
        return write(x)
    return graph.add("Squeeze", write(graph.add("Unsqueeze", x, [0])), [0])


def _convolution(axes: int) -> Form:
    def write(graph: Graph, call: Call, x: str, weight: str, *bias: str) -> str:
        given = [call.constant(name) for name in ("stride", "padding", "dilation")]
        lengths = tuple(map(call.fixed, call.shapes[1][2:]))
        kernel, steps, pads, spread = window_settings(axes, lengths, *given)
        before, behind = zip(*pads)
        settings = {"kernel_shape": kernel, "strides": steps, "dilations": spread}
        return _batched(graph, call, x, axes, lambda x: graph.add(
            "Conv", x, weight, *bias, **settings, pads=before + behind,
            group=call.constant("groups"),
        ))  # fmt: skip

    return write


def _pool(kind: str, **more: int) -> Form:
    def write(graph: Graph, call: Call, x: str) -> str:
        given = [call.constant(name) for name in ("kernel_size", "stride", "padding")]
        kernel, steps, pads = pool_settings(*given)
        settings = {"kernel_shape": kernel, "strides": steps, "pads": pads * 2, **more}
        return _batched(graph, call, x, 2, lambda x: graph.add(kind, x, **settings))

    return write


FORMS |= {
    ops.conv1d: _convolution(1),
    ops.conv2d: _convolution(2),
    ops.max_pool2d: _pool("MaxPool"),
    ops.avg_pool2d: _pool("AveragePool", count_include_pad=1),
}


# Recurrence


def _recurrent(kind: str, gates: list[int], **more: Any) -> Form:
    """Write a recurrent network; `gates` are ours in ONNX's order."""

    def write(graph: Graph, call: Call, x: str, *arrays: str) -> str:
        states = 2 if kind == "LSTM" else 1
        size = call.fixed(call.shape[-1])
        rows = np.arange(len(gates) * size).reshape(-1, size)[gates].reshape(1, -1)
        weights = [graph.add("Gather", w, rows, axis=0) for w in arrays[states : states + 2]]
        bias = ""
        if biases := arrays[states + 2 :]:
            both = np.concatenate([rows, rows + rows.size], axis=1)
            bias = graph.add("Gather", graph.add("Concat", *biases, axis=0), both, axis=0)
        first = [graph.add("Unsqueeze", state, [0]) for state in arrays[:states]]
        settings = {"hidden_size": size, **more}
        if kind == "RNN":
            settings["activations"] = [call.constant("nonlinearity").title()]
        y, *last = graph.add_several(kind, 1 + states, x, *weights, bias, "", *first, **settings)
        y = graph.add("Squeeze", y, [1])  # the axis of directions
        return graph.add("Concat", y, last[-1], axis=0) if kind == "LSTM" else y

    return write


FORMS |= {
    ops.rnn: _recurrent("RNN", [0]),
    ops.gru: _recurrent("GRU", [1, 0, 2], linear_before_reset=1),
    ops.lstm: _recurrent("LSTM", [0, 3, 1, 2]),
}


# Attention


@form(FORMS, ops.attention)
def _attention(graph: Graph, call: Call, *projected: str) -> str:
    if len(projected) == 1:
        projected = tuple(graph.add_several("Split", 3, *projected, axis=-1, num_outputs=3))
    width = call.fixed(call.shape[-1])
    weights = _weights(graph, call, projected[0], projected[1], width)
    if (keep := call.constant("keep")) is not None:
        weights = graph.add("Mul", weights, graph.typed(keep, "f"))
    mixed = graph.add("MatMul", weights, _heads(graph, call, projected[2], width))
    return graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), [0, 0, width])


@form(FORMS, ops.attention_weights)
def _attention_weights(graph: Graph, call: Call, query: str, key: str) -> str:
    return _weights(graph, call, query, key, call.fixed(call.shapes[0][-1]))


def _weights(graph: Graph, call: Call, query: str, key: str, width: int) -> str:
    query, key = _heads(graph, call, query, width), _heads(graph, call, key, width, [0, 2, 3, 1])
    scale = 1 / sqrt(width // call.constant("heads"))
    scores = graph.add("Mul", graph.add("MatMul", query, key), scale)
    mask = call.constant("mask")
    if mask is not None:
        scores = graph.add("Add", scores, graph.typed(mask, "f"))
        if isinstance(mask, Made) or np.all(mask.array < _LOWEST, axis=-1).any():
            return _weights_or_nothing(graph, scores)
    return graph.add("Softmax", scores, axis=-1)


def _weights_or_nothing(graph: Graph, scores: str) -> str:
    """Write a softmax that gives zeros where all is masked."""
    largest = graph.add("ReduceMax", scores, [-1], keepdims=1)
    powers = graph.add("Exp", graph.add("Sub", scores, graph.add("Max", largest, _LOWEST)))
    total = graph.add("ReduceSum", powers, [-1], keepdims=1)  # 0 or at least 1
    return graph.add("Div", powers, graph.add("Max", total, 1.0))


def _heads(graph: Graph, call: Call, x: str, width: int, axes: Sequence[int] = (0, 2, 1, 3)) -> str:
    """Write the division of (batch, steps, width) into heads, which come before the steps."""
    heads = call.constant("heads")
    return graph.add("Transpose", graph.add("Reshape", x, [0, 0, heads, width // heads]), perm=axes)


# Normalizations


@form(FORMS, ops.layer_norm)
def _layer_norm(graph: Graph, call: Call, x: str, *affine: str) -> str:
    shape = call.constant("shape")
    affine = affine or (graph.value(np.ones(shape)),)
    return graph.add(
        "LayerNormalization", x, *affine, axis=-len(shape), epsilon=float(call.constant("eps"))
    )


@form(FORMS, ops.rms_norm)
def _rms_norm(graph: Graph, call: Call, x: str, *affine: str) -> str:
    axes = [*range(-len(call.constant("shape")), 0)]
    square = graph.add("ReduceMean", graph.add("Mul", x, x), axes, keepdims=1)
    root = graph.add("Sqrt", graph.add("Add", square, float(call.constant("eps"))))
    y = graph.add("Div", x, root)
    return graph.add("Mul", y, *affine) if affine else y


@form(FORMS, ops.batch_norm)
def _batch_norm(graph: Graph, call: Call, x: str, *affine: str) -> str:
    """Write the node that takes statistics, which may have to be computed first."""
    channels, axes = call.fixed(call.shape[1]), [i for i in range(len(call.shape)) if i != 1]
    usual: list[Any] = [np.ones(channels), np.zeros(channels)]
    statistics = [call.constant(name) for name in ("mean", "variance") if call.constant("fixed")]
    if not statistics:
        mean = graph.add("ReduceMean", x, axes, keepdims=1)
        centred = graph.add("Sub", x, mean)
        squares = graph.add("Mul", centred, centred)
        statistics = [
            graph.add("Reshape", mean, [-1]),
            graph.add("ReduceMean", squares, axes, keepdims=0),
        ]
    scale = [*affine, *usual[len(affine) :]]
    eps = float(call.constant("eps"))
    return graph.add("BatchNormalization", x, *scale, *statistics, epsilon=eps)
