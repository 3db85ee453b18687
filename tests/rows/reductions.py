"""Rows of the reductions."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import Inputs, Row, numbers, sum_by_hand, unary

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
                "std",
                lambda x, k=kwargs, d=ddof: x.std(ddof=d, **k),
                lambda x, k=kwargs, d=ddof: var_by_hand(x, d, **k) ** 0.5,
                cube[:2],
            )
        yield Row(
            "norm",
            lambda x, k=kwargs: x.norm(**k),
            lambda x, k=kwargs: sum_by_hand(x * x, **k) ** 0.5,
            cube,
        )
        yield Row(
            "prod",
            lambda x, k=kwargs: x.prod(**k),
            lambda x, k=kwargs: prod_by_hand(x, **k),
            [*cube, *with_zeros()],
        )
        yield Row(
            "logsumexp",
            lambda x, k=kwargs: x.logsumexp(**k),
            lambda x, k=kwargs: np.log(sum_by_hand(np.exp(x), **k)),
            cube,
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
    short, long = numbers((2, 3, 4), (2, 70))
    for axis in (-1, 0, 1):
        every: list[Inputs] = [(short,), (short.T,), (long,), (long[:, ::-2],)]
        yield Row(
            "softmax",
            lambda x, a=axis: x.softmax(a),
            lambda x, a=axis: np.exp(x) / sum_by_hand(np.exp(x), a, True),
            every,
        )
        yield Row(
            "log_softmax",
            lambda x, a=axis: x.log_softmax(axis=a),
            lambda x, a=axis: x - np.log(sum_by_hand(np.exp(x), a, True)),
            every,
        )
        yield Row(
            "logsumexp",
            lambda x, a=axis: x.logsumexp(a),
            lambda x, a=axis: np.log(sum_by_hand(np.exp(x), a)),
            every[2:],
        )
        yield Row("cumsum", lambda x, a=axis: x.cumsum(a), cumsum_by_hand(axis), every)
    yield Row(
        "cumsum",
        lambda x: x.cumsum(),
        lambda x: np.array([math.fsum(x.ravel()[: i + 1]) for i in range(x.size)]),
        unary(),
    )
    for op in ("softmax", "log_softmax"):
        yield Row(
            op,
            lambda x, op=op: getattr(x, op)(),
            lambda x, op=op: x * 0 + (op == "softmax"),
            [numbers(()), numbers((1,)), numbers((0, 1))],
        )
        yield Row(op, lambda x, op=op: getattr(x, op)(), lambda x: x.copy(), [numbers((0, 3))])
    yield Row("norm", lambda x: x.norm(), lambda x: abs(x), [numbers(())])
    yield Row("prod", lambda x: x.prod(axis=0), lambda x: np.ones(3), [numbers((0, 3))])
    for op in ("sum", "mean", "max", "min", "prod", "logsumexp"):
        yield Row(op, lambda x, op=op: getattr(x, op)(), lambda x: x.copy(), [numbers(())])
    yield Row("sum", lambda x: x.sum(axis=0), lambda x: np.zeros(3), [numbers((0, 3))])


def var_by_hand(x: Any, ddof: int, axis: Any = None, keepdims: bool = False) -> Any:
    count = x.size / sum_by_hand(x, axis).size
    centred = x - sum_by_hand(x, axis, True) / count
    return sum_by_hand(centred**2, axis, keepdims) / (count - ddof)


def prod_by_hand(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    size = np.abs(x) + (x == 0)
    signs = np.where(sum_by_hand(x < 0, axis, keepdims) % 2 == 1, -1, 1)
    no_zero = sum_by_hand(x == 0, axis, keepdims) == 0
    return np.exp(sum_by_hand(np.log(size), axis, keepdims)) * signs * no_zero


def with_zeros() -> list[Inputs]:
    """One and two zeros in a row, a column, a plane."""
    (x,) = numbers((2, 3, 4))
    x[0, 0, 0] = x[1, 2, 1] = x[1, 2, 3] = x[1, 1, 3] = 0
    return [(x,), (x[:1].T,)]


def cumsum_by_hand(axis: int) -> Any:
    def reference(x: Any) -> Any:
        rows = np.moveaxis(x, axis, -1)
        lower = np.array(
            [[float(j <= i) for j in range(x.shape[axis])] for i in range(x.shape[axis])]
        )
        return np.moveaxis((rows[..., None, :] * lower).sum(-1), -1, axis)

    return reference


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
