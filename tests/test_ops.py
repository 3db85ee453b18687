"""Every op: values against a formula written out here, rules against central differences."""

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import ops

Inputs = tuple[np.ndarray[Any, Any], ...]


class Row(NamedTuple):
    """One op: how users call it, what it should give, and inputs to try it on."""

    op: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: list[Inputs]


def numbers(*shapes: tuple[int, ...], low: float = -2, high: float = 2) -> Inputs:
    """Draw inputs of the given shapes, no two entries alike, none near a kink at zero."""
    rng = np.random.default_rng(0)
    drawn = [rng.uniform(low, high, shape) for shape in shapes]
    return tuple(np.where(np.abs(x) < 0.05, 0.5, x) for x in drawn)


def unary(**limits: float) -> list[Inputs]:
    """Scalar, vector, matrix, size-one, zero-size and non-contiguous input."""
    shapes: list[tuple[int, ...]] = [(), (4,), (2, 3), (1, 1), (0, 3)]
    (big,) = numbers((6, 4), **limits)
    return [numbers(s, **limits) for s in shapes] + [(big.T,), (big[::-2, ::2],)]


def binary(**limits: float) -> list[Inputs]:
    """Equal shapes, broadcasting both ways and at once, size one and zero, non-contiguous."""
    pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((), ()), ((3,), (3,)), ((2, 3), ()), ((), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)),
        ((2, 1), (1, 3)), ((1, 1), (2, 3)), ((0, 3), (1, 3)), ((4, 1, 3), (2, 1)),
    ]  # fmt: skip
    x, y = numbers((4, 6), (3, 4), **limits)
    return [numbers(*pair, **limits) for pair in pairs] + [(x[::-2, ::2], y.T[:2, :])]


def by_entry(function: Callable[..., float]) -> Callable[..., Any]:
    """Apply a function of floats to each entry of broadcast arrays."""
    return lambda *arrays: np.vectorize(function, otypes=[float])(*arrays)


def sum_by_hand(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Sum entry by entry with Python's exact fsum."""
    given = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [a % x.ndim for a in given]
    kept = [n for i, n in enumerate(x.shape) if i not in axes]
    rows = np.moveaxis(x, axes, range(-len(axes), 0)).reshape(*kept, -1) if axes else x[..., None]
    total = np.array([math.fsum(row) for row in rows.reshape(-1, rows.shape[-1])]).reshape(kept)
    return np.expand_dims(total, tuple(axes)) if keepdims else total


def matmul_by_hand(x: Any, y: Any) -> Any:
    """NumPy's matrix product, as a sum over an explicit axis of products."""
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    value = (rows[..., :, :, None] * columns[..., None, :, :]).sum(-2)
    value = value[..., 0] if y.ndim == 1 else value
    return value[..., 0, :] if x.ndim == 1 and y.ndim > 1 else value[0] if x.ndim == 1 else value


REDUCTIONS: list[dict[str, Any]] = [
    {}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}, {"axis": 1, "keepdims": True},
    {"keepdims": True},
]  # fmt: skip
INDICES: list[Any] = [
    1, -1, slice(1, 3), (slice(None), 0), (..., None, 1), (slice(None, None, -1),), ([0, 0, 3],),
    np.array([[1, 1], [2, 3]]), ([0, 1, 0], [2, 2, 2]), (slice(None), [1, 1]), [True, False] * 2,
    np.arange(12).reshape(4, 3) % 2 == 0, (1, 2), (), (0, [2, 2]), ((0, 0, 1),),
    ((0, 0), (1, 1)), ((1, 1), slice(None)), [], (np.int64(1), np.array(2)), True,
]  # fmt: skip
PRODUCTS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)), ((1, 1), (1, 1)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((2, 3), (3, 0)),
    ((0, 2, 3), (3, 4)), ((4, 0, 3), (3, 2)), ((5, 2, 3), (3, 0)),
    ((2, 4, 0), (0, 3)), ((1, 2, 3), (5, 3, 4)),
]  # fmt: skip


