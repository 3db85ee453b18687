"""Every layer: a row with its formula and its names; what all layers promise, of each."""

import copy
import inspect
import math
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import micrograd_np as mg
from tests.rows import by_entry, numbers
from tests.rows.attention import attention_by_hand, weights_by_hand
from tests.rows.convolutions import convolve_by_hand, mean_by_hand, pool_by_hand
from tests.rows.normalizations import norm_by_hand
from tests.rows.products import linear_by_hand
from tests.rows.recurrent import gru_step, lstm_step, rnn_step, run, sigmoid

State = dict[str, Any]
Shape = tuple[int, ...]


class Row(NamedTuple):
    """One way to make a layer, what it gives, and how it calls itself and what it holds."""

    name: str
    make: Callable[..., Any]  # takes those of rng, dtype and weight_init that the layer takes
    x: Any
    formula: Callable[..., Any]  # of state and input, in evaluation mode
    repr: str
    state: str = ""  # names as in PyTorch
    wrong: Any = None  # an input that does not fit, if there is one
    blamed: str = ""  # which layer says so, if another one
    batch: int = 0  # which axis
    trains_alike: bool = True  # whether training mode gives the same


class Scale(mg.Layer):
    """A layer as a user writes one."""

    def __init__(self, features: int, dtype: Any = None) -> None:
        self.factor = mg.Tensor([2.0] * features, requires_grad=True, dtype=dtype)
        self.seen = np.zeros(1, dtype)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        if self.training:
            self.seen += 1
        return x * self.factor


def ones(*shape: int) -> Any:
    return np.ones(shape)


def draw(*shape: int) -> Any:
    return numbers(shape)[0]


