"""Every op: values against a formula written out here, rules against central differences."""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import ops
from micrograd_np.ops.common import Array, Result
from tests import rows
from tests.rows import Inputs, Row

MODULES = [
    importlib.import_module(f"tests.rows.{m.name}") for m in pkgutil.iter_modules(rows.__path__)
]
ROWS: list[Row] = [row for module in MODULES for row in module.rows()]
CASES = [(row, inputs) for row in ROWS for inputs in row.inputs]
NAMES = [f"{row.op}-{'-'.join(str(x.shape) for x in inputs)}" for row, inputs in CASES]
each_case = pytest.mark.parametrize(("row", "inputs"), CASES, ids=NAMES)


def test_every_op_has_a_row() -> None:
    assert {row.op for row in ROWS} == set(ops.ALL)


def test_no_name_that_an_ops_module_imports_stands_in_for_an_op() -> None:
    written = {}
    for path in Path(ops.__file__).parent.glob("[a-z]*.py"):
        module = importlib.import_module(f"micrograd_np.ops.{path.stem}")
        for name, op in vars(module).items():
            returned = getattr(op, "__annotations__", {}).get("return")
            if returned == Result and op.__module__ == module.__name__ and name[0] != "_":
                written[name] = op
    assert len(written) > 90
    assert written == ops.ALL
    assert all(getattr(ops, name) is op for name, op in written.items())


def test_constants_of_every_op_are_keyword_only() -> None:
    for name, op in ops.ALL.items():
        for parameter in inspect.signature(op).parameters.values():
            if parameter.kind is not parameter.KEYWORD_ONLY:
                assert parameter.annotation is Array, (name, parameter)
                assert parameter.default is parameter.empty, (name, parameter)


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


