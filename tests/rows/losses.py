"""Rows of the losses that are ops."""

import math
from collections.abc import Iterator

import micrograd_np as mg

from . import Row, numbers


def rows() -> Iterator[Row]:
    x, _ = numbers((4, 3, 2), (6, 3))
    same = [numbers(shape, shape) for shape in [(), (3,), (2, 3), (1, 1)]]
    yield Row(
        "sum_of_squares",
        mg.sum_of_squares,
        lambda p, t: math.fsum((p - t).ravel() ** 2) / 2,
        [*same, (x.T, x.T[::-1])],
    )
    yield Row(
        "mean_squared_error",
        mg.mean_squared_error,
        lambda p, t: math.fsum((p - t).ravel() ** 2) / p.size,
        [*same, (x.T, x.T[::-1])],
    )
