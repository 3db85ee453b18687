"""The framework against the tutorial's formula, written out here in plain NumPy, bit for bit."""

from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

INPUTS = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
TARGETS = np.array([[0], [1], [1], [0]])
SEEDS = [1, 0, 2, 7, 42, 12345]


def predict(weights: Any, inputs: Any) -> Any:
    return 1 / (1 + np.exp(-(inputs @ weights)))


def adjustment(weights: Any, inputs: Any, targets: Any) -> Any:
    """The error-weighted derivative."""
    output = predict(weights, inputs)
    return inputs.T @ ((targets - output) * output * (1 - output))


def starting_weights(seed: int) -> Any:
    np.random.seed(seed)
    return 2 * np.random.random((3, 1)) - 1


def network(seed: int) -> mg.Sequential:
    np.random.seed(seed)
    return mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())


def send_back(model: mg.Sequential, inputs: Any, targets: Any, through_loss: bool) -> None:
    output = model(inputs)
    if through_loss:
        loss = mg.sum_of_squares(output, targets)
        loss.backward()
        expected = sum(((targets - output.data) ** 2).ravel().tolist()) / 2
        assert abs(loss.item() - expected) <= 1e-14 * expected
    else:
        output.backward(output.data - targets)


def test_the_network_starts_with_the_published_weights() -> None:
    weight = network(1)[0].weight.data
    published = [[-0.16595599], [0.44064899], [-0.99977125]]
    assert np.array_equal(np.round(weight, 8), published)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_network_starts_with_the_tutorials_weights(seed: int) -> None:
    assert np.array_equal(network(seed)[0].weight.data, starting_weights(seed))


@pytest.mark.parametrize("through_loss", [True, False])
@pytest.mark.parametrize(
    ("seed", "dtype"), [*((seed, float) for seed in SEEDS), (1, int), (7, int)]
)
def test_training_equals_the_formula_bit_for_bit(seed: int, through_loss: bool, dtype: Any) -> None:
    inputs, targets = INPUTS.astype(dtype), TARGETS.astype(dtype)
    weights = starting_weights(seed)
    model = network(seed)
    optimizer = mg.SGD(model.parameters(), lr=1.0)
    for update in range(1, 15_001):
        step = adjustment(weights, inputs, targets)
        weights += step
        optimizer.zero_grad()
        send_back(model, inputs, targets, through_loss)
        optimizer.step()
        if update in (1, 2, 10, 1_000, 15_000):
            assert np.array_equal(model[0].weight.grad, -step)
            assert np.array_equal(model[0].weight.data, weights)
            assert np.array_equal(model(inputs).data, predict(weights, inputs))


def test_the_gradient_of_the_targets_is_their_error() -> None:
    output = network(1)(INPUTS)
    targets = mg.Tensor(TARGETS, requires_grad=True, dtype=float)
    mg.sum_of_squares(output, targets).backward()
    assert np.array_equal(targets.grad, TARGETS - output.data)  # type: ignore[arg-type]


def test_the_trained_network_answers_as_published() -> None:
    model = network(1)
    optimizer = mg.SGD(model.parameters(), lr=1.0)
    for _ in range(15_000):
        optimizer.zero_grad()
        mg.sum_of_squares(model(INPUTS), TARGETS).backward()
        optimizer.step()
    assert round(model([1, 0, 0]).item(), 7) == 0.9999584
    assert np.array_equal(np.round(model[0].weight.data, 4), [[10.0874], [-0.2070], [-4.8376]])


@pytest.mark.parametrize("shape", [(20, 5, 1), (7, 3, 4), (100, 12, 3), (1, 1, 1)])
def test_other_sizes_equal_the_formula_closely(shape: tuple[int, int, int]) -> None:
    examples, features, outputs = shape
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((examples, features))
    targets = rng.uniform(size=(examples, outputs))
    model = mg.Sequential(mg.Linear(features, outputs, rng=rng), mg.Sigmoid())
    weights = model[0].weight.numpy()
    optimizer = mg.SGD(model.parameters(), lr=0.1)
    for _ in range(100):
        weights += 0.1 * adjustment(weights, inputs, targets)
        optimizer.zero_grad()
        mg.sum_of_squares(model(inputs), targets).backward()
        optimizer.step()
    np.testing.assert_allclose(model[0].weight.data, weights, rtol=1e-12, atol=1e-12)


def test_a_hidden_layer_equals_the_rule_written_out_for_two() -> None:
    rng = np.random.default_rng(5)
    hidden, last = rng.uniform(-1, 1, (3, 4)), rng.uniform(-1, 1, (4, 1))
    model = mg.Sequential(mg.Linear(3, 4), mg.Sigmoid(), mg.Linear(4, 1), mg.Sigmoid())
    model.load_state_dict({"0.weight": hidden, "2.weight": last})
    optimizer = mg.SGD(model.parameters(), lr=0.5)
    for _ in range(500):
        between = predict(hidden, INPUTS)
        output = predict(last, between)
        delta = (TARGETS - output) * output * (1 - output)
        delta_hidden = (delta @ last.T) * between * (1 - between)
        last = last + 0.5 * (between.T @ delta)
        hidden = hidden + 0.5 * (INPUTS.T @ delta_hidden)
        optimizer.zero_grad()
        mg.sum_of_squares(model(INPUTS), TARGETS).backward()
        optimizer.step()
    np.testing.assert_allclose(model[0].weight.data, hidden, rtol=1e-12)
    np.testing.assert_allclose(model[2].weight.data, last, rtol=1e-12)


def test_momentum_equals_its_formula() -> None:
    weights, velocity = starting_weights(1), np.zeros((3, 1))
    model = network(1)
    optimizer = mg.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=0.01)
    for _ in range(50):
        g = -adjustment(weights, INPUTS, TARGETS) + 0.01 * weights
        velocity = 0.9 * velocity + g
        weights = weights - 0.3 * velocity
        optimizer.zero_grad()
        send_back(model, INPUTS, TARGETS, through_loss=True)
        optimizer.step()
    np.testing.assert_allclose(model[0].weight.data, weights, rtol=1e-12)