def make_rows() -> Iterator[Row]:
    yield Row("add", lambda x, y: x + y, by_entry(lambda x, y: x + y), binary())
    yield Row("subtract", lambda x, y: x - y, by_entry(lambda x, y: x - y), binary())
    yield Row("multiply", lambda x, y: x * y, by_entry(lambda x, y: x * y), binary())
    yield Row("divide", lambda x, y: x / y, by_entry(lambda x, y: x / y), binary())
    yield Row("power", lambda x, y: x**y, by_entry(math.pow), binary(low=0.1))
    for exponent in (-1, 0, 0.5, 1, 2, 3, 4, 2.5):
        yield Row(
            "power",
            lambda x, e=exponent: x**e,
            by_entry(lambda x, e=exponent: math.pow(x, e)),
            unary(low=0.1),
        )
    yield Row("negative", lambda x: -x, by_entry(lambda x: -x), unary())
    yield Row("absolute", abs, by_entry(math.fabs), unary())
    yield Row("exp", lambda x: x.exp(), by_entry(math.exp), unary())
    yield Row("log", lambda x: x.log(), by_entry(math.log), unary(low=0.1))
    yield Row("sqrt", lambda x: x.sqrt(), by_entry(math.sqrt), unary(low=0.1))
    yield Row("square", lambda x: x.square(), by_entry(lambda x: x * x), unary())
    yield Row("sin", lambda x: x.sin(), by_entry(math.sin), unary())
    yield Row("cos", lambda x: x.cos(), by_entry(math.cos), unary())
    yield Row("tanh", lambda x: x.tanh(), by_entry(math.tanh), unary())
    yield Row("sigmoid", lambda x: x.sigmoid(), by_entry(lambda x: 1 / (1 + math.exp(-x))), unary())
    yield Row("relu", lambda x: x.relu(), by_entry(lambda x: x if x > 0 else 0), unary())
    yield Row("maximum", lambda x, y: x.maximum(y), by_entry(max), binary())
    yield Row("minimum", lambda x, y: x.minimum(y), by_entry(min), binary())
    for low, high in ((-1, 1), (None, 0.7), (-0.3, None)):
        bounds = (-math.inf if low is None else low, math.inf if high is None else high)
        yield Row(
            "clip",
            lambda x, low=low, high=high: x.clip(low, high),
            by_entry(lambda x, b=bounds: min(max(x, b[0]), b[1])),
            unary(),
        )
    yield Row(
        "where",
        lambda x, y: x.where(np.array([True, False, True]), y),
        lambda x, y: (
            np.broadcast_to(x, (2, 3)) * [1, 0, 1] + np.broadcast_to(y, (2, 3)) * [0, 1, 0]
        ),
        [numbers(*pair) for pair in [((2, 3), (2, 3)), ((2, 3), ()), ((2, 1), (1, 3))]],
    )
    yield Row("astype", lambda x: x.astype(np.float64), lambda x: x.copy(), unary())
    cube = [numbers((2, 3, 4)), (numbers((4, 3, 2))[0].T,), numbers((1, 1, 1))]
    for kwargs in REDUCTIONS:
        yield Row(
            "sum", lambda x, k=kwargs: x.sum(**k), lambda x, k=kwargs: sum_by_hand(x, **k), cube
        )
        yield Row(
            "mean",
            lambda x, k=kwargs: x.mean(**k),
            lambda x, k=kwargs: sum_by_hand(x, **k) / (x.size / sum_by_hand(x, **k).size),
            cube,
        )
        for ddof in (0, 1):
            yield Row(
                "var",
                lambda x, k=kwargs, d=ddof: x.var(ddof=d, **k),
                lambda x, k=kwargs, d=ddof: var_by_hand(x, d, **k),
                cube[:2],
            )
        yield Row(
            "max",
            lambda x, k=kwargs: x.max(**k),
            lambda x, k=kwargs: sum_by_hand(x * is_largest(x, **k), **k),
            cube,
        )
        yield Row(
            "min",
            lambda x, k=kwargs: x.min(**k),
            lambda x, k=kwargs: sum_by_hand(x * is_largest(-x, **k), **k),
            cube,
        )
    for op in ("sum", "mean", "max", "min"):
        yield Row(op, lambda x, op=op: getattr(x, op)(), lambda x: x.copy(), [numbers(())])
    yield Row("sum", lambda x: x.sum(axis=0), lambda x: np.zeros(3), [numbers((0, 3))])
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
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, [numbers(*p) for p in PRODUCTS])
    x, y = numbers((4, 6), (5, 4))
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, [(x[::-2, ::2], y.T[:3, ::-1])])
    x, y = numbers((4, 3, 2), (6, 3))
    yield Row("matmul", lambda x, y: x @ y, matmul_by_hand, [(x.transpose(2, 0, 1), y.T[::, ::2])])
    same = [numbers(shape, shape) for shape in [(), (3,), (2, 3), (1, 1)]]
    yield Row(
        "sum_of_squares",
        mg.sum_of_squares,
        lambda p, t: math.fsum((p - t).ravel() ** 2) / 2,
        [*same, (x.T, x.T[::-1])],
    )
    yield Row(
        "mean_squared_error",
        mg.mean_squared_error,
        lambda p, t: math.fsum((p - t).ravel() ** 2) / p.size,
        [*same, (x.T, x.T[::-1])],
    )


