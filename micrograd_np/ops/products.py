"""Matrix products."""

import numpy as np

from .common import Array, Result


def matmul(x: Array, y: Array) -> Result:
    """x @ y, over the last axis of x and the last but one of y; earlier axes broadcast.

    For matrices d/dx = g y^T and d/dy = x^T g. A vector counts as a row on the left and as a
    column on the right, an axis that the value does not have.
    """
    if x.ndim == 2 and y.ndim == 2 and x.dtype is y.dtype:
        # For small matrices the method takes half the time of the operator.
        return x.dot(y), (lambda g: g.dot(y.T), lambda g: x.T.dot(g))
    if x.ndim > 2 and y.ndim == 2:
        return _rows_by_matrix(x, y)
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y

    def with_both_axes(g: Array) -> Array:
        g = g[..., None] if y.ndim == 1 else g
        return g[..., None, :] if x.ndim == 1 else g

    def to_x(g: Array) -> Array:
        gradient = with_both_axes(g) @ columns.swapaxes(-1, -2)
        return gradient[..., 0, :] if x.ndim == 1 else gradient

    def to_y(g: Array) -> Array:
        gradient = rows.swapaxes(-1, -2) @ with_both_axes(g)
        return gradient[..., 0] if y.ndim == 1 else gradient

    return np.matmul(x, y), (to_x, to_y)


def _rows_by_matrix(x: Array, y: Array) -> Result:
    """One matrix for all batches: fold them into one tall matrix, whose product is the fastest."""
    inner, outer = y.shape
    if x.shape[-1] != inner:
        raise ValueError(f"the last axis of {x.shape} must be as long as the first of {y.shape}")
    rows = x.reshape(-1, inner) if x.size else x.reshape(int(np.prod(x.shape[:-1])), inner)
    value = rows.dot(y).reshape(*x.shape[:-1], outer)

    def flat(g: Array) -> Array:
        return g.reshape(len(rows), outer)

    return value, (
        lambda g: flat(g).dot(y.T).reshape(x.shape),
        lambda g: rows.T.dot(flat(g)),
    )
