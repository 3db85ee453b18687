"""What a compiled function hands out, what a user holds meanwhile, and what is undone."""

import contextlib
import tracemalloc
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from tests.test_compile import CALLS, Wrap, batch, both, network, seen, state

# What it hands out


def test_results_and_gradients_are_never_overwritten() -> None:
    model = network()
    optimizer = mg.SGD(model.parameters(), lr=0.1)

    @mg.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        outputs = model(x)
        loss = mg.sum_of_squares(outputs, x[:, :3])
        loss.backward()
        optimizer.step()
        return loss, outputs, outputs.data[1:], x * 2

    kept: list[Any] = []
    expected: list[Any] = []
    for i in range(16):
        results = step(batch(i))
        if i > 6:  # whole gradients, and views of them
            results = [*results, model[0].weight.grad, model[0].bias.grad[1:]]
        kept.append(results)
        expected.append(seen(list(results)))
    for results, before in zip(kept, expected, strict=True):
        assert seen(list(results)) == before
    assert step.reason == ""
    assert ".copy()" in step.source()


def test_tensors_have_no_graph_and_are_read_only() -> None:
    model = network()
    forward = mg.compile(model)
    for i in range(6):
        y = forward(batch(i))
    assert forward.source()
    assert not y.requires_grad
    with pytest.raises(RuntimeError, match="depends on one with requires_grad"):
        y.sum().backward()
    with pytest.raises(ValueError, match="read-only"):
        y.data[0] = 1


def test_memory_is_less_than_the_function_itself_takes() -> None:
    layers = [layer for _ in range(8) for layer in (mg.Linear(32, 32), mg.Tanh(), mg.ReLU())]
    model = mg.Sequential(*layers)
    forward = mg.compile(model)
    x = np.random.default_rng(0).standard_normal((1000, 32))
    for _ in range(4):
        forward(x)
    ((_, program),) = forward._programs
    assert program.size < 3 * x.nbytes  # of 24 values


