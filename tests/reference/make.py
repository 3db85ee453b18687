"""Compute reference values and gradients with PyTorch 2.13; run by hand where it is installed.

``python -m tests.reference.make [--all]`` from the root writes pytorch.json, one line for each case
of cases.py. Cases have our names of functions, layers and arguments; the tables here say how to get
the same from PyTorch where its names differ. Inputs, parameters and weights are drawn for each
case from a seed made of its id. Lines of which these are as before stay as they are, since another
processor computes other last digits; ``--all`` computes them anew.
"""

import argparse
import functools
import json
import zlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tests.reference.cases import ALL, LATER, Case, Drawn, Fixed


def all_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function that wants its axes named take None for all of them."""

    def call(x: Any, axis: Any = None, **options: Any) -> Any:
        return function(x, tuple(range(x.ndim)) if axis is None else axis, **options)

    return call


def moment(function: Callable[..., Any]) -> Callable[..., Any]:
    """Rename ddof, which is 0 by default as in NumPy."""
    return lambda x, axis=None, ddof=0, **o: function(x, dim=axis, correction=ddof, **o)


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for i in sorted((a % x.ndim for a in axes), reverse=True):
        x = x.prod(i, keepdim=keepdims)
    return x


def pad(x: Any, pad_width: Any, constant_values: float) -> Any:
    flat = [n for pair in reversed(pad_width) for n in pair]
    return functional.pad(x, flat, value=constant_values)


def hinge(prediction: Any, target: Any, reduction: str) -> Any:
    zero = torch.zeros_like(prediction)
    return functional.margin_ranking_loss(prediction, zero, target, margin=1, reduction=reduction)


def with_logits(logits: Any, target: Any, pos_weight: Any = None, **options: Any) -> Any:
    weight = None if pos_weight is None else torch.as_tensor(pos_weight)
    return functional.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, **options)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "elu": functional.elu,
    "gelu": functional.gelu,
    "leaky_relu": functional.leaky_relu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "power": torch.pow,
    "where": lambda x, y, condition: torch.where(condition, x, y),
    "var": moment(torch.var),
    "std": moment(torch.std),
    "max": all_axes(torch.amax),
    "min": all_axes(torch.amin),
    "prod": prod,
    "logsumexp": all_axes(torch.logsumexp),
    "norm": lambda x, axis=None, keepdims=False: torch.linalg.vector_norm(x, 2, axis, keepdims),
    "expand_dims": lambda x, axis: x.unsqueeze(axis),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "concatenate": lambda *arrays, axis: torch.cat(arrays, axis),
    "flip": lambda x, axis: x.flip(axis),
    "getitem": lambda x, index: x[index],
    "pad": pad,
    "repeat": lambda x, repeats, axis: x.repeat_interleave(repeats, axis),
    "roll": lambda x, shift, axis: x.roll(shift, axis),
    "split": lambda x, indices_or_sections, axis: x.tensor_split(indices_or_sections, axis),
    "stack": lambda *arrays, axis: torch.stack(arrays, axis),
    "swapaxes": lambda x, axis1, axis2: x.swapaxes(axis1, axis2),
    "take": lambda x, indices, axis: x.index_select(axis, indices),
    "take_along_axis": lambda x, indices, axis: torch.take_along_dim(x, indices, axis),
    "tile": lambda x, reps: x.tile(reps),
    "transpose": lambda x, axes: x.permute(axes),
    "tril": lambda x, k: x.tril(k),
    "triu": lambda x, k: x.triu(k),
    "einsum": lambda *arrays, subscripts: torch.einsum(subscripts, *arrays),
    "tensordot": lambda x, y, axes: torch.tensordot(x, y, axes),
    "trace": lambda x: x.diagonal().sum(),
    "sum_of_squares": lambda *inputs, **o: functional.mse_loss(*inputs, **o) / 2,
    "mean_squared_error": functional.mse_loss,
    "mean_absolute_error": functional.l1_loss,
    "huber": functional.huber_loss,
    "binary_cross_entropy": functional.binary_cross_entropy,
    "binary_cross_entropy_with_logits": with_logits,
    "cross_entropy": functional.cross_entropy,
    "negative_log_likelihood": functional.nll_loss,
    "kl_divergence": functional.kl_div,
    "hinge": hinge,
}


def attend(layer: Any, query: Any, key: Any = None, value: Any = None, **options: Any) -> Any:
    key = query if key is None else key
    if options.get("is_causal"):
        options["attn_mask"] = torch.tensor(LATER)
    return layer(query, key, key if value is None else value, **options)


def block(layer: Any, x: Any, attn_mask: Any = None, key_padding_mask: Any = None) -> Any:
    mask = torch.tensor(LATER) if layer.causal else attn_mask
    return layer(x, src_mask=mask, src_key_padding_mask=key_padding_mask)


def transformer(
    embed_dim: int, num_heads: int, hidden_features: int | None = None, causal: bool = False
) -> Any:
    layer = nn.TransformerEncoderLayer(
        embed_dim, num_heads, hidden_features or 4 * embed_dim, 0.0, "gelu", batch_first=True,
        norm_first=True,
    )  # fmt: skip
    layer.causal = causal
    return layer


LAYERS: dict[str, Callable[..., Any]] = {
    "MultiHeadAttention": nn.MultiheadAttention,
    "Sequential": lambda sizes: nn.Sequential(
        nn.Linear(*sizes[:2], bias=True), nn.Tanh(), nn.Linear(*sizes[1:], bias=False)
    ),
    "TransformerBlock": transformer,
}
# How a layer is called, unless simply with the inputs and the options.
CALLS: dict[str, Callable[..., Any]] = {
    "BatchNorm1d": lambda layer, *batches: [layer(x) for x in batches],
    "BatchNorm2d": lambda layer, *batches: [layer(x) for x in batches],
    "LSTM": lambda layer, x, *states: layer(x, states or None),
    "MultiHeadAttention": attend,
    "TransformerBlock": block,
}


def draw(rng: Any, shape: Any, low: float = -2, high: float = 2, decimals: int = 3) -> Any:
    return torch.tensor(np.round(rng.uniform(low, high, tuple(shape)), decimals))


def as_input(x: Any, rng: Any) -> Any:
    if isinstance(x, Fixed):
        return torch.tensor(x.values)
    if isinstance(x, tuple):
        return draw(rng, *(x if isinstance(x, Drawn) else [x])).requires_grad_()
    tensor = torch.tensor(x)
    return tensor.requires_grad_(tensor.is_floating_point())


def as_option(value: Any) -> Any:
    return torch.tensor(value) if isinstance(value, list) else value


def flattened(values: Any) -> list[Any]:
    if isinstance(values, (tuple, list)):
        return [tensor for value in values for tensor in flattened(value)]
    return [] if values is None else [values]


def computed(case: Case) -> dict[str, Any]:
    """Return a case with what PyTorch makes of it."""
    rng = np.random.default_rng(zlib.crc32(case.id().encode()))
    record: dict[str, Any] = {"case": case.id()}
    inputs = [as_input(x, rng) for x in case.inputs]
    options = {name: as_option(value) for name, value in case.options.items()}
    parameters: dict[str, Any] = {}
    if case.layer is None:
        function = FUNCTIONS.get(case.name) or getattr(torch, case.name)
        values = flattened(function(*inputs, **options))
    else:
        make: Callable[..., Any] = LAYERS.get(case.name) or getattr(nn, case.name)
        layer = make(**case.layer).train(case.mode == "train")
        for name, held in layer.state_dict().items():
            if held.is_floating_point():
                held.copy_(draw(rng, held.shape, *((0.5, 1.5) if "var" in name else (-1, 1))))
        if layer.state_dict():
            record["state"] = {name: held.tolist() for name, held in layer.state_dict().items()}
        parameters = dict(layer.named_parameters())
        call = functools.partial(CALLS[case.name], layer) if case.name in CALLS else layer
        values = flattened(call(*inputs, **options))
        if buffers := dict(layer.named_buffers()):
            record["state_after"] = {name: held.tolist() for name, held in buffers.items()}
    weights = [draw(rng, value.shape, decimals=2) for value in values]
    sources = [x for x in inputs if x.requires_grad] + list(parameters.values())
    found = iter(torch.autograd.grad(values, sources, weights, materialize_grads=True))
    record["inputs"] = listed(inputs)
    record["weights"] = listed(weights)
    record["values"] = listed(values)
    record["gradients"] = [next(found).tolist() if x.requires_grad else None for x in inputs]
    if parameters:
        record["parameter_gradients"] = {name: next(found).tolist() for name in parameters}
    return record


def listed(tensors: list[Any]) -> list[Any]:
    return [tensor.tolist() for tensor in tensors]


def main() -> None:
    torch.set_default_dtype(torch.float64)
    header = {
        "made by": "python -m tests.reference.make",
        "with": f"PyTorch {torch.__version__}, float64",
        "on": str(date.today()),
        "gradients": "of sum(values * weights), with respect to each input and each parameter",
        "state": "what the layer held before, state_after: its buffers afterwards",
    }
    parser = argparse.ArgumentParser(description="Compute reference values with PyTorch.")
    parser.add_argument("--all", action="store_true", help="also those that are there already")
    path = Path(__file__).with_name("pytorch.json")
    before = {} if parser.parse_args().all else json.loads(path.read_text())
    known = {record["case"]: record for record in before.get("cases", [])}
    records = []
    for case in ALL:
        record = computed(case)
        old = known.get(record["case"], {})
        is_known = all(record.get(part) == old.get(part) for part in ("inputs", "weights", "state"))
        records.append(old if is_known else record)
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    text = f'{{"header": {json.dumps(before.get("header", header))},\n"cases": [\n{lines}\n]}}\n'
    path.write_text(text)


if __name__ == "__main__":
    main()
