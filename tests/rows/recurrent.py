"""Rows of the recurrent networks, whose formulas run unit by unit."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import micrograd_np as mg
from micrograd_np import ops

from . import Inputs, Row, numbers

Vector = list[float]
Sums = list[Vector]  # of each gate, by unit


def rows() -> Iterator[Row]:
    relu = partial(max, 0.0)
    for name, function in (("tanh", math.tanh), ("relu", relu)):
        yield Row(
            "rnn",
            lambda *tensors, name=name: mg.apply(ops.rnn, *tensors, nonlinearity=name),
            lambda *arrays, f=function: run(partial(rnn_step, f), *arrays),
            inputs(gates=1, states=1),
        )
    yield Row("rnn", partial(mg.apply, ops.rnn), partial(run, rnn_step_tanh), inputs(1, 1))
    yield Row("gru", partial(mg.apply, ops.gru), partial(run, gru_step), inputs(3, 1))
    yield Row("lstm", partial(mg.apply, ops.lstm), lstm_by_hand, inputs(4, 2))


def inputs(gates: int, states: int) -> list[Inputs]:
    """One step and several, with biases and without, no batch rows, size one, views."""
    drawn = []
    for steps, batch, features, size in ((1, 2, 3, 2), (4, 2, 3, 2), (3, 1, 1, 1), (2, 0, 3, 2)):
        shapes: list[tuple[int, ...]] = [(steps, batch, features), *[(batch, size)] * states]
        shapes += [(gates * size, features), (gates * size, size)]
        drawn += [numbers(*shapes), numbers(*shapes, (gates * size,), (gates * size,))]
    x, *hidden, weight_ih, weight_hh, bias_ih, bias_hh = drawn[3]
    turned = [np.asfortranarray(array) for array in (weight_ih, weight_hh)]
    views = (bias_ih.repeat(2)[::2], bias_hh[::-1])
    drawn.append((x[::-1].swapaxes(0, 1).copy().swapaxes(0, 1), *hidden, *turned, *views))
    return drawn


def lstm_by_hand(x: Any, hidden: Any, cell: Any, *weights: Any) -> Any:
    """Every h, then the last c."""
    cells = cell.copy()
    states = run(lstm_step, x, hidden, *weights, cells=cells)
    return np.concatenate([states, cells[None]])


def run(step: Callable[..., Vector], x: Any, hidden: Any, *weights: Any, cells: Any = None) -> Any:
    """Run a network over each sequence of a batch; each c is overwritten by the last."""
    states = np.zeros((len(x), *hidden.shape))
    for n in range(x.shape[1]):
        h = [float(unit) for unit in hidden[n]]
        for t in range(len(x)):
            sums = gates(x[t, n], h, *weights)
            h = step(*sums, h) if cells is None else step(*sums, cells[n])
            states[t, n] = h
    return states


def gates(x: Any, h: Vector, weight_ih: Any, weight_hh: Any, *biases: Any) -> tuple[Sums, Sums]:
    """Return the sums over the inputs and those over the states, of each gate by unit."""
    both = []
    for i, (weight, entries) in enumerate(((weight_ih, x), (weight_hh, h))):
        sums = [math.fsum(w * e for w, e in zip(row, entries)) for row in weight]
        if biases:
            sums = [total + b for total, b in zip(sums, biases[i])]
        both.append([sums[j : j + len(h)] for j in range(0, len(sums), len(h))])
    return both[0], both[1]


def rnn_step(function: Callable[[float], float], ih: Sums, hh: Sums, _: Vector) -> Vector:
    return [function(i + h) for i, h in zip(ih[0], hh[0])]


def rnn_step_tanh(ih: Sums, hh: Sums, before: Vector) -> Vector:
    return rnn_step(math.tanh, ih, hh, before)


def gru_step(ih: Sums, hh: Sums, before: Vector) -> Vector:
    after = []
    for u, h in enumerate(before):
        r, z = (sigmoid(ih[gate][u] + hh[gate][u]) for gate in range(2))
        n = math.tanh(ih[2][u] + r * hh[2][u])
        after.append((1 - z) * n + z * h)
    return after


def lstm_step(ih: Sums, hh: Sums, cell: Any) -> Vector:
    after = []
    for u in range(len(cell)):
        i, f, g, o = (ih[gate][u] + hh[gate][u] for gate in range(4))
        cell[u] = sigmoid(f) * cell[u] + sigmoid(i) * math.tanh(g)
        after.append(sigmoid(o) * math.tanh(cell[u]))
    return after


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
