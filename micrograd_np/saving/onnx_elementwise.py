"""ONNX forms of the elementwise ops, the reductions and the products."""

from math import log, pi, sqrt
from string import ascii_letters

import numpy as np

from .. import ops
from ..ops.products import _written_out
from .onnx_graph import Form, Forms, Graph, direct, form
from .onnx_runs import Call

FORMS: Forms = {
    ops.add: direct("Add"),
    ops.subtract: direct("Sub"),
    ops.multiply: direct("Mul"),
    ops.divide: direct("Div"),
    ops.power: direct("Pow"),
    ops.negative: direct("Neg"),
    ops.absolute: direct("Abs"),
    ops.reciprocal: direct("Reciprocal"),
    ops.sqrt: direct("Sqrt"),
    ops.exp: direct("Exp"),
    ops.log: direct("Log"),
    ops.sin: direct("Sin"),
    ops.cos: direct("Cos"),
    ops.tan: direct("Tan"),
    ops.arctan: direct("Atan"),
    ops.sinh: direct("Sinh"),
    ops.cosh: direct("Cosh"),
    ops.tanh: direct("Tanh"),
    ops.erf: direct("Erf"),
    ops.sigmoid: direct("Sigmoid"),
    ops.relu: direct("Relu"),
    ops.softplus: direct("Softplus"),
    ops.sign: direct("Sign"),
    ops.maximum: direct("Max"),
    ops.minimum: direct("Min"),
    ops.matmul: direct("MatMul"),
    ops.square: lambda graph, call, x: graph.add("Mul", x, x),
    ops.expm1: lambda graph, call, x: graph.add("Sub", graph.add("Exp", x), 1.0),
    ops.log1p: lambda graph, call, x: graph.add("Log", graph.add("Add", x, 1.0)),
    ops.log2: lambda graph, call, x: graph.add("Mul", graph.add("Log", x), 1 / log(2)),
    ops.silu: lambda graph, call, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    ops.elu: lambda graph, call, x: graph.add("Elu", x, alpha=float(call.constant("alpha"))),
    ops.linear: lambda graph, call, x, weight, bias: graph.add(
        "Add", graph.add("MatMul", x, weight), bias
    ),
    ops.astype: direct("Identity"),  # since whatever enters an op is made of the result's kind
    ops.where: lambda graph, call, x, y: graph.add("Where", call.constant("condition"), x, y),
    ops.softmax: lambda graph, call, x: graph.add("Softmax", x, axis=call.constant("axis")),
    ops.log_softmax: lambda graph, call, x: graph.add("LogSoftmax", x, axis=call.constant("axis")),
}


COMPARISONS: Forms = {
    np.greater: direct("Greater"),
    np.greater_equal: direct("GreaterOrEqual"),
    np.less: direct("Less"),
    np.less_equal: direct("LessOrEqual"),
    np.equal: direct("Equal"),
    np.not_equal: lambda graph, call, x, y: graph.add("Not", graph.add("Equal", x, y)),
}


@form(FORMS, ops.logaddexp)
def _logaddexp(graph: Graph, call: Call, x: str, y: str) -> str:
    distance = graph.add("Abs", graph.add("Sub", x, y))
    return graph.add(
        "Add", graph.add("Max", x, y), graph.add("Softplus", graph.add("Neg", distance))
    )


@form(FORMS, ops.gelu)
def _gelu(graph: Graph, call: Call, x: str) -> str:
    if call.constant("approximate") == "tanh":
        cube = graph.add("Mul", graph.add("Mul", graph.add("Mul", x, x), x), 0.044715)
        squashed = graph.add("Tanh", graph.add("Mul", graph.add("Add", x, cube), sqrt(2 / pi)))
    else:
        squashed = graph.add("Erf", graph.add("Div", x, sqrt(2)))
    return graph.add("Mul", graph.add("Mul", x, graph.add("Add", squashed, 1.0)), 0.5)


@form(FORMS, ops.leaky_relu)
def _leaky_relu(graph: Graph, call: Call, x: str) -> str:
    return graph.add("LeakyRelu", x, alpha=float(call.constant("negative_slope")))


@form(FORMS, ops.floor)
def _floor(graph: Graph, call: Call, x: str) -> str:
    return graph.add("Floor" if call.kind == "f" else "Identity", x)