def var_by_hand(x: Any, ddof: int, axis: Any = None, keepdims: bool = False) -> Any:
    count = x.size / sum_by_hand(x, axis).size
    centred = x - sum_by_hand(x, axis, True) / count
    return sum_by_hand(centred**2, axis, keepdims) / (count - ddof)


def is_largest(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Mark the largest entry over the axes, by sorting."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % x.ndim for a in axes)
    marks = np.zeros(x.shape, bool)
    others = [range(n) for i, n in enumerate(x.shape) if i not in axes]
    for place in np.ndindex(*map(len, others)):
        index: list[Any] = [slice(None)] * x.ndim
        for i, n in zip([i for i in range(x.ndim) if i not in axes], place, strict=True):
            index[i] = n
        part = x[tuple(index)]
        best = sorted(part.ravel())[-1]
        marks[tuple(index)] = part == best
    return marks


ROWS = list(make_rows())
CASES = [(row, inputs) for row in ROWS for inputs in row.inputs]
NAMES = [f"{row.op}-{'-'.join(str(x.shape) for x in inputs)}" for row, inputs in CASES]
each_case = pytest.mark.parametrize(("row", "inputs"), CASES, ids=NAMES)


def test_every_op_has_a_row() -> None:
    assert {row.op for row in ROWS} == set(ops.__all__)


def test_constants_of_every_op_are_keyword_only() -> None:
    for name in ops.__all__:
        for parameter in inspect.signature(getattr(ops, name)).parameters.values():
            is_array = parameter.name in ("x", "y", "arrays", "prediction", "target")
            assert is_array != (parameter.kind is parameter.KEYWORD_ONLY), (name, parameter)


@each_case
def test_values_equal_the_formula(row: Row, inputs: Inputs) -> None:
    value = row.call(*map(mg.Tensor, inputs))
    expected = np.asarray(row.reference(*inputs))
    assert value.shape == expected.shape
    np.testing.assert_allclose(value.data, expected, rtol=1e-13, atol=1e-14)


@each_case
def test_rules_equal_central_differences(row: Row, inputs: Inputs) -> None:
    assert mg.gradcheck(row.call, *inputs)


@pytest.mark.parametrize(
    ("row", "inputs"), [case for case in CASES if case[0].op != "astype" and case[1][0].size]
)
def test_rules_equal_differences_in_extended_precision(row: Row, inputs: Inputs) -> None:
    # With 64 bits of mantissa central differences are good to 1e-11, so that an error of a
    # millionth in a rule cannot hide. Where long double is no wider than double, to 1e-5.
    tolerance = 1e-9 if np.finfo(np.longdouble).eps < 1e-18 else 1e-5
    rng = np.random.default_rng(1)
    wide = [x.astype(np.longdouble) for x in inputs]
    directions = [rng.standard_normal(x.shape) for x in wide]
    tensors = [mg.Tensor(x, requires_grad=True) for x in wide]
    value = row.call(*tensors)
    weights = rng.standard_normal(value.shape)
    value.backward(weights)
    for i, tensor in enumerate(tensors):
        ends = []
        for step in (1e-6, -1e-6):
            moved = [x + step * directions[i] if j == i else x for j, x in enumerate(wide)]
            ends.append(row.call(*map(mg.Tensor, moved)).data)
        numeric = np.sum((ends[0] - ends[1]) * weights) / np.longdouble(2e-6)
        assert tensor.grad is not None
        written = tensor.grad * directions[i]
        scale = np.sum(np.abs(written)) + 1e-3
        assert abs(np.sum(written) - numeric) <= tolerance * scale


@each_case
def test_float32_stays_float32_in_values_and_gradients(row: Row, inputs: Inputs) -> None:
    results: dict[Any, list[Any]] = {}
    for dtype in (np.float32, np.float64):
        tensors = [mg.Tensor(x.astype(dtype), requires_grad=True) for x in inputs]
        value = row.call(*tensors)
        value.backward(np.ones(value.shape))
        results[dtype] = [value.data, *[x.grad for x in tensors]]
        own = dtype if row.op != "astype" else np.float64
        assert [array.dtype for array in results[dtype]] == [own, *[dtype] * len(tensors)]
    for narrow, wide in zip(results[np.float32], results[np.float64], strict=True):
        np.testing.assert_allclose(narrow, wide, rtol=2e-5, atol=2e-5)


@each_case
def test_rules_keep_the_dtype_of_g_and_write_nowhere(row: Row, inputs: Inputs) -> None:
    tensors = [mg.Tensor(x.astype(np.float32), requires_grad=True) for x in inputs]
    for tensor in tensors:
        tensor.data.setflags(write=False)
    value = row.call(*tensors)
    g = np.ones(value.shape, value.dtype)
    g.setflags(write=False)
    for _ in range(2):
        for _, rule in value._node.edges:
            assert np.asarray(rule(g)).dtype == value.dtype


def test_astype_brings_the_gradient_back_in_the_old_dtype() -> None:
    x = mg.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    y = x.astype(np.float64)
    assert y.dtype == np.float64
    (y * y).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [2, 4]


INF, NAN = math.inf, math.nan
EDGES: list[tuple[str, Callable[[Any], Any], list[float], list[float], list[float]]] = [
    ("sigmoid", lambda x: x.sigmoid(), [-INF, -1000, 0, 1000, INF], [0, 0, 0.5, 1, 1],
     [0, 0, 0.25, 0, 0]),
    ("tanh", lambda x: x.tanh(), [-INF, -1000, 0, 1000, INF], [-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
    ("relu", lambda x: x.relu(), [-1000, -0.0, 0, 1000], [0, 0, 0, 1000], [0, 0, 0, 1]),
    ("absolute", abs, [-1000, 0, 1000], [1000, 0, 1000], [-1, 0, 1]),
    ("exp", lambda x: x.exp(), [-INF, -1000, 0, 1000], [0, 0, 1, INF], [0, 0, 1, INF]),
    ("log", lambda x: x.log(), [-1, 0, 1, INF], [NAN, -INF, 0, INF], [-1, INF, 1, 0]),
    ("sqrt", lambda x: x.sqrt(), [-1, 0, 4], [NAN, 0, 2], [NAN, INF, 0.25]),
    ("1 / x", lambda x: 1 / x, [0, 2, INF], [INF, 0.5, 0], [-INF, -0.25, 0]),
    ("x ** 0", lambda x: x**0, [-2, 0, INF], [1, 1, 1], [0, 0, 0]),
    ("x ** 1", lambda x: x**1, [-2, 0, 3], [-2, 0, 3], [1, 1, 1]),
    ("x ** 2", lambda x: x**2, [-1000, 0, 3], [1e6, 0, 9], [-2000, 0, 6]),
    ("x ** 3", lambda x: x**3, [-10, 0, 3], [-1000, 0, 27], [300, 0, 27]),
    ("x ** 1.5", lambda x: x**1.5, [0, 4], [0, 8], [0, 3]),
    ("x ** 0.5", lambda x: x**0.5, [0, 4], [0, 2], [INF, 0.25]),
    ("x ** -1", lambda x: x**-1, [0, 2], [INF, 0.5], [-INF, -0.25]),
    ("0 ** x", lambda x: 0.0**x, [0, 0.5, 2], [1, 0, 0], [0, 0, 0]),
    ("0 ** -x", lambda x: 0.0**x, [-1], [INF], [-INF]),
    ("2 ** x", lambda x: 2**x, [0, 3], [1, 8], [math.log(2), 8 * math.log(2)]),
    ("x ** [0, 2]", lambda x: x ** np.array([0, 2.0]), [0, 0], [1, 0], [0, 0]),
    ("clip", lambda x: x.clip(-1, 1), [-1000, -1, 0, 1, 1000], [-1, -1, 0, 1, 1], [0, 1, 1, 1, 0]),
    ("maximum", lambda x: x.maximum(1), [0, 1, 2], [1, 1, 2], [0, 0.5, 1]),
    ("minimum", lambda x: x.minimum(1), [0, 1, 2], [0, 1, 1], [1, 0.5, 0]),
    ("max", lambda x: x.max(), [3, 1, 3, 3], [3], [1 / 3, 0, 1 / 3, 1 / 3]),
    ("min", lambda x: x.min(), [3, 1, 1, 3], [1], [0, 0.5, 0.5, 0]),
    ("var", lambda x: x.var(), [7], [0], [0]),
    ("where", lambda x: np.where(x.data > 0, np.sqrt(np.where(x.data > 0, x, 1)), 0),
     [-1, 0, 4], [0, 0, 2], [0, 0, 0.25]),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "call", "x", "value", "gradient"), EDGES, ids=[e[0] for e in EDGES]
)
def test_edges_have_their_limits_without_a_warning(
    name: str, call: Any, x: Any, value: Any, gradient: Any, dtype: Any
) -> None:
    tensor = mg.Tensor(np.array(x, dtype), requires_grad=True)
    result = call(tensor)
    np.testing.assert_allclose(result.data.ravel(), value, rtol=1e-6)
    result.backward(np.ones(result.shape))
    assert tensor.grad is not None
    np.testing.assert_allclose(tensor.grad, gradient, rtol=1e-6)


def test_a_value_shares_no_memory_with_a_leaf_unless_it_is_a_view() -> None:
    x = mg.Tensor([1.0, 2.0], requires_grad=True)
    for value in (x**1, x + 0, x * 1, x.clip(0, 9), x.astype(float), x.relu(), x[[0, 1]]):
        assert not np.shares_memory(value.data, x.data)


def test_what_an_op_was_given_may_change_before_backward() -> None:
    x = mg.Tensor(np.ones((2, 3)), requires_grad=True)
    rows, mask, condition = [0, 0], np.array([True, False]), np.array([True, False, False])
    value = x[rows].sum() + 10 * x[mask].sum() + 100 * np.where(condition, x, 0).sum()
    rows[1] = 1
    mask[:], condition[:] = True, True
    value.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[112, 12, 12], [100, 0, 0]]


def test_float16_means_do_not_overflow() -> None:
    x = mg.Tensor(np.ones(100_000, np.float16), requires_grad=True)
    assert x.mean().item() == 1
    assert x.mean().dtype == np.float16


def test_nan_reaches_the_gradient_through_relu() -> None:
    x = mg.Tensor([NAN, 1.0], requires_grad=True)
    x.relu().backward([2, 2])
    assert x.grad is not None
    assert x.grad.tolist() == [2, 2]


def test_a_boolean_exponent_has_a_gradient() -> None:
    assert mg.gradcheck(lambda x: x ** np.array([True, False]), [2.0, 3.0])


def test_nan_passes_through_every_elementwise_op() -> None:
    for name in (
        "exp",
        "log",
        "sqrt",
        "square",
        "sin",
        "cos",
        "tanh",
        "sigmoid",
        "relu",
        "absolute",
    ):
        assert math.isnan(getattr(mg.Tensor([NAN]), name)().item())
    for name in ("sum", "mean", "max", "min", "var"):
        assert math.isnan(getattr(mg.Tensor([1.0, NAN]), name)().item())


def test_overflow_and_undefined_differences_pass_silently() -> None:
    huge = mg.Tensor([1e308], requires_grad=True)
    value = (huge * 10 - huge * 10).sum()
    assert math.isnan(value.item())
    value.backward()
    assert (huge + huge).item() == INF
    assert (mg.Tensor([[1e308]]) @ [[10.0]]).item() == INF


def test_ops_of_zero_rows_keep_their_shapes() -> None:
    layer = mg.Sequential(mg.Linear(3, 2, bias=True), mg.Sigmoid())
    value = layer(np.zeros((0, 3)))
    assert value.shape == (0, 2)
    value.sum().backward()
    assert np.array_equal(layer[0].weight.grad, np.zeros((3, 2)))


@pytest.mark.parametrize("op", ["mean", "var", "max", "min"])
def test_reducing_nothing_is_refused_by_name(op: str) -> None:
    with pytest.raises(ValueError, match=rf"{op} of shape \(0, 3\)"):
        getattr(mg.Tensor(np.zeros((0, 3))), op)(axis=0)
    assert getattr(mg.Tensor(np.zeros((0, 3))), op)(axis=1).shape == (0,)


def test_var_needs_more_values_than_ddof() -> None:
    with pytest.raises(ValueError, match="more than 1 values to average; received 1"):
        mg.Tensor([[1.0], [2.0]]).var(axis=1, ddof=1)


ERRORS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda x: x @ np.ones((2, 2)), ValueError, r"matmul of shape \(2, 3\) and \(2, 2\)"),
    (lambda x: x @ np.ones(2), ValueError, r"matmul of shape \(2, 3\) and \(2,\)"),
    (lambda x: x @ 2, ValueError, r"matmul of shape \(2, 3\) and \(\)"),
    (lambda x: x[None][:0] @ np.ones((4, 5)), ValueError, "matmul of shape"),
    (lambda x: x[None] @ np.ones((2, 2)), ValueError, r"matmul of shape \(1, 2, 3\) and \(2, 2\)"),
    (lambda x: x + np.ones(2), ValueError, r"add of shape \(2, 3\) and \(2,\)"),
    (lambda x: x.where([True, False], 0), ValueError, r"where of shape \(2, 3\) and \(\)"),
    (lambda x: x.sum(axis=2), ValueError, r"sum of shape \(2, 3\): axis 2 is out of bounds"),
    (lambda x: x.mean(axis=-3), ValueError, r"mean of shape \(2, 3\): axis -3"),
    (lambda x: x.reshape(4, 2), ValueError, r"reshape of shape \(2, 3\)"),
    (lambda x: x.transpose(0, 0), ValueError, r"transpose of shape \(2, 3\)"),
    (lambda x: x.squeeze(axis=0), ValueError, r"squeeze of shape \(2, 3\)"),
    (lambda x: x.broadcast_to((2, 4)), ValueError, r"broadcast_to of shape \(2, 3\)"),
    (lambda x: x.concatenate(np.ones((2, 2))), ValueError, r"concatenate of shape \(2, 3\) and"),
    (lambda x: x.stack(np.ones((2, 2))), ValueError, r"stack of shape \(2, 3\) and \(2, 2\)"),
    (lambda x: x[2], IndexError, r"getitem of shape \(2, 3\): index 2 is out of bounds"),
    (lambda x: x[0, 0, 0], IndexError, "too many indices"),
    (lambda x: x.clip(), ValueError, "needs a minimum, a maximum or both"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors_name_the_op_and_the_shapes(call: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        call(mg.Tensor(np.ones((2, 3))))


def test_integers_to_negative_powers_are_floats() -> None:
    assert (mg.Tensor([2, 4]) ** mg.Tensor([-1, -2])).data.tolist() == [0.5, 0.0625]
    assert (mg.Tensor([2, 4]) ** mg.Tensor([-1, 2])).data.tolist() == [0.5, 16]
    assert (mg.Tensor([2, 4]) ** -1).data.tolist() == [0.5, 0.25]
    assert (mg.Tensor([2, 4]) ** 3).dtype == np.int64


def test_averages_of_integers_are_float64() -> None:
    assert mg.Tensor([2**62] * 4).mean().item() == 2.0**62
    assert mg.Tensor([1, 2]).mean().dtype == np.float64
    assert mg.Tensor([True, False]).var().item() == 0.25


def test_a_reduction_of_a_number_over_its_only_axis_has_a_gradient() -> None:
    x = mg.Tensor(3.0, requires_grad=True)
    x.sum(axis=0).backward()
    assert x.grad is not None
    assert x.grad.tolist() == 1


def test_an_exponent_of_one_entry_still_broadcasts() -> None:
    assert (mg.Tensor([1.0, 2.0]) ** np.full((1, 1), 2.0)).shape == (1, 2)


def test_unsigned_integers_do_not_wrap_in_sigmoid() -> None:
    np.testing.assert_allclose(
        mg.Tensor(np.array([0, 1], np.uint8)).sigmoid().data, [0.5, 0.7310585786]
    )
