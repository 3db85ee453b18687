"""gradcheck: hand-written gradients against numeric ones.

A rule that is wrong still trains a little, so it has to be checked: the derivative along a
direction d is (f(x + eps d) - f(x - eps d)) / (2 eps) up to an error of order eps**2.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .operations import plain
from .ops.common import Array, as_array
from .tape import no_grad
from .tensor import Tensor, as_tensor


def gradcheck(
    function: Callable[..., Any],
    *inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    rng: Any = None,
) -> bool:
    """Compare the gradients of a function with central differences, in float64.

    Several outputs are weighted with random numbers and summed, so that no error can hide. Each
    input is moved along random directions and, if it has at most 64 entries, entry by entry. So
    is each parameter of a layer.

    Parameters
    ----------
    function
        Takes tensors, returns a tensor of any shape. Give it points where it is smooth.
    *inputs
        Tensors, arrays, lists or numbers. Floats are checked (as float64 copies); integers and
        booleans are passed on as they are.
    eps
        Length of a step, relative to entries beyond ±1.
    atol, rtol
        The derivatives may differ by ``atol + rtol * abs(numeric)``.
    rng
        ``numpy.random.Generator`` that weights and directions come from; by default of seed 0.

    Returns
    -------
    bool
        True.

    Raises
    ------
    AssertionError
        If derivatives differ. The message has the number of the input, the entry (or that it was
        a direction) and both derivatives.
    ValueError
        If there is nothing to check, the function's value changes from call to call, it writes into
        what it reads, no gradient reaches it, or a layer's parameters are not float64.
    TypeError
        If the function is a class.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> mg.gradcheck(lambda x: x.sigmoid(), [-1.0, 0.0, 2.0])
    True
    """
    if isinstance(function, type):
        raise TypeError(
            f"gradcheck takes a function or layer; received the class {function.__name__}: make one"
        )
    rng = rng or np.random.default_rng(0)
    tensors = [_float64(x) for x in inputs]
    checked = [(f"input {i}", x) for i, x in enumerate(tensors) if x.requires_grad]
    parameters = list(getattr(function, "named_parameters", tuple)())
    checked += [(f"parameter {name}", parameter) for name, parameter in parameters]
    if not checked:
        raise ValueError(
            "gradcheck needs at least one input of floats; received none: write 1.0 for 1"
        )
    for name, tensor in checked:
        if tensor.dtype != np.float64:
            raise ValueError(f"{name} must be float64; received {tensor.dtype}: use astype(float)")
    before = [parameter.grad for _, parameter in parameters]
    values = [tensor.data.copy() for _, tensor in checked]
    try:
        for _, parameter in parameters:
            parameter.grad = None
        output = as_tensor(function(*tensors))
        for (name, tensor), unchanged in zip(checked, values):
            if not np.array_equal(tensor.data, unchanged, equal_nan=True):
                raise ValueError(f"the function must not write into what it reads; {name} changed")
        if not output.requires_grad:
            raise ValueError("the function's value does not depend on its inputs through ops")
        weights = rng.standard_normal(output.shape) if output.size > 1 else np.ones(output.shape)
        output.backward(weights)
        gradients = [tensor.grad for _, tensor in checked]
    finally:
        for (_, parameter), gradient in zip(parameters, before):
            parameter.grad = gradient

    def value() -> Array:
        with no_grad():
            return as_tensor(function(*tensors)).numpy()

    if not np.array_equal(value(), output.data, equal_nan=True):
        raise ValueError("the function must return the same value for the same inputs")
    for (name, tensor), gradient in zip(checked, gradients):
        for place, direction in _directions(tensor.data, rng):
            numeric = _slope(value, tensor.data, direction, eps, weights)
            written = 0.0 if gradient is None else float(np.sum(gradient * direction))
            if not abs(numeric - written) <= atol + rtol * abs(numeric):
                of = " (of the outputs weighted at random)" * (output.size > 1)
                raise AssertionError(
                    f"{name}, {place}: the rules give the derivative {written:.6g}, central "
                    f"differences give {numeric:.6g}, a difference of "
                    f"{abs(numeric - written):.2g}{of}"
                )
    return True


def _slope(
    value: Callable[[], Array], x: Array, direction: Array, eps: float, weights: Array
) -> float:
    """Return the numeric derivative of the weighted sum of `value` as `x` moves."""
    start = x.copy()
    step = eps * max(1, np.abs(x).max())
    try:
        x[...] = start + step * direction
        ahead = value()
        x[...] = start - step * direction
        behind = value()
    finally:
        x[...] = start
    return float(np.sum((ahead - behind) * weights) / (2 * step))


def _float64(x: Any) -> Tensor:
    """Copy an input: floats as float64 that require a gradient, others as they are."""
    array = as_array(plain(x))
    if array.dtype.kind != "f":
        return Tensor(array.copy())
    return Tensor(array, requires_grad=True, dtype=np.float64)


def _directions(x: Array, rng: Any) -> list[tuple[str, Array]]:
    """Return directions to move `x` in, each with what to call it."""
    if x.size == 0:
        return []
    found = []
    for entry in np.ndindex(x.shape) if x.size <= 64 else ():
        direction = np.zeros(x.shape)
        direction[entry] = 1
        found.append((f"entry {tuple(map(int, entry))}", direction))
    random = [("along a random direction", rng.standard_normal(x.shape)) for _ in range(3)]
    return found + random