def activations() -> Iterator[Row]:
    (x,) = numbers((3, 4), low=-4, high=4)
    functions: list[tuple[Any, str, Callable[[float], float]]] = [
        (mg.Sigmoid, "", sigmoid),
        (mg.Tanh, "", math.tanh),
        (mg.ReLU, "", lambda x: x if x > 0 else 0),
        (mg.LeakyReLU, "", lambda x: x if x > 0 else 0.01 * x),
        (mg.LeakyReLU, "negative_slope=0.2", lambda x: x if x > 0 else 0.2 * x),
        (mg.ELU, "", lambda x: x if x > 0 else math.exp(x) - 1),
        (mg.ELU, "alpha=0.5", lambda x: x if x > 0 else 0.5 * (math.exp(x) - 1)),
        (mg.GELU, "", gelu),
        (mg.GELU, "approximate='tanh'", lambda x: x * sigmoid(
            2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        (mg.SiLU, "", lambda x: x * sigmoid(x)),
        (mg.Softplus, "", lambda x: math.log(1 + math.exp(x))),
        (mg.Softplus, "beta=2.0", lambda x: math.log(1 + math.exp(2 * x)) / 2),
    ]  # fmt: skip
    for kind, argument, function in functions:
        name = kind.__name__
        options = eval(f"dict({argument})")
        formula = by_entry(function)
        yield Row(
            name, partial(kind, **options), x, lambda _, x, f=formula: f(x), f"{name}({argument})"
        )
    for options, axis, argument, wrong in (
        ({}, 1, "", None), ({"dim": 0}, 0, "dim=0", None), ({"dim": 1}, 1, "dim=1", ones(3)),
    ):  # fmt: skip
        yield Row(
            "Softmax", partial(mg.Softmax, **options), x, lambda _, x, a=axis: shares(x, a),
            f"Softmax({argument})", wrong=wrong, batch=1 - axis,
        )  # fmt: skip
        yield Row(
            "LogSoftmax", partial(mg.LogSoftmax, **options), x,
            lambda _, x, a=axis: by_entry(math.log)(shares(x, a)),
            f"LogSoftmax({argument})", wrong=wrong, batch=1 - axis,
        )  # fmt: skip


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


def shares(x: Any, axis: int) -> Any:
    columns = np.moveaxis(by_entry(math.exp)(x), axis, 0)
    return np.moveaxis(columns / sum(columns[1:], columns[0]), 0, axis)


def products() -> Iterator[Row]:
    yield Row(
        "Linear", partial(mg.Linear, 3, 2), draw(4, 3),
        lambda s, x: linear_by_hand(x, s["weight"], np.zeros(2)),
        "Linear(3, 2)  # 6 parameters", "weight", wrong=ones(4, 2),
    )  # fmt: skip
    yield Row(
        "Linear", partial(mg.Linear, 3, 2, bias=True), draw(4, 5, 3),
        lambda s, x: linear_by_hand(x, s["weight"], s["bias"]),
        "Linear(3, 2, bias=True)  # 8 parameters", "weight bias", wrong=ones(3, 2),
    )  # fmt: skip
    yield Row(
        "Embedding", partial(mg.Embedding, 5, 2), np.array([[1, 4], [1, 0]]),
        lambda s, x: np.array([[s["weight"][i] for i in row] for row in x]),
        "Embedding(5, 2)  # 10 parameters", "weight", wrong=np.array([1, 5]),
    )  # fmt: skip
    yield Row(
        "Embedding", partial(mg.Embedding, 5, 2, padding_idx=3), np.array([1, 4, 1]),
        lambda s, x: np.array([s["weight"][i] for i in x]),
        "Embedding(5, 2, padding_idx=3)  # 10 parameters", "weight", wrong=np.array([-1]),
    )  # fmt: skip
    yield Row(
        "Conv1d", partial(mg.Conv1d, 2, 4, 3), draw(3, 2, 5),
        lambda s, x: convolve_by_hand(x, s["weight"]),
        "Conv1d(2, 4, 3)  # 24 parameters", "weight", wrong=ones(3, 4, 5),
    )  # fmt: skip
    options: dict[str, Any] = {"padding": "same", "dilation": 2, "groups": 2}
    yield Row(
        "Conv1d", partial(mg.Conv1d, 2, 4, 3, bias=True, **options), draw(3, 2, 5),
        lambda s, x, o=options: convolve_by_hand(x, s["weight"], s["bias"], **o),
        "Conv1d(2, 4, 3, padding='same', dilation=2, groups=2, bias=True)  # 16 parameters",
        "weight bias", wrong=ones(3, 3, 5),
    )  # fmt: skip
    yield Row(
        "Conv2d", partial(mg.Conv2d, 2, 3, 3), draw(2, 2, 4, 3),
        lambda s, x: convolve_by_hand(x, s["weight"]),
        "Conv2d(2, 3, 3)  # 54 parameters", "weight", wrong=ones(2, 2, 2, 3),
    )  # fmt: skip
    wide: dict[str, Any] = {"stride": (2, 1), "padding": 1}
    yield Row(
        "Conv2d", partial(mg.Conv2d, 2, 3, (3, 2), **wide, bias=True), draw(2, 2, 4, 3),
        lambda s, x, o=wide: convolve_by_hand(x, s["weight"], s["bias"], **o),
        "Conv2d(2, 3, (3, 2), stride=(2, 1), padding=1, bias=True)  # 39 parameters",
        "weight bias", wrong=ones(4, 3),
    )  # fmt: skip


def windows() -> Iterator[Row]:
    options: dict[str, Any] = {"kernel_size": 2}
    both: dict[str, Any] = {"kernel_size": (3, 2), "stride": 1, "padding": 1}
    for given, arguments in ((options, "2"), (both, "(3, 2), stride=1, padding=1")):
        yield Row(
            "MaxPool2d", partial(mg.MaxPool2d, **given), draw(2, 3, 5, 4),
            lambda _, x, o=given: pool_by_hand(x, max, **o),
            f"MaxPool2d({arguments})", wrong=ones(3, 0, 2),
        )  # fmt: skip
        yield Row(
            "AvgPool2d", partial(mg.AvgPool2d, **given), draw(2, 3, 5, 4),
            lambda _, x, o=given: pool_by_hand(x, partial(mean_by_hand, o), **o),
            f"AvgPool2d({arguments})", wrong=ones(4, 4),
        )  # fmt: skip
    yield Row(
        "Flatten", mg.Flatten, draw(3, 2, 2, 2),
        lambda _, x: np.array([[image[i] for i in np.ndindex(2, 2, 2)] for image in x]),
        "Flatten()", wrong=ones(3),
    )  # fmt: skip
    yield Row(
        "Flatten", partial(mg.Flatten, 0, 1), draw(3, 2, 4),
        lambda _, x: np.array([x[i, j] for i in range(3) for j in range(2)]),
        "Flatten(start_dim=0, end_dim=1)", wrong=ones(3), batch=2,
    )  # fmt: skip


def normalizations() -> Iterator[Row]:
    batch_norm = "running_mean running_var num_batches_tracked"
    shapes: list[tuple[Any, Shape, Shape]] = [
        (mg.BatchNorm1d, (4, 3), (4, 2)), (mg.BatchNorm1d, (4, 3, 2), (3, 4, 2)),
        (mg.BatchNorm2d, (4, 3, 2, 2), (4, 3)),
    ]  # fmt: skip
    for kind, shape, wrong in shapes:
        yield Row(
            kind.__name__, partial(kind, 3), draw(*shape), running,
            f"{kind.__name__}(3)  # 6 parameters", f"weight bias {batch_norm}", ones(*wrong),
            trains_alike=False,
        )  # fmt: skip
    options: dict[str, Any] = {"eps": 0.01, "momentum": None, "affine": False}
    yield Row(
        "BatchNorm1d", partial(mg.BatchNorm1d, 3, **options), draw(4, 3),
        partial(running, eps=0.01), "BatchNorm1d(3, eps=0.01, momentum=None, affine=False)",
        batch_norm, ones(3), trains_alike=False,
    )  # fmt: skip
    yield Row(
        "BatchNorm2d", partial(mg.BatchNorm2d, 3, track_running_stats=False),
        draw(4, 3, 2, 2),
        lambda s, x: running({**s, "running_mean": x.mean((0, 2, 3)),
                              "running_var": x.var((0, 2, 3))}, x),
        "BatchNorm2d(3, track_running_stats=False)  # 6 parameters", "weight bias",
        ones(4, 2, 2, 2), batch=3,
    )  # fmt: skip
    forms: list[tuple[Any, dict[str, Any], Shape, str, str]] = [
        (5, {}, (5,), "", "weight bias"),
        ((2, 5), {"bias": False}, (2, 5), ", bias=False", "weight"),
        ([5], {"eps": 0.5, "elementwise_affine": False}, (5,),
         ", eps=0.5, elementwise_affine=False, bias=False", ""),
    ]  # fmt: skip
    for given, options, shape, arguments, names in forms:
        count = math.prod(shape) * len(names.split())
        yield Row(
            "LayerNorm", partial(mg.LayerNorm, given, **options), draw(3, 2, 5),
            lambda s, x, n=shape, o=options: norm_by_hand(
                x, list(s.values()), len(n), o.get("eps", 1e-5)),
            f"LayerNorm({shape}{arguments})" + (f"  # {count} parameters" if count else ""),
            names, ones(3, 5, 2),
        )  # fmt: skip
    yield Row(
        "RMSNorm", partial(mg.RMSNorm, 5), draw(3, 2, 5),
        lambda s, x: norm_by_hand(x, [s["weight"]], 1, 2.0**-52, centred=False),
        "RMSNorm((5,))  # 5 parameters", "weight", ones(5, 3),
    )  # fmt: skip
    yield Row(
        "RMSNorm", partial(mg.RMSNorm, (2, 5), 0.5, elementwise_affine=False),
        draw(3, 2, 5), lambda _, x: norm_by_hand(x, [], 2, 0.5, centred=False),
        "RMSNorm((2, 5), eps=0.5, elementwise_affine=False)", wrong=ones(3, 5, 2),
    )  # fmt: skip
    yield Row("Dropout", mg.Dropout, draw(3, 4), lambda _, x: x, "Dropout()", trains_alike=False)
    yield Row("Dropout", partial(mg.Dropout, 0.0), draw(3, 4), lambda _, x: x,
              "Dropout(p=0.0)")  # fmt: skip


def running(s: State, x: Any, eps: float = 1e-5) -> Any:
    """Batch norm with the running averages in a state."""
    channels = []
    for c, (mean, var) in enumerate(zip(s["running_mean"], s["running_var"])):
        y = (x[:, c] - mean) / math.sqrt(var + eps)
        channels.append(y * s["weight"][c] + s["bias"][c] if "weight" in s else y)
    return np.stack(channels, axis=1)


def recurrent() -> Iterator[Row]:
    sequences = draw(4, 2, 3)
    weights = "weight_ih_{0} weight_hh_{0} bias_ih_{0} bias_hh_{0}"
    bare = "weight_ih_{0} weight_hh_{0}"
    for kind, step, gates in ((mg.RNN, partial(rnn_step, math.tanh), 1), (mg.GRU, gru_step, 3)):
        yield Row(
            kind.__name__, partial(kind, 3, 2), sequences, partial(network, step),
            f"{kind.__name__}(3, 2)  # {gates * (6 + 4 + 4)} parameters", weights.format("l0"),
            ones(4, 2, 2), batch=1,
        )  # fmt: skip
    yield Row(
        "LSTM", partial(mg.LSTM, 3, 2), sequences, partial(network, lstm_step, cell=True),
        "LSTM(3, 2)  # 56 parameters", weights.format("l0"), ones(4, 2, 2), batch=1,
    )  # fmt: skip
    yield Row(
        "RNN", partial(mg.RNN, 3, 4, 2, "relu", bias=False, dropout=0.5), sequences,
        partial(network, partial(rnn_step, partial(max, 0.0)), layers=2),
        "RNN(3, 4, num_layers=2, nonlinearity='relu', bias=False, dropout=0.5)  # 60 parameters",
        " ".join(bare.format(place) for place in ("l0", "l1")), ones(3), batch=1,
        trains_alike=False,
    )  # fmt: skip
    places = ("l0", "l0_reverse", "l1", "l1_reverse")
    yield Row(
        "GRU", partial(mg.GRU, 3, 2, 2, bidirectional=True), sequences,
        partial(network, gru_step, layers=2, both=True),
        "GRU(3, 2, num_layers=2, bidirectional=True)  # 180 parameters",
        " ".join(weights.format(place) for place in places), ones(4, 2, 3, 3), batch=1,
    )  # fmt: skip
    yield Row(
        "LSTM",
        partial(mg.LSTM, 3, 2, 2, batch_first=True, bidirectional=True, dropout=0.25),
        sequences.swapaxes(0, 1).copy(), batch_first,
        "LSTM(3, 2, num_layers=2, batch_first=True, dropout=0.25, bidirectional=True)"
        "  # 240 parameters",
        " ".join(weights.format(place) for place in places), ones(2, 4, 2), trains_alike=False,
    )  # fmt: skip
    yield Row(
        "LSTM", partial(mg.LSTM, 3, 2, batch_first=True), sequences[:, 0],
        lambda s, x: [y.squeeze(1) for y in network(lstm_step, s, x[:, None], cell=True)],
        "LSTM(3, 2, batch_first=True)  # 56 parameters", weights.format("l0"), ones(4, 4), batch=2,
    )  # fmt: skip


def batch_first(s: State, x: Any) -> list[Any]:
    y, *states = network(lstm_step, s, x.swapaxes(0, 1), layers=2, both=True, cell=True)
    return [y.swapaxes(0, 1), *states]


def network(
    step: Any, s: State, x: Any, layers: int = 1, both: bool = False, cell: bool = False
) -> list[Any]:
    """Run layers of recurrent networks from zeros; return the output and the last states."""
    hidden, cells = [], []
    for i in range(layers):
        outputs = []
        for direction in ("", "_reverse")[: 1 + both]:
            weights = [array for name, array in s.items() if name.endswith(f"_l{i}{direction}")]
            zeros = np.zeros((x.shape[1], weights[1].shape[1]))
            c = zeros.copy() if cell else None
            y = run(step, x[::-1] if direction else x, zeros, *weights, cells=c)
            hidden.append(y[-1])
            cells.append(c)
            outputs.append(y[::-1] if direction else y)
        x = np.concatenate(outputs, axis=-1)
    return [x, np.array(hidden), *([np.array(cells)] if cell else [])]


def attentions() -> Iterator[Row]:
    names = "in_proj_weight in_proj_bias out_proj.weight out_proj.bias"
    yield Row(
        "MultiHeadAttention", partial(mg.MultiHeadAttention, 4, 2), draw(3, 2, 4),
        lambda s, x: attend(s, x.swapaxes(0, 1), 2, turned=True),
        "MultiHeadAttention(4, 2,\n  (out_proj): Linear(4, 4, bias=True)  # 20 parameters\n"
        ")  # 80 parameters",
        names, ones(3, 2, 5), batch=1,
    )  # fmt: skip
    yield Row(
        "MultiHeadAttention",
        partial(mg.MultiHeadAttention, 4, 4, 0.25, bias=False, batch_first=True),
        draw(2, 3, 4), lambda s, x: attend(s, x, 4),
        "MultiHeadAttention(4, 4, dropout=0.25, bias=False, batch_first=True,\n"
        "  (out_proj): Linear(4, 4)  # 16 parameters\n)  # 64 parameters",
        "in_proj_weight out_proj.weight", ones(4), trains_alike=False,
    )  # fmt: skip
    block = "self_attn.in_proj_weight self_attn.in_proj_bias self_attn.out_proj.weight "
    block += "self_attn.out_proj.bias linear1.weight linear1.bias linear2.weight linear2.bias "
    block += "norm1.weight norm1.bias norm2.weight norm2.bias"
    yield Row(
        "TransformerBlock", partial(mg.TransformerBlock, 4, 2), draw(2, 3, 4), pre_norm,
        transformer("", 16, 0.0, 80, 68, 244), block, ones(2, 3, 5), "LayerNorm",
    )  # fmt: skip
    yield Row(
        "TransformerBlock", partial(mg.TransformerBlock, 4, 2, 6, 0.125, causal=True),
        draw(2, 3, 4), partial(pre_norm, mask=np.triu(np.full((3, 3), -np.inf), 1)),
        transformer(", hidden_features=6, dropout=0.125, causal=True", 6, 0.125, 30, 28, 154),
        block, ones(4), "MultiHeadAttention", trains_alike=False,
    )  # fmt: skip


def attend(
    s: State, x: Any, heads: int, prefix: str = "", mask: Any = None, turned: bool = False
) -> list[Any]:
    """Attention of x (batch, steps, features) to itself: the output and the mean weights."""
    s = {name.removeprefix(prefix): array for name, array in s.items()}
    width = x.shape[-1]
    packed = linear_by_hand(x, s["in_proj_weight"].T, s.get("in_proj_bias", np.zeros(3 * width)))
    query, key, value = (packed[..., i * width : (i + 1) * width] for i in range(3))
    y = attention_by_hand(query, key, value, heads, mask)
    y = linear_by_hand(y, s["out_proj.weight"], s.get("out_proj.bias", np.zeros(width)))
    weights = weights_by_hand(query, key, heads, mask)
    return [y.swapaxes(0, 1) if turned else y, sum(weights[:, h] for h in range(heads)) / heads]


def pre_norm(s: State, x: Any, mask: Any = None) -> Any:
    normalized = norm_by_hand(x, [s["norm1.weight"], s["norm1.bias"]], 1, 1e-5)
    x = x + attend(s, normalized, 2, "self_attn.", mask)[0]
    normalized = norm_by_hand(x, [s["norm2.weight"], s["norm2.bias"]], 1, 1e-5)
    hidden = by_entry(gelu)(linear_by_hand(normalized, s["linear1.weight"], s["linear1.bias"]))
    return x + linear_by_hand(hidden, s["linear2.weight"], s["linear2.bias"])


def transformer(arguments: str, hidden: int, p: float, first: int, last: int, total: int) -> str:
    dropout = f", dropout={p}" if p else ""
    return f"""TransformerBlock(4, 2{arguments},
  (self_attn): MultiHeadAttention(4, 2{dropout}, batch_first=True,
    (out_proj): Linear(4, 4, bias=True)  # 20 parameters
  )  # 80 parameters
  (linear1): Linear(4, {hidden}, bias=True)  # {first} parameters
  (linear2): Linear({hidden}, 4, bias=True)  # {last} parameters
  (norm1): LayerNorm((4,))  # 8 parameters
  (norm2): LayerNorm((4,))  # 8 parameters
  (activation): GELU()
  (drop): Dropout(p={p})
)  # {total} parameters"""


def containers() -> Iterator[Row]:
    def sequential(rng: Any = None, dtype: Any = None) -> mg.Layer:
        return mg.Sequential(mg.Linear(3, 4, rng=rng, dtype=dtype), np.tanh)

    def residual(rng: Any = None, dtype: Any = None) -> mg.Layer:
        return mg.Residual(mg.Linear(3, 3, rng=rng, dtype=dtype), mg.Sigmoid())

    yield Row(
        "Sequential", sequential, draw(2, 3),
        lambda s, x: by_entry(math.tanh)(linear_by_hand(x, s["0.weight"], np.zeros(4))),
        "Sequential(\n  (0): Linear(3, 4)  # 12 parameters\n  (1): tanh\n)  # 12 parameters",
        "0.weight", ones(2, 4), "Linear",
    )  # fmt: skip
    yield Row(
        "Residual", residual, draw(2, 3),
        lambda s, x: x + by_entry(sigmoid)(linear_by_hand(x, s["0.weight"], np.zeros(3))),
        "Residual(\n  (0): Linear(3, 3)  # 9 parameters\n  (1): Sigmoid()\n)  # 9 parameters",
        "0.weight", ones(3, 2), "Linear",
    )  # fmt: skip
    yield Row(
        "Layer", partial(Scale, 3), draw(2, 3), lambda s, x: x * s["factor"],
        "Scale()  # 3 parameters", "factor seen", ones(2, 4), "Scale",
    )  # fmt: skip


MAKERS = (activations, products, windows, normalizations, recurrent, attentions, containers)
ROWS = [row for maker in MAKERS for row in maker()]


def each(fits: Callable[[Row], bool] = lambda row: True) -> pytest.MarkDecorator:
    """Run a test for every row, or every row of a kind."""
    rows = [row for row in ROWS if fits(row)]
    return pytest.mark.parametrize("row", rows, ids=[row.repr.split("\n")[0] for row in rows])


each_mode = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def build(row: Row, seed: int = 0, **options: Any) -> Any:
    """Make the row's layer, passing on what it takes."""
    takes = inspect.signature(row.make).parameters
    options = {"rng": np.random.default_rng(seed), **options}
    return row.make(**{name: value for name, value in options.items() if name in takes})


def stirred(row: Row, training: bool = False, dtype: Any = np.float64) -> Any:
    """Make the row's layer with numbers of every kind in its parameters and state."""
    layer, rng = build(row, dtype=dtype), np.random.default_rng(7)
    state = layer.state_dict()
    for name, array in state.items():
        if array.dtype.kind == "f":
            low = 0.5 if name == "running_var" else -1
            state[name] = rng.uniform(low, low + 2, array.shape).astype(dtype)
    layer.load_state_dict(state)
    return layer.train(training)


def outputs(layer: Any, x: Any, seed: int = 5) -> list[mg.Tensor]:
    """Run a layer whose dropouts draw from `seed`; return the tensors that it returns."""
    for _, inner in layer.layers_within():
        if hasattr(inner, "rng"):
            inner.rng = np.random.default_rng(seed)
    return flat(layer(x))


def flat(result: Any) -> list[mg.Tensor]:
    return [t for part in result for t in flat(part)] if isinstance(result, tuple) else [result]


class Whole(mg.Layer):
    """A layer all of whose outputs are one tensor, as gradcheck wants it."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def forward(self, x: mg.Tensor) -> Any:
        first, *others = outputs(self.layer, x)
        return first.concatenate(*others, axis=None)


def test_every_public_layer_has_a_row() -> None:
    assert {row.name for row in ROWS} == set(mg.layers.__all__)
    for row in ROWS:
        assert isinstance(build(row), getattr(mg, row.name))


@each()
def test_forward_equals_the_formula(row: Row) -> None:
    layer, x = stirred(row), row.x.copy()
    x.setflags(write=False)
    expected = row.formula(layer.state_dict(), x)
    expected = expected if isinstance(expected, list) else [expected]
    for y, array in zip(outputs(layer, x), expected, strict=True):
        assert y.shape == array.shape
        np.testing.assert_allclose(y.data, array, rtol=1e-11, atol=1e-12)


@each()
def test_training_mode_changes_only_what_it_promises_to(row: Row) -> None:
    training, evaluating = (stirred(row, mode) for mode in (True, False))
    before = evaluating.state_dict()
    pairs = zip(outputs(training, row.x), outputs(evaluating, row.x), strict=True)
    assert all(np.array_equal(t.data, e.data) for t, e in pairs) is row.trains_alike
    after = evaluating.state_dict()
    assert all(np.array_equal(array, after[name]) for name, array in before.items())


@each(lambda row: row.x.dtype.kind == "f" or "weight" in row.state)
@each_mode
def test_gradients_of_the_input_and_of_all_parameters_are_right(row: Row, training: bool) -> None:
    assert mg.gradcheck(Whole(stirred(row, training)), row.x)


@each(lambda row: row.x.dtype.kind == "f" or "weight" in row.state)
def test_gradients_are_the_same_alone_and_in_company_and_twice_as_much_the_second_time(
    row: Row,
) -> None:
    layer = Whole(stirred(row))
    x = mg.Tensor(row.x, requires_grad=row.x.dtype.kind == "f")
    leaves = [leaf for leaf in (x, *layer.parameters()) if leaf.requires_grad]
    y = layer(x)
    g = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(g, retain_graph=True)
    together: list[Any] = [leaf.grad for leaf in leaves]
    y.backward(g)
    for leaf, gradient in zip(leaves, together):
        assert np.array_equal(leaf.grad, 2 * gradient)  # type: ignore[arg-type]
    for leaf in leaves:
        leaf.requires_grad = False
    for leaf, gradient in zip(leaves, together):
        leaf.requires_grad = True
        layer(x).backward(g)
        assert np.array_equal(leaf.grad, gradient)  # type: ignore[arg-type]
        leaf.requires_grad = False


@each()
@each_mode
def test_float32_stays_float32_and_close_to_float64(row: Row, training: bool) -> None:
    found: dict[Any, list[Any]] = {}
    for dtype in (np.float32, np.float64):
        layer = stirred(row, training, dtype)
        x = mg.Tensor(row.x.astype(dtype) if row.x.dtype.kind == "f" else row.x)
        x.requires_grad = x.dtype.kind == "f"
        results = outputs(layer, x)
        sum((y.sum() for y in results[1:]), results[0].sum()).backward()
        arrays = [y.data for y in results] + [p.grad for p in layer.parameters()]
        arrays += [x.grad] if x.requires_grad else []
        arrays += [a for a in layer.state_dict().values() if a.dtype.kind == "f"]
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}
        found[dtype] = arrays
    for narrow, wide in zip(found[np.float32], found[np.float64], strict=True):
        np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=2e-5)


@each()
def test_a_second_layer_that_loads_the_state_gives_the_same(row: Row) -> None:
    layer, other = build(row, 0), build(row, 1)
    layer(row.x)  # in training mode, which changes running averages
    assert list(layer.state_dict()) == row.state.split()
    loaded = stirred(row)
    for source in (layer, loaded):
        other.load_state_dict(source.state_dict())
        for y, expected in zip(outputs(other.eval(), row.x), outputs(source.eval(), row.x)):
            assert np.array_equal(y.data, expected.data)
    if row.state:
        changed = [np.array_equal(a, b) for a, b in zip(
            layer.state_dict().values(), loaded.state_dict().values())]  # fmt: skip
        assert not all(changed)


@each()
def test_repr_is_how_the_layer_is_made(row: Row) -> None:
    layer = build(row)
    assert repr(layer) == row.repr
    if "\n" not in row.repr and row.name != "Layer":
        again = eval(row.repr, vars(mg))
        assert type(again) is type(layer)
        assert repr(again) == row.repr


@each(lambda row: row.wrong is None)
def test_what_works_entry_by_entry_takes_every_shape(row: Row) -> None:
    for shape in ((), (3,), (2, 1, 3, 1)):
        assert build(row)(np.ones(shape)).shape == shape


@each(lambda row: row.wrong is not None)
def test_what_does_not_fit_is_named_with_the_layer(row: Row) -> None:
    layer = build(row)
    before = layer.state_dict()
    with pytest.raises(IndexError if row.name == "Embedding" else ValueError) as caught:
        layer(row.wrong)
    named, received = str(caught.value).split("): ", 1)
    assert named.startswith(f"{row.blamed or row.name}(")
    assert (str(row.wrong[-1]) if row.name == "Embedding" else str(row.wrong.shape)) in received
    after = layer.state_dict()
    assert all(np.array_equal(a, after[n]) for n, a in before.items() if n != "seen")


@each()
@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_layers_copy_and_pickle_after_use(row: Row, make: Callable[[Any], Any]) -> None:
    layer = stirred(row, training=True)
    results = outputs(layer, row.x)
    if results[0].requires_grad:
        results[0].sum().backward()
    twin = make(layer.eval())
    assert not twin.training
    assert repr(twin) == row.repr
    before = [y.numpy() for y in outputs(layer, row.x)]
    assert all(np.array_equal(a, b.data) for a, b in zip(before, outputs(twin, row.x)))
    for parameter in twin.parameters():
        parameter.data += 1
    assert all(np.array_equal(a, b.data) for a, b in zip(before, outputs(layer, row.x)))


@each(lambda row: row.batch < row.x.ndim)
def test_an_empty_batch_gives_an_empty_output_and_gradients_of_zero(row: Row) -> None:
    layer = stirred(row)
    full = outputs(layer, row.x)[0].shape
    empty = mg.Tensor(np.take(row.x, [], axis=row.batch))
    empty.requires_grad = empty.dtype.kind == "f"
    y = outputs(layer, empty)[0]
    assert y.size == 0
    assert y.ndim == len(full)
    if y.requires_grad:
        y.sum().backward()
    assert not empty.requires_grad or empty.grad is not None
    for parameter in layer.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


@each()
def test_where_the_input_lies_in_memory_does_not_matter(row: Row) -> None:
    layer = stirred(row, training=True)
    spread = np.zeros((*row.x.shape[:-1], 2 * row.x.shape[-1]), row.x.dtype)
    spread[..., ::-2] = row.x
    for x in (np.asfortranarray(row.x), spread[..., ::-2]):
        twin = copy.deepcopy(layer)
        for y, expected in zip(outputs(twin, x), outputs(copy.deepcopy(layer), row.x)):
            np.testing.assert_allclose(y.data, expected.data, rtol=1e-12, atol=1e-13)


@each(lambda row: row.x.dtype.kind == "f")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_integers_and_booleans_count_as_floats(row: Row, dtype: Any) -> None:
    layer = stirred(row, True, dtype)
    for integers in (np.round(row.x * 3).astype(int), row.x > 0):
        if integers.dtype == bool and not row.state:
            continue  # of which NumPy makes what it likes
        floats = outputs(copy.deepcopy(layer), integers.astype(dtype))
        for y, expected in zip(outputs(copy.deepcopy(layer), integers), floats):
            np.testing.assert_allclose(y.data, expected.data, rtol=1e-5, atol=1e-5)
            assert y.dtype == dtype or not layer.parameters()


@each(lambda row: row.x.dtype.kind == "f")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_pass_silently(row: Row, value: float) -> None:
    x = mg.Tensor(row.x.copy(), requires_grad=True)
    x.data[..., 0] = value
    for training in (True, False):  # warnings are errors
        layer = stirred(row, training)
        for _ in range(2):
            y = outputs(layer, x)[0]
        y.sum().backward()


def draws(row: Row) -> bool:
    """Whether the row's layer draws weights: norms do not, and containers are given layers."""
    return bool(row.state) and "Norm" not in row.name and row.blamed not in ("Linear", "Scale")


@each(lambda row: "weight" in row.state and row.blamed != "Linear")
def test_weight_init_makes_every_weight(row: Row) -> None:
    layer = build(row, weight_init=mg.initializers.constant(0.5), dtype=np.float32)
    weights = [p for n, p in layer.named_parameters() if "weight" in n and "norm" not in n]
    for weight in weights:
        expected = np.full(weight.shape, 0.5, np.float32)
        if row.name == "Embedding" and layer.padding_idx is not None:
            expected[layer.padding_idx] = 0
        assert np.array_equal(weight.data, expected)
        assert weight.dtype == np.float32
    assert weights


@each(draws)
def test_weights_can_be_orthogonal(row: Row) -> None:
    layer = build(row, weight_init=mg.initializers.orthogonal())
    for name, parameter in layer.named_parameters():
        if "weight" not in name or "norm" in name:
            continue
        drawn = [parameter.data]
        if name.startswith("weight_"):  # gates one behind the other, each (size, in)
            drawn = np.split(drawn[0], len(drawn[0]) // layer.hidden_size)
        for matrix in drawn:
            flat = matrix.reshape(len(matrix), -1)
            flat = flat if len(flat) <= flat.shape[1] else flat.T
            if row.name == "Embedding" and layer.padding_idx is not None:
                continue
            np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-12)


@each(draws)
def test_rng_makes_weights_reproducible(row: Row) -> None:
    first, second, other = (build(row, seed).state_dict() for seed in (0, 0, 1))
    assert all(np.array_equal(array, second[name]) for name, array in first.items())
    assert any(not np.array_equal(array, other[name]) for name, array in first.items())
    states = []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        states.append(build(row, rng=None).state_dict())
    first, second, other = states
    assert all(np.array_equal(array, second[name]) for name, array in first.items())
    assert any(not np.array_equal(array, other[name]) for name, array in first.items())


def test_layers_with_weights_take_weight_init_rng_and_dtype_by_name_alone() -> None:
    for row in ROWS:
        if row.state and row.name not in ("Layer", "Sequential", "Residual"):
            takes = inspect.signature(getattr(mg, row.name)).parameters
            for name in ("weight_init", "rng", "dtype"):
                assert takes[name].kind is inspect.Parameter.KEYWORD_ONLY, (row.name, name)
