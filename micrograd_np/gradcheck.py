"""gradcheck: hand-written gradients against numeric ones.

A rule that is wrong still trains a little, so it has to be checked: the derivative along a
direction d is (f(x + eps d) - f(x - eps d)) / (2 eps) up to an error of order eps**2.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .ops.common import Array
from .tape import no_grad
from .tensor import Tensor, as_array, as_tensor


def gradcheck(
    function: Callable[..., Any],
    *inputs: Any,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    rng: Any = None,
) -> bool:
    """Compare the gradients of a function with central differences, in float64.

    The output is weighted with random numbers and summed, so that no entry's error can hide. Each
    input is moved along random directions and, if it has at most 64 entries, entry by entry.

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
        If no input holds floats, the function's value changes from call to call, or no gradient
        reaches it.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> mg.gradcheck(lambda x: x.sigmoid(), [-1.0, 0.0, 2.0])
    True
    """
    rng = rng or np.random.default_rng(0)
    arrays = [_float64(x) for x in inputs]
    checked = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    tensors = [Tensor(x, requires_grad=i in checked) for i, x in enumerate(arrays)]
    if not checked:
        raise ValueError("gradcheck needs at least one input of floats; received none")
    output = as_tensor(function(*tensors))
    if not output.requires_grad:
        raise ValueError("the function's value does not depend on its inputs through ops")
    weights = rng.standard_normal(output.shape)
    output.backward(weights)

    def along(i: int, direction: Array) -> float:
        """Return the numeric derivative along a direction of input i."""
        step = eps * np.maximum(1, np.abs(arrays[i])).max(initial=1)
        values = []
        for sign in (1, -1):
            moved = [x.copy() for x in arrays]
            moved[i] += sign * step * direction
            with no_grad():
                values.append(as_tensor(function(*map(Tensor, moved))).data)
        return float(np.sum((values[0] - values[1]) * weights) / (2 * step))

    with no_grad():
        if not np.array_equal(as_tensor(function(*map(Tensor, arrays))).data, output.data, True):
            raise ValueError("the function must return the same value for the same inputs")
    for i in checked:
        gradient = tensors[i].grad
        if gradient is None:
            gradient = np.zeros_like(arrays[i])
        for place, direction in _directions(arrays[i], rng):
            numeric, written = along(i, direction), float(np.sum(gradient * direction))
            if not abs(numeric - written) <= atol + rtol * abs(numeric):
                raise AssertionError(
                    f"input {i}, {place}: the rules give the derivative {written!r}, central "
                    f"differences give {numeric!r}"
                )
    return True


def _float64(x: Any) -> Array:
    array = as_array(x.data if isinstance(x, Tensor) else x)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _directions(x: Array, rng: Any) -> list[tuple[str, Array]]:
    """Return directions to move `x` in, each with what to call it."""
    if x.size == 0:
        return []
    found = [("along a random direction", _unit(rng.standard_normal(x.shape))) for _ in range(3)]
    if x.size <= 64:
        for entry in np.ndindex(x.shape):
            direction = np.zeros(x.shape)
            direction[entry] = 1
            found.append((f"entry {tuple(map(int, entry))}", direction))
    return found


def _unit(direction: Array) -> Array:
    """Scale a direction to length 1."""
    return np.asarray(direction / np.sqrt(np.sum(direction * direction)))
