"""Rows of the shape ops."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import Row, numbers, unary

INDICES: list[Any] = [
    1, -1, slice(1, 3), (slice(None), 0), (..., None, 1), (slice(None, None, -1),), ([0, 0, 3],),
    np.array([[1, 1], [2, 3]]), ([0, 1, 0], [2, 2, 2]), (slice(None), [1, 1]), [True, False] * 2,
    np.arange(12).reshape(4, 3) % 2 == 0, (1, 2), (), (0, [2, 2]), ((0, 0, 1),),
    ((0, 0), (1, 1)), ((1, 1), slice(None)), [], (np.int64(1), np.array(2)), True,
]  # fmt: skip


def rows() -> Iterator[Row]:
    entries = numbers((2, 3, 4))
    flat = entries[0].ravel()
    for shape in ((6, 4), (24,), (-1, 2), (2, 3, 4, 1)):
        size = tuple(24 // 2 if n == -1 else n for n in shape)
        yield Row(
            "reshape",
            lambda x, s=shape: x.reshape(*s),
            lambda x, s=size: np.array([x.ravel()[i] for i in range(24)]).reshape(s),
            [entries, (flat.reshape(4, 3, 2).T,)],
        )
    yield Row(
        "transpose",
        lambda x: x.transpose(2, 0, 1),
        lambda x: np.array([[[x[j, k, i] for k in range(3)] for j in range(2)] for i in range(4)]),
        [entries],
    )
    yield Row("transpose", lambda x: x.transpose(0), lambda x: x.copy(), [numbers((3,))])
    yield Row("transpose", lambda x: x.T, lambda x: np.einsum("ijk->kji", x), [entries])
    yield Row(
        "transpose",
        lambda x: x.transpose((0, -1, 1)),
        lambda x: np.einsum("ijk->ikj", x),
        [entries],
    )
    yield Row(
        "swapaxes", lambda x: x.swapaxes(0, -1), lambda x: np.einsum("ijk->kji", x), [entries]
    )
    thin = numbers((1, 3, 1))
    yield Row("squeeze", lambda x: x.squeeze(), lambda x: x[0, :, 0], [thin])
    yield Row("squeeze", lambda x: x.squeeze(axis=0), lambda x: x[0], [thin])
    yield Row(
        "expand_dims", lambda x: x.expand_dims((0, -1)), lambda x: x[None, ..., None], unary()
    )
    yield Row(
        "broadcast_to",
        lambda x: x.broadcast_to((4, 2, 3)),
        lambda x: x + np.zeros((4, 2, 3)),
        [numbers(shape) for shape in [(), (3,), (2, 1), (4, 1, 1), (4, 2, 3)]],
    )
    for axis in (0, 1, -1):
        yield Row(
            "concatenate",
            lambda x, y, a=axis: x.concatenate(y, x, axis=a),
            lambda x, y, a=axis: np.moveaxis(
                np.array([*np.moveaxis(x, a, 0), *np.moveaxis(y, a, 0), *np.moveaxis(x, a, 0)]),
                0,
                a,
            ),
            [numbers((2, 2), (2, 2)), (np.asfortranarray(numbers((2, 2))[0]), *numbers((2, 2)))],
        )
        yield Row(
            "stack",
            lambda x, y, a=axis: x.stack(y, y, axis=a),
            lambda x, y, a=axis: np.moveaxis(np.array([x, y, y]), 0, a),
            [numbers((2, 3), (2, 3))],
        )
    yield Row(
        "concatenate",
        lambda x, y: x.concatenate(y, axis=None),
        lambda x, y: np.array([*x.ravel(), *y.ravel()]),
        [numbers((2, 3), (4,)), numbers((), (0, 3))],
    )
    yield Row(
        "concatenate", lambda x, y: x.concatenate(y), lambda x, y: x, [numbers((2, 3), (0, 3))]
    )
    for index in INDICES:
        yield Row(
            "getitem",
            lambda x, i=index: x[i],
            lambda x, i=index: x.ravel()[np.arange(x.size).reshape(x.shape)[i]],
            [numbers((4, 3)), (numbers((3, 4))[0].T,)],
        )
