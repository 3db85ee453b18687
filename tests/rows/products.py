"""Rows of the products."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

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
    many: list[Inputs] = [
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
    for subscripts, *sizes in EINSUMS:
        yield Row(
            "einsum",
            lambda *arrays, s=subscripts: np.einsum(s, *arrays),
            lambda *arrays, s=subscripts: einsum_by_hand(s, *arrays),
            [numbers(*sizes)],
        )
    x, y = numbers((30, 4, 20), (2, 60, 4))
    yield Row(
        "einsum",
        lambda x, y: np.einsum("bij,kjb->bki", x, y),
        lambda x, y: einsum_by_hand("bij,kjb->bki", x, y),
        [(x[:, ::2].T.swapaxes(0, 1), y[:, ::-2].T)],
    )
    for axes in (
        0,
        1,
        np.int64(2),
        (0, 1),
        ([0, 2], [1, 0]),
        ([], []),
        (-1, [0]),
        ((2, 1), (0, -1)),
    ):
        shapes = TENSORDOTS.get(str(axes), ((2, 3, 4), (4, 2, 3)))
        yield Row(
            "tensordot",
            lambda x, y, a=axes: x.tensordot(y, a),
            lambda x, y, a=axes: tensordot_by_hand(x, y, a),
            [numbers(*shapes)],
        )
    yield Row(
        "tensordot",
        lambda x, y: x.tensordot(y, 0),
        lambda x, y: x * y,
        [numbers((), (2,)), numbers((3,), ()), numbers((), ())],
    )
    yield Row(
        "multiply",
        lambda x, y: x.outer(y),
        lambda x, y: np.array([[a * b for b in y.flat] for a in x.flat]).reshape(x.size, y.size),
        [numbers(*pair) for pair in [((3,), (2,)), ((2, 3), (2, 2)), ((), (3,)), ((0,), (2,))]],
    )
    yield Row(
        "tensordot",
        lambda x, y: x.inner(y),
        lambda x, y: tensordot_by_hand(x, y, (-1, -1)) if x.ndim and y.ndim else x * y,
        [
            numbers(*p)
            for p in [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3)), ((), (3,)), ((2,), ())]
        ],
    )
    for arguments in ((), (1,), (-1,), (5,), (0, 1, 2), (1, -1, 0)):
        yield Row(
            "getitem",
            lambda x, a=arguments: x.trace(*a),
            lambda x, a=arguments: trace_by_hand(x, *a),
            [numbers((3, 4, 2)), (numbers((2, 3, 3))[0].T,)],
        )


EINSUMS: list[Any] = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ba", (2, 3)), ("ij->", (2, 3)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->j", (3, 3, 2)), ("iji->ij", (2, 3, 2)),
    ("ij,ij->i", (2, 3), (2, 3)), ("i,j->ij", (2,), (3,)), ("i,i", (3,), (3,)), (",", (), ()),
    ("bhik,bhjk->bhij", (2, 3, 2, 4), (2, 3, 3, 4)), ("ij,k->i", (2, 3), (2,)), ("i->i", (3,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...i,...i", (2, 1, 3), (4, 3)),
    ("i...->...", (2, 3)),
    ("...ii->...i", (2, 3, 3)), ("i...,...", (2, 3, 2), (3, 1)), ("...,i", (2, 3), (2,)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)), ("ij,i,j->", (2, 3), (2,), (3,)),
    ("... , ...", (2, 3), (3,)),
    ("ij,ij->ij", (1, 3), (2, 1)), ("ii,ij->j", (1, 1), (3, 2)), ("ij,jk->ki", (40, 30), (30, 20)),
    ("bij,bkj->kbi", (5, 20, 20), (5, 20, 20)), ("ij,jk->i", (40, 30), (30, 20)),
    ("ij,jk->ik", (400, 1), (30, 40)), ("iij,jk->ik", (20, 20, 3), (3, 20)),
    ("ij,kj", (0, 3), (2, 3)),
    ("ij,jkk->ik", (40, 5), (5, 10, 10)), ("ijj,jk->ik", (9, 20, 20), (20, 99)),
    ("ij,jjk->ik", (99, 20), (20, 20, 9)), ("A...a,aB...->...BA", (2, 3, 2), (2, 4, 3)),
]  # fmt: skip

TENSORDOTS = {
    "0": ((2, 3), (4,)), "1": ((2, 3), (3, 4)), "2": ((5, 2, 3), (2, 3, 4)),
    "(0, 1)": ((2, 3), (4, 2)),
    "([], [])": ((2,), (3,)), "((2, 1), (0, -1))": ((2, 3, 4), (4, 2, 3)),
    "([0, 2], [1, 0])": ((2, 3, 4), (4, 2)),
}  # fmt: skip


def einsum_by_hand(subscripts: str, *arrays: Any) -> Any:
    """Sum over every assignment of a place to each letter; axes under an ellipsis are letters."""
    terms, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = terms.split(",")
    letters = terms.replace(",", "").replace("...", "")
    if not arrow:
        once = sorted(c for c in letters if letters.count(c) == 1)
        output = ("..." if "..." in terms else "") + "".join(once)
    hidden = [x.ndim - len(t.replace("...", "")) for x, t in zip(arrays, inputs)]
    names = "0123456789"[: max(hidden)]
    inputs = [t.replace("...", names[len(names) - n :]) for t, n in zip(inputs, hidden)]
    output = output.replace("...", names)
    lengths: dict[str, int] = {}
    for term, x in zip(inputs, arrays):
        for c, n in zip(term, x.shape):
            lengths[c] = max(lengths.get(c, 0), n) if 0 not in (n, lengths.get(c)) else 0
    order = [*output, *(c for c in lengths if c not in output)]
    value = np.zeros([lengths[c] for c in output])
    grids = np.indices([lengths[c] for c in order]).reshape(len(order), math.prod(lengths.values()))
    product = np.ones(grids.shape[1])
    for term, x in zip(inputs, arrays):
        index = tuple(np.minimum(grids[order.index(c)], n - 1) for c, n in zip(term, x.shape))
        product = product * x[index]
    for *place, term in zip(*grids[: len(output)], product):
        value[tuple(place)] += term
    return value


def tensordot_by_hand(x: Any, y: Any, axes: Any) -> Any:
    if isinstance(axes, (int, np.integer)):
        over_x, over_y = list(range(x.ndim - axes, x.ndim)), list(range(axes))
    else:
        over_x, over_y = (np.atleast_1d(np.array(a, int)).tolist() for a in axes)
    n = len(over_x)
    rows = np.moveaxis(x, over_x, range(-n, 0)) if n else x
    columns = np.moveaxis(y, over_y, range(-n, 0)) if n else y
    left, right = rows.shape[: rows.ndim - n], columns.shape[: columns.ndim - n]
    rows, columns = rows.reshape(*left, -1), columns.reshape(*right, -1)
    return matmul_by_hand(
        rows.reshape(-1, rows.shape[-1]), columns.reshape(-1, rows.shape[-1]).T
    ).reshape(left + right)


def trace_by_hand(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    matrices = np.moveaxis(x, (axis1, axis2), (0, 1))
    n, m = matrices.shape[:2]
    on_it = [matrices[i, i + offset] for i in range(n) if 0 <= i + offset < m]
    return sum(on_it, np.zeros(matrices.shape[2:]))


def linear_by_hand(x: Any, weight: Any, bias: Any) -> Any:
    return matmul_by_hand(x, weight) + bias


def matmul_by_hand(x: Any, y: Any) -> Any:
    """NumPy's matrix product, as a sum over an explicit axis of products."""
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    value = (rows[..., :, :, None] * columns[..., None, :, :]).sum(-2)
    value = value[..., 0] if y.ndim == 1 else value
    return value[..., 0, :] if x.ndim == 1 and y.ndim > 1 else value[0] if x.ndim == 1 else value
