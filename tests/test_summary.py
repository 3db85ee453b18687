"""Summary: every layer's counts against counts made otherwise; what it shows; what it leaves."""

import re
from collections.abc import Callable
from functools import partial
from html import unescape
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import ops
from micrograd_np.looking.summary import _COUNTS as COUNTS
from tests.rows import Inputs, numbers
from tests.rows.attention import rows as attention_rows
from tests.rows.convolutions import SETTINGS
from tests.rows.products import rows as product_rows
from tests.rows.recurrent import rows as recurrent_rows
from tests.test_layer_table import Row, Scale, each, stirred


class Call(mg.Layer):
    """A layer that calls a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def forward(self, *inputs: Any) -> Any:
        return self.function(*inputs)


class Net(mg.Layer):
    """All that makes a table difficult."""

    def __init__(self) -> None:
        self.start = mg.Tensor(np.zeros(4), requires_grad=True)
        self.cell = mg.Linear(4, 4, bias=True)
        self.ends = [mg.Sequential(np.tanh, mg.Linear(4, 2, dtype=np.float32)), mg.BatchNorm1d(4)]
        self.spare = mg.Residual(mg.Linear(2, 2), mg.Tanh())
        self.cell.bias.requires_grad = False  # type: ignore[union-attr]

    def forward(self, x: mg.Tensor) -> Any:
        h = self.cell(self.cell(self.start + x))
        return self.ends[0](h), {"inner": (h @ self.cell.weight, None)}


class Mean(mg.Layer):
    """Weights of its own, and a layer that it does not call."""

    def __init__(self) -> None:
        self.weight = mg.Tensor(np.ones(3), requires_grad=True)
        self.spare = mg.Tanh()
        self.parts: list[mg.Layer] = []

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return (self.weight * x).mean()


# The table

TABLE = """\
layer                            output shape  parameters  own  trainable  bytes  multiply-adds
-----------------------------------------------------------------------------------------------
Net()                            (3, 2), ...           53    4         40    392            168
  cell: Linear(4, 4, bias=True)  (3, 4)                20   20         16    160             48
  cell: Linear(4, 4, bias=True)  (3, 4)          as above                                    48
  ends.0: Sequential()           (3, 2)                 8    0          8     32             24
    1: Linear(4, 2)              (3, 2)                 8    8          8     32             24
  ends.1: BatchNorm1d(4)                               17   17          8    136
  spare: Residual()                                     4    0          4     32
    0: Linear(2, 2)                                     4    4          4     32
    1: Tanh()