def test_calls_that_are_recorded_free_what_they_no_longer_need() -> None:
    def forward(x: Any) -> Any:
        y = x
        for _ in range(40):
            y = np.tanh(y)
        return y

    x = np.random.default_rng(0).standard_normal((1000, 32))
    compiled = mg.compile(forward)
    compiled(x)
    tracemalloc.start()
    try:
        for _ in range(2):
            compiled(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert compiled.source()
    assert peak < 10 * x.nbytes  # of 40 values


@pytest.mark.parametrize("order", ["C", "F"])
def test_gradients_that_are_always_the_same_can_be_written_into(order: Any) -> None:
    def total(x: Any) -> Any:
        return np.sum(x), (lambda g: np.ones((2, 3), order=order),)

    def make(wrap: Wrap) -> Any:
        weight = mg.Tensor(np.ones((2, 3)), requires_grad=True)

        @wrap
        def step() -> Any:
            weight.grad = None
            mg.apply(total, weight).backward()

        results = []
        for _ in range(CALLS):
            step()
            assert weight.grad is not None
            results.append(seen(weight.grad))
            weight.grad *= 7
        return results

    both(make)


# What a user holds, and what is undone


def leaf(*shape: int, value: float = 1.0) -> mg.Tensor:
    return mg.Tensor(np.full(shape, value), requires_grad=True)


def held(tensor: mg.Tensor) -> Any:
    assert tensor.grad is not None
    return tensor.grad


def test_the_gradient_of_an_only_leaf_is_not_overwritten_while_it_is_held() -> None:
    weight = leaf(3)

    @mg.compile
    def step(x: Any) -> None:
        (weight * x).sum().backward()

    for _ in range(3):
        step(np.ones(3))
    kept = weight.grad  # held by nothing else
    step(np.ones(3))
    assert kept is not None
    assert kept.tolist() == [3.0, 3.0, 3.0]
    assert held(weight).tolist() == [4.0, 4.0, 4.0]


# They assert nothing, since pytest's own modules would be among what they read.


def doubled_gradient(weight: Any, x: Any) -> Any:
    g = weight.grad * 2
    result = (x * 2).sum() if x.sum() > 0 else (x * 3).sum()
    weight.grad = g
    return result


def put_in_place(weight: Any, x: Any) -> None:
    g = x * 2
    if g.sum() > 0:
        weight.grad = g


def halved_in_place(weight: Any, x: Any) -> Any:
    g = weight.grad
    g *= 0.5
    return x * 2 if x.sum() > 0 else x * 3


def put_back(weight: Any, x: Any) -> None:
    before, weight.grad = weight.grad, None
    (weight * x).sum().backward()
    if x.sum() < 0:
        weight.grad = before


@pytest.mark.parametrize(
    "function",
    [doubled_gradient, put_in_place, halved_in_place, put_back],
    ids=lambda f: f.__name__,
)
def test_a_call_that_goes_another_way_leaves_gradients_as_the_function_does(function: Any) -> None:
    def make(wrap: Wrap) -> Any:
        weight = leaf(3)
        weight.grad = np.full(3, 8.0)
        call = wrap(lambda x: function(weight, x))
        results = []
        for i in range(10):
            result = call(np.ones(3) * (-1 - i if i in (5, 8) else 1 + i))
            results.append(seen([result, weight.grad]))
        return results

    both(make)


def test_a_call_that_raises_changes_gradients_as_the_function_does() -> None:
    def make(wrap: Wrap) -> Any:
        weight: Any = leaf(3)
        weight.grad = np.full(3, 8.0)

        @wrap
        def call(x: Any, rows: Any) -> Any:
            g = weight.grad
            g *= 0.5
            return x[rows] * 2

        results = []
        for i in range(10):
            with contextlib.suppress(IndexError):
                call(np.ones(3), np.array([0, 5 if i == 6 else 2]))
            results.append(seen(weight.grad))
        return results

    both(make, falls_back=True)


def test_a_gradient_that_a_recorded_call_leaves_alone_stays_the_same_array() -> None:
    weight, other = leaf(3), leaf(3)
    other.grad = np.ones(3)
    before = other.grad

    @mg.compile
    def step(x: Any) -> Any:
        return (weight * other * x).sum()

    for _ in range(5):
        step(np.ones(3))
        assert other.grad is before


def test_leaves_of_a_graph_that_was_made_outside_get_their_gradients() -> None:
    def make(wrap: Wrap) -> Any:
        encoder, weight = leaf(3), leaf(3)
        codes = encoder * 2.0

        @wrap
        def step(x: Any) -> None:
            weight.grad = None
            (codes * weight * x).sum().backward(retain_graph=True)

        results = []
        for i in range(CALLS):
            step(np.ones(3) * i)
            results.append(seen([encoder.grad, weight.grad]))
        return results

    both(make)


def test_gradients_and_results_lie_as_they_do() -> None:
    def make(wrap: Wrap) -> Any:
        columns = np.asfortranarray(np.random.default_rng(3).standard_normal((50, 70)))
        weight = leaf(50, 70)

        @wrap
        def step(x: Any) -> Any:
            weight.grad = None
            (weight * columns).sum().backward()
            return x.T * 2, mg.Tensor(x).T * 2

        results = []
        for i in range(CALLS):
            result = step(np.random.default_rng(i).standard_normal((70, 50)))
            results.append(seen([*result, held(weight).sum()]))
            results.append([result[0].strides, result[1].data.strides])
            results.append(held(weight).strides)
        return results

    both(make)


def test_an_array_of_one_entry_that_is_put_into_a_state_is_noticed() -> None:
    def make(wrap: Wrap) -> Any:
        weights = [leaf(1), leaf(1)]
        optimizer = mg.RMSprop(weights, lr=0.1)

        @wrap
        def steps(x: Any) -> None:
            for _ in range(2):
                optimizer.zero_grad()
                ((weights[0] + weights[1]) * x).sum().backward()
                optimizer.step()

        results = []
        for i in range(14):
            steps(np.ones(1 + i % 2) * (0 if i < 6 else i))
            if i == 9:
                optimizer.state[0]["v"] = optimizer.state[0]["v"].copy()
            results.append(seen([*weights, *(own["v"] for own in optimizer.state)]))
        return results

    both(make)


class Normed(mg.Optimizer):
    """A rule that looks at all gradients, not only at its own."""

    def update(self, parameter: Any, g: Any, state: Any) -> None:
        parameter -= self.lr * g / (1 + sum(np.abs(held(p)).sum() for p in self.parameters))


def test_a_rule_that_reads_other_gradients_sees_those_of_its_step() -> None:
    def make(wrap: Wrap) -> Any:
        weights = [leaf(2), leaf(3)]
        optimizer = Normed(weights, lr=0.1)

        @wrap
        def steps(x: Any) -> None:
            for factor in (1.0, 5.0):
                optimizer.zero_grad()
                ((weights[0].sum() + weights[1].sum()) * x.sum() * factor).backward()
                optimizer.step()

        results = []
        for i in range(CALLS):
            steps(np.ones(2) + i)
            results.append(seen(weights))
        return results

    both(make)


def test_a_step_and_forgetting_gradients_apart_from_the_rest() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.Adam(model.parameters())

        @wrap
        def update() -> None:
            optimizer.step()
            optimizer.zero_grad()

        results = []
        for i in range(CALLS):
            mg.sum_of_squares(model(batch(i)), batch(i)[:, :3]).backward()
            update()
            results.append(state(model, optimizer))
        return results

    both(make)


def test_arrays_that_cannot_be_traced_are_looked_at_in_each_call() -> None:
    class Scaling(mg.Layer):
        scale = np.array([0.5])

        def forward(self, x: Any) -> Any:
            return x * self.scale[0]

    def make(wrap: Wrap) -> Any:
        pair, scale, default = (np.array([0.5]),), Scaling(), np.array([0.5])
        Scaling.scale[0] = 0.5

        @wrap
        def forward(x: Any, w: Any = default) -> Any:
            return x * pair[0][0] + scale(x) + w.sum()

        results = []
        for i in range(15):
            results.append(seen(forward(batch(0))))
            if i in (5, 8, 11):
                (pair[0] if i == 5 else Scaling.scale if i == 8 else default)[0] += 1
        return results

    both(make)
