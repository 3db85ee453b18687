"""Rows of embedding."""

from collections.abc import Iterator
from typing import Any

import numpy as np

import micrograd_np as mg
from micrograd_np import ops

from . import Row, numbers

INDICES: list[Any] = [
    np.array([0, 3, 3, 1]), np.array([[2, 0], [2, 2]]), np.array(3), np.zeros((2, 0), int),
    np.array([3, 0], np.uint8), np.arange(4)[::-2],
]  # fmt: skip


def rows() -> Iterator[Row]:
    (wide,) = numbers((3, 8))
    inputs = [numbers((4, 3)), numbers((5, 1)), (wide.T[::2],), (wide.T[::-1],)]
    for indices in INDICES:
        yield row(indices, None, inputs)
    yield row(np.array([1, 3, 1]), 2, inputs)  # a row that is not taken gets no gradient anyway
    (large,) = numbers((40, 8))
    yield row(np.arange(100) * 7 % 30, -1, [(large,)])  # many rows are summed in another way


def row(indices: Any, padding_idx: int | None, inputs: Any) -> Row:
    def reference(weight: Any) -> Any:
        value = np.zeros((*indices.shape, weight.shape[1]))
        for place in np.ndindex(indices.shape):
            for j in range(weight.shape[1]):
                value[(*place, j)] = weight[int(indices[place]), j]
        return value

    return Row(
        "embedding",
        lambda weight: mg.apply(ops.embedding, weight, indices=indices, padding_idx=padding_idx),
        reference,
        inputs,
    )
