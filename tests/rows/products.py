"""Rows of the products."""

from collections.abc import Iterator
from typing import Any

from . import Row, numbers

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


def matmul_by_hand(x: Any, y: Any) -> Any:
    """NumPy's matrix product, as a sum over an explicit axis of products."""
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    value = (rows[..., :, :, None] * columns[..., None, :, :]).sum(-2)
    value = value[..., 0] if y.ndim == 1 else value
    return value[..., 0, :] if x.ndim == 1 and y.ndim > 1 else value[0] if x.ndim == 1 else value
