"""ONNX: every layer and op runs the same elsewhere; what has no form there is refused by name."""

import errno
import math
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import micrograd_np as mg
from micrograd_np import operations, ops
from micrograd_np.saving import onnx_file
from tests.rows import numbers
from tests.test_layer_table import ROWS, flat, stirred
from tests.test_layer_table import Row as LayerRow
from tests.test_ops import CASES

LOSSES = {
    "absolute_error", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy",
    "hinge", "huber", "kl_divergence", "mean_squared_error", "negative_log_likelihood",
    "soft_cross_entropy", "squared_error", "sum_of_squares",
}  # fmt: skip
# Of no entries these crash some runtimes, the process and all.
CRASHES_IF_EMPTY = {"einsum", "gru", "linear", "lstm", "rnn", "sum"}
FORMS = sorted(op.__name__ for op in onnx_file.FORMS)
Function = Callable[..., Any]


class Formula(mg.Layer):
    """A layer as a user writes one."""

    def __init__(self, formula: Function) -> None:
        self.formula = formula

    def forward(self, *inputs: Any) -> Any:
        return self.formula(*inputs)


class Exported:
    """A model that was written to a file and is run from it."""

    def __init__(self, model: mg.Layer, example: Any, path: Path, **options: Any) -> None:
        mg.export_onnx(model, path, example, **options)
        self.proto = onnx.load(path)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            self.proto.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )

    def __call__(self, *inputs: Any) -> list[Any]:
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}
        given: dict[str, Any] = {
            end.name: np.asarray(x, kinds[end.type])
            for end, x in zip(self.session.get_inputs(), inputs, strict=True)
        }
        results: list[Any] = self.session.run(None, given)
        return results

    def agrees(self, model: mg.Layer, *inputs: Any) -> None:
        """Check that the file and the model in evaluation mode give the same."""
        was = model.training
        expected = [y.data for y in flat(model.eval()(*inputs))]
        model.train(was)
        for y, array in zip(self(*inputs), expected, strict=True):
            assert y.shape == array.shape
            assert (y.dtype.kind == "f") == (array.dtype.kind == "f")
            np.testing.assert_allclose(y, array, rtol=1e-5, atol=1e-5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.onnx"


def resized(x: Any, axis: int | None, size: int) -> Any:
    """Return an input of another batch size and other values."""
    if axis is None:
        return x
    rows = np.moveaxis(x, axis, 0)
    more = np.resize(rows, (size, *rows.shape[1:]))
    if x.dtype.kind == "f":
        more = more * np.linspace(0.8, 1.2, size).reshape(-1, *[1] * (x.ndim - 1))
    return np.moveaxis(more, 0, axis)


# Layers


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.repr.split("\n")[0])
def test_every_layer_gives_the_same_for_batches_of_every_size(
    row: LayerRow, dtype: Any, path: Path
) -> None:
    layer = stirred(row, training=True, dtype=dtype)
    axis = row.batch if row.batch < row.x.ndim else None
    exported = Exported(layer, row.x, path, batch_axis=axis)
    for size in (1, 4, 7):
        x = resized(row.x, axis, size)
        exported.agrees(layer, x.astype(dtype) if x.dtype.kind == "f" else x)


def test_all_layers_are_among_these() -> None:
    assert {row.name for row in ROWS} == set(mg.layers.__all__)


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.batch < r.x.ndim and r.name not in ("RNN", "GRU", "LSTM")],
    ids=lambda row: row.repr.split("\n")[0],
)  # fmt: skip
def test_batches_may_be_empty(row: LayerRow, path: Path) -> None:  # the runtime's RNNs crash
    layer = stirred(row)
    Exported(layer, row.x, path, batch_axis=row.batch).agrees(layer, row.x.take([], row.batch))


# Ops


def test_every_op_but_the_losses_has_a_form() -> None:
    assert set(FORMS) == set(ops.ALL) - LOSSES


@pytest.mark.parametrize("name", FORMS)
def test_every_op_gives_the_same(name: str, path: Path) -> None:
    for call, inputs in cases(name):
        model = Formula(call)
        Exported(model, inputs, path, batch_axis=None).agrees(model, *inputs)


def cases(name: str) -> Iterator[tuple[Function, Any]]:
    """Yield all that an op is tried on, but for what the format or the runtime does not know."""
    for row, inputs in CASES:
        if row.op != name:
            continue
        if "softmax" in name and inputs[0].ndim == 0:
            continue  # no axis
        if name in CRASHES_IF_EMPTY and not all(x.size for x in inputs):
            continue
        if name == "reshape" and inputs[0].size and not row.reference(*inputs).size:
            continue  # tile(0): it cannot repeat zero times
        yield row.call, inputs