@form(FORMS, ops.round)
def _round(graph: Graph, call: Call, x: str) -> str:
    decimals = call.constant("decimals")
    if call.kind != "f" and decimals >= 0:
        return graph.add("Identity", x)
    if not decimals:
        return graph.add("Round", x)
    x = graph.add("Round", graph.add("Mul", x, 10.0**decimals))
    return graph.add("Div", x, 10.0**decimals)


@form(FORMS, ops.clip)
def _clip(graph: Graph, call: Call, x: str) -> str:
    for kind, name in (("Max", "minimum"), ("Min", "maximum")):
        bound = call.constant(name)
        if bound is not None:
            x = graph.add(kind, x, graph.typed(bound, call.kind))
    return x


# Reductions


def _axes(call: Call) -> list[int]:
    axis, ndim = call.constant("axis"), len(call.shapes[0])
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return [i % ndim for i in given]


def reduced(graph: Graph, kind: str, x: str, axes: list[int], keepdims: bool) -> str:
    """Write a reduction; over no axes, which for ONNX means all of them, nothing is to be done."""
    if not axes:
        return graph.add("Abs" if kind == "ReduceL2" else "Identity", x)
    return graph.add(kind, x, axes, keepdims=int(keepdims))


def _reduction(kind: str) -> Form:
    return lambda graph, call, x: reduced(graph, kind, x, _axes(call), call.constant("keepdims"))


FORMS |= {
    ops.sum: _reduction("ReduceSum"),
    ops.mean: _reduction("ReduceMean"),
    ops.prod: _reduction("ReduceProd"),
    ops.max: _reduction("ReduceMax"),
    ops.min: _reduction("ReduceMin"),
    ops.norm: _reduction("ReduceL2"),
    ops.logsumexp: _reduction("ReduceLogSumExp"),
    ops.std: lambda graph, call, x: graph.add("Sqrt", _variance(graph, call, x)),
}


@form(FORMS, ops.var)
def _variance(graph: Graph, call: Call, x: str) -> str:
    axes, keepdims, ddof = _axes(call), call.constant("keepdims"), call.constant("ddof")
    centred = graph.add("Sub", x, reduced(graph, "ReduceMean", x, axes, True))
    squares = graph.add("Mul", centred, centred)
    if not ddof:
        return reduced(graph, "ReduceMean", squares, axes, keepdims)
    total = reduced(graph, "ReduceSum", squares, axes, keepdims)
    lengths = [call.shapes[0][i] for i in axes]
    count = graph.cast(graph.add("ReduceProd", lengths, [0], keepdims=0), "f")
    return graph.add("Div", total, graph.add("Sub", count, float(ddof)))


@form(FORMS, ops.cumsum)
def _cumsum(graph: Graph, call: Call, x: str) -> str:
    axis = call.constant("axis")
    return graph.add("CumSum", graph.add("Reshape", x, [-1]) if axis is None else x, axis or 0)


@form(FORMS, ops.einsum)
def _einsum(graph: Graph, call: Call, *arrays: str) -> str:
    """Write the product without axes of length one that broadcast: ONNX would refuse them."""
    terms, output = _written_out(call.constant("subscripts"), call.arrays)
    pairs = [[*zip(term, shape)] for term, shape in zip(terms, call.shapes)]
    long = {letter for term in pairs for letter, length in term if length != 1}
    given = list(arrays)
    for i, term in enumerate(pairs):
        short = [axis for axis, (letter, n) in enumerate(term) if n == 1 and letter in long]
        if short:
            given[i] = graph.add("Squeeze", arrays[i], short)
            terms[i] = "".join(c for axis, c in enumerate(terms[i]) if axis not in short)
    return graph.add("Einsum", *given, equation=f"{','.join(terms)}->{output}")


@form(FORMS, ops.tensordot)
def _tensordot(graph: Graph, call: Call, x: str, y: str) -> str:
    """Write the product with a letter for each axis, the same where it is summed over."""
    axes, n, m = call.constant("axes"), *map(len, call.shapes)
    if isinstance(axes, int):
        axes = range(n - axes, n), range(axes)
    letters_x, letters_y = [*ascii_letters[:n]], [*ascii_letters[n : n + m]]
    for i, j in zip(*map(np.atleast_1d, axes)):
        letters_y[j] = letters_x[i]
    output = [c for c in letters_x + letters_y if (c in letters_x) != (c in letters_y)]
    equation = f"{''.join(letters_x)},{''.join(letters_y)}->{''.join(output)}"
    return graph.add("Einsum", x, y, equation=equation)
