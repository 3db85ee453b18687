"""Ops on arrays of any shape, layout and dtype: NumPy's values, and gradients that fit them.

Hypothesis draws shapes, axes, indices and layouts; what the entries are does not matter, so they
come from a seeded generator.
"""

from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_np as mg
from micrograd_np import ops

examples = settings(deadline=None, derandomize=True, database=None, max_examples=60)
dtypes = st.sampled_from([np.float32, np.float64])
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
SIDES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}


class Input:
    """A leaf, a view of it whose strides are not those of a new array, and the same array anew."""

    def __init__(self, shape: tuple[int, ...], layout: str, dtype: Any, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        stepped = tuple(2 * n for n in shape)
        base = {"transposed": shape[::-1], "stepped": stepped, "reversed": shape}.get(layout, shape)
        entries = rng.uniform(0.2, 1.5, base) * rng.choice([-1, 1], base)
        self.leaf = mg.Tensor(entries, requires_grad=True, dtype=dtype)
        self.view = self.look(self.leaf, layout)
        self.layout = layout
        self.array = np.array(self.view.data, order="C")
        self.dtype = self.array.dtype

    @staticmethod
    def look(x: Any, layout: str) -> Any:
        index = {"stepped": slice(None, None, 2), "reversed": slice(None, None, -1)}.get(layout)
        return x.T if layout == "transposed" else x if index is None else x[(index,) * x.ndim]

    def gradient(self) -> Any:
        """Return the leaf's gradient through the view, having seen that the rest is 0."""
        assert self.leaf.grad is not None
        seen = self.look(self.leaf.grad, self.layout)
        assert np.count_nonzero(self.leaf.grad) == np.count_nonzero(seen)
        return seen


layouts = st.sampled_from(["plain", "transposed", "stepped", "reversed"])


def weights(value: Any, layout: str, seed: int = 1) -> Any:
    """Draw a gradient for a value, laid out in its own way."""
    return Input(value.shape, layout, value.dtype, seed).view.data


def close(actual: Any, expected: Any, scale: float = 1) -> None:
    tolerance = scale * TOLERANCE[np.asarray(actual).dtype]
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


def check(
    call: Callable[..., Any], numpys: Callable[..., Any], inputs: list[Input], layout: str
) -> None:
    """Compare a value with NumPy's, and gradients with those of copies and with differences."""
    value = call(*[x.view for x in inputs])
    expected = np.asarray(numpys(*[x.array for x in inputs]))
    assert value.shape == expected.shape
    assert value.dtype == inputs[0].dtype
    close(value.data, expected)
    g = weights(value, layout)
    value.backward(g)
    copies = [mg.Tensor(x.array, requires_grad=True) for x in inputs]
    call(*copies).backward(np.array(g, order="C"))
    for x, copy in zip(inputs, copies):
        close(x.gradient(), copy.grad, scale=10)
    wide = [x.array.astype(np.float64) for x in inputs]
    directions = [Input(x.shape, "plain", np.float64, 2).array for x in wide]
    ends = [
        call(*[mg.Tensor(x + step * d) for x, d in zip(wide, directions)]).data
        for step in (1e-6, -1e-6)
    ]
    numeric = np.sum((ends[0] - ends[1]) * g) / 2e-6
    written = sum(np.sum(x.gradient() * d) for x, d in zip(inputs, directions))
    size = sum(np.sum(np.abs(x.gradient() * d)) for x, d in zip(inputs, directions))
    assert abs(written - numeric) <= (1 + size) * (1e-4 if inputs[0].dtype == np.float32 else 1e-6)


ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    name: getattr(np, name)
    for name in (
        "absolute", "negative", "exp", "expm1", "square", "sin", "cos", "tan", "arctan", "sinh",
        "cosh", "tanh", "reciprocal", "sign", "floor",
    )
} | {
    "round": lambda x: np.round(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, x / np.asarray(100, x.dtype)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "log": lambda x: np.log(x * x),
    "log1p": lambda x: np.log1p(x * x),
    "log2": lambda x: np.log2(x * x),
    "sqrt": lambda x: np.sqrt(x * x),
}  # fmt: skip


@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(examples, max_examples=12)
@given(SHAPES, layouts, layouts, dtypes)
def test_elementwise_ops_are_numpys(
    name: str, shape: tuple[int, ...], layout: str, of_g: str, dtype: Any
) -> None:
    def call(x: mg.Tensor) -> Any:
        x = x * x if name in ("log", "log1p", "log2", "sqrt") else x
        return np.negative(x) if name == "negative" else getattr(x, name)()

    check(call, ELEMENTWISE[name], [Input(shape, layout, dtype)], of_g)


@pytest.mark.parametrize(
    "function", [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.logaddexp]
)
@settings(examples, max_examples=25)
@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0), st.data()
)
def test_gradients_of_broadcast_arrays_are_sums(function: Any, shapes: Any, data: Any) -> None:
    dtype = data.draw(dtypes)
    x, y = (Input(s, data.draw(layouts), dtype, i) for i, s in enumerate(shapes.input_shapes))
    of_g = data.draw(layouts)
    check(function, function, [x, y], of_g)
    # Without broadcasting the gradients have the value's shape; with it they are summed.
    full = [
        mg.Tensor(np.broadcast_to(z.array, shapes.result_shape), requires_grad=True) for z in (x, y)
    ]
    value = function(*full)
    value.backward(weights(value, of_g))
    for z, tensor in zip((x, y), full):
        assert tensor.grad is not None
        new = tensor.grad.ndim - z.array.ndim
        repeated = tuple(i for i, n in enumerate((1,) * new + z.array.shape) if n == 1)
        close(z.gradient(), tensor.grad.sum(axis=repeated).reshape(z.array.shape), scale=10)


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min, "prod": np.prod, "var": np.var,
    "std": np.std, "norm": lambda x, **k: np.sqrt(np.sum(x * x, **k)),
    "logsumexp": lambda x, **k: np.log(np.sum(np.exp(x), **k)),
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(examples, max_examples=25)
@given(SIDES, layouts, layouts, dtypes, st.booleans(), st.data())
def test_reductions_are_numpys_over_any_axes(
    name: str, shape: Any, layout: str, of_g: str, dtype: Any, keepdims: bool, data: Any
) -> None:
    axis = data.draw(st.none() | hnp.valid_tuple_axes(len(shape), min_size=1))
    axis = axis[0] if axis is not None and len(axis) == 1 else axis
    if name == "std":  # whose derivative jumps where it is 0
        longest = shape if axis is None else [shape[a] for a in np.atleast_1d(axis)]
        keepdims = keepdims and max(longest) > 1
        if max(longest) == 1:
            return
    check(
        lambda x: getattr(x, name)(axis, keepdims=keepdims),
        lambda x: REDUCTIONS[name](x, axis=axis, keepdims=keepdims),
        [Input(shape, layout, dtype)],
        of_g,
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum"])
@examples
@given(SIDES, layouts, layouts, dtypes, st.data())
def test_ops_along_an_axis_are_numpys(
    name: str, shape: Any, layout: str, of_g: str, dtype: Any, data: Any
) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    numpys: dict[str, Callable[[Any], Any]] = {
        "softmax": lambda x: np.exp(x) / np.exp(x).sum(axis, keepdims=True),
        "log_softmax": lambda x: x - np.log(np.exp(x).sum(axis, keepdims=True)),
        "cumsum": lambda x: np.cumsum(x, axis),
    }
    check(lambda x: getattr(x, name)(axis), numpys[name], [Input(shape, layout, dtype)], of_g)


def check_linear(call: Callable[[Any], Any], x: Input, of_g: str) -> None:
    """Check an op that only moves entries about: by values, and by <g, f(d)> = <gradient, d>."""
    value, expected = call(x.view), call(x.array)
    assert value.dtype == x.dtype
    np.testing.assert_array_equal(value.data, expected)
    g = weights(value, of_g)
    value.backward(g)
    direction = Input(x.array.shape, "plain", np.float64, 2).array
    moved = call(direction) - call(np.zeros_like(direction))
    size = np.sum(np.abs(g)) + 1
    assert abs(np.sum(x.gradient() * direction) - np.sum(g * moved)) <= size * TOLERANCE[x.dtype]


def axes(shape: Any) -> Any:
    return st.integers(-len(shape), len(shape) - 1)


def permutation(shape: Any) -> Any:
    return st.permutations(range(len(shape)))


def count(most: int = 3) -> Any:
    return st.integers(0, most)


def places(n: int, shape: Any) -> Any:
    """Draw an array of indices into an axis of length n."""
    return hnp.arrays(int, shape, elements=st.integers(-n, n - 1))


# What is drawn for an array of a given shape, and what is called with it.
MOVES: dict[str, tuple[Callable[[Any], Any], Callable[..., Any]]] = {
    "transpose": (lambda s: st.tuples(permutation(s)), np.transpose),
    "moveaxis": (
        lambda s: st.tuples(permutation(s), permutation(s), count(len(s))),
        lambda x, a, b, n: np.moveaxis(x, a[:n], b[:n]),
    ),
    "swapaxes": (lambda s: st.tuples(axes(s), axes(s)), np.swapaxes),
    "ravel": (lambda s: st.just(()), np.ravel),
    "reshape": (
        lambda s: st.tuples(permutation(s)),
        lambda x, a: np.reshape(x, [x.shape[i] for i in a]),
    ),
    "expand_dims": (lambda s: st.tuples(axes((*s, 1))), np.expand_dims),
    "flip": (lambda s: st.tuples(st.none() | hnp.valid_tuple_axes(len(s))), np.flip),
    "roll": (lambda s: st.tuples(st.integers(-5, 5), st.none() | axes(s)), np.roll),
    "pad": (
        lambda s: st.tuples(*[st.tuples(count(), count()) for _ in s]),
        lambda x, *widths: np.pad(x, widths, constant_values=7),
    ),
    "repeat": (lambda s: st.tuples(count(), st.none() | axes(s)), np.repeat),
    "repeat by each": (
        lambda s: st.tuples(st.tuples(*[count() for _ in range(s[-1])])),
        lambda x, repeats: np.repeat(x, repeats, -1),
    ),
    "tile": (lambda s: st.tuples(st.lists(count(), max_size=4)), np.tile),
    "tril": (lambda s: st.tuples(st.integers(-4, 4)), np.tril),
    "triu": (lambda s: st.tuples(st.integers(-4, 4)), np.triu),
    "split": (
        lambda s: st.tuples(st.lists(count(5), max_size=3), axes(s)),
        lambda x, at, axis: np.concatenate(np.split(x, sorted(at), axis)[::-1], axis),
    ),
    "take": (lambda s: st.tuples(places(s[-1], SHAPES), st.just(-1)), np.take),
    "take flattened": (lambda s: st.tuples(places(int(np.prod(s)), SHAPES)), np.take),
    "take_along_axis": (lambda s: st.tuples(places(s[0], s), st.just(0)), np.take_along_axis),
    "trace": (lambda s: st.tuples(st.integers(-4, 4)), lambda x, k: np.trace(x[None], k, 0, -1)),
    "concatenate": (lambda s: st.tuples(axes(s)), lambda x, a: np.concatenate([x, 2 * x], a)),
    "stack": (lambda s: st.tuples(axes((*s, 1))), lambda x, a: np.stack([x, 2 * x], a)),
    "broadcast_to": (
        lambda s: st.tuples(count()),
        lambda x, n: np.broadcast_to(x, (n, *x.shape)),
    ),
}


@pytest.mark.parametrize("name", MOVES)
@settings(examples, max_examples=30)
@given(SIDES, layouts, layouts, dtypes, st.data())
def test_moving_entries_about_moves_gradients_back(
    name: str, shape: Any, layout: str, of_g: str, dtype: Any, data: Any
) -> None:
    arguments, function = MOVES[name]
    drawn = data.draw(arguments(shape))
    check_linear(lambda x: function(x, *drawn), Input(shape, layout, dtype), of_g)


@settings(examples, max_examples=300)
@given(SIDES, layouts, layouts, dtypes, st.data())
def test_any_index_is_numpys(shape: Any, layout: str, of_g: str, dtype: Any, data: Any) -> None:
    first = places(shape[0], st.integers(0, 4))
    index = data.draw(
        hnp.basic_indices(shape, allow_newaxis=True)
        | hnp.integer_array_indices(shape)
        | hnp.arrays(bool, shape)
        | hnp.arrays(bool, shape[:1])
        | first
        | first.map(np.ndarray.tolist)
        | st.tuples(first, hnp.basic_indices(shape[1:])).map(
            lambda pair: (pair[0], *(pair[1] if isinstance(pair[1], tuple) else pair[1:]))
        )
    )
    check_linear(lambda x: x[index], Input(shape, layout, dtype), of_g)


def check_bilinear(
    call: Callable[..., Any], numpys: Callable[..., Any], x: Input, y: Input
) -> None:
    """Check a product: by its value, and by <g, f(d, y)> = <gradient, d> for both factors."""
    value = call(x.view, y.view)
    expected = np.asarray(numpys(x.array, y.array))
    assert value.shape == expected.shape
    assert value.dtype == x.dtype
    close(value.data, expected, scale=10 + x.array.size)
    g = weights(value, "transposed")
    value.backward(g)
    for i, z in enumerate((x, y)):
        direction = Input(z.array.shape, "plain", np.float64, 2).array
        moved = numpys(direction, y.array) if i == 0 else numpys(x.array, direction)
        size = np.sum(np.abs(g)) * (1 + z.array.size)
        difference = np.sum(z.gradient() * direction) - np.sum(g * moved)
        assert abs(difference) <= (1 + size) * TOLERANCE[z.dtype]


@settings(examples, max_examples=150)
@given(
    hnp.mutually_broadcastable_shapes(
        signature=np.matmul.signature, max_dims=2, max_side=4, min_side=0
    ),
    layouts,
    layouts,
    dtypes,
)
def test_products_of_matrices_are_numpys(shapes: Any, of_x: str, of_y: str, dtype: Any) -> None:
    x, y = shapes.input_shapes
    check_bilinear(np.matmul, np.matmul, Input(x, of_x, dtype), Input(y, of_y, dtype, 1))


@examples
@given(SHAPES, count(4), count(4), dtypes, layouts)
def test_linear_is_a_product_and_a_sum(
    batch: Any, inner: int, outer: int, dtype: Any, layout: str
) -> None:
    x, weight = Input((*batch, inner), layout, dtype), Input((inner, outer), layout, dtype, 1)
    bias = Input((outer,), layout, dtype, 2)
    check(
        lambda x, weight, bias: mg.apply(ops.linear, x, weight, bias),
        lambda x, weight, bias: x @ weight + bias,
        [x, weight, bias],
        layout,
    )


@settings(examples, max_examples=200)
@given(st.data(), layouts, layouts, dtypes)
def test_sums_over_any_letters_are_numpys(data: Any, of_x: str, of_y: str, dtype: Any) -> None:
    lengths = {c: data.draw(st.sampled_from([1, 2, 3, 30])) for c in "abc"} | {"d": 2}
    terms = [data.draw(st.text("abcd", max_size=3)) for _ in "xy"]
    output = "".join(data.draw(st.permutations(sorted(set("".join(terms))))))
    output = output[: data.draw(count(4))]
    if data.draw(st.booleans()):
        terms = [term + "..." for term in terms]
        output += "..."
    arrow = f"->{output}" if data.draw(st.booleans()) else ""
    x, y = (
        Input(
            tuple(lengths[c] for c in term.removesuffix("...")) + (3,) * i * term.endswith("..."),
            layout,
            dtype,
            i,
        )
        for i, (term, layout) in enumerate(zip(terms, (of_x, of_y)))
    )
    subscripts = ",".join(terms) + arrow

    def call(*factors: Any) -> Any:
        return np.einsum(subscripts, *factors)

    check_bilinear(call, call, x, y)


@examples
@given(SIDES, SIDES, st.data(), dtypes, layouts)
def test_tensordot_pairs_any_axes(s: Any, t: Any, data: Any, dtype: Any, layout: str) -> None:
    n = data.draw(count(min(len(s), len(t))))
    left, right = data.draw(permutation(s))[:n], data.draw(permutation(t))[:n]
    lengths = list(t)
    for i, j in zip(left, right):
        lengths[j] = s[i]
    pairs = ([i - len(s) for i in left], right)

    def call(x: Any, y: Any) -> Any:
        return np.tensordot(x, y, pairs)

    check_bilinear(call, call, Input(s, layout, dtype), Input(tuple(lengths), layout, dtype, 1))