Total: 53 parameters, 40 of them trainable; 392 bytes; 168 multiply-adds
In no layer inside: 4 parameters; 48 multiply-adds"""


def test_the_text_is_a_table_of_all_calls_and_of_layers_that_were_not_called() -> None:
    assert repr(mg.summary(Net(), (3, 4))) == TABLE


def test_what_is_in_no_layer_inside_is_told_if_there_is_something() -> None:
    weight = np.ones((3, 3))
    for model, note in (
        (mg.Linear(3, 3), ""),
        (mg.Sequential(mg.Linear(3, 3)), ""),
        (mg.Residual(mg.ReLU(), lambda x: x @ weight), "0 parameters; 18 multiply-adds"),
        (mg.Sequential(Scale(3)), ""),
        (Mean(), "3 parameters; 0 multiply-adds"),
    ):
        _, _, told = repr(mg.summary(model, (2, 3))).partition("\nIn no layer inside: ")
        assert told == note


def test_a_layer_that_is_not_called_is_listed_once() -> None:
    model = Mean()
    model.parts = [model.spare, mg.Residual(model.spare)]
    assert [row.name for row in mg.summary(model, (2, 3)).rows] == ["", "spare", "parts.1"]


def test_rows_and_totals_are_for_programs() -> None:
    table = mg.summary(Net(), (3, 4))
    assert (table.parameters, table.trainable) == (53, 40)
    assert (table.bytes, table.multiply_adds) == (392, 168)
    names = ["", "cell", "cell", "ends.0", "ends.0.1", "ends.1", "spare", "spare.0", "spare.1"]
    assert [row.name for row in table.rows] == names
    assert table.rows[0].output == ((3, 2), (((3, 4), None),))
    assert table.rows[2] == (
        "cell", "Linear(4, 4, bias=True)", 1, (3, 4), 20, 20, 16, 160, 48, True,
    )  # fmt: skip
    assert table.rows[7] == ("spare.0", "Linear(2, 2)", 2, None, 4, 4, 4, 32, 0, False)


def test_a_notebook_shows_the_same_table() -> None:
    table = mg.summary(mg.Sequential(mg.Flatten(), Net()), (3, 2, 2))
    table.rows[1] = table.rows[1]._replace(layer="<Flatten & more>")
    html = table._repr_html_()
    assert re.match("<table><thead><tr><th.*</th></tr></thead><tbody><tr><td", html)
    assert html.count('style="text-align: left; white-space: pre">  ') == len(table.rows) - 1
    assert "&lt;Flatten &amp; more&gt;" in html
    cells = [
        [unescape(cell) for cell in re.findall(r"<t[hd] [^>]*>([^<]*)</t[hd]>", row)]
        for row in re.findall("<tr>(.*?)</tr>", html)
    ]
    notes = re.findall("<p>(.*?)</p>", html)
    head, _, *body, _, note = repr(table).splitlines()
    assert notes == [note]
    for line, row in zip([head, *body], cells, strict=True):
        assert len(row) == 7
        assert line.split() == " ".join(row).split()
        assert line.startswith(row[0])


def test_of_several_outputs_the_first_shape_is_shown() -> None:
    for output, shown in (
        (lambda x: (x, [x.T]), "(2, 3), ..."), (lambda x: (None, {"a": x}), "(2, 3), ..."),
        (lambda x: x.sum(), "()"), (lambda x: 3, ""), (lambda x: {"a": [x.T, x]}, "(3, 2), ..."),
    ):  # fmt: skip
        line = repr(mg.summary(Call(output), (2, 3))).split("\n")[2]
        assert line.removeprefix("Call()").strip() == shown


def test_long_names_are_cut_so_that_lines_fit_a_terminal() -> None:
    convolution = mg.Conv2d(16, 32, (3, 3), stride=(2, 2), padding=(1, 1), groups=4, bias=True)
    lines = repr(mg.summary(mg.Sequential(convolution, mg.Flatten()), (8, 16, 64, 64))).split("\n")
    assert max(map(len, lines)) == 100
    assert re.match(r"  0: Conv2d\(16, 32, \(3, 3\), \.\.\.  \(8, 32, 32, 32\) ", lines[3])
    assert all(line == line.rstrip() for line in lines)
    table = mg.summary(mg.Sequential(convolution), (1, 16, 9, 9))
    table.rows[0] = table.rows[0]._replace(multiply_adds=10**40)
    assert repr(table).split("\n")[3].startswith("  0: Conv2d(16, 32, (...  (1, 32, 5, 5)  ")


# What is counted


@each()
def test_totals_are_those_of_the_state_and_the_shapes_those_of_the_outputs(row: Row) -> None:
    for dtype in (np.float64, np.float32):
        layer = stirred(row, dtype=dtype)
        table, state = mg.summary(layer, row.x), layer.state_dict().values()
        assert table.parameters == sum(array.size for array in state)
        assert table.bytes == sum(array.nbytes for array in state)
        assert table.trainable == sum(parameter.size for parameter in layer.parameters())
        assert table.parameters == sum(row.own for row in table.rows if not row.again)
        assert table.rows[0].output == shapes(layer(row.x))
        assert repr(mg.summary(layer, row.x.shape)) == repr(table)


def shapes(result: Any) -> Any:
    return tuple(map(shapes, result)) if isinstance(result, tuple) else result.shape


def test_what_is_shared_counts_once() -> None:
    shared = mg.Linear(3, 3)
    tied = mg.Linear(3, 3)
    tied.weight = shared.weight
    table = mg.summary(mg.Sequential(shared, mg.Sequential(np.tanh, shared, tied)), (2, 3))
    assert (table.parameters, table.bytes, table.multiply_adds) == (9, 72, 54)
    assert [row.parameters for row in table.rows] == [9] * 5
    assert [row.own for row in table.rows] == [0, 9, 0, 9, 9]
    assert [row.name for row in table.rows] == ["", "0", "1", "0", "1.2"]
    assert [row.again for row in table.rows] == [False, False, False, True, False]


def test_what_requires_no_gradient_is_not_trainable() -> None:
    layer = mg.Sequential(mg.Linear(3, 2, bias=True), mg.BatchNorm1d(2))
    assert mg.summary(layer, (1, 3)).trainable == 12
    layer[0].weight.requires_grad = False
    table = mg.summary(layer, (1, 3))
    assert (table.parameters, table.trainable) == (17, 6)
    assert [row.trainable for row in table.rows] == [6, 2, 4]


def test_multiply_adds_of_a_network_are_those_counted_by_hand() -> None:
    network = mg.Sequential(
        mg.Conv2d(1, 6, 5, padding=2, bias=True), np.tanh, mg.AvgPool2d(2),
        mg.Conv2d(6, 16, 5, groups=2), mg.BatchNorm2d(16), mg.ReLU(), mg.MaxPool2d(2),
        mg.Flatten(), mg.Linear(400, 120), mg.Linear(120, 10, bias=True), mg.Softmax(),
    )  # fmt: skip
    table = mg.summary(network, (2, 1, 28, 28))
    counts = [row.multiply_adds // 2 for row in table.rows if row.multiply_adds]
    products = [6 * 28 * 28 * 5 * 5, 16 * 10 * 10 * 3 * 5 * 5, 400 * 120, 120 * 10]
    assert counts == [sum(products), *products]


class Number:
    """A number that counts the products that it takes part in."""

    products = 0

    def __mul__(self, other: Any) -> "Number":
        Number.products += 1
        return self

    def __add__(self, other: Any) -> float:
        return 1.0

    def __float__(self) -> float:
        return 1.0

    __rmul__, __radd__ = __mul__, __add__


def products_in(formula: Callable[..., Any], arrays: Any) -> int:
    """Count the products that a formula makes with entries of arrays, but not of first states."""
    counting = [np.frompyfunc(lambda _: Number(), 1, 1)(np.atleast_1d(x)) for x in arrays]
    shaped = [numbers.reshape(x.shape) for numbers, x in zip(counting, arrays)]
    Number.products = 0
    formula(*shaped)
    return Number.products


ROWS = [row for rows in (product_rows, recurrent_rows, attention_rows) for row in rows()]
CASES: list[Any] = [
    (row.op, row.call, row.reference, inputs)
    for row in ROWS if row.op not in ("multiply", "getitem")
    for inputs in row.inputs if row.op == "einsum" or all(x.ndim for x in inputs)
]  # fmt: skip
for settings in SETTINGS:
    kernels = numbers((4, 4 // settings.get("groups", 1), 3, 2))
    CASES += [("conv2d", partial(mg.apply, ops.conv2d, **settings),  # zeros of padding count, too
               partial(ops.conv2d, **settings), (*numbers(shape), *kernels))
              for shape in ((2, 4, 5, 4), (4, 5, 4))]  # fmt: skip
    first = {name: v[0] if isinstance(v, tuple) else v for name, v in settings.items()}
    CASES += [("conv1d", partial(mg.apply, ops.conv1d, **first), partial(ops.conv1d, **first),
               (*numbers((2, 4, 7)), kernels[0][..., 0], *numbers((4,))))]  # fmt: skip


@pytest.mark.parametrize(("op", "call", "formula", "inputs"), CASES, ids=[
    f"{op}-{'-'.join(str(x.shape) for x in inputs)}" for op, _, _, inputs in CASES])  # fmt: skip
def test_multiply_adds_of_an_op_are_the_products_that_its_formula_makes(
    op: str, call: Any, formula: Any, inputs: Inputs
) -> None:
    expected = products_in(formula, inputs)
    if op == "einsum":  # whose formula begins each product with 1
        expected = expected // len(inputs) * (len(inputs) - 1)
    if op == "lstm":  # whose first c is multiplied, but not in a sum
        expected -= inputs[2].size
    assert mg.summary(Call(call), inputs).multiply_adds == expected


def test_every_op_that_sums_products_is_counted_and_no_other() -> None:
    assert {op.__name__ for op in COUNTS} == {op for op, *_ in CASES}
    x = mg.Tensor(np.ones((2, 3, 4, 4)))
    table = mg.summary(Call(lambda x: (x * x + x).avg_pool2d(2).softplus().var()), x)
    assert table.multiply_adds == 0


def test_subscripts_may_have_spaces() -> None:
    product = Call(lambda x, y: np.einsum("ij, jk -> ik", x, y))
    assert mg.summary(product, [(2, 3), (3, 4)]).multiply_adds == 24


# What it does with the model and the input


def test_the_model_stays_as_it_was() -> None:
    rng = np.random.default_rng(0)
    model = mg.Sequential(
        mg.Linear(3, 4), mg.BatchNorm1d(4), mg.Dropout(rng=rng), mg.Dropout(), Scale(4)
    )
    model(np.ones((2, 3))).sum().backward()
    model[1].eval()
    modes = [layer.training for _, layer in model.layers_within()]
    state = model.state_dict()
    gradients = [parameter.grad for parameter in model.parameters()]
    streams = [str(rng.bit_generator.state), str(np.random.get_state())]
    for _ in range(2):
        mg.summary(model, (2, 3))
    assert [layer.training for _, layer in model.layers_within()] == modes
    assert all(np.array_equal(array, state[n]) for n, array in model.state_dict().items())
    assert not any("forward" in vars(layer) for _, layer in model.layers_within())
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients, strict=True))
    assert [str(rng.bit_generator.state), str(np.random.get_state())] == streams


def test_state_that_changes_in_evaluation_mode_is_put_back() -> None:
    class Counting(mg.Layer):
        def __init__(self) -> None:
            self.calls = np.array(0)
            self.last = np.zeros((1, 3))
            self.seen = [np.zeros(3)]
            self.fixed = np.ones(3)
            self.fixed.flags.writeable = False
            self.lazy: Any = None

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            self.calls = self.calls + 1
            self.last = x.data + 1
            self.seen[0] += 1
            self.lazy = self.lazy or mg.Tensor(np.ones(3), requires_grad=True)
            y: mg.Tensor = x * self.lazy
            return y

    layer = Counting()
    arrays = layer.calls, layer.last, layer.seen[0]
    table = mg.summary(mg.Sequential(layer), (4, 3))
    assert all(x is y for x, y in zip(arrays, (layer.calls, layer.last, layer.seen[0])))
    assert not any(x.any() for x in arrays)
    assert table.trainable == 3 == layer.lazy.size  # which is made by the first call

    class Failing(Counting):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            raise ValueError(f"{super().forward(x)}")

    layer = Failing()
    with pytest.raises(ValueError, match="Failing"):
        mg.summary(layer, (4, 3))
    assert not layer.calls
    assert not layer.seen[0].any()


def test_zeros_have_the_models_own_dtype() -> None:
    seen: list[Any] = []
    look = Call(lambda x: seen.append(x) or x)  # type: ignore[func-returns-value]
    for dtype in (np.float32, np.float64):
        mg.summary(mg.Sequential(look, mg.Linear(3, 2, dtype=dtype)), (2, 3))
        assert seen[-1].dtype == dtype
        assert not seen[-1].data.any()
    mg.summary(look, [3])
    assert (seen[-1].dtype, seen[-1].shape) == (float, (3,))


def test_what_takes_no_floats_gets_integers() -> None:
    table = np.ones((5, 2))
    for model in (
        mg.Sequential(mg.Embedding(5, 2), mg.Linear(2, 1)), Call(lambda x: table[x.data]),
    ):  # fmt: skip
        assert mg.summary(model, (4, 3)).rows[0].output[:2] == (4, 3)


def test_arrays_are_examples_of_the_input() -> None:
    x = np.array([[1, 4]])
    assert mg.summary(mg.Embedding(5, 2), x).rows[0].output == (1, 2, 2)
    seen: list[Any] = []
    tensor = mg.Tensor([2.0], requires_grad=True)
    mg.summary(Call(lambda *inputs: seen.extend(inputs)), [x, tensor])
    assert seen[0].data is x
    assert seen[1] is tensor


def test_several_inputs_are_a_list_or_tuple() -> None:
    several = [(5, 1, 8), (6, 1, 8), (6, 1, 8)]
    for given in (several, tuple(several), [np.zeros(several[0]), *map(list, several[1:])]):
        output = mg.summary(mg.MultiHeadAttention(8, 2), given).rows[0].output
        assert output == ((5, 1, 8), (1, 5, 6))
    states = [(5, 3, 8), ((1, 3, 4), np.ones((1, 3, 4)))]
    output = mg.summary(mg.LSTM(8, 4), states).rows[0].output
    assert output == ((5, 3, 4), ((1, 3, 4), (1, 3, 4)))
    assert mg.summary(mg.ReLU(), ()).rows[0].output == ()


# What it refuses


@pytest.mark.parametrize(
    ("model", "received"),
    [
        (np.tanh, r"ufunc: put a function into Sequential\(function\)"),
        (mg.Linear, "the class Linear: make an instance of it"),
        (None, "NoneType: make a layer of it"),
    ],
)
def test_a_model_must_be_a_layer(model: Any, received: str) -> None:
    with pytest.raises(TypeError, match=f"^model must be a layer; received {received}$"):
        mg.summary(model, (1, 2))


@pytest.mark.parametrize("shape", [None, 3, "12", (None, 3), (1.0, 3), [(1, 3), 3], [[1.5], [2]]])
def test_a_shape_is_whole_numbers(shape: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^input_shape must be whole numbers, the batch among them"
    ):
        mg.summary(mg.ReLU(), shape)


def test_a_length_is_not_negative() -> None:
    with pytest.raises(ValueError, match=r"at least 0; received \(-1, 3\)"):
        mg.summary(mg.ReLU(), (-1, 3))
    assert mg.summary(mg.ReLU(), (0, 3)).rows[0].output == (0, 3)


def test_a_layer_says_itself_what_input_it_takes() -> None:
    model = mg.Sequential(mg.Flatten(), mg.Linear(4, 2))
    with pytest.raises(ValueError, match=r"^Linear\(4, 2\): .*\(1, 9\)"):
        mg.summary(model, (1, 3, 3))
    assert "forward" not in vars(model[1])
    with pytest.raises(TypeError, match="Call"):
        mg.summary(Call(lambda x, y: x), (1, 3))
    with pytest.raises(ValueError, match="Residual"):
        mg.summary(mg.Residual(mg.Embedding(5, 2)), (4, 3))
