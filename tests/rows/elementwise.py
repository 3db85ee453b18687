"""Rows of the elementwise ops."""

import math
from collections.abc import Iterator

import numpy as np

from . import Row, binary, by_entry, numbers, unary


def rows() -> Iterator[Row]:
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
    yield Row("expm1", lambda x: x.expm1(), by_entry(math.expm1), unary())
    yield Row("log", lambda x: x.log(), by_entry(math.log), unary(low=0.1))
    yield Row("log1p", lambda x: x.log1p(), by_entry(math.log1p), unary(low=-0.9))
    yield Row("log2", lambda x: x.log2(), by_entry(math.log2), unary(low=0.1))
    yield Row(
        "logaddexp",
        lambda x, y: x.logaddexp(y),
        by_entry(lambda x, y: math.log(math.exp(x) + math.exp(y))),
        binary(),
    )
    yield Row("reciprocal", lambda x: x.reciprocal(), by_entry(lambda x: 1 / x), unary())
    yield Row("sqrt", lambda x: x.sqrt(), by_entry(math.sqrt), unary(low=0.1))
    yield Row("square", lambda x: x.square(), by_entry(lambda x: x * x), unary())
    yield Row("sin", lambda x: x.sin(), by_entry(math.sin), unary())
    yield Row("cos", lambda x: x.cos(), by_entry(math.cos), unary())
    yield Row("tan", lambda x: x.tan(), by_entry(math.tan), unary(low=-1.2, high=1.2))
    yield Row("arctan", lambda x: x.arctan(), by_entry(math.atan), unary())
    yield Row("sinh", lambda x: x.sinh(), by_entry(math.sinh), unary())
    yield Row("cosh", lambda x: x.cosh(), by_entry(math.cosh), unary())
    yield Row("tanh", lambda x: x.tanh(), by_entry(math.tanh), unary())
    yield Row("sigmoid", lambda x: x.sigmoid(), by_entry(lambda x: 1 / (1 + math.exp(-x))), unary())
    yield Row("relu", lambda x: x.relu(), by_entry(lambda x: x if x > 0 else 0), unary())
    yield Row(
        "softplus", lambda x: x.softplus(), by_entry(lambda x: math.log(1 + math.exp(x))), unary()
    )
    yield Row("silu", lambda x: x.silu(), by_entry(lambda x: x / (1 + math.exp(-x))), unary())
    yield Row("erf", lambda x: x.erf(), by_entry(math.erf), unary())
    yield Row(
        "gelu",
        lambda x: x.gelu(),
        by_entry(lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
        unary(),
    )
    yield Row(
        "gelu",
        lambda x: x.gelu(approximate="tanh"),
        by_entry(lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * cubic(x)))),
        unary(),
    )
    for slope in (None, 0.3, -2, 0, 1.5):
        yield Row(
            "leaky_relu",
            lambda x, s=slope: x.leaky_relu() if s is None else x.leaky_relu(negative_slope=s),
            by_entry(lambda x, s=slope: x if x > 0 else x * (0.01 if s is None else s)),
            unary(),
        )
    for alpha in (None, 0.3, 2):
        yield Row(
            "elu",
            lambda x, a=alpha: x.elu() if a is None else x.elu(alpha=a),
            by_entry(lambda x, a=alpha: x if x > 0 else (a or 1) * math.expm1(x)),
            unary(),
        )
    yield Row("sign", lambda x: x.sign(), by_entry(lambda x: math.copysign(1, x)), unary())
    yield Row("floor", lambda x: x.floor(), by_entry(math.floor), unary())
    for decimals in (0, 1, -1):
        yield Row(
            "round",
            lambda x, d=decimals: x.round(d),
            by_entry(lambda x, d=decimals: round(x, d)),
            unary(low=-20, high=20),
        )
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


def cubic(x: float) -> float:
    return x + 0.044715 * x * x * x
