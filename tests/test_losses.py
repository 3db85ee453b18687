"""Losses: they never broadcast, never swap, and refuse nothing at all."""

from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

LOSSES = [mg.sum_of_squares, mg.mean_squared_error]


def test_values_and_gradients_are_those_of_the_formulas() -> None:
    p, t = mg.Tensor([[1.0, 5.0]], requires_grad=True), mg.Tensor([[3.0, 4.0]], requires_grad=True)
    loss = mg.sum_of_squares(p, t)
    assert (loss.item(), loss.shape) == (2.5, ())
    (loss * 2).backward()
    assert p.grad is not None
    assert t.grad is not None
    assert (p.grad.tolist(), t.grad.tolist()) == ([[-4, 2]], [[4, -2]])
    p.grad = t.grad = None
    loss = mg.mean_squared_error(p, t)
    assert loss.item() == 2.5
    (loss * 2).backward()
    assert (p.grad.tolist(), t.grad.tolist()) == ([[-4, 2]], [[4, -2]])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("p", "t"), [((4, 1), (4,)), ((4,), (4, 1)), ((2, 3), (3,)), ((), (1,)), ((3,), (4,))]
)
def test_shapes_that_differ_are_refused(loss: Any, p: Any, t: Any) -> None:
    with pytest.raises(ValueError, match="must have the same shape; reshape one of them") as caught:
        loss(np.ones(p), np.ones(t))
    assert f"received {p} and {t}" in str(caught.value)
    assert loss.__name__ in str(caught.value)


@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_batch_is_refused(loss: Any) -> None:
    with pytest.raises(ValueError, match="loss of no values is not defined"):
        loss(np.ones((0, 2)), np.ones((0, 2)))


@pytest.mark.parametrize("loss", LOSSES)
def test_lists_numbers_integers_and_booleans_are_taken(loss: Any) -> None:
    assert loss(3, 1).item() == (2 if loss is mg.sum_of_squares else 4)
    assert loss([True, False], [False, False]).item() == 0.5
    assert loss(np.zeros(2, np.uint8), np.ones(2, np.uint8)).item() == 1
    p = mg.Tensor(np.ones((2, 1), np.float32), requires_grad=True)
    value = loss(p, [[0], [1]])
    assert value.dtype == np.float32
    value.backward()
    assert p.grad is not None
    assert p.grad.dtype == np.float32
