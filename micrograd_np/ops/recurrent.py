"""Recurrent networks: a whole sequence is one op, because its steps are too small to be ops.

All have PyTorch's formulas and layouts: x is (steps, batch, features), the weights stack their
gates as (gates * size, ...), `biases` are none or both the input's and the state's. What concerns
all steps at once is done outside the loops: the products with the input, the derivatives of the
gates, the gradients of the weights.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .common import Array, Result, jointly, number
from .products import ones


def rnn(
    x: Array,
    hidden: Array,
    weight_ih: Array,
    weight_hh: Array,
    *biases: Array,
    nonlinearity: str = "tanh",
) -> Result:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu; the value has h after every step."""
    states, pre = _start(x, hidden, weight_ih, weight_hh, biases)
    recurrent = np.ascontiguousarray(weight_hh.T)
    zero = number(0, pre.dtype)
    for before, after, gate in zip(states, states[1:], pre):
        gate += before.dot(recurrent)
        if nonlinearity == "tanh":
            np.tanh(gate, out=after)
        else:
            np.maximum(gate, zero, out=after)

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        slope: Array
        if nonlinearity == "tanh":
            slope = number(1, g.dtype) - states[1:] * states[1:]
        else:
            slope = (states[1:] > zero).astype(g.dtype)
        carried = np.zeros_like(g[0])
        for t in reversed(range(len(g))):
            carried += g[t]
            slope[t] *= carried
            carried = slope[t].dot(weight_hh)
        return _finish(x, states, weight_ih, slope, slope, [carried])

    return states[1:], jointly(4 + len(biases), back)


def gru(x: Array, hidden: Array, weight_ih: Array, weight_hh: Array, *biases: Array) -> Result:
    """Gated recurrent unit (Cho et al., 2014) in PyTorch's form; the value has h after every step.

    The gates r, z, n are stacked in this order: r and z = sigmoid(W_ih x + b_ih + W_hh h + b_hh),
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h.
    """
    size = hidden.shape[-1]
    halves = _halves(3, size, np.result_type(x, weight_ih))
    states, pre = _start(x, hidden, weight_ih, weight_hh, biases[:1], halves)
    recurrent = np.ascontiguousarray((weight_hh * halves[:, None]).T)
    shift = biases[1] * halves if biases else None
    candidates = np.empty_like(states[1:])  # W_hn h + b_hn
    half = number(0.5, pre.dtype)
    for before, after, gate, candidate in zip(states, states[1:], pre, candidates):
        inner = before.dot(recurrent)
        if shift is not None:
            inner += shift
        candidate[...] = inner[:, 2 * size :]
        both, new = gate[:, : 2 * size], gate[:, 2 * size :]
        both += inner[:, : 2 * size]
        np.tanh(both, out=both)
        both *= half
        both += half
        new += both[:, :size] * candidate
        np.tanh(new, out=new)
        np.subtract(before, new, out=after)
        after *= both[:, size:]
        after += new

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        one = number(1, g.dtype)
        r, z, n = (pre[..., i * size : (i + 1) * size] for i in range(3))
        through_n = (one - z) * (one - n * n)
        slopes = np.stack(  # of the state's products, each times the gradient of h'
            [through_n * candidates * r * (one - r), (states[:-1] - n) * z * (one - z),
             through_n * r], axis=2
        )  # fmt: skip
        to_state = slopes.reshape(pre.shape)
        carried = np.zeros_like(g[0])
        for t in reversed(range(len(g))):
            carried += g[t]
            slopes[t] *= carried[:, None]
            through_n[t] *= carried
            carried *= z[t]
            carried += to_state[t].dot(weight_hh)
        to_input = to_state.copy()
        to_input[..., 2 * size :] = through_n
        return _finish(x, states, weight_ih, to_input, to_state, [carried])

    return states[1:], jointly(4 + len(biases), back)