# Whatever is accepted must be right. Of these two the rows name all lengths: see below.
@pytest.mark.parametrize("name", sorted({*FORMS} - {"broadcast_to", "take_along_axis"}))
def test_every_op_gives_the_same_for_batches_of_every_size(name: str, path: Path) -> None:
    agreed = 0
    for call, inputs in cases(name):
        model, others = Formula(call), len(inputs) - 1
        for axes in (
            [0] * len(inputs),
            [0] + [None] * others,
            [1, 0, 0, *[None] * 4][: others + 1],
        ):
            try:
                exported = Exported(model, inputs, path, batch_axis=axes)
            except ValueError:
                continue
            for size in (4, 7):
                exported.agrees(model, *(resized(x, a, size) for x, a in zip(inputs, axes)))
            agreed += 1
            break
    assert agreed


X = numbers((2, 3, 4))[0]
WITH_BATCHES: dict[str, Function] = {
    "broadcast": lambda x: x[:, None].broadcast_to((len(x), 2, 3, 4)),
    "broadcast before": lambda x: x.broadcast_to((5, *x.shape)),
    "own indices": lambda x: x.take_along_axis(np.full((len(x), 3, 2), [3, 0]), -1),
    "own indices of the middle": lambda x: x.swapaxes(0, 1).take_along_axis(
        np.ones((1, len(x), 4), int), 0),
    "flat": lambda x: x.reshape(len(x), -1),
    "all flat": lambda x: x.ravel(),
    "folded": lambda x: x.reshape(len(x) * 3, 4),
    "folded and back": lambda x: (x.reshape(-1, 4) * 2).reshape(len(x), 3, 4),
    "two that grow": lambda x: np.einsum("bij,cij->bc", x, x).reshape(1, len(x), len(x)),
    "one more": lambda x: np.concatenate([x, np.ones((1, 3, 4))]).reshape(len(x) + 1, 12),
    "zeros for each": lambda x: np.concatenate([x, np.zeros((len(x), 1, 4))], axis=1),
    "the same for each": lambda x: x + np.ones((len(x), 3, 1)) * np.arange(4.0),
    "last sample": lambda x: x[-1],
    "last sample by number": lambda x: x[len(x) - 1],
    "all but the first": lambda x: x[1:],
    "all but the last, by number": lambda x: x[: len(x) - 1],
    "as many features as samples": lambda x: x.pad(9)[:, : len(x), len(x)],
    "backwards": lambda x: x[::-1, ::-2],
    "backwards from the middle": lambda x: x[:, 1::-1, -1:0:-1],
    "last step": lambda x: x[:, -1],
    "some features": lambda x: x[..., [2, 0, 0]],
    "some features of some steps": lambda x: x[:, [0, 2], [1, -1]],
    "steps by a mask": lambda x: x[:, np.array([True, False, True])],
    "apart": lambda x: x.swapaxes(0, 1)[[0, 2], :, [1, 3]],
    "new axes": lambda x: x[None, :, None, ..., 0],
    "no features": lambda x: x[:, :, :0].reshape(len(x), 0, 5),
    "nothing taken": lambda x: x[...] + x[()],
    "as many": lambda x: x[:, :, None].repeat(2, 2).tile((1, 1, 1, 2)),
    "rolled": lambda x: x.roll((1, -1), (1, 2)),
    "flipped": lambda x: x.flip((0, -1)),
    "mean of samples": lambda x: x.mean(0) + x.sum((0, 1)),
    "spread of samples": lambda x: x.std((0, 1), ddof=1) + x.var(ddof=1) + x.var((0, 1), ddof=2),
    "over no axes": lambda x: x.sum(()) + x.mean(()) * x.norm(()),
    "padded": lambda x: x.pad([(0, 0), (1, 0), (0, 2)]),
    "padded by many": lambda x: x.pad(
        [(1, 2), (0, 1), (2, 0)], constant_values=[(1, 2), (3, 4), (5, 6)]),
    "no padding": lambda x: x.pad(0),
    "summed up": lambda x: x.cumsum(0) + x.cumsum(-1),
    "in company": lambda x: np.stack([x, x * 2], axis=-1).swapaxes(0, 1),
    "split": lambda x: x.split(2, axis=-1)[1] * x.split([1], axis=1)[0][..., :2],
    "contracted": lambda x: np.einsum("bij,bkj->bik", x, x),
    "traces": lambda x: x.trace(1, 1, 2),
    "outer": lambda x: x[:, 0, 0].outer(x[:, 0, 1]),
    "constant": lambda x: mg.Tensor([1.0, 2.0]) * 3,
    "not of ops, but not of the input": lambda x: x * mg.Tensor(np.arange(4.0) ** 2),
    "several": lambda x: (x, (x + 1, x.sum(), x)),
    "not used, without a form": lambda x: (x.tanh(), mg.mean_squared_error(x, x))[0],
    "shape of an intermediate": lambda x: np.concatenate([x, x]).reshape(2, len(x), 12),
}  # fmt: skip


