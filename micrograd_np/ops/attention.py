"""Attention: each query takes a mean of the values, weighted by how well their keys match it."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from .common import Array, Result, floating, jointly, number
from .reductions import below_largest, total_over


def attention(
    *projected: Array, heads: int, mask: Array | None = None, keep: Array | None = None
) -> Result:
    """softmax(q k^T / sqrt(d) + mask) v for each head, where d is the length of a head.

    `projected` are query (batch, n, width), key and value (batch, m, width), or one array that has
    the three side by side. Heads are equal parts of the width. `mask`, added to the scores, and
    `keep`, multiplied to the weights (dropout), broadcast to (batch, heads, n, m). Where all is
    masked the weights are 0.
    """
    parts = 3 // len(projected)
    query, key, value = (part for x in projected for part in _split(floating(x), heads, parts))
    scale = number(1 / math.sqrt(query.shape[-1]), query.dtype)
    weights = _weights(query, key, scale, mask)
    kept = weights if keep is None else weights * keep

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        (g,) = _split(g, heads)
        grads = [np.empty(x.shape, g.dtype, like=g) for x in projected]
        to_query, to_key, to_value = (part for x in grads for part in _split(x, heads, parts))
        np.matmul(kept.swapaxes(-1, -2), g, out=to_value)
        slope = _slope(g @ _turned(value), weights, keep)
        slope *= scale
        np.matmul(slope, key, out=to_query)
        np.matmul(slope.swapaxes(-1, -2), query, out=to_key)
        return tuple(lambda grad=grad: grad for grad in grads)

    return _merge(kept @ value), jointly(len(projected), back)


def attention_weights(query: Array, key: Array, *, heads: int, mask: Array | None = None) -> Result:
    """softmax(q k^T / sqrt(d) + mask), (batch, heads, n, m): the weights of `attention`."""
    (q,), (k,) = _split(floating(query), heads), _split(floating(key), heads)
    scale = number(1 / math.sqrt(q.shape[-1]), q.dtype)
    weights = _weights(q, k, scale, mask)

    def back(g: Array) -> Sequence[Callable[[], Array]]:
        slope = _slope(g, weights, None)
        slope *= scale
        return lambda: _merge(slope @ k), lambda: _merge(slope.swapaxes(-1, -2) @ q)

    return weights, jointly(2, back)


def _weights(query: Array, key: Array, scale: Array, mask: Array | None) -> Array:
    scores = query @ _turned(key)
    scores *= scale
    if mask is not None:
        scores += mask
    if not scores.size:
        return scores
    scores, _ = below_largest(scores, -1)
    np.exp(scores, out=scores)
    # The sum is 0 where all is masked, and else at least 1.
    scores /= np.maximum(total_over(scores, -1), number(1, scores.dtype))
    return scores


def _slope(g: Array, weights: Array, keep: Array | None) -> Array:
    """Return the gradient of the scores, given that of the weights (once multiplied by `keep`)."""
    slope: Array = g * weights if keep is None else g * keep * weights
    slope -= weights * total_over(slope, -1)
    return slope


def _turned(x: Array) -> Array:
    """Exchange the last two axes; on small matrices a contiguous copy pays for itself."""
    return np.ascontiguousarray(x.swapaxes(-1, -2))


def _split(x: Array, heads: int, parts: int = 1) -> Array:
    """Return views (batch, heads, n, depth) of the parts that lie side by side in the width."""
    batch, n, width = x.shape
    return x.reshape(batch, n, parts, heads, width // heads // parts).transpose(2, 0, 3, 1, 4)


def _merge(x: Array) -> Array:
    batch, heads, n, depth = x.shape
    return x.swapaxes(1, 2).reshape(batch, n, heads * depth)
