"""Recurrent layers: they read a sequence step by step and keep a state."""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import initializers, ops
from ..checks import at_least_one, below_one
from ..tensor import Tensor, apply, as_tensor
from .dropout import dropout_mask
from .layer import Layer, parameter


class _Recurrent(Layer):
    """What `RNN`, `GRU` and `LSTM` share: layers upon each other, each in one or two directions."""

    weight_ih_l0: Tensor
    _op: Callable[..., Any]
    _gates: int
    _states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        weight_init: initializers.Initializer | None = None,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        at_least_one(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = below_one("dropout", dropout)
        self.bidirectional = bidirectional
        self.rng = rng
        limit = 1 / sqrt(hidden_size)
        uniform = initializers.uniform(-limit, limit)
        for layer, place in self._places():
            first = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for name, length in (("weight_ih", first), ("weight_hh", hidden_size)):
                # Drawn gate by gate as (in, out), so that fans and orthogonality are right.
                gates = [
                    initializers.draw(weight_init or uniform, (length, hidden_size), rng).T
                    for _ in range(self._gates)
                ]
                setattr(self, f"{name}_{place}", parameter(np.concatenate(gates), dtype))
            for name in ("bias_ih", "bias_hh") if bias else ():
                drawn = initializers.draw(uniform, (self._gates * hidden_size,), rng)
                setattr(self, f"{name}_{place}", parameter(drawn, dtype))

    def _places(self) -> list[tuple[int, str]]:
        """Return each layer and direction, with its name."""
        directions = ["", "_reverse"] if self.bidirectional else [""]
        return [(layer, f"l{layer}{d}") for layer in range(self.num_layers) for d in directions]

    def forward(self, x: Tensor, hx: Any = None) -> Any:
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            raise ValueError(
                f"takes inputs of shape (steps, batch, {self.input_size}), with batch_first "
                f"(batch, steps, {self.input_size}), or without the batch; received {x.shape}"
            )
        batched = x.ndim == 3
        if not batched:
            x = x.expand_dims(1)
        elif self.batch_first:
            x = x.swapaxes(0, 1)
        first = self._first_states(hx, x, batched)
        ends: list[tuple[Tensor, ...]] = []
        outputs: list[Tensor] = []
        for i, (layer, place) in enumerate(self._places()):
            backwards = place.endswith("reverse")
            if layer and not backwards:  # a new layer, which reads what the one below wrote
                x, outputs = _side_by_side(outputs), []
                if self.dropout and self.training:
                    x = x * dropout_mask(x.shape, x.dtype, self.dropout, self.rng)
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if self.bias else 2]
            weights = [getattr(self, f"{name}_{place}") for name in names]
            states = [state[i] for state in first]
            output, *end = self._run(x[::-1] if backwards else x, states, weights)
            outputs.append(output[::-1] if backwards else output)
            ends.append(tuple(end))
        y = _side_by_side(outputs)
        last = [parts[0].stack(*parts[1:]) for parts in zip(*ends)]
        if not batched:
            y, last = y.squeeze(1), [state.squeeze(1) for state in last]
        elif self.batch_first:
            y = y.swapaxes(0, 1)
        return y, (tuple(last) if len(last) > 1 else last[0])

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        """Return the output of every step and the states after the last."""
        y = apply(type(self)._op, x, *states, *weights)
        return [y, y[-1]]

    def _first_states(self, hx: Any, x: Tensor, batched: bool) -> list[Any]:
        """Return the states to begin with, each of shape (layers and directions, batch, size)."""
        shape = (len(self._places()), x.shape[1], self.hidden_size)
        if hx is None:
            zeros = np.zeros(shape[1:], self.weight_ih_l0.dtype)
            return [[Tensor(zeros)] * shape[0]] * self._states
        states = [as_tensor(state) for state in (hx if self._states > 1 else [hx])]
        expected = shape if batched else (shape[0], shape[2])
        if len(states) != self._states or any(state.shape != expected for state in states):
            raise ValueError(
                f"the first states must be {self._states} of shape {expected}; received "
                f"{[state.shape for state in states]}"
            )
        return states if batched else [state.expand_dims(1) for state in states]


def _side_by_side(outputs: list[Tensor]) -> Tensor:
    first, *others = outputs
    return first.concatenate(*others, axis=-1) if others else first


class RNN(_Recurrent):
    r"""Simple recurrent network.

    .. math:: h' = tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})

    Layers stand upon each other; with `bidirectional` each reads the sequence from both ends.

    Parameters
    ----------
    input_size, hidden_size
        Number of features of the input and of the state, at least 1.
    num_layers
        Number of layers, each of which reads what the one below wrote.
    nonlinearity
        "tanh" or "relu".
    bias
        Whether to add the biases b.
    batch_first
        Whether input and output are (batch, steps, features) instead of (steps, batch, features).
    dropout
        Probability of a 0 between layers in training mode, at least 0 and below 1.
    bidirectional
        Whether to read backwards too; the outputs of both directions stand side by side.
    weight_init
        Function of shape and rng, called for each gate with (in, out); by default, as the biases
        always, uniform in ±1 / sqrt(hidden_size).
    rng, dtype
        As for `Linear`; dropout draws from `rng`, too.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ... : Tensor
        W and b of layer 0, of shapes (hidden_size, in) and (hidden_size,); those of the backward
        direction end in ``_reverse``.

    Notes
    -----
    ``layer(x)`` or ``layer(x, h)`` returns ``output, h``: x is (steps, batch,
    input_size), or (steps, input_size) without a batch; output is (steps, batch, hidden_size),
    twice as wide if `bidirectional`; h is (num_layers, batch, hidden_size), with two entries
    per layer if `bidirectional`, zeros unless given and after the last step when returned.

    Raises
    ------
    ValueError
        If a size is below 1, a probability out of its range, or a shape does not fit.

    References
    ----------
    Elman, "Finding Structure in Time" (1990).
    """

    _op = ops.rnn
    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        weight_init: initializers.Initializer | None = None,
        rng: Any = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f'nonlinearity must be "tanh" or "relu"; received {nonlinearity!r}')
        self.nonlinearity = nonlinearity
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            weight_init=weight_init, rng=rng, dtype=dtype,
        )  # fmt: skip

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        y = apply(ops.rnn, x, *states, *weights, nonlinearity=self.nonlinearity)
        return [y, y[-1]]


