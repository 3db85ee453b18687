"""Rows of the products."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import micrograd_np as mg
from micrograd_np import ops

from . import Inputs, Row, numbers

PRODUCTS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)), ((1, 1), (1, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)),
    ((0, 2, 3), (3, 4)), ((4, 0, 3), (3, 2)), ((5, 2, 3), (3, 0)),
    ((2, 4, 0), (0, 3)), ((1, 2, 3), (5, 3, 4)),
]  # fmt: skip


def rows() -> Iterator[Row]:
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, [numbers(*p) for p in PRODUCTS])
    x, y = numbers((4, 6), (5, 4))
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, [(x[::-2, ::2], y.T[:3, ::-1])])
    x, y = numbers((4, 3, 2), (6, 3))
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, [(x.transpose(2, 0, 1), y.T[::, ::2])])
    x, y = numbers((5, 3, 2), (5, 4, 3))
    many = [
        (x.swapaxes(1, 2), y.swapaxes(1, 2)),
        (x[:, ::-1].swapaxes(1, 2), y[:1, ::2].swapaxes(1, 2)),
    ]
    many += [(x.swapaxes(1, 2), numbers((5, 3, 1))[0]), numbers((2, 1, 40), (2, 40, 3))]
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, many)
    yield Row(
        "linear",
        partial(mg.apply, ops.linear),
        linear_by_hand,
        [
            numbers(shape, (3, 4), (4,))
            for shape in [(2, 3), (3,), (1, 3), (5, 2, 3), (0, 3), (0, 2, 3)]
        ]
        + [numbers((2, 3), (3, 0), (0,)), numbers((2, 0), (0, 3), (3,))],
    )
    x, y, z = numbers((6, 4, 3), (4, 6), (8,))
    yield Row(
        "linear",
        partial(mg.apply, ops.linear),
        linear_by_hand,
        [(x[::-2].T, y[::2].T[:3], z[:2]), (x[:, 0].T, y.T, z[::-2])],
    )


def linear_by_hand(x: Any, weight: Any, bias: Any) -> Any:
    return matmul_by_hand(x, weight) + bias


def matmul_by_hand(x: Any, y: Any) -> Any:
    """NumPy's matrix product, as a sum over an explicit axis of products."""
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    value = (rows[..., :, :, None] * columns[..., None, :, :]).sum(-2)
    value = value[..., 0] if y.ndim == 1 else value
    return value[..., 0, :] if x.ndim == 1 and y.ndim > 1 else value[0] if x.ndim == 1 else value
