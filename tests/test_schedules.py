"""Schedules: their numbers against PyTorch's schedulers, and what they accept and refuse."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import schedules
from micrograd_np.schedules import Schedule, chain, constant, cosine, exponential, linear, step

# Steps 0 to 12 by torch.optim.lr_scheduler of PyTorch 2.13: StepLR, ExponentialLR,
# CosineAnnealingLR, LinearLR up and down, ConstantLR, and two times SequentialLR.
TORCH: list[tuple[Schedule, list[float]]] = [
    (
        step(0.5, every=4, factor=0.3),
        [0.5, 0.5, 0.5, 0.5, 0.15, 0.15, 0.15, 0.15, 0.045, 0.045, 0.045, 0.045, 0.0135],
    ),
    (
        exponential(0.5, 0.8),
        [
            *(0.5, 0.4, 0.32000000000000006, 0.25600000000000006, 0.20480000000000007),
            *(0.16384000000000007, 0.13107200000000005, 0.10485760000000005, 0.08388608000000004),
            *(0.06710886400000003, 0.05368709120000003, 0.042949672960000025, 0.03435973836800002),
        ],
    ),
    (
        cosine(0.5, 12, final=0.05),
        [
            *(0.5, 0.49233331091504035, 0.4698557158514987, 0.4340990257669731),
            *(0.38749999999999996, 0.33323428514806713, 0.27499999999999997, 0.21676571485193286),
            *(0.16250000000000006, 0.11590097423302684, 0.0801442841485013, 0.05766668908495966),
            0.05,
        ],
    ),
    (
        linear(0.05, 0.5, 8),
        [
            *(0.05, 0.10625, 0.1625, 0.21875, 0.275, 0.33125, 0.3875, 0.44375),
            *(0.5, 0.5, 0.5, 0.5, 0.5),
        ],
    ),
    (
        linear(0.5, 0.1, 8),
        [0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1],
    ),
    (constant(0.5), [0.5] * 13),
    (
        chain({0: linear(0.05, 0.5, 4), 4: cosine(0.5, 8)}),
        [
            *(0.05, 0.1625, 0.275, 0.38750000000000007, 0.5, 0.4809698831278217),
            *(0.42677669529663687, 0.34567085809127246, 0.25, 0.15432914190872757),
            *(0.07322330470336313, 0.01903011687217832, 0.0),
        ],
    ),
    (
        chain({6: exponential(0.5, 0.7), 3: constant(0.5), 0: linear(0.1, 0.5, 3)}),
        [
            *(0.1, 0.2333333333333333, 0.36666666666666664, 0.5, 0.5, 0.5, 0.5, 0.35),
            *(0.24499999999999997, 0.17149999999999996, 0.12004999999999996),
            *(0.08403499999999997, 0.058824499999999974),
        ],
    ),
]
EACH = pytest.mark.parametrize("schedule", [schedule for schedule, _ in TORCH])


@pytest.mark.parametrize(("schedule", "expected"), TORCH)
def test_numbers_equal_pytorchs(schedule: Schedule, expected: list[float]) -> None:
    np.testing.assert_allclose([schedule(i) for i in range(13)], expected, rtol=1e-12, atol=1e-15)


def test_every_schedule_has_numbers_to_compare() -> None:
    public = {name for name, made in vars(schedules).items() if is_schedule(name, made)}
    assert public == {"chain", "constant", "cosine", "exponential", "linear", "step"}


def is_schedule(name: str, made: Any) -> bool:
    return (
        not name.startswith("_") and getattr(made, "__annotations__", {}).get("return") == Schedule
    )


@EACH
def test_a_schedule_is_a_function_of_the_step_alone_and_can_be_pickled(schedule: Schedule) -> None:
    there = [schedule(i) for i in range(13)]
    copy = pickle.loads(pickle.dumps(schedule))
    assert [copy(i) for i in reversed(range(13))] == there[::-1]
    there.append(schedule(np.int64(7)))  # type: ignore[arg-type]
    assert there[-1] == there[7]
    assert all(type(lr) is float for lr in there)


@EACH
def test_steps_before_the_first_are_refused(schedule: Schedule) -> None:
    with pytest.raises(ValueError, match="steps are counted from 0; received -1"):
        schedule(-1)


def test_ends_are_reached_exactly_and_kept() -> None:
    for first, last in ((0.09, 0.78), (0.86, 0.19), (1e-3, 1e-5)):
        for schedule in (cosine(first, 7, last), linear(first, last, 7)):
            assert schedule(0) == first
            assert schedule(7) == schedule(8) == schedule(10**400) == last
    assert cosine(0.1, 7)(7) == 0
    assert constant(0.1)(10**9) == 0.1


def test_a_schedule_drives_an_optimizer() -> None:
    w = mg.Tensor([0.0], requires_grad=True)
    optimizer = mg.SGD([w], lr=0)
    schedule = chain({0: linear(0, 1, 2), 2: constant(2)})
    w.grad = np.ones(1)
    seen = []
    for i in range(4):
        optimizer.lr = schedule(i)
        optimizer.step()
        seen.append(w.item())
    assert seen == [0, -0.5, -2.5, -4.5]


def test_chains_can_be_chained_and_need_only_be_functions() -> None:
    inner = chain({0: constant(1), 2: constant(2)})
    schedule = chain({0: inner, 5: lambda i: 10.0 + i, 8: inner})
    assert [schedule(i) for i in range(11)] == [1, 1, 2, 2, 2, 10, 11, 12, 1, 1, 2]


BAD: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: constant(-1), ValueError, "lr must be a finite number, at least 0; received -1"),
    (lambda: step(-1, 3), ValueError, "lr must be"),
    (lambda: step(1, 0), ValueError, "every must be a finite number, at least 1; received 0"),
    (lambda: step(1, 3, -0.1), ValueError, "factor must be"),
    (lambda: exponential(float("inf"), 0.1), ValueError, "lr must be"),
    (lambda: exponential(1, float("nan")), ValueError, "factor must be"),
    (lambda: cosine(-1, 3), ValueError, "lr must be"),
    (lambda: cosine(1, 0), ValueError, "steps must be"),
    (lambda: cosine(1, 3, -1), ValueError, "final must be"),
    (lambda: linear(-1, 0, 3), ValueError, "start must be"),
    (lambda: linear(0, -1, 3), ValueError, "end must be"),
    (lambda: linear(0, 1, 0), ValueError, "steps must be"),
    (lambda: linear(0, "1", 3), TypeError, "must be real number"),  # type: ignore[arg-type]
    (lambda: chain({}), ValueError, r"starts at 0 and goes upwards; received keys \[\]"),
    (lambda: chain({1: constant(1)}), ValueError, r"received keys \[1\]"),
    (lambda: chain({0: constant(1), -1: constant(1)}), ValueError, r"received keys \[0, -1\]"),
    (lambda: chain({0: constant(1), 2.5: constant(1)}), TypeError, "as an integer"),  # type: ignore[dict-item]
    (lambda: chain({0: 0.1}), TypeError, "must be a function of the step; received 0.1"),  # type: ignore[dict-item]
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_what_makes_no_schedule_is_refused(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()
