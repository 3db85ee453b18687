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
    yield Row(
        "moveaxis",
        lambda x: x.moveaxis((0, 1), (-1, 0)),
        lambda x: np.einsum("ijk->jki", x),
        [entries],
    )
    yield Row("moveaxis", lambda x: x.moveaxis(2, 0), lambda x: np.einsum("ijk->kij", x), [entries])
    yield Row("reshape", lambda x: x.ravel(), lambda x: np.array([*x.flat]), unary())
    for axis in (None, 0, -1, (0, 1)):
        axes = (0, 1) if axis is None else axis if isinstance(axis, tuple) else (axis % 2,)
        yield Row(
            "flip",
            lambda x, a=axis: x.flip(a),
            lambda x, axes=axes: x[
                tuple(slice(None, None, -1 if i in axes else 1) for i in (0, 1))
            ],
            [numbers((2, 3)), numbers((0, 3)), (numbers((3, 2))[0].T,)],
        )
    for shift, axis in (
        (1, None),
        (-2, 1),
        (4, 0),
        ((1, 2), (0, 1)),
        ((1, -1), 1),
        (np.int64(3), -1),
    ):
        yield Row(
            "roll",
            lambda x, s=shift, a=axis: x.roll(s, a),
            roll_by_hand(shift, axis),
            [numbers((2, 3)), (numbers((3, 4))[0].T,)],
        )
    for width, pairs in (
        (1, [(1, 1), (1, 1)]), ((1, 2), [(1, 2), (1, 2)]), (((0, 2), (3, 0)), [(0, 2), (3, 0)]),
        ([[2], [0]], [(2, 2), (0, 0)]), (0, [(0, 0), (0, 0)]),
    ):  # fmt: skip
        for constant in (0, 2.5):
            yield Row(
                "pad",
                lambda x, w=width, c=constant: x.pad(w, constant_values=c),
                pad_by_hand(pairs, constant),
                [numbers((2, 3)), numbers((0, 3)), (numbers((3, 2))[0].T,)],
            )
    yield Row("pad", lambda x: x.pad(1), lambda x: x, [numbers(())])
    for k in (0, 1, -1, 5):
        square = [numbers((3, 3)), numbers((2, 4, 3)), (numbers((3, 4))[0].T,), numbers((0, 3))]
        yield Row("tril", lambda x, k=k: x.tril(k), lambda x, k=k: x * below(x, k + 1), square)
        yield Row("triu", lambda x, k=k: x.triu(k), lambda x, k=k: x * (1 - below(x, k)), square)
    for indices in ([0, 2, 2, -1], 1, [[0, 1], [1, 1]], [], np.array(2)):
        for axis in (None, 0, 1, -1):
            yield Row(
                "take",
                lambda x, i=indices, a=axis: x.take(i, a),
                take_by_hand(indices, axis),
                [numbers((3, 4, 3)), (numbers((3, 4, 3))[0].T,)],
            )
    yield Row("take", lambda x: x.take([0, 0]), lambda x: np.array([x, x]), [numbers(())])
    yield Row(
        "take_along_axis",
        lambda x: x.take_along_axis([[2, 0, -1, 2], [1, 1, 1, 0]], 1),
        lambda x: np.array([[x[0, i] for i in (2, 0, 2, 2)], [x[1, i] for i in (1, 1, 1, 0)]]),
        [numbers((2, 3)), (numbers((3, 2))[0].T,)],
    )
    yield Row(
        "take_along_axis",
        lambda x: x.take_along_axis(np.array([[1, 0, 1]]), axis=0),
        lambda x: np.array([[x[1, 0], x[0, 1], x[1, 2]]]),
        [numbers((2, 3))],
    )
    yield Row(
        "take_along_axis",
        lambda x: x.take_along_axis([3, 3], None),
        lambda x: np.array([x[1, 0], x[1, 0]]),
        [numbers((2, 3))],
    )
    for repeats, axis in (
        (2, None),
        (2, 0),
        (3, -1),
        ([1, 0, 2], 1),
        (np.array([2, 2, 1]), 1),
        (0, 0),
    ):
        yield Row(
            "take",
            lambda x, r=repeats, a=axis: x.repeat(r, a),
            lambda x, r=repeats, a=axis: repeat_by_hand(x, r, a),
            [numbers((2, 3)), (numbers((3, 2))[0].T,)],
        )
    for reps in (2, np.int64(3), (2,), (2, 1), (1, 3), (2, 1, 2), [0, 1]):
        yield Row(
            "reshape",
            lambda x, r=reps: x.tile(r),
            lambda x, r=reps: tile_by_hand(x, r),
            [numbers((2, 3)), numbers((2,)), numbers(()), numbers((2, 1, 3))],
        )
    for parts, axis in ((3, 0), ([1, 4], 0), (2, -1), ([2, 2, 9], 0), ([4, 1], 0)):
        yield Row(
            "getitem",
            lambda x, p=parts, a=axis: sum_of_parts(x.split(p, a)),
            lambda x, p=parts, a=axis: sum_of_parts(split_by_hand(x, p, a)),
            [numbers((6, 2)), (numbers((2, 6))[0].T,)],
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


def roll_by_hand(shift: Any, axis: Any) -> Any:
    def reference(x: Any) -> Any:
        if axis is None:
            flat = [*x.flat]
            return np.array(flat[-shift:] + flat[:-shift]).reshape(x.shape)
        shifts = [0] * x.ndim
        for s, a in zip(np.broadcast_to(shift, 2), np.broadcast_to(axis, 2)):
            shifts[a] += s if np.ndim(shift) or np.ndim(axis) else s / 2
        value = np.empty(x.shape)
        for place in np.ndindex(x.shape):
            value[tuple(int(p + s) % n for p, s, n in zip(place, shifts, x.shape))] = x[place]
        return value

    return reference


def pad_by_hand(pairs: list[tuple[int, int]], constant: float) -> Any:
    def reference(x: Any) -> Any:
        value = np.full([n + sum(pair) for n, pair in zip(x.shape, pairs)], float(constant))
        for place in np.ndindex(x.shape):
            value[tuple(p + before for p, (before, _) in zip(place, pairs))] = x[place]
        return value

    return reference


def below(x: Any, k: int) -> Any:
    """Mark what lies below the k-th diagonal."""
    n, m = x.shape[-2:]
    return np.array([[float(j < i + k) for j in range(m)] for i in range(n)]).reshape(n, m)


def take_by_hand(indices: Any, axis: int | None) -> Any:
    def reference(x: Any) -> Any:
        rows = np.array([*x.flat]) if axis is None else np.moveaxis(x, axis, 0)
        taken = [rows[i] for i in np.ravel(indices).astype(int)]
        value = np.array(taken).reshape(np.shape(indices) + rows.shape[1:])
        at = 0 if axis is None else axis % x.ndim
        n = np.ndim(indices)
        return np.moveaxis(value, range(n), range(at, at + n))

    return reference


def repeat_by_hand(x: Any, repeats: Any, axis: int | None) -> Any:
    rows = np.array([*x.flat]) if axis is None else np.moveaxis(x, axis, 0)
    taken = [row for row, n in zip(rows, np.broadcast_to(repeats, len(rows))) for _ in range(n)]
    value = np.array(taken).reshape(len(taken), *rows.shape[1:])
    return value if axis is None else np.moveaxis(value, 0, axis)


def tile_by_hand(x: Any, reps: Any) -> Any:
    times = np.atleast_1d(reps).tolist()
    ndim = max(len(times), x.ndim)
    times = [1] * (ndim - len(times)) + times
    x = x.reshape((1,) * (ndim - x.ndim) + x.shape)
    value = np.empty([n * t for n, t in zip(x.shape, times)])
    for place in np.ndindex(value.shape):
        value[place] = x[tuple(p % n for p, n in zip(place, x.shape))]
    return value


def split_by_hand(x: Any, parts: Any, axis: int) -> list[Any]:
    rows = np.moveaxis(x, axis, 0)
    if isinstance(parts, int):
        parts = [len(rows) // parts * (i + 1) for i in range(parts - 1)]
    ends = zip([0, *parts], [*parts, len(rows)])
    return [np.moveaxis(rows[start:stop], 0, axis) for start, stop in ends]


def sum_of_parts(parts: list[Any]) -> Any:
    """Weight each part differently, so that none can be taken for another."""
    return sum((i + 1) * (part * part).sum() for i, part in enumerate(parts))
