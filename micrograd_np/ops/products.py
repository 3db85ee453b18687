"""Products: matrix products and the sums of products that are made of them."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from string import ascii_letters
from typing import Any

import numpy as np

from .common import Array, Result, Rule


def matmul(x: Array, y: Array) -> Result:
    """x @ y, over the last axis of x and the last but one of y; earlier axes broadcast.

    For matrices d/dx = g y^T and d/dy = x^T g. A vector counts as a row on the left and as a
    column on the right, an axis that the value does not have.
    """
    if x.ndim == 2 and y.ndim == 2 and x.dtype is y.dtype:
        # For small matrices the method takes half the time of the operator.
        return x.dot(y), (lambda g: g.dot(y.T), lambda g: x.T.dot(g))
    if x.ndim > 2 and y.ndim == 2:
        return _folded(matmul, x, y)
    if not (x.ndim and y.ndim):
        raise ValueError("takes arrays of one axis at least; multiply by a number with *")
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y

    def with_both_axes(g: Array) -> Array:
        g = g[..., None] if y.ndim == 1 else g
        return g[..., None, :] if x.ndim == 1 else g

    def to_x(g: Array) -> Array:
        gradient = with_both_axes(g) @ _row_by_row(columns.swapaxes(-1, -2))
        return gradient[..., 0, :] if x.ndim == 1 else gradient

    def to_y(g: Array) -> Array:
        gradient = rows.swapaxes(-1, -2) @ _row_by_row(with_both_axes(g))
        return gradient[..., 0] if y.ndim == 1 else gradient

    return np.matmul(x, _row_by_row(y)), (to_x, to_y)


def _row_by_row(y: Array) -> Array:
    """Copy a right factor of many small matrices that lie transposed, for 2/3 of the time.

    Only where its columns are short: longer ones take as much time to copy as it saves.
    """
    if y.ndim < 3 or y.strides[-1] == y.itemsize or y.shape[-2] > min(32, 2 * y.shape[-1]):
        return y
    return np.ascontiguousarray(y)


def linear(x: Array, weight: Array, bias: Array) -> Result:
    """x @ weight + bias over the last axis of x, for weight (in, out) and bias (out,).

    d/dx = g weight^T, d/dweight = x^T g, d/dbias = the sum of the rows of g.
    """
    if weight.ndim != 2 or bias.ndim != 1 or x.shape[-1:] + bias.shape != weight.shape:
        raise ValueError(
            "the last axis of x must be as long as the first of the weight (in, out), and the bias "
            "as long as the second"
        )
    if x.ndim != 2:
        return _folded(linear, x, weight, bias)
    value = x.dot(weight)
    if value.dtype is bias.dtype:
        np.add(value, bias, value)
    else:
        value = value + bias
    return value, (
        lambda g: g.dot(weight.T),
        lambda g: x.T.dot(g),
        lambda g: ones(len(g), g.dtype).dot(g),
    )


def _folded(op: Callable[..., Result], x: Array, *others: Array) -> Result:
    """Run an op whose x is a matrix on one tall matrix, into which the rows of x are folded."""
    folded = (math.prod(x.shape[:-1]), x.shape[-1])
    value, rules = op(x.reshape(folded), *others)
    shape = value.shape

    def unfolding(rule: Rule) -> Rule:
        return lambda g: rule(g.reshape(shape))

    to_x, *to_others = map(unfolding, rules)
    unfolded = value.reshape(*x.shape[:-1], shape[-1])
    return unfolded, (lambda g: to_x(g).reshape(x.shape), *to_others)


def ones(length: int, dtype: np.dtype[Any]) -> Array:
    """Return a read-only vector whose product with a matrix sums its rows, 4 times as fast."""
    return _short_ones(length, dtype) if length <= 4096 else np.ones(length, dtype)


@lru_cache(maxsize=64)
def _short_ones(length: int, dtype: np.dtype[Any]) -> Array:
    vector = np.ones(length, dtype)
    vector.setflags(write=False)
    return vector


def einsum(*arrays: Array, subscripts: str) -> Result:
    """Sum products by Einstein's convention, as NumPy: "ij,jk->ik" is the product of matrices.

    The gradient with respect to an array is a sum of products of g and the other arrays.
    """
    inputs, output = _written_out(subscripts, arrays)
    return _contracted(inputs, output, arrays), _contraction_rules(inputs, output, arrays)


def tensordot(x: Array, y: Array, *, axes: Any = 2) -> Result:
    """Sum products over pairs of axes: two lists, or the last axes of x and the first of y."""
    value = np.tensordot(x, y, axes)
    if isinstance(axes, (int, np.integer)):
        axes = range(x.ndim - axes, x.ndim), range(axes)
    letters_x, letters_y = list(ascii_letters[: x.ndim]), list(ascii_letters[-y.ndim :][: y.ndim])
    for i, j in zip(*map(np.atleast_1d, axes)):
        letters_y[j] = letters_x[i]
    output = [c for c in letters_x + letters_y if (c in letters_x) != (c in letters_y)]
    inputs = ["".join(letters_x), "".join(letters_y)]
    return value, _contraction_rules(inputs, "".join(output), (x, y))


def _written_out(subscripts: str, arrays: Sequence[Array]) -> tuple[list[str], str]:
    """Return the letters of the inputs and of the output, with letters for axes under "..."."""
    terms, arrow, output = subscripts.replace(" ", "").partition("->")
    inputs = terms.split(",")
    if len(inputs) != len(arrays):
        raise ValueError(f'"{subscripts}" is for {len(inputs)} arrays; received {len(arrays)}')
    if not arrow:
        letters = terms.replace(",", "").replace(".", "")
        once = sorted(c for c in letters if letters.count(c) == 1)
        output = "".join(["..." * ("..." in terms), *once])
    hidden = [x.ndim - len(term) + 3 if "..." in term else 0 for x, term in zip(arrays, inputs)]
    if max(hidden) > 0 and "..." not in output:
        raise ValueError(f'the output of "{subscripts}" must have the ellipsis of the inputs')
    names = "".join([c for c in ascii_letters if c not in subscripts][: max(hidden)])
    inputs = [term.replace("...", names[len(names) - n :]) for term, n in zip(inputs, hidden)]
    return inputs, output.replace("...", names)


def _contracted(inputs: Sequence[str], output: str, arrays: Sequence[Array]) -> Array:
    """Evaluate einsum; what is a large matrix product as such, which takes a third of the time."""
    written = f"{','.join(inputs)}->{output}"
    if len(arrays) != 2 or arrays[0].size * arrays[1].size < 2**18:
        return np.asarray(np.einsum(written, *arrays, optimize=len(arrays) > 2))
    (a, b), (x, y) = inputs, arrays
    inner = [c for c in a if c in b and c not in output]
    batch = [c for c in a if c in b and c in output]
    left, right = [c for c in a if c not in b], [c for c in b if c not in a]
    order = [*batch, *left, *right]
    pairs = {*zip(a, x.shape), *zip(b, y.shape)}
    lengths = dict(pairs)
    if (
        not (inner and left and right)
        or len(pairs) != len(lengths)  # an axis of length one that broadcasts
        or [len({*a}), len({*b})] != [x.ndim, y.ndim]  # a letter that repeats
        or sorted(order) != sorted(output)  # a letter that is summed on its own
        or not (a + b).isalpha()
    ):
        return np.asarray(np.einsum(written, x, y))

    def folded(x: Array, term: str, *groups: list[str]) -> Array:
        axes = [term.index(c) for letters in (batch, *groups) for c in letters]
        shape = [math.prod(lengths[c] for c in letters) for letters in groups]
        return x.transpose(axes).reshape(*(lengths[c] for c in batch), *shape)

    value: Array = folded(x, a, left, inner) @ _row_by_row(folded(y, b, inner, right))
    return value.reshape([lengths[c] for c in order]).transpose([order.index(c) for c in output])


def _contraction_rules(
    inputs: Sequence[str], output: str, arrays: Sequence[Array]
) -> tuple[Rule, ...]:
    def rule(i: int) -> Rule:
        terms, rest = [output, *inputs], list(arrays)
        term, x = terms.pop(i + 1), rest.pop(i)
        return lambda g: _spread(term, x.shape, terms, [g, *rest])

    return tuple(map(rule, range(len(arrays))))


def _spread(
    term: str, shape: tuple[int, ...], inputs: Sequence[str], arrays: Sequence[Array]
) -> Array:
    """Evaluate einsum for an output that may repeat letters, or have some that no input has."""
    axes = "".join(dict.fromkeys(term))
    known = "".join(c for c in axes if c in "".join(inputs))
    total = _contracted(inputs, known, arrays)
    if known == term and total.shape == shape:
        return total
    total = total[tuple(slice(None) if c in known else None for c in axes)]
    gradient = np.zeros(shape, total.dtype)
    diagonal = np.einsum(f"{term}->{axes}", gradient)  # a view
    broadcast = tuple(i for i, n in enumerate(diagonal.shape) if n == 1)
    diagonal[...] = total.sum(broadcast, keepdims=True)
    return gradient