@pytest.mark.parametrize("name", WITH_BATCHES)
def test_formulas_give_the_same_for_batches_of_every_size(name: str, path: Path) -> None:
    model = Formula(WITH_BATCHES[name])
    exported = Exported(model, X[:1], path)
    for size in (1, 2, 6):
        exported.agrees(model, resized(X, 0, size))
    turned = Formula(lambda x: model.formula(x.moveaxis(1, 0)))
    exported = Exported(turned, X[:1].swapaxes(0, 1), path, batch_axis=-2)
    exported.agrees(turned, resized(X, 0, 4).swapaxes(0, 1))


@pytest.mark.parametrize("name", ["take", "getitem", "embedding"])
def test_indices_may_be_inputs(name: str, path: Path) -> None:
    formulas: dict[str, Function] = {
        "take": lambda x, i: x.take(i, axis=1) + x.take(i[0, 0].data),
        "getitem": lambda x, i: x[i.data] + x[:, (i * 1).data].sum(),
        "embedding": lambda x, i: mg.apply(ops.embedding, x, indices=i.data),
    }
    model = Formula(formulas[name])
    x, indices = numbers((3, 3))[0], np.array([[0, 2], [1, 1], [2, 0]])
    exported = Exported(model, (x, indices), path, batch_axis=(None, 0))
    exported.agrees(model, x, indices[::-1])
    exported.agrees(model, x, np.array([[2, 1]]))


def test_inputs_among_other_indices_are_not_frozen(path: Path) -> None:
    inputs = numbers((3, 3))[0], np.array([0, 2])
    for index in (lambda i: (i, slice(1)), lambda i: (i, i), lambda i: (i, 0), lambda i: ([0], i)):
        model = Formula(lambda x, i, index=index: x[index(i.data)])
        with pytest.raises(
            ValueError, match=r"op getitem, .* where its index is computed like this"
        ):
            mg.export_onnx(model, path, inputs, batch_axis=None)
    model = Formula(lambda x, b: x[b.data])
    with pytest.raises(ValueError, match=r"uses \d|no valid ONNX form"):
        mg.export_onnx(model, path, (inputs[0], np.array([True, False, True])), batch_axis=None)


def test_indices_along_an_axis_may_be_inputs(path: Path) -> None:
    model = Formula(lambda x, i: x.take_along_axis(i.data, axis=1))
    x, indices = numbers((3, 4))[0], np.array([[0, 2], [1, -1], [2, 0]])
    exported = Exported(model, (x, indices), path)
    exported.agrees(model, x, indices[::-1])
    exported.agrees(model, x[:1], np.array([[3, 3, 1]])[:, :2])


# Values


INTEGERS = np.array([[3, -2, 0], [1, 5, -7]])
OF_INTEGERS: dict[str, Function] = {
    "converted": lambda x: x.astype(np.float32) / 2,
    "cut off": lambda x: (x * 0.7).astype(int),
    "truth": lambda x: x.astype(bool).astype(int),
    "beside floats": lambda x: x + np.array([0.5, 1.5, 2.5]),
    "floats beside": lambda x: np.array([4, 5, 6]) + x * 1.5,
    "divided": lambda x: x / 2 + x.mean(0) + x.sigmoid(),
    "whole": lambda x: (x * x - 2 * abs(x)).clip(-3, 20).maximum(1).relu(),
    "reduced": lambda x: x.sum(1, keepdims=True) + x.max(1, keepdims=True) * x.min() - x.prod(),
    "rounded": lambda x: x.round() + x.floor(),
    "clipped by arrays": lambda x: x.clip(np.array([-1, 0, 1]), None).clip(None, [2, 2.5, 3]),
    "chosen": lambda x: x.where(np.array([True, False, True]), 1.5),
    "products": lambda x: x @ [[1], [2], [3]] + x.cumsum(1)[:, :1] + x.sign()[:, 1:2],
    "moved": lambda x: x[:, ::-1].concatenate(x.pad(1)[1:-1], x[:, [0]], axis=1).triu(),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_INTEGERS)
def test_integers_stay_integers_until_floats_meet_them(name: str, path: Path) -> None:
    model = Formula(OF_INTEGERS[name])
    exported = Exported(model, INTEGERS, path)
    assert exported.session.get_inputs()[0].type == "tensor(int64)"
    exported.agrees(model, INTEGERS)
    exported.agrees(model, INTEGERS[[1, 0, 0]])


def test_booleans_are_an_input_too(path: Path) -> None:
    model = Formula(lambda x: x.astype(float)[:, None] * 2)
    example = np.array([True, False])
    Exported(model, example, path).agrees(model, ~example)


