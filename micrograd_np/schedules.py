"""Schedules: functions of the step, counted from 0, that return the learning rate for it.

The functions here make them. Call one before each step: ``optimizer.lr = schedule(step)``. To go
on after a break, the number of steps done so far is all that has to be kept.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import cos, isfinite, pi
from operator import index
from typing import Any, TypeAlias

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class _Schedule:
    """A formula and its constants. Unlike a function made inside another it can be pickled."""

    formula: Callable[..., float]
    constants: tuple[Any, ...]

    def __call__(self, step: int) -> float:
        if step < 0:
            raise ValueError(f"steps are counted from 0; received {step}")
        return float(self.formula(step, *self.constants))


def constant(lr: float) -> Schedule:
    """Return a schedule that is always `lr`.

    Parameters
    ----------
    lr
        Learning rate, at least 0.
    """
    _at_least(0, lr=lr)
    return _Schedule(_step, (lr, 1, 1.0))


def step(lr: float, every: int, factor: float = 0.1) -> Schedule:
    r"""Return a schedule that begins at `lr` and falls by `factor` once in `every` steps.

    .. math:: lr \cdot factor^{\lfloor step / every \rfloor}

    Parameters
    ----------
    lr
        Learning rate at first, at least 0.
    every
        After how many steps it falls, at least 1.
    factor
        What it is multiplied by then, at least 0.

    Raises
    ------
    ValueError
        If `lr` or `factor` is negative or not finite, or `every` is below 1.
    """
    _at_least(0, lr=lr, factor=factor)
    _at_least(1, every=every)
    return _Schedule(_step, (lr, every, factor))


def exponential(lr: float, factor: float) -> Schedule:
    r"""Return a schedule that begins at `lr` and is multiplied by `factor` after each step.

    .. math:: lr \cdot factor^{step}

    Parameters
    ----------
    lr
        Learning rate at first, at least 0.
    factor
        What it is multiplied by after each step, at least 0.

    Raises
    ------
    ValueError
        If `lr` or `factor` is negative or not finite.
    """
    _at_least(0, lr=lr, factor=factor)
    return _Schedule(_step, (lr, 1, factor))


def cosine(lr: float, steps: int, final: float = 0.0) -> Schedule:
    r"""Return a schedule that falls from `lr` to `final` along half a cosine, and stays there.

    .. math:: final + (lr - final) (1 + \cos(\pi \cdot min(step / steps, 1))) / 2

    Parameters
    ----------
    lr
        Learning rate at first, at least 0.
    steps
        How many steps the way down takes, at least 1.
    final
        Learning rate afterwards, at least 0.

    Raises
    ------
    ValueError
        If `lr` or `final` is negative or not finite, or `steps` is below 1.

    References
    ----------
    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (2017), without
    the restarts.
    """
    _at_least(0, lr=lr, final=final)
    _at_least(1, steps=steps)
    return _Schedule(_cosine, (lr, steps, final))


def linear(start: float, end: float, steps: int) -> Schedule:
    r"""Return a schedule that goes from `start` to `end` in a straight line, and stays there.

    .. math:: start + (end - start) \cdot min(step / steps, 1)

    A rising line is a warm-up; for what follows it see `chain`.

    Parameters
    ----------
    start, end
        Learning rates at first and in the end, at least 0.
    steps
        How many steps the way takes, at least 1.

    Raises
    ------
    ValueError
        If `start` or `end` is negative or not finite, or `steps` is below 1.

    References
    ----------
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour" (2017), for warm-up.
    """
    _at_least(0, start=start, end=end)
    _at_least(1, steps=steps)
    return _Schedule(_linear, (start, end, steps))


def chain(schedules: Mapping[int, Schedule]) -> Schedule:
    """Return a schedule that is made of others, each from the step on that is its key.

    Each counts from 0 at its own key.

    Parameters
    ----------
    schedules
        Schedules by the step of their start; one has to start at 0.

    Raises
    ------
    ValueError
        If none starts at 0, or one before.
    TypeError
        If a key is no integer, or a value is no function.

    Examples
    --------
    >>> from micrograd_np import schedules
    >>> lr = schedules.chain({0: schedules.linear(0.0, 0.5, 5), 5: schedules.cosine(0.5, 100)})
    >>> [lr(step) for step in (0, 1, 5, 55, 105, 1000)]
    [0.0, 0.1, 0.5, 0.25, 0.0, 0.0]
    """
    if 0 not in schedules or min(schedules) < 0:
        raise ValueError(f"a chain starts at 0 and goes upwards; received keys {list(schedules)}")
    for schedule in schedules.values():
        if not callable(schedule):
            raise TypeError(f"a schedule must be a function of the step; received {schedule!r}")
    starts = tuple(sorted(map(index, schedules)))
    return _Schedule(_chain, (starts, tuple(schedules[start] for start in starts)))


def _step(step: int, lr: float, every: int, factor: float) -> float:
    return lr * factor ** (step // every)


def _cosine(step: int, lr: float, steps: int, final: float) -> float:
    share = (1 + cos(pi * min(step, steps) / steps)) / 2
    return lr * share + final * (1 - share)


def _linear(step: int, start: float, end: float, steps: int) -> float:
    share = min(step, steps) / steps
    return start * (1 - share) + end * share


def _chain(step: int, starts: tuple[int, ...], schedules: tuple[Schedule, ...]) -> float:
    i = bisect_right(starts, step) - 1
    return schedules[i](step - starts[i])


def _at_least(least: int, **numbers: float) -> None:
    """Raise ValueError, naming it, for a number that is below the least or not finite."""
    for name, value in numbers.items():
        if not (isfinite(value) and value >= least):
            raise ValueError(f"{name} must be a finite number, at least {least}; received {value}")
