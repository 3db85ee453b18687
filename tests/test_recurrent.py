"""Recurrent layers: layers upon layers, directions, states that are handed over, dropout."""

from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

KINDS: list[Any] = [mg.RNN, mg.GRU, mg.LSTM]
each_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind: Any, *arguments: Any, **options: Any) -> Any:
    return kind(*arguments, rng=np.random.default_rng(0), **options)


def array(x: Any) -> Any:
    return x.data if isinstance(x, mg.Tensor) else np.asarray(x)


def alike(first: Any, second: Any) -> bool:
    return np.allclose(array(first), array(second), rtol=1e-11)


def states(kind: Any, *shape: int) -> Any:
    """Draw states to begin with: one, or for an LSTM two."""
    rng = np.random.default_rng(1)
    drawn = [rng.standard_normal(shape) for _ in range(2 if kind is mg.LSTM else 1)]
    return tuple(drawn) if kind is mg.LSTM else drawn[0]


def flat(state: Any) -> list[Any]:
    """Return the states, one or two, as a list of arrays."""
    return [array(part) for part in (state if isinstance(state, tuple) else (state,))]


def close(first: Any, second: Any) -> None:
    for one, other in zip(flat(first), flat(second), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


X = np.random.default_rng(2).standard_normal((5, 4, 3))


@each_kind
@pytest.mark.parametrize("layers", [1, 3])
def test_a_sequence_in_two_parts_equals_the_whole(kind: Any, layers: int) -> None:
    layer = make(kind, 3, 2, layers)
    y, last = layer(X, states(kind, layers, 4, 2))
    first_y, between = layer(X[:2], states(kind, layers, 4, 2))
    second_y, end = layer(X[2:], between)
    close(np.concatenate([first_y.data, second_y.data]), y)
    close(end, last)


@each_kind
def test_the_last_states_are_those_after_the_last_step(kind: Any) -> None:
    y, last = make(kind, 3, 2, 2, bidirectional=True)(X)
    h = flat(last)[0]
    assert h.shape == (4, 4, 2)
    close(h[2], y[-1, :, :2])  # the last layer forwards,
    close(h[3], y[0, :, 2:])  # and backwards, where the first step comes last


@each_kind
def test_states_start_at_zero(kind: Any) -> None:
    layer = make(kind, 3, 2, 2)
    zeros = np.zeros((2, 4, 2))
    given = (zeros, zeros) if kind is mg.LSTM else zeros
    close(layer(X, given)[0], layer(X)[0])
    close(layer(X, None)[0], layer(X)[0])
    assert not alike(layer(X, states(kind, 2, 4, 2))[0], layer(X)[0])


@each_kind
def test_layers_read_what_the_one_below_wrote(kind: Any) -> None:
    both = make(kind, 3, 2, 2)
    single = [make(kind, 3, 2), make(kind, 2, 2)]
    for i, layer in enumerate(single):
        names = {f"{name}_l0": f"{name}_l{i}" for name in
                 ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}  # fmt: skip
        layer.load_state_dict({own: both.state_dict()[name] for own, name in names.items()})
    first = states(kind, 2, 4, 2)
    parts = [tuple(s[i : i + 1] for s in first) if isinstance(first, tuple) else first[i : i + 1]
             for i in range(2)]  # fmt: skip
    y, last = both(X, first)
    middle, below = single[0](X, parts[0])
    above, end = single[1](middle, parts[1])
    close(y, above)
    for whole, low, high in zip(flat(last), flat(below), flat(end)):
        close(whole, np.concatenate([low, high]))


@each_kind
def test_the_backward_direction_reads_from_the_end(kind: Any) -> None:
    both = make(kind, 3, 2, bidirectional=True)
    state = both.state_dict()
    y, last = both(X)
    for i, (direction, x) in enumerate((("", X), ("_reverse", X[::-1]))):
        layer = make(kind, 3, 2)
        layer.load_state_dict({name: state[name + direction] for name in layer.state_dict()})
        expected, end = layer(x)
        close(y[..., 2 * i : 2 * i + 2], expected[::-1] if direction else expected)
        for whole, part in zip(flat(last), flat(end)):
            close(whole[i : i + 1], part)


@each_kind
def test_batch_first_exchanges_axes_of_sequences_but_not_of_states(kind: Any) -> None:
    layer = make(kind, 3, 2, 2, bidirectional=True)
    turned = make(kind, 3, 2, 2, bidirectional=True, batch_first=True)
    first = states(kind, 4, 4, 2)
    y, last = layer(X, first)
    turned_y, turned_last = turned(X.swapaxes(0, 1), first)
    close(turned_y, y.swapaxes(0, 1))
    close(turned_last, last)


@each_kind
@pytest.mark.parametrize("batch_first", [False, True])
def test_without_a_batch_shapes_lack_the_axis(kind: Any, batch_first: bool) -> None:
    layer = make(kind, 3, 2, 2, bidirectional=True, batch_first=batch_first)
    first = states(kind, 4, 1, 2)
    bare = tuple(s[:, 0] for s in first) if isinstance(first, tuple) else first[:, 0]
    y, last = layer(X[:, 0], bare)
    expected, end = layer(X[:, :1].swapaxes(0, 1) if batch_first else X[:, :1], first)
    close(y, expected.squeeze(1 - batch_first))
    for found, wanted in zip(flat(last), flat(end)):
        close(found, wanted[:, 0])


@each_kind
def test_the_sequences_of_a_batch_do_not_meet(kind: Any) -> None:
    layer = make(kind, 3, 2, 2, bidirectional=True)
    y, _ = layer(X)
    for n in range(X.shape[1]):
        close(y[:, n : n + 1], layer(X[:, n : n + 1])[0])


@each_kind
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "bias": False}])
def test_gradients_reach_the_first_states_through_output_and_last_states(
    kind: Any, options: Any
) -> None:
    layer = make(kind, 3, 2, 2, **options)
    first = states(kind, 4 if options else 2, 4, 2)

    def output(x: mg.Tensor, *states: mg.Tensor) -> Any:
        return layer(x, states if kind is mg.LSTM else states[0])[0]

    def last(x: mg.Tensor, *states: mg.Tensor) -> Any:
        state = layer(x, states if kind is mg.LSTM else states[0])[1]
        return state[0] * 2 + state[1] if kind is mg.LSTM else state

    parts = first if isinstance(first, tuple) else (first,)
    assert mg.gradcheck(output, X[:3], *parts)
    assert mg.gradcheck(last, X[:3], *parts)


