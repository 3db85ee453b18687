"""Predicting: what a trained model says about many samples."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import at_least_one
from ..layers.layer import check_layer, in_mode
from ..operations import plain
from ..ops.common import Array, as_array
from ..tape import no_grad
from ..tensor import Tensor
from .arguments import read_only


def predict(model: Callable[[Any], Any], inputs: Any, batch_size: int = 256) -> Array:
    """Return a model's outputs for all samples, computed batch by batch in evaluation mode.

    The model's mode is switched meanwhile, so another thread must not train it at the same time.

    Parameters
    ----------
    model
        A layer, or a function of a tensor, whose output has a row per sample.
    inputs
        Array whose first axis counts the samples, as recurrent layers have it with `batch_first`;
        only one batch of it is read at a time.
    batch_size
        Samples in a batch, at least 1.

    Returns
    -------
    ndarray
        The outputs, in an array of their own.

    Raises
    ------
    ValueError
        If there is no axis to count samples, or the output does not have a row for each.
    TypeError
        If the output is no tensor.

    Examples
    --------
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> model = mg.Linear(3, 2, weight_init=mg.initializers.zeros)  # which gives logits
    >>> mg.predict(mg.Sequential(model, mg.Softmax()), np.ones((3, 3)))
    array([[0.5, 0.5],
           [0.5, 0.5],
           [0.5, 0.5]])
    """
    if not callable(model) or isinstance(model, type):
        check_layer(model, "the model comes first, then the inputs")
    at_least_one(batch_size=batch_size)
    x = read_only(as_array(plain(inputs)))
    if not x.ndim:
        raise ValueError("inputs must have an axis that counts samples; received a number")
    outputs: Array | None = None
    with in_mode(model, training=False), no_grad():
        for start in range(0, max(len(x), 1), batch_size):
            y = _rows(model(Tensor(x[start : start + batch_size])), len(x[start:][:batch_size]))
            if outputs is None:
                outputs = np.empty((len(x), *y.shape[1:]), y.dtype)
            outputs[start : start + len(y)] = y
    assert outputs is not None
    return outputs


def _rows(output: Any, samples: int) -> Array:
    """Return what a model gave for a batch as an array with a row per sample."""
    if not isinstance(output, Tensor | np.ndarray):
        raise TypeError(
            f"the model must return one tensor; received {type(output).__name__}: wrap it in a "
            "function that picks what you want, such as lambda x: model(x)[0]"
        )
    y = plain(output)
    if not y.ndim or len(y) != samples:
        raise ValueError(
            f"the model's output must have a row for each of {samples} samples; received {y.shape}"
        )
    return y  # type: ignore[no-any-return]
