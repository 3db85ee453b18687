"""Checks of arguments that are numbers: what must hold, and what was received."""

from math import inf, isnan
from operator import index


def at_least_zero(name: str, value: float) -> float:
    """Return `value` if it is a finite number from 0 upwards; raise with its name otherwise."""
    if not 0 <= _number(name, value) < inf:
        raise ValueError(f"{name} must be a finite number, at least 0; received {value}")
    return float(value)


def below_one(name: str, value: float) -> float:
    """Return `value` if it is at least 0 and below 1; raise with its name otherwise."""
    if not 0 <= _number(name, value) < 1:
        raise ValueError(f"{name} must be at least 0 and below 1; received {value}")
    return float(value)


def _number(name: str, value: float) -> float:
    try:
        isnan(value)
    except TypeError as error:
        raise TypeError(f"{name} must be a number; received {value!r}") from error
    return value


def at_least_one(**sizes: int) -> None:
    """Raise for the first size that is no integer from 1 upwards."""
    for name, size in sizes.items():
        try:
            whole = index(size)
        except TypeError as error:
            raise TypeError(f"{name} must be an integer; received {size!r}") from error
        if whole < 1:
            raise ValueError(f"{name} must be at least 1; received {size}")