class GRU(_Recurrent):
    r"""Gated recurrent unit.

    .. math::
        r &= \sigma(W_{ir} x + b_{ir} + W_{hr} h + b_{hr}) \\
        z &= \sigma(W_{iz} x + b_{iz} + W_{hz} h + b_{hz}) \\
        n &= tanh(W_{in} x + b_{in} + r (W_{hn} h + b_{hn})) \\
        h' &= (1 - z) n + z h

    Layers stand upon each other; with `bidirectional` each reads the sequence from both ends.

    Parameters
    ----------
    input_size, hidden_size
        Number of features of the input and of the state, at least 1.
    num_layers
        Number of layers, each of which reads what the one below wrote.
    bias
        Whether to add the biases b.
    batch_first
        Whether input and output are (batch, steps, features) instead of (steps, batch, features).
    dropout
        Probability of a 0 between layers in training mode, at least 0 and below 1.
    bidirectional
        Whether to read backwards too; the outputs of both directions stand side by side.
    weight_init
        Function of shape and rng, called for each gate with (in, out); by default, as the biases
        always, uniform in ±1 / sqrt(hidden_size).
    rng, dtype
        As for `Linear`; dropout draws from `rng`, too.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ... : Tensor
        W and b of layer 0, of shapes (3 * hidden_size, in) and (3 * hidden_size,), the
        gates one behind the other; those of the backward direction end in ``_reverse``.

    Notes
    -----
    ``layer(x)`` or ``layer(x, h)`` returns ``output, h``: x is (steps, batch,
    input_size), or (steps, input_size) without a batch; output is (steps, batch, hidden_size),
    twice as wide if `bidirectional`; h is (num_layers, batch, hidden_size), with two entries
    per layer if `bidirectional`, zeros unless given and after the last step when returned.

    Raises
    ------
    ValueError
        If a size is below 1, a probability out of its range, or a shape does not fit.

    References
    ----------
    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for
    Statistical Machine Translation" (2014), in PyTorch's form.
    """

    _op = ops.gru
    _gates = 3


class LSTM(_Recurrent):
    r"""Long short-term memory.

    .. math::
        i &= \sigma(W_{ii} x + b_{ii} + W_{hi} h + b_{hi}) \\
        f &= \sigma(W_{if} x + b_{if} + W_{hf} h + b_{hf}) \\
        g &= tanh(W_{ig} x + b_{ig} + W_{hg} h + b_{hg}) \\
        o &= \sigma(W_{io} x + b_{io} + W_{ho} h + b_{ho}) \\
        c' &= f c + i g \\
        h' &= o \, tanh(c')

    Layers stand upon each other; with `bidirectional` each reads the sequence from both ends.

    Parameters
    ----------
    input_size, hidden_size
        Number of features of the input and of the state, at least 1.
    num_layers
        Number of layers, each of which reads what the one below wrote.
    bias
        Whether to add the biases b.
    batch_first
        Whether input and output are (batch, steps, features) instead of (steps, batch, features).
    dropout
        Probability of a 0 between layers in training mode, at least 0 and below 1.
    bidirectional
        Whether to read backwards too; the outputs of both directions stand side by side.
    weight_init
        Function of shape and rng, called for each gate with (in, out); by default, as the biases
        always, uniform in ±1 / sqrt(hidden_size).
    rng, dtype
        As for `Linear`; dropout draws from `rng`, too.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, ... : Tensor
        W and b of layer 0, of shapes (4 * hidden_size, in) and (4 * hidden_size,), the
        gates one behind the other; those of the backward direction end in ``_reverse``.

    Notes
    -----
    ``layer(x)`` or ``layer(x, (h, c))`` returns ``output, (h, c)``: x is (steps, batch,
    input_size), or (steps, input_size) without a batch; output is (steps, batch, hidden_size),
    twice as wide if `bidirectional`; h and c are (num_layers, batch, hidden_size), with two entries
    per layer if `bidirectional`, zeros unless given and after the last step when returned. For c
    after every step call it step by step: ``output, state = layer(x[t : t + 1], state)``.

    Raises
    ------
    ValueError
        If a size is below 1, a probability out of its range, or a shape does not fit.

    References
    ----------
    Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997).
    """

    _op = ops.lstm
    _gates = 4
    _states = 2

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
        y = apply(ops.lstm, x, *states, *weights)  # every h, then the last c
        return [y[:-1], y[-2], y[-1]]
