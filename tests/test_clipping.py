"""Clipping: what becomes of gradients, and what is refused."""

from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np.clipping import clip_grad_norm, clip_grad_value

GRADIENTS = [[[3.0, -4.0], [0.5, 2.0]], [12.0, -0.25, 1.0]]


def parameters(gradients: Any = GRADIENTS, dtype: Any = float) -> list[mg.Tensor]:
    """Return tensors with these gradients, and one without."""
    made = [mg.Tensor(np.zeros(np.shape(g)), requires_grad=True, dtype=dtype) for g in gradients]
    for parameter, g in zip(made, gradients):
        parameter.grad = np.array(g)
    return [*made, mg.Tensor([1.0], requires_grad=True)]


def flat(made: list[mg.Tensor]) -> list[float]:
    return [entry for p in made if p.grad is not None for entry in p.grad.ravel().tolist()]


# By torch.nn.utils.clip_grad_norm_ of PyTorch 2.13 in float64.
TORCH = [
    (
        1.0,
        [
            *(0.22722544154626267, -0.3029672553950169, 0.03787090692437711, 0.15148362769750845),
            *(0.9089017661850507, -0.018935453462188556, 0.07574181384875422),
        ],
    ),
    (
        5.0,
        [
            *(1.1361272077313134, -1.5148362769750845, 0.18935453462188556, 0.7574181384875422),
            *(4.5445088309252535, -0.09467726731094278, 0.3787090692437711),
        ],
    ),
    (20.0, [3.0, -4.0, 0.5, 2.0, 12.0, -0.25, 1.0]),
    (float("inf"), [3.0, -4.0, 0.5, 2.0, 12.0, -0.25, 1.0]),
    (0.0, [0.0] * 7),
]


@pytest.mark.parametrize(("max_norm", "expected"), TORCH)
def test_the_common_norm_is_clipped_as_by_pytorch(max_norm: float, expected: list[float]) -> None:
    made = parameters()
    held = [p.grad for p in made]
    norm = clip_grad_norm(iter(made), max_norm)
    assert type(norm) is float
    assert norm == pytest.approx(13.202745926510893, rel=1e-14)
    np.testing.assert_allclose(flat(made), expected, rtol=1e-12)
    assert all(p.grad is g for p, g in zip(made, held))


def test_a_norm_that_fits_leaves_every_bit() -> None:
    made = parameters()
    clip_grad_norm(made, 13.21)
    assert flat(made) == flat(parameters())


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_squares_of_float32_gradients_neither_overflow_nor_vanish(size: float) -> None:
    made = parameters([[3 * size, 4 * size]], np.float32)
    assert clip_grad_norm(made, max(size, 1)) == pytest.approx(5 * size, rel=1e-6)
    assert made[0].grad is not None
    assert made[0].grad.dtype == np.float32
    expected = [0.6 * size, 0.8 * size] if size > 1 else [3 * size, 4 * size]
    np.testing.assert_allclose(made[0].grad, expected, rtol=1e-6)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_norm_that_is_not_finite_is_returned_without_a_warning(broken: float) -> None:
    made = parameters([[1.0, broken]])
    assert clip_grad_norm(made, 1.0) == pytest.approx(broken, nan_ok=True)
    np.testing.assert_array_equal(flat(made), [1 / broken, np.nan])  # as PyTorch
    made = parameters([[1.0, float("inf")]])
    clip_grad_norm(made, float("inf"))
    assert flat(made) == [1, float("inf")]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entries_are_clipped(dtype: Any) -> None:
    made = parameters(dtype=dtype)
    held = [p.grad for p in made]
    clip_grad_value(made, 2.5)
    assert flat(made) == [2.5, -2.5, 0.5, 2.0, 2.5, -0.25, 1.0]
    assert all(p.grad is g for p, g in zip(made, held))
    clip_grad_value(made, float("inf"))
    assert flat(made) == [2.5, -2.5, 0.5, 2.0, 2.5, -0.25, 1.0]
    clip_grad_value(made, 0)
    assert not any(flat(made))
    assert all(p.grad is None or p.grad.dtype == dtype for p in made)


def test_gradients_of_one_number_of_none_and_no_gradients_at_all() -> None:
    made = parameters([3.0, np.zeros((0, 2)), -4.0])
    assert clip_grad_norm(made, 2.5) == 5
    np.testing.assert_allclose(flat(made), [1.5, -2], rtol=1e-6)
    clip_grad_value(made, 1.75)
    np.testing.assert_allclose(flat(made), [1.5, -1.75], rtol=1e-6)
    assert clip_grad_norm(parameters([]), 1.0) == 0
    clip_grad_value(parameters([]), 1.0)


@pytest.mark.parametrize(
    ("clip", "name"), [(clip_grad_norm, "max_norm"), (clip_grad_value, "clip_value")]
)
def test_what_cannot_be_clipped_is_refused(clip: Any, name: str) -> None:
    made = parameters()
    for limit in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=f"{name} must be at least 0; received {limit}"):
            clip(made, limit)
    with pytest.raises(TypeError, match=r"received one tensor: write \[tensor\]"):
        clip(made[0], 1.0)
    with pytest.raises(TypeError, match=r"received a layer: write .parameters\(\)"):
        clip(mg.Linear(3, 1), 1.0)
    with pytest.raises(TypeError, match="must be tensors; number 0 is Linear"):
        clip([mg.Linear(3, 1)], 1.0)
    with pytest.raises(ValueError, match="passed twice"):
        clip([made[0], made[0]], 1.0)
    with pytest.raises(ValueError, match="at least one parameter; received none"):
        clip([], 1.0)
    assert flat(made) == flat(parameters())