INF, NAN, ERF = math.inf, math.nan, 2 / math.sqrt(math.pi)
EDGES: list[tuple[str, Callable[[Any], Any], list[float], list[float], list[float]]] = [
    ("sigmoid", lambda x: x.sigmoid(), [-INF, -1000, 0, 1000, INF], [0, 0, 0.5, 1, 1],
     [0, 0, 0.25, 0, 0]),
    ("tanh", lambda x: x.tanh(), [-INF, -1000, 0, 1000, INF], [-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
    ("expm1", lambda x: x.expm1(), [-INF, -1000, 0, 1e-9], [-1, -1, 0, 1e-9], [0, 0, 1, 1]),
    ("log1p", lambda x: x.log1p(), [-1, 0, 1e-9, INF], [-INF, 0, 1e-9, INF], [INF, 1, 1, 0]),
    ("log2", lambda x: x.log2(), [0, 1, 8], [-INF, 0, 3],
     [INF, 1 / math.log(2), 1 / math.log(256)]),
    ("logaddexp", lambda x: x.logaddexp(0), [-INF, -1000, 0, 1000, INF],
     [0, 0, math.log(2), 1000, INF], [0, 0, 0.5, 1, 1]),
    ("logaddexp, inf", lambda x: x.logaddexp(x.data), [-INF, INF], [-INF, INF], [0.5, 0.5]),
    ("reciprocal", lambda x: x.reciprocal(), [0, 2, INF], [INF, 0.5, 0], [-INF, -0.25, 0]),
    ("arctan", lambda x: x.arctan(), [-INF, 0, INF],
     [-math.pi / 2, 0, math.pi / 2], [0, 1, 0]),
    ("cosh", lambda x: x.cosh(), [-1000, 0, 1000], [INF, 1, INF], [-INF, 0, INF]),
    ("sinh", lambda x: x.sinh(), [-1000, 0, 1000], [-INF, 0, INF], [INF, 1, INF]),
    ("softplus", lambda x: x.softplus(), [-INF, -1000, -50, 0, 1000, INF],
     [0, 0, math.exp(-50), math.log(2), 1000, INF], [0, 0, math.exp(-50), 0.5, 1, 1]),
    ("silu", lambda x: x.silu(), [-INF, -1000, 0, 1000, INF], [0, 0, 0, 1000, INF],
     [0, 0, 0.5, 1, 1]),
    ("erf", lambda x: x.erf(), [-INF, -1000, 0, 1e-20, 1000, INF], [-1, -1, 0, ERF * 1e-20, 1, 1],
     [0, 0, ERF, ERF, 0, 0]),
    ("gelu", lambda x: x.gelu(), [-INF, -1000, 0, 1000, INF], [0, 0, 0, 1000, INF],
     [0, 0, 0.5, 1, 1]),
    ("gelu, tanh", lambda x: x.gelu("tanh"), [-INF, -1000, 0, 1000, INF], [0, 0, 0, 1000, INF],
     [0, 0, 0.5, 1, 1]),
    ("leaky_relu", lambda x: x.leaky_relu(0.5), [-INF, -1000, -0.0, 0, 1000, INF],
     [-INF, -500, 0, 0, 1000, INF], [0.5, 0.5, 0.5, 0.5, 1, 1]),
    ("elu", lambda x: x.elu(2), [-INF, -1000, -50, 0, 1000, INF], [-2, -2, -2, 0, 1000, INF],
     [0, 0, 2 * math.exp(-50), 2, 1, 1]),
    ("sign", lambda x: x.sign(), [-INF, -3, 0, 3], [-1, -1, 0, 1], [0, 0, 0, 0]),
    ("floor", lambda x: x.floor(), [-INF, -1.5, 0, 2, INF], [-INF, -2, 0, 2, INF], [0] * 5),
    ("round", lambda x: x.round(), [-INF, -1.5, 0.5, 1.5, INF], [-INF, -2, 0, 2, INF], [0] * 5),
    ("prod, a zero", lambda x: x.prod(), [2, 0, 3], [0], [0, 6, 0]),
    ("prod, two zeros", lambda x: x.prod(), [0, 2, 0], [0], [0, 0, 0]),
    ("prod, huge", lambda x: x.prod(), [1e30, 1e-30, 2], [2], [2e-30, 2e30, 1]),
    ("std", lambda x: x.std(), [7, 7], [0], [0, 0]),
    ("norm", lambda x: x.norm(), [0, -0.0], [0], [0, 0]),
    ("norm, 1", lambda x: x.norm(), [3, -4], [5], [0.6, -0.8]),
    ("logsumexp", lambda x: x.logsumexp(), [1000, 1000], [1000 + math.log(2)], [0.5, 0.5]),
    ("logsumexp, -1000", lambda x: x.logsumexp(), [-1000, -1000, -INF], [-1000 + math.log(2)],
     [0.5, 0.5, 0]),
    ("logsumexp, inf", lambda x: x.logsumexp(), [INF, 0, INF, -INF], [INF], [0.5, 0, 0.5, 0]),
    ("logsumexp, -inf", lambda x: x.logsumexp(), [-INF, -INF], [-INF], [NAN, NAN]),
    ("softmax", lambda x: x.softmax() * [1, 0], [1000, 1000], [0.5, 0], [0.25, -0.25]),
    ("softmax, -1000", lambda x: x.softmax() * [1, 0], [-1000, 1000], [0, 0], [0, 0]),
    ("softmax, inf", lambda x: x.softmax(), [INF, 0, -INF], [1, 0, 0], [0, 0, 0]),
    ("softmax, two inf", lambda x: x.softmax() * [1, 0], [INF, INF], [0.5, 0], [0.25, -0.25]),
    ("softmax, -inf", lambda x: x.softmax(), [-INF, -INF], [NAN, NAN], [NAN, NAN]),
    ("log_softmax", lambda x: x.log_softmax(), [1000, 1000], [-math.log(2)] * 2, [0, 0]),
    ("log_softmax, -1000", lambda x: x.log_softmax(), [-1000, 1000], [-2000, 0], [1, -1]),
    ("log_softmax, inf", lambda x: x.log_softmax(), [INF, 0], [0, -INF], [-1, 1]),
    ("log_softmax, two inf", lambda x: x.log_softmax(), [INF, INF], [-math.log(2)] * 2, [0, 0]),
    ("log_softmax, -inf", lambda x: x.log_softmax(), [-INF, -INF], [NAN, NAN], [NAN, NAN]),
    ("cumsum", lambda x: x.cumsum(), [1, -1, INF], [1, 0, INF], [3, 2, 1]),
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


@pytest.mark.parametrize("shape", [(50, 3, 7), (50, 21), (50,)])
@pytest.mark.parametrize("dtype", [np.int64, np.uint8])
def test_rows_taken_many_times_sum_their_gradients(shape: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    for taken in ((40,), (3, 40), (0,), ()):
        indices = rng.integers(0 if dtype is np.uint8 else -50, 50, taken).astype(dtype)
        x = mg.Tensor(np.zeros(shape), requires_grad=True)
        g = rng.standard_normal((*taken, *shape[1:]))
        x[indices].backward(g)
        expected = np.zeros(shape)
        for index, row in zip(indices.ravel(), g.reshape(-1, *shape[1:])):
            expected[index] += row
        assert x.grad is not None
        np.testing.assert_allclose(x.grad, expected, atol=1e-14)


def test_nan_reaches_the_gradient_through_relu() -> None:
    x = mg.Tensor([NAN, 1.0], requires_grad=True)
    x.relu().backward([2, 2])
    assert x.grad is not None
    assert x.grad.tolist() == [2, 2]


def test_a_boolean_exponent_has_a_gradient() -> None:
    assert mg.gradcheck(lambda x: x ** np.array([True, False]), [2.0, 3.0])


def test_nan_passes_through_every_elementwise_op() -> None:
    for name in (
        "exp", "expm1", "log", "log1p", "log2", "sqrt", "square", "reciprocal", "sin", "cos", "tan",
        "arctan", "sinh", "cosh", "tanh", "sigmoid", "softplus", "relu", "leaky_relu", "elu",
        "gelu", "silu", "erf", "absolute", "sign", "floor", "round",
    ):  # fmt: skip
        for dtype in (np.float64, np.float32, np.float16):
            value = getattr(mg.Tensor(np.array([NAN, 0.5], dtype)), name)()
            assert np.isnan(value.data).tolist() == [True, False], name
            assert value.dtype == dtype
    for name in ("sum", "mean", "max", "min", "var", "std", "norm", "prod", "logsumexp"):
        assert math.isnan(getattr(mg.Tensor([1.0, NAN]), name)().item())
    for name in ("softmax", "log_softmax"):
        value = getattr(mg.Tensor([[1.0, NAN], [INF, NAN], [1, 2]]), name)()
        assert np.isnan(value.data).tolist() == [[True, True], [True, True], [False, False]]


def test_steps_stop_any_gradient_with_exact_zeros() -> None:
    for name in ("sign", "floor", "round"):
        x = mg.Tensor([-1.5, 0.0, NAN], requires_grad=True)
        getattr(x, name)().backward([INF, NAN, -INF])
        assert x.grad is not None
        assert x.grad.tolist() == [0, 0, 0]


def test_erf_of_narrow_floats_is_good_to_a_few_units_in_the_last_place() -> None:
    x = np.concatenate([np.linspace(-6, 6, 6001), np.geomspace(1e-30, 1, 2001)]).astype(np.float32)
    expected = np.array([math.erf(entry) for entry in x.tolist()])
    error = np.abs(mg.Tensor(x).erf().data - expected)
    assert error.max() <= 2e-7
    assert np.all(error <= 5 * np.spacing(np.abs(expected).astype(np.float32)))
    narrow = x[np.abs(x) > 1e-4].astype(np.float16)
    expected = np.array([math.erf(entry) for entry in narrow.tolist()])
    np.testing.assert_allclose(mg.Tensor(narrow).erf().data, expected, rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gelu_and_erf_agree_with_pythons_everywhere(dtype: Any) -> None:
    x = np.linspace(-30, 30, 2401).astype(dtype)
    tolerance = 1e-14 if dtype is np.float64 else 1e-6
    exact = [0.5 * entry * math.erfc(-entry / math.sqrt(2)) for entry in x.tolist()]
    np.testing.assert_allclose(mg.Tensor(x).gelu().data, exact, rtol=tolerance, atol=tolerance)
    if dtype is np.float64:
        np.testing.assert_allclose(mg.Tensor(x).gelu().data, exact, rtol=1e-12)
        assert mg.Tensor(x).erf().data.tolist() == [math.erf(entry) for entry in x.tolist()]


def test_activations_of_integers_are_floats() -> None:
    t = mg.Tensor([-2, 0, 3])
    assert t.leaky_relu(0.25).data.tolist() == [-0.5, 0, 3]
    assert t.norm().item() == math.sqrt(13)
    for name in ("sigmoid", "softplus", "silu", "gelu", "elu", "erf", "softmax", "log_softmax"):
        expected = getattr(t.astype(float), name)()
        assert getattr(t, name)().dtype == np.float64
        assert np.array_equal(getattr(t, name)().data, expected.data)
    assert mg.Tensor(np.full(2, 100, np.int8)).norm().item() == math.sqrt(20000)


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


@pytest.mark.parametrize(
    "op", ["mean", "var", "std", "max", "min", "logsumexp", "softmax", "log_softmax"]
)
def test_reducing_nothing_is_refused_by_name(op: str) -> None:
    with pytest.raises(ValueError, match=rf"{op} of shape \(0, 3\)"):
        getattr(mg.Tensor(np.zeros((0, 3))), op)(axis=0)
    kept = (0, 3) if "softmax" in op else (0,)
    assert getattr(mg.Tensor(np.zeros((0, 3))), op)(axis=1).shape == kept


def test_var_needs_more_values_than_ddof() -> None:
    with pytest.raises(ValueError, match="more than 1 values to average; received 1"):
        mg.Tensor([[1.0], [2.0]]).var(axis=1, ddof=1)


ERRORS: list[tuple[Callable[[Any], Any], type[Exception], str]] = [
    (lambda x: x @ np.ones((2, 2)), ValueError, r"matmul of shape \(2, 3\) and \(2, 2\)"),
    (lambda x: x @ np.ones(2), ValueError, r"matmul of shape \(2, 3\) and \(2,\)"),
    (lambda x: x @ 2, ValueError, r"matmul of shape \(2, 3\) and \(\)"),
    (lambda x: x[None][:0] @ np.ones((4, 5)), ValueError, "matmul of shape"),
    (lambda x: x[None] @ np.ones((2, 2)), ValueError, r"matmul of shape \(1, 2, 3\) and \(2, 2\)"),
    (lambda x: mg.apply(ops.linear, x, np.ones((2, 2)), np.ones(2)), ValueError,
     r"linear of shape \(2, 3\) and \(2, 2\) and \(2,\): the last axis of x"),
    (lambda x: mg.apply(ops.linear, x, np.ones((3, 2)), 1.0), ValueError, "and the bias as long"),
    (lambda x: mg.apply(ops.linear, x, np.ones(3), 1.0), ValueError, "the last axis of x must"),
    (lambda x: mg.apply(ops.linear, 1.0, x[0], x[0]), ValueError, "the last axis of x must"),
    (lambda x: mg.apply(ops.linear, 1.0, x, np.ones((2, 3))), ValueError, "last axis of x must"),
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
    (lambda x: x.gelu("fast"), ValueError, 'approximate must be "none" or "tanh"; .* \'fast\''),
    (lambda x: x[:, :0].softmax(), ValueError, r"softmax of shape \(2, 0\): zero-size array"),
    (lambda x: x.softmax(2), ValueError, r"softmax of shape \(2, 3\): axis 2"),
    (lambda x: x.cumsum(2), ValueError, r"cumsum of shape \(2, 3\): axis 2"),
    (lambda x: x.prod(2), ValueError, r"prod of shape \(2, 3\): axis 2"),
    (lambda x: x.norm((0, 0)), ValueError, r"norm of shape \(2, 3\): duplicate value in 'axis'"),
    (lambda x: x.moveaxis(0, 2), ValueError, r"moveaxis of shape \(2, 3\): destination: axis 2"),
    (lambda x: x.flip(2), ValueError, r"flip of shape \(2, 3\): axis 2"),
    (lambda x: x.roll(1, 2), ValueError, r"roll of shape \(2, 3\): axis 2"),
    (lambda x: x.pad(-1), ValueError, r"pad of shape \(2, 3\): index can't contain negative"),
    (lambda x: x.pad((1, 2, 3)), ValueError, r"pad of shape \(2, 3\)"),
    (lambda x: x.pad(1, "edge"), ValueError, 'mode must be "constant", .* received \'edge\''),
    (lambda x: x.take(6), IndexError, r"take of shape \(2, 3\): index 6 is out of bounds"),
    (lambda x: x.take(0, 2), ValueError, r"take of shape \(2, 3\): axis 2"),
    (lambda x: x.take_along_axis([0], 0), ValueError, r"take_along_axis of shape \(2, 3\): "),
    (lambda x: x.take_along_axis([[0]], 2), ValueError, r"indices of shape \(1, 1\) and axis 2"),
    (lambda x: x.take_along_axis([[3]], 0), IndexError, "index 3 is out of bounds"),
    (lambda x: x.split(2, 1), ValueError, "array split does not result in an equal division"),
    (lambda x: x.split(2, 2), ValueError, "axis 2 is out of bounds"),
    (lambda x: x.repeat(2, 2), ValueError, "axis 2 is out of bounds"),
    (lambda x: x.repeat([1, 2, 3], 0), ValueError, "could not be broadcast"),
    (lambda x: x.trace(0, 0, 2), ValueError, "axis 2 is out of bounds"),
    (lambda x: x.tensordot(x, 1), ValueError, r"tensordot of shape \(2, 3\) and \(2, 3\): "),
    (lambda x: x.tensordot(np.ones((1, 2)), 1), ValueError, "shape-mismatch for sum"),
    (lambda x: x.inner(np.ones(2)), ValueError, r"tensordot of shape \(2, 3\) and \(2,\)"),
    (lambda x: np.einsum("ij,jk", x), ValueError, r'"ij,jk" is for 2 arrays; received 1'),
    (lambda x: np.einsum("ij,jk", x, x), ValueError, r"einsum of shape \(2, 3\) and \(2, 3\): "),
    (lambda x: np.einsum("ijk", x), ValueError, r"einsum of shape \(2, 3\): "),
    (lambda x: np.einsum("i", x), ValueError, r"einsum of shape \(2, 3\): "),
    (lambda x: np.einsum("ij->k", x), ValueError, r"einsum of shape \(2, 3\): "),
    (lambda x: np.einsum("ijk...", x), ValueError, r"einsum of shape \(2, 3\): "),
    (lambda x: np.einsum("...i->i", x), ValueError, "must have the ellipsis of the inputs"),
    (lambda x: np.einsum("i1,1j->ij", x.tile((30, 9)), np.ones((27, 30))), ValueError, "einsum"),
    (lambda x: np.einsum("i1", x), ValueError, r"einsum of shape \(2, 3\): "),
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


def test_linear_promotes_what_has_another_dtype() -> None:
    x, weight, bias = np.ones((2, 3), np.float32), np.ones((3, 2), np.float32), np.ones(2)
    assert ops.linear(x, weight, bias)[0].dtype == np.float64
    assert ops.linear(x, weight.astype(float), bias.astype(np.float32))[0].dtype == np.float64
    value = mg.apply(ops.linear, [[1, 2, 3]], mg.Tensor(weight, requires_grad=True), [1, 2])
    assert value.dtype == np.float32
    assert value.data.tolist() == [[7, 8]]
    assert mg.apply(ops.linear, [1, 2], [[1], [2]], [0.5]).data.tolist() == [5.5]


def test_an_exponent_of_one_entry_still_broadcasts() -> None:
    assert (mg.Tensor([1.0, 2.0]) ** np.full((1, 1), 2.0)).shape == (1, 2)


def test_unsigned_integers_do_not_wrap_in_sigmoid() -> None:
    np.testing.assert_allclose(
        mg.Tensor(np.array([0, 1], np.uint8)).sigmoid().data, [0.5, 0.7310585786]
    )


def test_ones_are_kept_only_where_they_are_short() -> None:
    dtype = np.dtype(np.float32)
    assert ops.ones(10, dtype) is ops.ones(10, dtype)
    assert ops.ones(10_000, dtype) is not ops.ones(10_000, dtype)
    assert not ops.ones(10, dtype).flags.writeable