def lstm(
    x: Array, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, *biases: Array
) -> Result:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997) in PyTorch's form.

    The gates i, f, g, o are stacked in this order: all are W_ih x + b_ih + W_hh h + b_hh, then
    tanh for g and sigmoid for the others. c' = f c + i g, h' = o tanh(c'). The value has h after
    every step and, behind them, c after the last.
    """
    size = hidden.shape[-1]
    halves = _halves(4, size, np.result_type(x, weight_ih), tanh=2)
    memory, gates = _start(x, hidden, weight_ih, weight_hh, biases, halves, extra=1)
    states = memory[:-1]
    recurrent = np.ascontiguousarray((weight_hh * halves[:, None]).T)
    factor = np.empty_like(gates[0])  # a row repeated is twice as fast as a row broadcast
    factor[...] = halves
    offset = number(1, gates.dtype) - factor
    cells = np.empty_like(states)
    cells[0] = cell
    squashed = np.empty_like(states[1:])  # tanh(c')
    for t, gate in enumerate(gates):
        gate += states[t].dot(recurrent)
        np.tanh(gate, out=gate)
        gate *= factor
        gate += offset
        after = cells[t + 1]
        np.multiply(gate[:, size : 2 * size], cells[t], out=after)
        after += gate[:, :size] * gate[:, 2 * size : 3 * size]
        np.tanh(after, out=squashed[t])
        np.multiply(gate[:, 3 * size :], squashed[t], out=states[t + 1])
    memory[-1] = cells[-1]

    def back(grads: Array) -> Sequence[Callable[[], Array]]:
        one = number(1, grads.dtype)
        i, f, g, o = (gates[..., k * size : (k + 1) * size] for k in range(4))
        slopes = np.stack(  # of the gates, times the gradient of c' or, for o, of h'
            [g * i * (one - i), cells[:-1] * f * (one - f), i * (one - g * g),
             squashed * o * (one - o)], axis=2
        )  # fmt: skip
        to_gates = slopes.reshape(gates.shape)
        to_cell = o * (one - squashed * squashed)
        carried, carried_cell = np.zeros_like(grads[0]), grads[-1].copy()
        for t in reversed(range(len(gates))):
            carried += grads[t]
            carried_cell += carried * to_cell[t]
            slopes[t, :, :3] *= carried_cell[:, None]
            slopes[t, :, 3] *= carried
            carried = to_gates[t].dot(weight_hh)
            carried_cell *= f[t]
        return _finish(x, states, weight_ih, to_gates, to_gates, [carried, carried_cell])

    return memory[1:], jointly(5 + len(biases), back)


def _halves(gates: int, size: int, dtype: Any, tanh: int = -1) -> Array:
    """Return 1/2 for gates that are sigmoids and 1 for that which is a tanh.

    sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so all gates of a step are one call of tanh.
    """
    halves = np.full((gates, size), 0.5, dtype)
    halves[tanh] = 1
    return halves.reshape(-1)


def _start(
    x: Array,
    hidden: Array,
    weight_ih: Array,
    weight_hh: Array,
    biases: tuple[Array, ...],
    scale: Any = None,
    extra: int = 0,
) -> tuple[Array, Array]:
    """Return room for all states behind the first one, and what the input adds to the gates."""
    steps, batch, features = x.shape
    if not steps:
        raise ValueError(f"needs at least one step; received x of shape {x.shape}")
    weight, bias = weight_ih, sum(biases) if biases else None
    if scale is not None:
        weight = weight_ih * scale[:, None]
        bias = None if bias is None else bias * scale
    pre = x.reshape(steps * batch, features).dot(weight.T)
    if bias is not None:
        pre += bias
    states = np.empty((steps + 1 + extra, *hidden.shape), pre.dtype)
    states[0] = hidden
    return states, pre.reshape(steps, batch, len(weight_hh))


def _finish(
    x: Array,
    states: Array,
    weight_ih: Array,
    to_input: Array,
    to_state: Array,
    to_first: list[Array],
) -> Sequence[Callable[[], Array]]:
    """Return how to finish the gradients of x, the first states, the weights and the biases."""
    inputs = to_input.reshape(-1, len(weight_ih))
    products = to_state.reshape(-1, len(weight_ih))
    summing = ones(len(inputs), inputs.dtype)
    return (
        lambda: inputs.dot(weight_ih).reshape(x.shape),
        *(lambda first=first: first for first in to_first),
        lambda: inputs.T.dot(x.reshape(len(inputs), x.shape[2])),
        lambda: products.T.dot(states[:-1].reshape(len(products), states.shape[2])),
        lambda: summing.dot(inputs),
        lambda: summing.dot(products),
    )
