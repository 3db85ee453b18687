"""The checker is checked: it must find rules that are wrong in the ways that rules go wrong."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

Op = Callable[..., Any]
X = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])
Y = np.array([[1.0, 2.0], [-0.5, 0.4], [0.2, 0.9]])


def wrong_factor(x: Any) -> Any:
    return np.exp(x), (lambda g: g * np.exp(x) * 1.001,)


def wrong_sign(x: Any) -> Any:
    return np.cos(x), (lambda g: g * np.sin(x),)


def wrong_transpose(x: Any) -> Any:
    return x.T @ x, (lambda g: x @ g.T * 2,)


def missing_sum(x: Any) -> Any:
    return x + np.zeros((4, *x.shape)), (lambda g: g[0],)


def constant(x: Any) -> Any:
    return np.exp(x), (lambda g: np.full(x.shape, 12345.0),)


def wrong_in_one_entry(x: Any) -> Any:
    slope = np.ones(x.shape)
    slope[1, 2] = 1.001
    return x * 1, (lambda g: g * slope,)


def nan_gradient(x: Any) -> Any:
    return x * 1, (lambda g: g * np.nan,)


@pytest.mark.parametrize(
    "op",
    [wrong_factor, wrong_sign, wrong_transpose, missing_sum, constant, wrong_in_one_entry,
     nan_gradient],
)  # fmt: skip
@pytest.mark.parametrize("repeats", [1, 20])
def test_wrong_rules_are_found_in_small_and_large_inputs(op: Op, repeats: int) -> None:
    with pytest.raises(AssertionError, match=r"input 0, .*the rules give .*differences give"):
        mg.gradcheck(lambda x: mg.apply(op, x), np.tile(X, (1, repeats)))


def test_the_message_names_the_input_the_entry_and_both_derivatives() -> None:
    def op(x: Any, y: Any) -> Any:
        slope = np.ones(y.shape)
        slope[2, 1] = 3
        return x @ y, (lambda g: g @ y.T, lambda g: x.T @ g * slope)

    class Still(np.random.Generator):
        """Directions that miss the wrong entry, so that the entries themselves find it."""

        def standard_normal(self, shape: Any) -> Any:  # type: ignore[override]
            return np.eye(*shape) if shape == Y.shape else np.ones(shape)

    with pytest.raises(AssertionError) as caught:
        mg.gradcheck(lambda x, y: mg.apply(op, x, y), X, Y, rng=Still(np.random.PCG64(0)))
    message = str(caught.value)
    assert message.startswith("input 1, entry (2, 1): the rules give the derivative 3.9")
    assert "differences give 1.2999" in message or "differences give 1.3" in message


def test_right_rules_pass() -> None:
    assert mg.gradcheck(lambda x, y: (x @ y).tanh(), X, Y)
    assert mg.gradcheck(lambda x: x.sum(), np.zeros((0, 3)))
    assert mg.gradcheck(lambda x: x * x, 1e6)
    assert mg.gradcheck(lambda x: x.exp(), np.tile(X, (10, 10)))


def test_large_inputs_and_flat_places_and_nan() -> None:
    assert mg.gradcheck(lambda x: x * x, [1e6, 3.3e7, 1e9])
    assert mg.gradcheck(lambda x: x**3 - 3 * x, [1.0])
    with pytest.raises(AssertionError, match="nan"):
        mg.gradcheck(lambda x: x.log(), [-1.0])


def test_large_inputs_are_moved_along_directions_only() -> None:
    calls = 0

    def function(x: mg.Tensor) -> mg.Tensor:
        nonlocal calls
        calls += 1
        return x * 2

    mg.gradcheck(function, np.ones(65))
    assert calls < 10


def test_integers_are_passed_on_and_inputs_left_alone() -> None:
    x = mg.Tensor(X.astype(np.float32), requires_grad=True)
    assert mg.gradcheck(lambda x, i: x[i.data], x, np.array([0, 0, 1]))
    assert x.grad is None
    assert x.dtype == np.float32


def test_an_influence_that_the_tape_does_not_see_is_found() -> None:
    with pytest.raises(AssertionError, match=r"input 1, .* the rules give the derivative 0, "):
        mg.gradcheck(lambda x, y: x * mg.Tensor(y.numpy()), X, X)


def test_an_input_without_influence_has_gradient_zero() -> None:
    assert mg.gradcheck(lambda x, y: x * 2, X, Y)


class Tied(mg.Layer):
    """A layer whose op has a wrong rule for the layer's own weight."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.weight = mg.Tensor([1.0, 2.0], requires_grad=True)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        def op(x: Any, weight: Any) -> Any:
            return x * weight, (lambda g: g * weight, lambda g: g * x * self.factor)

        return mg.apply(op, x, self.weight)


def test_parameters_of_a_layer_are_checked_and_left_as_they_were() -> None:
    right, wrong = Tied(1), Tied(1.001)
    right([1.0, 1.0]).sum().backward()
    assert mg.gradcheck(right, [3.0, 4.0])
    assert mg.gradcheck(right, [3, 4])
    assert right.weight.data.tolist() == [1, 2]
    assert right.weight.grad is not None
    assert right.weight.grad.tolist() == [1, 1]
    model = mg.Sequential(np.tanh, wrong)
    with pytest.raises(AssertionError, match=r"^parameter 1\.weight, "):
        mg.gradcheck(model, [3.0, 4.0])
    assert wrong.weight.data.tolist() == [1, 2]
    assert wrong.weight.grad is None
    with pytest.raises(ValueError, match=r"parameter weight must be float64; .*astype\(float\)"):
        mg.gradcheck(Tied(1).astype(np.float32), [3.0, 4.0])


def test_what_cannot_be_checked_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one input of floats"):
        mg.gradcheck(lambda x: x * 2, [1, 2])
    with pytest.raises(ValueError, match="does not depend on its inputs through ops"):
        mg.gradcheck(lambda x: mg.Tensor(x.data), X)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="same value for the same inputs"):
        mg.gradcheck(lambda x: x * rng.standard_normal(), X)


def test_the_entry_whose_derivative_is_wrong_is_named() -> None:
    def wrong(x: Any) -> Any:
        return x**2, (lambda g: g * 2 * x * [1, 1, 1.001],)

    with pytest.raises(AssertionError) as caught:
        mg.gradcheck(lambda x: mg.apply(wrong, x), [1.0, 2.0, 3.0])
    written, numeric, more = map(float, re.findall(r"-?\d+\.[\de-]+", str(caught.value)))
    assert str(caught.value).startswith("input 0, entry (2,): the rules give the derivative ")
    assert written == pytest.approx(1.001 * numeric, rel=1e-5)
    assert more == pytest.approx(abs(numeric - written), rel=0.05)


def test_a_function_that_writes_into_its_input_and_a_class_are_refused() -> None:
    def doubling(x: Any) -> Any:
        x *= 2
        return x * 1, (lambda g: g * 2,)

    with pytest.raises(ValueError, match=r"must not write into what it reads; input 0 changed"):
        mg.gradcheck(lambda x: mg.apply(doubling, x), [1.0, 2.0])
    with pytest.raises(TypeError, match="received the class Linear: make one"):
        mg.gradcheck(mg.Linear, [1.0])
