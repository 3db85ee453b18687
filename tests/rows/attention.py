"""Rows of attention, whose formula goes query by query."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

import micrograd_np as mg
from micrograd_np import ops

from . import Inputs, Row, numbers

INF = math.inf
CAUSAL = np.triu(np.full((3, 3), -INF), 1)
NOTHING_SEEN = np.array([[0, 0.5, -1], [-INF, -INF, -INF], [-INF, 0, 2]])
BY_KEY = np.array([[0, -INF, 0], [1, 0, -2.0]]).reshape(2, 1, 1, 3)
(BY_HEAD,) = numbers((2, 2, 3, 3))
KEEP = np.random.default_rng(1).integers(0, 2, (2, 2, 3, 3)) * 1.25


def rows() -> Iterator[Row]:
    (packed,) = numbers((12, 2, 6))
    packed_inputs: list[Inputs] = [numbers((2, 3, 12)), (packed.T[::2].swapaxes(0, 1),)]
    query, key = numbers((4, 3, 2), (2, 6, 4))
    separate_inputs = [
        numbers((2, 3, 4), (2, 3, 4), (2, 3, 4)),
        (query.T, key[:, ::-2], np.ascontiguousarray(key[:, ::2])),
    ]
    for mask in (None, CAUSAL, NOTHING_SEEN, BY_KEY, BY_HEAD):
        for keep in (None, KEEP):
            inputs = packed_inputs[:1] + separate_inputs
            yield attention(2, mask, keep, inputs)
        yield attention_weights(2, mask, [arrays[:2] for arrays in separate_inputs])
    yield attention(2, None, None, packed_inputs[1:])
    for heads in (1, 4):
        yield attention(heads, None, None, [numbers((2, 3, 12)), numbers(*[(2, 3, 4)] * 3)])
    crossed = [numbers((2, 1, 4), (2, 5, 4), (2, 5, 4)), numbers((0, 2, 4), (0, 5, 4), (0, 5, 4))]
    crossed += [numbers((2, 0, 4), (2, 5, 4), (2, 5, 4)), numbers((1, 1, 2), (1, 1, 2), (1, 1, 2))]
    yield attention(2, None, None, crossed)
    yield attention_weights(2, None, [arrays[:2] for arrays in crossed])
    yield attention(1, None, None, [numbers((1, 1, 3)), numbers((0, 2, 6)), numbers((2, 0, 6))])


def attention(heads: int, mask: Any, keep: Any, inputs: list[Inputs]) -> Row:
    def call(*tensors: Any) -> Any:
        kept = None if keep is None else keep.astype(tensors[0].dtype)
        return mg.apply(ops.attention, *tensors, heads=heads, mask=mask, keep=kept)

    def reference(*arrays: Any) -> Any:
        width = arrays[0].shape[-1] // 3
        if len(arrays) == 1:
            arrays = tuple(arrays[0][..., i * width : (i + 1) * width] for i in range(3))
        query, key, value = arrays
        return attention_by_hand(query, key, value, heads, mask, keep)

    return Row("attention", call, reference, inputs)


def attention_weights(heads: int, mask: Any, inputs: list[Inputs]) -> Row:
    return Row(
        "attention_weights",
        lambda q, k: mg.apply(ops.attention_weights, q, k, heads=heads, mask=mask),
        lambda q, k: weights_by_hand(q, k, heads, mask),
        inputs,
    )


def attention_by_hand(
    query: Any, key: Any, value: Any, heads: int, mask: Any = None, keep: Any = None
) -> Any:
    weights = weights_by_hand(query, key, heads, mask)
    weights = weights if keep is None else weights * keep
    y = np.zeros(query.shape)
    depth = query.shape[-1] // heads
    for b, i, j in np.ndindex(*query.shape):
        mixed = zip(weights[b, j // depth, i], value[b, :, j])
        y[b, i, j] = math.fsum(weight * entry for weight, entry in mixed)
    return y


def weights_by_hand(query: Any, key: Any, heads: int, mask: Any = None) -> Any:
    weights = np.zeros((len(query), heads, query.shape[1], key.shape[1]))
    depth = query.shape[-1] // heads
    added = np.broadcast_to(0.0 if mask is None else mask, weights.shape)
    for b, h, i in np.ndindex(*weights.shape[:-1]):
        part = slice(h * depth, (h + 1) * depth)
        scores = [
            math.fsum(q * k for q, k in zip(query[b, i, part], row[part])) / math.sqrt(depth) + more
            for row, more in zip(key[b], added[b, h, i])
        ]
        total = math.fsum(map(math.exp, scores))
        weights[b, h, i] = [math.exp(score) / total if total else 0 for score in scores]
    return weights
