"""One row per op: how users call it, what it gives by a formula written out, what to try it on.

The modules here mirror those of the ops; each has a generator `rows`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Inputs = tuple[np.ndarray[Any, Any], ...]


class Row(NamedTuple):
    """One op: how users call it, what it should give, and inputs to try it on."""

    op: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: list[Inputs]


def numbers(*shapes: tuple[int, ...], low: float = -2, high: float = 2) -> Inputs:
    """Draw inputs of the given shapes, no two entries alike, none near a kink at zero."""
    rng = np.random.default_rng(0)
    drawn = [rng.uniform(low, high, shape) for shape in shapes]
    return tuple(np.where(np.abs(x) < 0.05, 0.5, x) for x in drawn)


def unary(**limits: float) -> list[Inputs]:
    """Scalar, vector, matrix, size-one, zero-size and non-contiguous input."""
    shapes: list[tuple[int, ...]] = [(), (4,), (2, 3), (1, 1), (0, 3)]
    (big,) = numbers((6, 4), **limits)
    return [numbers(s, **limits) for s in shapes] + [(big.T,), (big[::-2, ::2],)]


def binary(**limits: float) -> list[Inputs]:
    """Equal shapes, broadcasting both ways and at once, size one and zero, non-contiguous."""
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), ()), ((3,), (3,)), ((2, 3), ()), ((), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)),
        ((2, 1), (1, 3)), ((1, 1), (2, 3)), ((0, 3), (1, 3)), ((4, 1, 3), (2, 1)),
    ]  # fmt: skip
    x, y = numbers((4, 6), (3, 4), **limits)
    return [numbers(*pair, **limits) for pair in pairs] + [(x[::-2, ::2], y.T[:2, :])]


def by_entry(function: Callable[..., float]) -> Callable[..., Any]:
    """Apply a function of floats to each entry of broadcast arrays."""
    return lambda *arrays: np.vectorize(function, otypes=[float])(*arrays)


def sum_by_hand(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum entry by entry with Python's exact fsum."""
    given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [a % x.ndim for a in given]
    kept = [n for i, n in enumerate(x.shape) if i not in axes]
    rows = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*kept, -1) if axes else x[..., None]
    total = np.array([math.fsum(row) for row in rows.reshape(-1, rows.shape[-1])]).reshape(kept)
    return np.expand_dims(total, tuple(axes)) if keepdims else total
