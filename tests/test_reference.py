"""Values and gradients equal those that PyTorch 2.13 gave, which tests/reference/make.py wrote."""

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import layers, losses, ops
from tests.reference.cases import ALL, Case

FILE = Path(__file__).parent / "reference" / "pytorch.json"
RECORDS = {record["case"]: record for record in json.loads(FILE.read_text())["cases"]}

# How ours are called where it is not simply a loss, a tensor's method or an op of the name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "getitem": lambda x, index: x[np.array(index)],
    "reshape": lambda x, shape: x.reshape(shape),
    "transpose": lambda x, axes: x.transpose(axes),
    "where": lambda x, y, condition: x.where(condition, y),
}
LAYERS: dict[str, Callable[..., Any]] = {
    "Sequential": lambda sizes: mg.Sequential(
        mg.Linear(sizes[0], sizes[1], bias=True), mg.Tanh(), mg.Linear(*sizes[1:])
    ),
}
CALLS: dict[str, Callable[..., Any]] = {
    "BatchNorm1d": lambda layer, *batches: [layer(x) for x in batches],
    "BatchNorm2d": lambda layer, *batches: [layer(x) for x in batches],
    "LSTM": lambda layer, x, *states: layer(x, states or None),
}

# Ops that are run by a layer or a loss of another name ...
RUN_BY = {
    "absolute_error": "mean_absolute_error",
    "attention": "MultiHeadAttention",
    "attention_weights": "MultiHeadAttention",
    "avg_pool2d": "AvgPool2d",
    "batch_norm": "BatchNorm2d",
    "conv1d": "Conv1d",
    "conv2d": "Conv2d",
    "embedding": "Embedding",
    "gru": "GRU",
    "layer_norm": "LayerNorm",
    "linear": "Linear",
    "lstm": "LSTM",
    "max_pool2d": "MaxPool2d",
    "rms_norm": "RMSNorm",
    "rnn": "RNN",
    "soft_cross_entropy": "cross_entropy",
    "squared_error": "mean_squared_error",
}
# ... and what PyTorch has no counterpart of, or none that can be compared.
WITHOUT = {
    "astype": "rounds to another dtype: test_ops.py checks it",
    "Layer": "the base class has no formula",
    "Residual": "x + f(x), which users of PyTorch write out",
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", ALL, ids=Case.id)
def test_values_and_gradients_equal_pytorchs(case: Case, dtype: Any) -> None:
    record = RECORDS[case.id()]
    rtol, atol = (case.rtol, 1e-12) if dtype is np.float64 else (1e-4, 1e-4)

    def check(name: str, ours: Any, expected: Any) -> None:
        expected = np.array(expected)
        assert ours.shape == expected.shape, name
        assert ours.dtype == dtype, name
        np.testing.assert_allclose(ours, expected, rtol, atol, err_msg=name)

    arrays = [np.array(x) for x in record["inputs"]]
    inputs = [
        mg.Tensor(x.astype(dtype) if x.dtype.kind == "f" else x, requires_grad=gradient is not None)
        for x, gradient in zip(arrays, record["gradients"], strict=True)
    ]
    layer = made(case, record, dtype)
    values = called(case, layer, inputs)
    for i, (value, expected) in enumerate(zip(values, record["values"], strict=True)):
        check(f"value {i}", value.data, expected)
    weighted = [value * weight for value, weight in zip(values, record["weights"], strict=True)]
    sum(part.sum() for part in weighted).backward()
    for i, (x, expected) in enumerate(zip(inputs, record["gradients"], strict=True)):
        if expected is not None:
            check(f"gradient of input {i}", x.grad, expected)
    if layer is None:
        return
    parameters = dict(layer.named_parameters())
    gradients = record.get("parameter_gradients", {})
    assert set(parameters) == set(gradients)
    for name, expected in in_our_layout(layer, gradients).items():
        check(f"gradient of {name}", parameters[name].grad, expected)
    state = layer.state_dict()
    for name, expected in record.get("state_after", {}).items():
        np.testing.assert_allclose(state[name], expected, rtol, atol, err_msg=name)


def made(case: Case, record: dict[str, Any], dtype: Any) -> mg.Layer | None:
    """Make the layer of a case, if it has one, with PyTorch's parameters."""
    if case.layer is None:
        return None
    layer: mg.Layer = (LAYERS.get(case.name) or getattr(layers, case.name))(**case.layer)
    layer.load_state_dict(in_our_layout(layer, record.get("state", {})))
    return layer.astype(dtype).train(case.mode == "train")


def in_our_layout(layer: mg.Layer, state: dict[str, Any]) -> dict[str, Any]:
    """Transpose the weights of linear layers: ours are (in, out), PyTorch's (out, in)."""
    found = [name for name, inner in layer.layers_within() if isinstance(inner, mg.Linear)]
    turned = {f"{name}.weight" if name else "weight" for name in found}
    return {name: np.array(x).T if name in turned else np.array(x) for name, x in state.items()}


def called(case: Case, layer: mg.Layer | None, inputs: list[mg.Tensor]) -> list[mg.Tensor]:
    """Run ours and return its values in one list."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in case.options.items()}
    call = function_called(case.name) if layer is None else layer
    if case.name in CALLS:
        call = functools.partial(CALLS[case.name], layer)
    return flattened(call(*inputs, **options))


def function_called(name: str) -> Callable[..., Any]:
    for place in (losses, mg.Tensor):
        if name not in FUNCTIONS and hasattr(place, name):
            return getattr(place, name)  # type: ignore[no-any-return]
    return FUNCTIONS.get(name) or functools.partial(mg.apply, getattr(ops, name))


def flattened(values: Any) -> list[mg.Tensor]:
    if isinstance(values, (tuple, list)):
        return [tensor for value in values for tensor in flattened(value)]
    return [] if values is None else [values]


def test_the_file_has_what_the_cases_ask_for() -> None:
    assert list(RECORDS) == [case.id() for case in ALL]


def test_everything_that_pytorch_has_is_compared() -> None:
    functions = inspect.getmembers(losses, inspect.isfunction)
    public = {name for name, f in functions if f.__module__ == losses.__name__ and name[0] != "_"}
    compared = {case.name for case in ALL}
    assert set(RUN_BY.values()) <= compared
    assert not compared & (set(RUN_BY) | set(WITHOUT))
    needed = {*ops.ALL, *layers.__all__, *public}
    assert set(RUN_BY) | set(WITHOUT) <= needed
    assert needed <= compared | set(RUN_BY) | set(WITHOUT)