AWKWARD = np.array([[-1000, -88, -30, -1e-6, 0, 1e-6, 0.5, 15, 90, 1000]])
SATURATING: list[Any] = [
    mg.Sigmoid(), mg.Tanh(), mg.Softplus(), mg.Softplus(beta=3), mg.SiLU(), mg.GELU(),
    mg.GELU("tanh"), mg.ELU(), mg.ReLU(), mg.LeakyReLU(-2), mg.Softmax(), mg.LogSoftmax(),
    Formula(lambda x: x.logsumexp(1)), Formula(lambda x: x.logaddexp(500)), mg.RMSNorm(10),
    Formula(lambda x: x.erf()), Formula(lambda x: x.arctan()), mg.LayerNorm(10),
]  # fmt: skip


@pytest.mark.parametrize("layer", SATURATING, ids=repr)
def test_large_values_saturate_and_do_not_overflow(layer: Any, path: Path) -> None:
    exported = Exported(layer, np.ones((1, 10)), path)
    exported.agrees(layer, np.concatenate([AWKWARD, -AWKWARD / 3]))


def test_both_forms_of_gelu_are_told_apart(path: Path) -> None:
    x = np.linspace(-4, 4, 41)[:, None]
    (exact,) = Exported(mg.GELU(), x, path)(x)
    (by_tanh,) = Exported(mg.GELU("tanh"), x, path)(x)
    assert 1e-4 < abs(exact - by_tanh).max() < 1e-3


@pytest.mark.parametrize("kind", [mg.MaxPool2d, mg.AvgPool2d])
def test_what_pads_a_pool_counts_as_here(kind: Any, path: Path) -> None:
    x = -numbers((2, 1, 5, 5), low=0.5)[0]  # beside which zeros would be largest
    for options in (
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (4, 2), "stride": (3, 2), "padding": (2, 0)},
    ):
        Exported(kind(**options), x, path).agrees(kind(**options), x)
        alone = Exported(kind(**options), x[0], path, batch_axis=None)
        alone.agrees(kind(**options), x[1])


def test_queries_that_may_look_at_nothing_get_zeros(path: Path) -> None:
    mask = np.array([[0, -math.inf], [-math.inf, -math.inf]])
    attention = mg.MultiHeadAttention(4, 2, batch_first=True, rng=np.random.default_rng(0))
    model = Formula(lambda x: attention(x, attn_mask=mask))
    exported = Exported(model, numbers((1, 2, 4))[0], path)
    exported.agrees(model, numbers((3, 2, 4))[0])
    assert not exported(numbers((1, 2, 4))[0])[1][0, 1].any()


def test_masks_may_be_inputs_and_integers(path: Path) -> None:
    model = Formula(lambda x, m: mg.apply(ops.attention, x, heads=1, mask=m.data))
    inputs = numbers((2, 2, 6))[0], np.array([[0, -math.inf], [-math.inf, -math.inf]])
    Exported(model, inputs, path, batch_axis=(0, None)).agrees(model, *inputs)
    options: dict[str, Any] = {"mask": np.array([0, 2]), "keep": np.array([[1, 0], [2, 2]])}
    model = Formula(lambda x: mg.apply(ops.attention, x, heads=1, **options))
    Exported(model, inputs[0], path).agrees(model, inputs[0])


def test_what_float32_cannot_hold_is_infinite(path: Path) -> None:
    model = Formula(lambda x: x.minimum(1e300))
    assert Exported(model, [1.0, 2.0], path)([3.0])[0] == 3


# Models


