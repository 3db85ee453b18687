"""Rows of the normalizations."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import micrograd_np as mg
from micrograd_np import ops

from . import Inputs, Row, numbers

Index = tuple[int, ...]
MEAN, VARIANCE = np.array([0.5, -1, 2]), np.array([0.25, 2, 1])


def rows() -> Iterator[Row]:
    (x, weight) = numbers((4, 6, 5), (10,))
    for shape, inputs in (
        ((3,), [numbers((3,)), numbers((4, 3)), numbers((2, 2, 3)), numbers((0, 3))]),
        ((2, 3), [numbers((4, 2, 3)), numbers((2, 3)), numbers((2, 0, 2, 3))]),
        ((1,), [numbers((3, 1))]),
        ((4,), [(x.T,), (x[:, ::-2].T,)]),
    ):
        for op in ("layer_norm", "rms_norm"):
            for count in range(3 if op == "layer_norm" else 2):
                yield over_last_axes(op, shape, [(*i, *numbers(*[shape] * count)) for i in inputs])
    yield over_last_axes("layer_norm", (5,), [(x[::2, ::-1], weight[::2], weight[::-2])])
    for fixed in (False, True):
        whole = [numbers((4, 3)), numbers((2, 3, 2)), numbers((2, 3, 2, 2))]
        whole += [(numbers((3, 2, 5))[0].swapaxes(0, 1),), (numbers((2, 5, 3))[0].swapaxes(1, 2),)]
        whole += [(np.moveaxis(numbers((3, 2, 4, 5))[0], -1, 0),)]  # as convolutions lay it
        whole += [numbers((1, 3)), numbers((0, 3, 2))] if fixed else []
        for affine in ([], [(3,), (3,)]):
            yield by_channel(fixed, [(*i, *numbers(*affine)) for i in whole])
    yield by_channel(False, [(*numbers((4, 3)), weight[:6:2], weight[2::-1])])


def over_last_axes(op: str, shape: Index, inputs: list[Inputs], eps: float = 0.01) -> Row:
    return Row(
        op,
        lambda x, *affine: mg.apply(ops.ALL[op], x, *affine, shape=shape, eps=eps),
        lambda x, *affine: norm_by_hand(x, affine, len(shape), eps, op == "layer_norm"),
        inputs,
    )


def by_channel(fixed: bool, inputs: list[Inputs], eps: float = 0.01) -> Row:
    def call(x: Any, *affine: Any) -> Any:
        given = (MEAN, VARIANCE) if fixed else ops.moments(x.data)
        mean, variance = (array.astype(x.dtype) for array in given)
        constants = {"mean": mean, "variance": variance, "eps": eps}
        return mg.apply(ops.batch_norm, x, *affine, **constants, **{"fixed": True} if fixed else {})

    return Row(
        "batch_norm", call, lambda x, *affine: batch_norm_by_hand(x, affine, fixed, eps), inputs
    )


def norm_by_hand(x: Any, affine: Any, axes: int, eps: float, centred: bool = True) -> Any:
    value = np.zeros(x.shape)
    for sample in np.ndindex(x.shape[: x.ndim - axes]):
        entries = [float(entry) for entry in x[sample].ravel()]
        scaled = standardized(entries, eps, *moments_by_hand(entries, centred))
        for place, entry in zip(np.ndindex(x.shape[x.ndim - axes :]), scaled):
            entry = entry * affine[0][place] if affine else entry
            value[(*sample, *place)] = entry + (affine[1][place] if len(affine) == 2 else 0)
    return value


def batch_norm_by_hand(x: Any, affine: Any, fixed: bool, eps: float) -> Any:
    value = np.zeros(x.shape)
    for c in range(x.shape[1]):
        entries = [float(entry) for entry in x[:, c].ravel()]
        moments = (MEAN[c], VARIANCE[c]) if fixed else moments_by_hand(entries)
        for place, entry in zip(np.ndindex(x[:, c].shape), standardized(entries, eps, *moments)):
            value[(place[0], c, *place[1:])] = (
                entry * affine[0][c] + affine[1][c] if affine else entry
            )
    return value


def moments_by_hand(entries: list[float], centred: bool = True) -> tuple[float, float]:
    mean = math.fsum(entries) / len(entries) if centred else 0.0
    return mean, math.fsum((entry - mean) ** 2 for entry in entries) / len(entries)


def standardized(entries: list[float], eps: float, mean: float, variance: float) -> list[float]:
    return [(entry - mean) / math.sqrt(variance + eps) for entry in entries]
