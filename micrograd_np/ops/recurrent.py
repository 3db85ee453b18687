"""Recurrent networks: a whole sequence is one op, because its steps are too small to be ops.

All have PyTorch's formulas: x is (steps, batch, features), the weights stack their gates as
(gates * size, ...), `biases` are none or both the input's and the state's. Inside, what belongs to
a step lies as (rows, batch), where each gate is one piece of memory; a step sees x, 1 for the
biases and the state as the rows of one matrix, so that its gates are one product. What concerns
all steps at once is done outside the loops: the derivatives of the gates, the gradients of the
weights. Values are views as (steps, batch, size).
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from .common import Array, Result, jointly, number


def rnn(
    x: Array,
    hidden: Array,
    weight_ih: Array,
    weight_hh: Array,
    *biases: Array,
    nonlinearity: str = "tanh",
) -> Result:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu; the value has h after every step."""
    memory, states = _start(x, hidden, weight_ih, biases)
    weight = _side_by_side(weight_ih, weight_hh, biases)
    zero = number(0, memory.dtype)
    for before, after in zip(memory, states[1:]):
        weight.dot(before, after)
        if nonlinearity == "tanh":
            np.tanh(after, out=after)
        else:
            np.maximum(after, zero, out=after)

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        g = g.swapaxes(1, 2)
        slope: Array
        if nonlinearity == "tanh":
            slope = number(1, g.dtype) - states[1:] * states[1:]
        else:
            slope = (states[1:] > zero).astype(g.dtype)
        carried = np.zeros_like(slope[0])
        for coming, to_gate in zip(g[::-1], slope[::-1]):
            carried += coming
            to_gate *= carried
            weight_hh.T.dot(to_gate, carried)
        return _finish(x, memory, weight_ih, slope, slope, [carried])

    return states[1:].swapaxes(1, 2), jointly(4 + len(biases), back)


def gru(x: Array, hidden: Array, weight_ih: Array, weight_hh: Array, *biases: Array) -> Result:
    """Gated recurrent unit (Cho et al., 2014) in PyTorch's form; the value has h after every step.

    The gates r, z, n are stacked in this order: r and z = sigmoid(W_ih x + b_ih + W_hh h + b_hh),
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)), h' = (1 - z) n + z h.
    """
    (steps, batch, features), size = x.shape, hidden.shape[-1]
    memory, states = _start(x, hidden, weight_ih, biases)
    half, two = number(0.5, memory.dtype), 2 * size
    columns = [bias[two:, None] for bias in biases]
    both = _side_by_side(weight_ih, weight_hh, biases)[:two] * half
    from_input = np.concatenate([weight_ih[two:], *columns[:1]], axis=1)
    from_state = np.concatenate([*columns[1:], weight_hh[two:]], axis=1)
    gates = np.empty((steps, 3 * size, batch), memory.dtype, like=memory)
    np.matmul(from_input, memory[:-1, : memory.shape[1] - size], out=gates[:, two:])
    candidates = np.empty_like(states[1:])  # W_hn h + b_hn
    for t, gate in enumerate(gates):
        sigmoids, new, after = gate[:two], gate[two:], states[t + 1]
        both.dot(memory[t], sigmoids)
        np.tanh(sigmoids, out=sigmoids)
        sigmoids *= half
        sigmoids += half
        candidate = from_state.dot(memory[t, features:], candidates[t])
        new += sigmoids[:size] * candidate
        np.tanh(new, out=new)
        np.subtract(states[t], new, out=after)
        after *= sigmoids[size:]
        after += new

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        g, one = g.swapaxes(1, 2), number(1, g.dtype)
        r, z, n = _parts(gates, 3)
        through_n = (one - z) * (one - n * n)
        slopes = np.stack(  # of the state's products, each times the gradient of h'
            [through_n * candidates * r * (one - r), (states[:-1] - n) * z * (one - z),
             through_n * r], axis=1
        )  # fmt: skip
        to_state = slopes.reshape(gates.shape)
        carried = np.zeros_like(candidates[0])
        for t in reversed(range(steps)):
            carried += g[t]
            for slope in (slopes[t], through_n[t]):
                slope *= carried
            carried *= z[t]
            carried += weight_hh.T.dot(to_state[t])
        to_input = np.concatenate([to_state[:, :two], through_n], axis=1)
        return _finish(x, memory, weight_ih, to_input, to_state, [carried])

    return states[1:].swapaxes(1, 2), jointly(4 + len(biases), back)