class GPT(mg.Layer):
    """Logits of the next symbol at every position."""

    def __init__(self, rng: Any, dtype: Any) -> None:
        options = {"rng": rng, "dtype": dtype}
        self.symbol = mg.Embedding(7, 8, **options)
        self.position = mg.Embedding(5, 8, **options)
        self.blocks = [mg.TransformerBlock(8, 2, dropout=0.1, causal=True, **options) for _ in "ab"]
        self.norm = mg.LayerNorm(8, dtype=dtype)

    def forward(self, symbols: Any) -> Any:
        x = self.symbol(symbols) + self.position(np.arange(symbols.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.symbol.weight.T  # which are the same weights


class Classifier(mg.Layer):
    """What the last step of an LSTM, and the mean of the steps, say of a sequence."""

    def __init__(self, rng: Any, dtype: Any, batch_first: bool = True) -> None:
        options = {"rng": rng, "dtype": dtype}
        self.lstm = mg.LSTM(3, 4, 2, batch_first=batch_first, bidirectional=True, **options)
        self.head = mg.Linear(16, 5, bias=True, **options)

    def forward(self, x: Any) -> Any:
        y, (h, _) = self.lstm(x)
        last = y[:, -1] if self.lstm.batch_first else y[-1]
        h = h[-2:].swapaxes(0, 1).reshape(h.shape[1], 8)
        return self.head(np.concatenate([last, h], axis=-1)).softmax()


def mlp(rng: Any, dtype: Any) -> mg.Layer:
    options = {"bias": True, "rng": rng, "dtype": dtype}
    return mg.Sequential(
        mg.Linear(3, 8, **options), mg.ReLU(), mg.Dropout(0.5, rng=rng),
        mg.Residual(mg.Linear(8, 8, **options), np.tanh), lambda x: x / x.norm(-1, keepdims=True),
        mg.Linear(8, 2, **options),
    )  # fmt: skip


def cnn(rng: Any, dtype: Any) -> mg.Layer:
    options = {"rng": rng, "dtype": dtype}
    return mg.Sequential(
        mg.Conv2d(1, 4, 3, padding="same", **options), mg.BatchNorm2d(4, dtype=dtype), mg.ReLU(),
        mg.MaxPool2d(2), mg.Conv2d(4, 6, 3, stride=2, padding=1, bias=True, groups=2, **options),
        mg.AvgPool2d(2, 1), mg.Flatten(), mg.Linear(6, 3, **options), mg.LogSoftmax(),
    )  # fmt: skip


MODELS: dict[str, tuple[Function, Any, int]] = {
    "mlp": (mlp, numbers((4, 3))[0], 0),
    "cnn": (cnn, numbers((4, 1, 8, 8))[0], 0),
    "classifier": (Classifier, numbers((4, 6, 3))[0], 0),
    "steps first": (lambda rng, dtype: Classifier(rng, dtype, False), numbers((6, 4, 3))[0], 1),
    "gpt": (GPT, np.arange(20).reshape(4, 5) % 7, 0),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", MODELS)
def test_trained_models_give_the_same(name: str, dtype: Any, path: Path) -> None:
    make, x, axis = MODELS[name]
    x = x.astype(dtype) if x.dtype.kind == "f" else x
    model = make(np.random.default_rng(0), dtype)
    optimizer = mg.SGD(model.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
    before = model.state_dict()
    exported = Exported(model, x.take([0], axis), path, batch_axis=axis)
    assert all(np.array_equal(array, before[n]) for n, array in model.state_dict().items())
    assert all(layer.training for _, layer in model.layers_within())
    for size in (1, 4, 9):
        exported.agrees(model, resized(x, axis, size))
    assert exported.session.get_inputs()[0].shape[axis] == "batch"
    assert exported.session.get_outputs()[0].shape[0] == "batch"


def test_parameters_keep_names_and_shapes_and_are_written_once(path: Path) -> None:
    model = GPT(np.random.default_rng(0), np.float64)
    proto = Exported(model, np.zeros((1, 5), int), path).proto
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in proto.graph.initializer}
    for name, parameter in model.named_parameters():
        assert np.array_equal(arrays[name], parameter.data.astype(np.float32)), name
    assert sum(array.size == 7 * 8 for array in arrays.values()) == 1
    assert {array.dtype for array in arrays.values()} == {np.dtype("f4"), np.dtype("i8")}


def test_nodes_are_named_after_layers_and_ops(path: Path) -> None:
    model = mg.Sequential(mg.Linear(3, 2), mg.Residual(mg.Sigmoid(), mg.Linear(2, 2, bias=True)))
    proto = Exported(model, [[1.0, 2.0, 3.0]], path).proto
    assert [node.name for node in proto.graph.node] == [
        "0/matmul/MatMul", "1.0/sigmoid/Sigmoid", "1.1/linear/MatMul", "1.1/linear/Add",
        "1/add/Add", "output",
    ]  # fmt: skip
    assert [each.name for each in proto.graph.initializer] == [
        "0.weight", "1.1.weight", "1.1.bias",
    ]  # fmt: skip


def test_inputs_and_outputs_are_named_and_typed(path: Path) -> None:
    model = Formula(lambda x, i, b: (x * 2, (i + 1, b[None]), x.reshape(-1)))
    exported = Exported(model, (np.ones((2, 3), np.float32), [1, 2], np.array(True)), path,
                        batch_axis=(0, 0, None))  # fmt: skip
    ends = [(e.name, e.type, e.shape) for e in exported.session.get_inputs()]
    assert ends == [
        ("input_0", "tensor(float)", ["batch", 3]), ("input_1", "tensor(int64)", ["batch"]),
        ("input_2", "tensor(bool)", []),
    ]  # fmt: skip
    ends = [(e.name, e.type, e.shape) for e in exported.session.get_outputs()]
    assert ends == [
        ("output_0", "tensor(float)", ["batch", 3]), ("output_1", "tensor(int64)", ["batch"]),
        ("output_2", "tensor(bool)", [1]), ("output_3", "tensor(float)", ["3*batch"]),
    ]  # fmt: skip
    exported = Exported(Formula(lambda x: np.concatenate([x, x[:1]])), [1.0, 2.0], path)
    assert exported.session.get_outputs()[0].shape == ["batch+1"]


def test_the_batch_may_be_the_last_axis(path: Path) -> None:
    model = Formula(lambda x: x.T.broadcast_to((2, x.shape[1], 3)))
    exported = Exported(model, np.ones((3, 1)), path, batch_axis=-1)
    exported.agrees(model, numbers((3, 4))[0])


def test_the_batch_size_is_looked_up_once(path: Path) -> None:
    model = Formula(lambda x: tuple(x[:, None].broadcast_to((len(x), n, 3)) for n in (2, 4)))
    kinds = [node.op_type for node in Exported(model, np.ones((1, 3)), path).proto.graph.node]
    assert kinds.count("Expand") == 2
    assert kinds.count("Shape") == 1


def test_a_parameter_may_be_called_input(path: Path) -> None:
    model: Any = Formula(lambda x: x * model.input)
    model.input = mg.Tensor([1.0, 2.0], requires_grad=True)
    Exported(model, [[1.0, 1.0]], path).agrees(model, [[3.0, 4.0]])


def test_states_of_recurrent_layers_may_be_inputs(path: Path) -> None:
    lstm = mg.LSTM(3, 2, batch_first=True, rng=np.random.default_rng(0))
    model = Formula(lambda x, h, c: lstm(x, (h, c)))
    inputs = numbers((2, 4, 3), (1, 2, 2), (1, 2, 2))
    exported = Exported(model, inputs, path, batch_axis=(0, 1, 1))
    exported.agrees(model, *numbers((5, 4, 3), (1, 5, 2), (1, 5, 2)))


def test_steps_may_be_what_grows(path: Path) -> None:
    gru = mg.GRU(3, 2, rng=np.random.default_rng(0))
    exported = Exported(gru, numbers((4, 2, 3))[0], path)
    exported.agrees(gru, numbers((9, 2, 3))[0])


def test_the_same_model_gives_the_same_bytes_of_an_old_format(path: Path) -> None:
    model, found = cnn(np.random.default_rng(0), np.float64), []
    for x in (np.zeros((1, 1, 8, 8)), np.ones((3, 1, 8, 8))):
        proto = Exported(model, x, path).proto
        found.append(path.read_bytes())
    assert found[0] == found[1]
    assert (proto.ir_version, [o.version for o in proto.opset_import]) == (8, [18])
    assert proto.producer_name == "micrograd_np"
    onnx.checker.check_model(proto, full_check=True)


# What is refused


def test_what_is_exported_must_be_a_layer_and_the_example_fit(path: Path) -> None:
    model: Any = mg.Linear(3, 2)
    with pytest.raises(TypeError, match="model must be a layer; received function"):
        mg.export_onnx(mg.gradcheck, path, [[1.0]])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^Linear\(3, 2\): .* received shape \(7, 4\)"):
        mg.export_onnx(model, path, np.ones((7, 4)))
    with pytest.raises(TypeError, match="data must be floats"):
        mg.export_onnx(model, path, "x")
    for axis in (2, -3, (0, 0), ()):
        with pytest.raises(ValueError, match=r"batch_axis must be .* for shapes \(2, 3\)"):
            mg.export_onnx(model, path, np.ones((2, 3)), batch_axis=axis)
    with pytest.raises(ValueError, match=r"must take batches of every size.*\(2, 4\) failed: Form"):
        mg.export_onnx(Formula(lambda x: x.reshape(3, 4)), path, np.ones((3, 4)))
    assert not path.exists()


def doubled(x: Any) -> Any:
    return np.add(x, x, out=np.empty_like(x)), (lambda g: 2 * g,)


def all_but_first(condition: Any) -> Any:
    condition[:, 0] = False
    return condition


def square_plus(x: Any, *, b: float = 4.0) -> Any:
    root = np.sqrt(np.square(x) + b)
    value = (x + root) / 2
    return value, (lambda g: g * (1 + x / root) / 2,)


def difference_of_squares(x: Any, y: Any) -> Any:
    return x * x - y**2, (lambda g: g * 2 * x, lambda g: g * -2 * y)


def first_half(x: Any) -> Any:
    if not isinstance(x, np.ndarray):
        x = x * 3  # not what it is of arrays
    return x * 2, (lambda g: 2 * g,)


WITHOUT_FORM: dict[str, tuple[Function, str]] = {
    "own op": (lambda x: mg.apply(doubled, x), "calls the op doubled, which has no ONNX form"),
    "own op, another way": (lambda x: mg.apply(first_half, x), "calls the op first_half, which"),
    "loss": (lambda x: mg.mean_squared_error(x, x), "op mean_squared_error, which has no"),
    "values": (lambda x: mg.Tensor(np.exp(x.data)) + 1, "takes values out of tensors"),
    "values, returned": (lambda x: mg.Tensor(np.exp(x.data)), "takes values out of tensors"),
    "arrays, returned": (lambda x: x.argmax(1), "takes values out of tensors"),
    "mean of values": (lambda x: x - x.data.mean(), "takes values out of tensors"),
    "number": (lambda x: x * float(x.data.max()), "takes values out of tensors"),
    "comparison": (lambda x: np.where(x.data > 0, x, 0), "takes values out of tensors"),
    "comparisons": (lambda x: np.where((x > 0) & (x < 1), x, 0), "takes values out of tensors"),
    "mask": (lambda x: x * (x.data > 0), "takes values out of tensors"),
    "random": (lambda x: x + np.random.default_rng().random(3), "or draws them"),
    "positions in the batch": (lambda x: x + np.arange(len(x))[:, None], "takes values out of"),
    "size of the batch": (lambda x: x / len(x), "takes values out of tensors"),
    "branch": (lambda x: x.exp() if len(x) > 2 else x.tanh(), "runs tanh for one input and exp"),
    "choice": (lambda x: 2 * (x.exp(), x.tanh())[len(x) > 2], "takes values out of tensors"),
    "branch of values": (lambda x: x.exp() if x.data[0, 0] > 0 else x.tanh(), "for one input and"),
    "loop": (lambda x: sum(x, x.sum()), "does more for one input than for another"),
    "number of outputs": (lambda x: tuple(x * 2 for _ in x.data), "does more for one input"),
    "index": (lambda x: x[:, int(x.data.argmax() % 3)], "uses . and . for inputs of different"),
    "first of the batch": (lambda x: x[:3], "uses 2 and 3 for inputs of different values and"),
    "every second": (lambda x: x[::2], "uses 1 and 2 and 3 for inputs of different values"),
    "moved between samples": (lambda x: x.roll(1, 0), "op roll, which has no ONNX form where it"),
    "rolled flat": (lambda x: x.roll(30), "op roll, which has no ONNX form where it moves"),
    "one sample of many": (lambda x: x[[0, 0]], "getitem, .* moves entries between samples"),
    "one sample for all": (
        lambda x: x.take_along_axis(np.zeros((len(x), 3), int), 0), "along_axis, .* between samples"
    ),
    "across": (lambda x: (x @ x.T).tile((1, 2))[:, [0]], "where several axes grow"),
    "several axes": (lambda x: (x @ x.T)[np.zeros((1, 1), int)], "several axes grow"),
    "axes": (lambda x: x.reshape(*[1] * len(x), -1), "number of axes depends on the batch"),
    "growing width": (lambda x: mg.BatchNorm1d(len(x))(x.T), "where such a length grows"),
    "booleans": (lambda x: x.astype(bool) + x.astype(bool), "no valid ONNX form: .*Own/add"),
    "growing shift": (lambda x: x.roll(len(x), 1), "op roll, .* where its shift grows with the"),
    "growing diagonal": (lambda x: x.triu(len(x)), "op triu, .* where its k grows with the"),
    "growing indices": (lambda x: x.pad(4)[:, [0, len(x)]], "where its index grows with the"),
    "growing slice": (lambda x: x.pad(4)[[0], : len(x)], "where its index grows with the"),
    "nothing": (lambda x: None, "must return a tensor, or several"),
}  # fmt: skip


class Own(Formula):
    pass


def test_ops_of_ones_own_are_exported_as_the_ops_that_they_are_made_of(path: Path) -> None:
    def formula(x: Any) -> Any:
        x = mg.apply(square_plus, x, b=0.5)
        return x + mg.apply(difference_of_squares, x, x[:, :1]) * mg.apply(square_plus, x)

    example = numbers((2, 3))[0]
    model = mg.Sequential(mg.Linear(3, 4), Own(formula), mg.Linear(4, 2))
    exported = Exported(model, example, path)
    for size in (1, 4):
        exported.agrees(model, resized(example, 0, size))


@pytest.mark.parametrize(
    "formula",
    [
        lambda x: np.where(x > 0, x, 0.1 * x), lambda x: np.where(x >= x[:, :1], x, 0),
        lambda x: np.where(x < 0.5, x.exp(), 2.0), lambda x: x.where(x <= x.mean(), 0),
        lambda x: np.where(x.round() == 0, x, 1), lambda x: np.where(x.round() != 0, x, 1),
        lambda x: x * (x > 0), lambda x: np.where(x.astype(int) > 1, x, 3),
    ],
    ids=range(8),
)  # fmt: skip
def test_comparisons_are_exported_and_can_be_changed_as_ever_afterwards(
    formula: Function, path: Path
) -> None:
    example = numbers((2, 3))[0]
    model = mg.Sequential(mg.Linear(3, 3), Own(formula))
    exported = Exported(model, example, path)
    for size in (1, 4):
        exported.agrees(model, resized(example, 0, size))
    assert all_but_first(mg.Tensor(example) > -9).sum() == 4
    with pytest.raises(ValueError, match="is read-only"):
        mg.export_onnx(Own(lambda x: np.where(all_but_first(x > 0), x, 0)), path, example)


@pytest.mark.parametrize("name", WITHOUT_FORM)
def test_what_has_no_form_is_refused_with_the_name_of_the_layer(name: str, path: Path) -> None:
    formula, message = WITHOUT_FORM[name]
    path.write_bytes(b"old")
    example = numbers((2, 3))[0]
    named = "" if name == "booleans" else r"^the model \(Own\) .*"
    with pytest.raises(ValueError, match=named + message):
        mg.export_onnx(Own(formula), path, example)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", ["own op", "values", "comparison", "branch", "random"])
def test_the_layer_that_is_named_is_the_one_to_blame(name: str, path: Path) -> None:
    formula, message = WITHOUT_FORM[name]
    model = mg.Sequential(mg.Linear(3, 3), mg.Residual(np.tanh, Own(formula)), mg.Linear(3, 1))
    with pytest.raises(ValueError, match=rf"^layer 1.1 \(Own\) .*{message}"):
        mg.export_onnx(model, path, numbers((2, 3))[0])


def test_values_that_a_layer_hands_on_are_its_own_fault(path: Path) -> None:
    inner = mg.Sequential(Own(lambda x: mg.Tensor(x.data * 2)))
    model = mg.Sequential(inner, mg.Linear(3, 1))
    with pytest.raises(ValueError, match=r"^layer 0.0 \(Own\) takes values out of tensors"):
        mg.export_onnx(model, path, numbers((2, 3))[0])


def test_state_that_changes_in_evaluation_mode_is_not_frozen(path: Path) -> None:
    model: Any = Own(lambda x: x * model.seen)
    model.seen = np.zeros(1)

    def count(x: Any) -> Any:
        model.seen += 1
        return x * model.seen

    model.formula = count
    with pytest.raises(ValueError, match="takes values out of tensors"):
        mg.export_onnx(model, path, [[1.0]])
    assert model.seen == 0


@pytest.mark.parametrize(
    "example",
    [
        np.zeros((1, 3)), np.ones((1, 3)), np.ones((0, 3)), [[20.0, 21.0, 22.0]], [[0, 0, 0]],
        [[4, 4, 4]], [[math.nan, math.inf, 1]],
    ],
)  # fmt: skip
def test_examples_whose_values_are_all_alike_hide_nothing(example: Any, path: Path) -> None:
    formulas: list[Function] = [lambda x: x + x.data.sum(), lambda x: x * (x.data > 0)]
    if np.asarray(example).dtype.kind == "i":
        formulas.pop()  # of integers only those between the example's are tried
    for formula in formulas:
        with pytest.raises(ValueError, match="takes values out of tensors"):
            mg.export_onnx(Own(formula), path, example)
    with pytest.raises(ValueError, match="takes values out of tensors"):
        mg.export_onnx(Own(lambda x: mg.Tensor(~x.data)), path, np.ones((1, 3), bool))


def test_numbers_that_change_with_fixed_lengths_are_no_batch(path: Path) -> None:
    numbers_of_runs = iter([0, 0, 1, 3])  # which could be 1 * batch - 2
    model = Own(lambda x: x[next(numbers_of_runs)])
    with pytest.raises(ValueError, match="uses 0 and 1 and 3 for inputs of different values"):
        mg.export_onnx(model, path, np.ones(4), batch_axis=None)


def test_integers_are_tried_within_the_range_of_the_example(path: Path) -> None:
    model = mg.Embedding(5, 2)
    for example in ([4, 4], [0], [1, 4], [3]):
        Exported(model, example, path).agrees(model, np.arange(5))


def test_more_than_two_gigabytes_are_refused(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(onnx_file, "_MOST_BYTES", 9 * 4)
    mg.export_onnx(mg.Linear(3, 3), path, np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"at most 2 GB; this model has 0\.0 GB"):
        mg.export_onnx(mg.Linear(5, 2), path, np.ones((1, 5)))


def test_a_file_that_cannot_be_written_leaves_the_old_one(path: Path, monkeypatch: Any) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        mg.export_onnx(mg.Linear(3, 3), path, np.ones((1, 3)))
    assert path.read_bytes() == b"old"


def test_without_the_library_the_extra_is_named(path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(
        ImportError, match=r"export_onnx needs onnx; install .*micrograd_np\[onnx\]"
    ):
        mg.export_onnx(mg.Linear(3, 3), path, np.ones((1, 3)))


def test_threads_export_one_after_the_other_and_leave_nothing_behind(tmp_path: Path) -> None:
    before = operations.compared, operations.mask

    def export(i: int) -> None:
        model = mg.Sequential(mg.Linear(3, 3), Own(lambda x: np.where(x > 0, x, 0)))
        mg.export_onnx(model, tmp_path / f"{i}.onnx", np.ones((2, 3)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(export, range(12)))
    assert (operations.compared, operations.mask) == before
    assert len({path.stat().st_size for path in tmp_path.iterdir()}) == 1