@each_kind
def test_dropout_is_between_layers_and_in_training_only(kind: Any) -> None:
    single, double = make(kind, 3, 2, 1, dropout=0.5), make(kind, 3, 2, 2, dropout=0.5)
    close(single(X)[0], single.eval()(X)[0])
    trained, trained_last = double(X)
    again, _ = double(X)
    assert not alike(trained, again)  # drawn anew
    evaluated, evaluated_last = double.eval()(X)
    assert not alike(trained, evaluated)
    close(evaluated, double(X)[0])
    close(flat(trained_last)[0][0], flat(evaluated_last)[0][0])  # below the dropout
    assert np.all(trained.data != 0)  # above it


@each_kind
def test_dropout_sets_entries_between_layers_to_zero_and_scales_the_others(kind: Any) -> None:
    layer = make(kind, 3, 2, 2, dropout=0.25)
    above = make(kind, 2, 2)
    above.load_state_dict({n.replace("l1", "l0"): a for n, a in layer.state_dict().items()
                           if n.endswith("l1")})  # fmt: skip
    below = make(kind, 3, 2)
    below.load_state_dict({n: a for n, a in layer.state_dict().items() if n.endswith("l0")})
    layer.rng = np.random.default_rng(3)
    y, _ = layer(X)
    kept = np.random.default_rng(3).random((5, 4, 2)) >= 0.25
    close(y, above(below(X)[0] * kept / 0.75)[0])


@each_kind
def test_frozen_layers_run(kind: Any) -> None:
    layer = make(kind, 3, 2)
    before = layer(X)[0].data
    for parameter in layer.parameters():
        parameter.requires_grad = False
    y, _ = layer(X)
    close(y, before)
    assert not y.requires_grad


@each_kind
def test_first_states_that_do_not_fit_are_refused(kind: Any) -> None:
    layer = make(kind, 3, 2, 2)
    count = 2 if kind is mg.LSTM else 1
    for shape in ((1, 4, 2), (2, 4, 3), (2, 1, 2), (2, 2)):
        expected = rf"{kind.__name__}\(3, 2, num_layers=2\): the first states must be {count} of "
        with pytest.raises(ValueError, match=expected + r"shape \(2, 4, 2\); received \[\("):
            layer(X, states(kind, *shape))
    with pytest.raises(ValueError, match=rf"must be {count} of shape \(2, 2\)"):
        layer(X[:, 0], states(kind, 2, 1, 2))


def test_an_lstm_wants_two_states() -> None:
    layer, h = make(mg.LSTM, 3, 2), np.zeros((1, 4, 2))
    for given in ((h,), (h, h, h), h):
        with pytest.raises(ValueError, match=r"must be 2 of shape \(1, 4, 2\)"):
            layer(X, given)
    close(layer(X, [h, h])[0], layer(X)[0])


@each_kind
def test_a_sequence_has_at_least_one_step(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"at least one step; received x of shape \(0, 4, 3\)"):
        make(kind, 3, 2)(X[:0])


@each_kind
def test_saturated_gates_are_finite_and_silent(kind: Any) -> None:
    x = mg.Tensor(X * 1e4, requires_grad=True)
    layer = make(kind, 3, 2, 2, bidirectional=True)
    y, _ = layer(x)
    y.sum().backward()
    assert np.all(np.abs(y.data) <= 1)
    assert x.grad is not None
    assert all(np.isfinite(p.grad).all() for p in [x, *layer.parameters()])


@each_kind
def test_weights_start_uniform_within_one_by_the_root_of_the_size(kind: Any) -> None:
    layer = make(kind, 50, 100, 2)
    for parameter in layer.parameters():
        assert 0.095 < np.abs(parameter.data).max() <= 0.1
        assert abs(parameter.data.mean()) < 0.01


def test_weights_are_drawn_gate_by_gate_with_the_fans_of_one() -> None:
    seen = []

    def init(shape: tuple[int, ...], rng: Any) -> Any:
        seen.append(shape)
        return np.full(shape, float(len(seen)))

    layer: Any = mg.LSTM(3, 2, weight_init=init)
    assert seen == [(3, 2)] * 4 + [(2, 2)] * 4
    assert layer.weight_ih_l0.data[:, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert layer.weight_hh_l0.data[:, 1].tolist() == [5, 5, 6, 6, 7, 7, 8, 8]


def test_a_nonlinearity_is_tanh_or_relu() -> None:
    with pytest.raises(ValueError, match=r'"tanh" or "relu"; received .sin.'):
        mg.RNN(3, 2, nonlinearity="sin")
    assert np.all(make(mg.RNN, 3, 2, nonlinearity="relu")(X)[0].data >= 0)
