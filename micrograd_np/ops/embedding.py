"""Embedding: rows of a table, chosen by index."""

import numpy as np

from .common import Array, Result
from .shapes import scatter_rows


def embedding(weight: Array, *, indices: Array, padding_idx: int | None = None) -> Result:
    """weight[indices], for indices from 0 up; the row `padding_idx` gets no gradient."""
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers; received dtype {indices.dtype}")
    wrong = (indices < 0) | (indices >= len(weight))
    if np.any(wrong):
        raise IndexError(
            f"indices must be at least 0 and below {len(weight)}; received {indices[wrong][0]}"
        )
    indices = indices.copy()  # which the caller may change before the way back

    def to_weight(g: Array) -> Array:
        total = scatter_rows(weight.shape, indices.ravel(), g.reshape(-1, weight.shape[1]))
        if padding_idx is not None:
            total[padding_idx] = 0
        return total

    return weight.take(indices, axis=0), (to_weight,)
