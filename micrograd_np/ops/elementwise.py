"""Elementwise ops: each entry of the value depends on one entry of each argument."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .common import Array, Result, number, scalar


def add(x: Array, y: Array) -> Result:
    """x + y."""
    return x + y, (lambda g: g, lambda g: g)


def subtract(x: Array, y: Array) -> Result:
    """x - y."""
    return x - y, (lambda g: g, lambda g: -g)


def multiply(x: Array, y: Array) -> Result:
    """x * y."""
    return x * y, (lambda g: g * y, lambda g: g * x)


def divide(x: Array, y: Array) -> Result:
    """x / y; d/dx = 1 / y, d/dy = -(x / y) / y."""
    value = x / y
    return value, (lambda g: g / y, lambda g: -g * (value / y))


def negative(x: Array) -> Result:
    """-x."""
    return -x, (lambda g: -g,)


def absolute(x: Array) -> Result:
    """|x|; d/dx = sign(x), which is 0 at 0."""
    return np.abs(x), (lambda g: g * np.sign(x),)


def exp(x: Array) -> Result:
    """e**x, its own derivative."""
    value = np.exp(x)
    return value, (lambda g: g * value,)


def log(x: Array) -> Result:
    """Natural logarithm of x; d/dx = 1 / x."""
    return np.log(x), (lambda g: g / x,)


def sqrt(x: Array) -> Result:
    """Square root of x; d/dx = 1 / (2 sqrt(x)), which is inf at 0."""
    value = np.sqrt(x)
    return value, (lambda g: g / (value + value),)


def square(x: Array) -> Result:
    """x * x; d/dx = 2 x."""
    return x * x, (lambda g: g * (x + x),)


def power(x: Array, y: Array) -> Result:
    """x ** y; d/dx = y x**(y - 1), d/dy = x**y log(x).

    Where a factor is 0 the limit counts: d/dx = 0 where y = 0, and d/dy = 0 where x = 0 and
    y >= 0.
    """
    if x.dtype.kind in "iu" and np.any(y < 0):
        x = x.astype(np.float64)  # NumPy refuses integers to negative integer powers
    if y.dtype.kind == "b":
        y = y.astype(np.int8)  # for y - 1
    one = number(1, y.dtype)
    value = _power(x, y)

    def to_x(g: Array) -> Array:
        return g * y * _power(x, np.where(y == 0, y, y - one))

    def to_y(g: Array) -> Array:
        return g * value * np.log(np.where((x == 0) & (y >= 0), one, x))

    return value, (to_x, to_y)


def _power(x: Array, y: Array) -> Array:
    """x ** y; some exponents by products: x**3 takes 3 times as long, 65 with negative entries."""
    exponent = y.item() if y.ndim == 0 else None
    if exponent == 1:
        return x.copy()
    if exponent == 2:
        return x * x
    if exponent == 3:
        return x * x * x
    if exponent == 0.5:
        return np.sqrt(x)
    value: Array = x**y
    return value


def sin(x: Array) -> Result:
    """Sine of x, in radians; d/dx = cos(x)."""
    return np.sin(x), (lambda g: g * np.cos(x),)


def cos(x: Array) -> Result:
    """Cosine of x, in radians; d/dx = -sin(x)."""
    return np.cos(x), (lambda g: -g * np.sin(x),)


def tanh(x: Array) -> Result:
    """Hyperbolic tangent of x; d/dx = 1 - tanh(x)**2."""
    value = np.tanh(x)
    return value, (lambda g: g * (number(1, g.dtype) - value * value),)


def sigmoid(x: Array) -> Result:
    """1 / (1 + exp(-x)), the logistic function; d/dx = sigmoid(x) (1 - sigmoid(x))."""
    value = np.asarray(np.negative(x if x.dtype.kind == "f" else x.astype(float)))
    one = number(1, value.dtype)
    np.exp(value, value)
    np.add(value, one, value)
    np.divide(one, value, value)

    def to_x(g: Array) -> Array:
        # In this order the products are those of the error-weighted derivative, bit for bit.
        slope: Array = g * value
        slope *= one - value
        return slope

    return value, (to_x,)


def relu(x: Array) -> Result:
    """max(x, 0); d/dx = 1 where x > 0, else 0 (also at 0)."""
    value = np.maximum(x, number(0, x.dtype))
    return value, (lambda g: g * (value != 0),)  # which holds for NaN too


def maximum(x: Array, y: Array) -> Result:
    """Return the larger of x and y; where they tie, each gets half of the gradient."""
    return np.maximum(x, y), (lambda g: _won(g, x > y, x == y), lambda g: _won(g, y > x, x == y))


def minimum(x: Array, y: Array) -> Result:
    """Return the smaller of x and y; where they tie, each gets half of the gradient."""
    return np.minimum(x, y), (lambda g: _won(g, x < y, x == y), lambda g: _won(g, y < x, x == y))


def _won(g: Array, wins: Array, ties: Array) -> Array:
    share: Array = g * wins + g * number(0.5, g.dtype) * ties
    return share


def clip(
    x: Array, *, minimum: npt.ArrayLike | None = None, maximum: npt.ArrayLike | None = None
) -> Result:
    """Limit x to the range from `minimum` to `maximum`; d/dx = 1 inside and on its borders."""
    if minimum is None and maximum is None:
        raise ValueError("clip needs a minimum, a maximum or both; received neither")
    low, high = _bound(minimum, x), _bound(maximum, x)

    def to_x(g: Array) -> Array:
        inside: Any = True if low is None else x >= low
        gradient: Array = g * (inside if high is None else inside & (x <= high))
        return gradient

    return np.clip(x, low, high), (to_x,)


def _bound(bound: Any, x: Array) -> Any:
    """Give a bound that is a Python number or integers the dtype of the floats it limits."""
    if bound is None or x.dtype.kind != "f":
        return bound
    if type(bound) in (int, float):
        return scalar(bound, x.dtype)
    bound = np.asarray(bound)
    return bound if bound.dtype.kind == "f" else bound.astype(x.dtype)


def where(x: Array, y: Array, *, condition: Array) -> Result:
    """x where `condition` holds, else y.

    The branch that was not taken gets the gradient 0. Where that branch's own derivative is
    infinite the product 0 * inf is NaN, so keep the argument of sqrt or log in range first:
    ``np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0)``. The same goes for relu, clip, maximum
    and minimum before such a function. (Products are 8 times as fast as a selection.)
    """
    return np.where(condition, x, y), (lambda g: g * condition, lambda g: g * ~condition)


def astype(x: Array, *, dtype: npt.DTypeLike) -> Result:
    """x converted to `dtype`; the gradient comes back in the dtype of x."""
    if np.dtype(dtype).kind not in "fiub":
        raise TypeError(f"tensors hold floats, integers or booleans; received dtype {dtype}")
    return x.astype(dtype), (lambda g: g,)
