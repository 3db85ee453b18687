"""Rows of the reductions."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import Row, numbers, sum_by_hand

REDUCTIONS: list[dict[str, Any]] = [
    {}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}, {"axis": 1, "keepdims": True},
    {"keepdims": True},
]  # fmt: skip


def rows() -> Iterator[Row]:
    cube = [numbers((2, 3, 4)), (numbers((4, 3, 2))[0].T,), numbers((1, 1, 1))]
    for kwargs in REDUCTIONS:
        yield Row(
            "sum", lambda x, k=kwargs: x.sum(**k), lambda x, k=kwargs: sum_by_hand(x, **k), cube
        )
        yield Row(
            "mean",
            lambda x, k=kwargs: x.mean(**k),
            lambda x, k=kwargs: sum_by_hand(x, **k) / (x.size / sum_by_hand(x, **k).size),
            cube,
        )
        for ddof in (0, 1):
            yield Row(
                "var",
                lambda x, k=kwargs, d=ddof: x.var(ddof=d, **k),
                lambda x, k=kwargs, d=ddof: var_by_hand(x, d, **k),
                cube[:2],
            )
        yield Row(
            "max",
            lambda x, k=kwargs: x.max(**k),
            lambda x, k=kwargs: sum_by_hand(x * is_largest(x, **k), **k),
            cube,
        )
        yield Row(
            "min",
            lambda x, k=kwargs: x.min(**k),
            lambda x, k=kwargs: sum_by_hand(x * is_largest(-x, **k), **k),
            cube,
        )
    for op in ("sum", "mean", "max", "min"):
        yield Row(op, lambda x, op=op: getattr(x, op)(), lambda x: x.copy(), [numbers(())])
    yield Row("sum", lambda x: x.sum(axis=0), lambda x: np.zeros(3), [numbers((0, 3))])


def var_by_hand(x: Any, ddof: int, axis: Any = None, keepdims: bool = False) -> Any:
    count = x.size / sum_by_hand(x, axis).size
    centred = x - sum_by_hand(x, axis, True) / count
    return sum_by_hand(centred**2, axis, keepdims) / (count - ddof)


def is_largest(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mark the largest entry over the axes, by sorting."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % x.ndim for a in axes)
    marks = np.zeros(x.shape, bool)
    others = [range(n) for i, n in enumerate(x.shape) if i not in axes]
    for place in np.ndindex(*map(len, others)):
        index: list[Any] = [slice(None)] * x.ndim
        for i, n in zip([i for i in range(x.ndim) if i not in axes], place, strict=True):
            index[i] = n
        part = x[tuple(index)]
        best = sorted(part.ravel())[-1]
        marks[tuple(index)] = part == best
    return marks