def lstm(
    x: Array, hidden: Array, cell: Array, weight_ih: Array, weight_hh: Array, *biases: Array
) -> Result:
    """Long short-term memory (Hochreiter and Schmidhuber, 1997) in PyTorch's form.

    The gates i, f, g, o are stacked in this order: all are W_ih x + b_ih + W_hh h + b_hh, then
    tanh for g and sigmoid for the others. c' = f c + i g, h' = o tanh(c'). The value has h after
    every step and, behind them, c after the last.
    """
    (steps, batch, _), size = x.shape, hidden.shape[-1]
    memory, states = _start(x, hidden, weight_ih, biases, extra=1)
    # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so all gates of a step are one call of tanh.
    halves = np.full((4 * size, 1), 0.5, memory.dtype)
    halves[2 * size : 3 * size] = 1
    weight = _side_by_side(weight_ih, weight_hh, biases) * halves
    factor = halves.repeat(batch, axis=1)  # a column that is broadcast takes four times as long
    offset = number(1, memory.dtype) - factor
    gates = np.empty((steps, 4 * size, batch), memory.dtype, like=memory)
    cells = np.empty((steps + 1, size, batch), memory.dtype, like=memory)
    np.copyto(cells[0], cell.T)
    squashed = np.empty_like(cells[1:])  # tanh(c')
    for t, gate in enumerate(gates):
        weight.dot(memory[t], gate)
        np.tanh(gate, out=gate)
        gate *= factor
        gate += offset
        i, f, g, o = gate.reshape(4, size, batch)
        after = np.multiply(f, cells[t], out=cells[t + 1])
        after += i * g
        np.multiply(o, np.tanh(after, out=squashed[t]), out=states[t + 1])
    np.copyto(states[-1], cells[-1])

    def back(grads: Array) -> Sequence[Callable[[], Array]]:
        grads = grads.swapaxes(1, 2)
        slopes, to_cell = _lstm_slopes(gates, cells[:-1], squashed)
        _, f, _, _ = _parts(gates, 4)
        carried, carried_cell = np.zeros_like(cells[0]), grads[-1].copy()
        for t in reversed(range(steps)):
            carried += grads[t]
            carried_cell += carried * to_cell[t]
            *through_cell, through_o = slopes[t].reshape(4, size, batch)
            for slope in through_cell:
                slope *= carried_cell
            through_o *= carried
            weight_hh.T.dot(slopes[t], carried)
            carried_cell *= f[t]
        return _finish(x, memory, weight_ih, slopes, slopes, [carried, carried_cell])

    return states[1:].swapaxes(1, 2), jointly(5 + len(biases), back)


def _lstm_slopes(gates: Array, cells: Array, squashed: Array) -> tuple[Array, Array]:
    """Return the derivatives of c' (for o: of h') by what is in the gates, and of h' by c'."""
    i, f, g, o = _parts(gates, 4)
    one = number(1, gates.dtype)
    slopes, to_cell = np.empty_like(gates), np.empty_like(squashed)
    for slope, top, gate, other in zip(
        (*_parts(slopes, 4), to_cell), (i, f, one, o, one), (i, f, g, o, squashed),
        (g, cells, i, squashed, o),
    ):  # fmt: skip
        np.multiply(gate, gate, out=slope)  # the slope of a tanh is 1 - y y, of a sigmoid y - y y
        np.subtract(top, slope, out=slope)
        slope *= other
    return slopes, to_cell


def _start(
    x: Array, hidden: Array, weight_ih: Array, biases: tuple[Array, ...], extra: int = 0
) -> tuple[Array, Array]:
    """Return what each step sees, rows of x, 1 if there are biases and h, and the rows of h alone.

    Behind the last step there is room for its state and for `extra` more.
    """
    steps, batch, features = x.shape
    if not steps:
        raise ValueError(f"needs at least one step; received x of shape {x.shape}")
    first = features + bool(biases)
    shape = (steps + 1 + extra, first + hidden.shape[1], batch)
    memory = np.empty(shape, np.result_type(x, weight_ih), like=x)
    np.copyto(memory[:steps, :features], x.swapaxes(1, 2))
    memory[:, features:first] = 1
    np.copyto(memory[0, first:], hidden.T)
    return memory, memory[:, first:]


def _side_by_side(weight_ih: Array, weight_hh: Array, biases: tuple[Array, ...]) -> Array:
    """Return one weight for all that a step sees."""
    column = [(biases[0] + biases[1])[:, None]] if biases else []
    return np.concatenate([weight_ih, *column, weight_hh], axis=1)


def _parts(gates: Array, count: int) -> list[Array]:
    """Return a view of each gate, (steps, size, batch)."""
    size = gates.shape[1] // count
    return [gates[:, k * size : (k + 1) * size] for k in range(count)]


def _finish(
    x: Array,
    memory: Array,
    weight_ih: Array,
    to_input: Array,
    to_state: Array,
    to_first: list[Array],
) -> Sequence[Callable[[], Array]]:
    """Return how to finish the gradients of x, the first states, the weights and the biases."""
    steps, batch, features = x.shape
    first = memory.shape[1] - len(to_first[0])
    inputs = _in_rows(to_input)

    @cache
    def to_weights() -> tuple[Array, Array]:
        """Return the gradients of each weight, with its bias as one more column if there is one."""
        seen = _in_rows(memory[:steps])
        if to_state is to_input:
            both = inputs.dot(seen.T)
            return both[:, :first], both[:, features:]
        return inputs.dot(seen[:first].T), _in_rows(to_state).dot(seen[features:].T)

    return (
        lambda: weight_ih.T.dot(inputs).reshape(features, steps, batch).transpose(1, 2, 0),
        *(lambda state=state: state.T for state in to_first),
        lambda: to_weights()[0][:, :features],
        lambda: to_weights()[1][:, first - features :],
        lambda: to_weights()[0][:, features],
        lambda: to_weights()[1][:, 0],
    )


def _in_rows(array: Array) -> Array:
    """Make one matrix of the rows of all steps."""
    return array.swapaxes(0, 1).reshape(array.shape[1], len(array) * array.shape[2])
