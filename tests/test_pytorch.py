"""Weights to and from PyTorch: what PyTorch 2.13 wrote loads, computes the same, and goes back.

tests/reference/make_weights.py wrote the files, and tried there that PyTorch takes what goes back.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors

import micrograd_np as mg
from tests.reference.cases import ALL, Case
from tests.reference.models import MODELS
from tests.test_fit import weights
from tests.test_layer_table import ROWS, Row, each, stirred
from tests.test_reference import RECORDS, made

FOLDER = Path(__file__).parent / "reference"
MODEL_RECORDS = {
    record["model"]: record
    for record in json.loads((FOLDER / "weights.json").read_text())["models"]
}
deserialize: Any = safetensors.deserialize  # it has no types
WITH_STATE = [case for case in ALL if "state" in RECORDS[case.id()]]

each_model = pytest.mark.parametrize("name", MODELS)


class Held(mg.Layer):
    """A layer that holds what it is given."""

    def __init__(self, **held: Any) -> None:
        vars(self).update(held)


class ForeignTensor:
    """PyTorch's tensors give NumPy no bfloat16, and nothing before they are detached and here."""

    def __init__(self, values: Any, dtype: str = "float32", steps: tuple[str, ...] = ()) -> None:
        self.values, self.dtype, self.steps = np.array(values, np.float32), dtype, steps

    def detach(self) -> "ForeignTensor":
        return ForeignTensor(self.values, self.dtype, (*self.steps, "detach"))

    def cpu(self) -> "ForeignTensor":
        return ForeignTensor(self.values, self.dtype, (*self.steps, "cpu"))

    def float(self) -> "ForeignTensor":
        return ForeignTensor(self.values, "float32", self.steps)

    def numpy(self) -> Any:
        if set(self.steps) != {"detach", "cpu"}:
            raise RuntimeError("can't convert")
        if self.dtype == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values.astype(self.dtype)


# What PyTorch wrote


@each_model
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_models_with_pytorchs_weights_compute_what_pytorch_computed(name: str, dtype: Any) -> None:
    record, model = MODEL_RECORDS[name], MODELS[name].make(mg).astype(dtype).eval()
    mg.load(FOLDER / "weights" / f"{name}.safetensors", model)
    x = np.array(record["input"])
    outputs = model(x.astype(dtype) if x.dtype.kind == "f" else x).data
    assert outputs.dtype == dtype
    rtol, atol = (1e-10, 1e-12) if dtype is np.float64 else (1e-4, 1e-5)
    np.testing.assert_allclose(outputs, record["outputs"], rtol, atol)


def stored(name: str) -> dict[str, Any]:
    """Read a file of PyTorch's without the code that is tested."""
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8"}
    arrays = {}
    for place, kept in deserialize((FOLDER / "weights" / f"{name}.safetensors").read_bytes()):
        array = np.frombuffer(kept["data"], kinds[kept["dtype"]])
        if kept["dtype"] == "BF16":
            array = (array.astype("<u4") * 2**16).view("<f4")
        arrays[place] = array.reshape(kept["shape"])
    return arrays


@each_model
def test_models_give_pytorch_its_names_shapes_and_values(name: str) -> None:
    record, model, expected = MODEL_RECORDS[name], MODELS[name].make(mg), stored(name)
    expected |= {left_out: expected[kept] for left_out, kept in record["shared"].items()}
    mg.from_torch_state_dict(model, expected)
    given = mg.to_torch_state_dict(model)
    assert {place: list(array.shape) for place, array in given.items()} == record["state"]
    assert list(given) == list(record["state"])
    for place, array in given.items():
        assert array.dtype == (np.int64 if expected[place].dtype == np.int64 else np.float64)
        assert np.array_equal(array, expected[place]), place


def test_the_files_are_those_of_the_models() -> None:
    files = {path.stem for path in (FOLDER / "weights").iterdir()}
    assert files == set(MODEL_RECORDS) == set(MODELS)
    for name, model in MODELS.items():
        code = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
        content = (FOLDER / "weights" / f"{name}.safetensors").read_bytes()
        codes = {kept["dtype"] for _, kept in deserialize(content)} - {"I64"}
        assert codes == {code[model.dtype]}


@pytest.mark.parametrize("case", WITH_STATE, ids=Case.id)
def test_every_layer_takes_pytorchs_state_and_gives_it_back(case: Case) -> None:
    record = RECORDS[case.id()]
    expected: Any = made(case, record, np.float64)  # which tests/test_reference.py compares
    model: Any = made(case, record, np.float64)
    model.load_state_dict({name: 0 * array for name, array in model.state_dict().items()})
    mg.from_torch_state_dict(model, record["state"])
    assert weights(model) == weights(expected)
    given = mg.to_torch_state_dict(model)
    assert list(given) == list(record["state"])
    for name, values in record["state"].items():
        assert given[name].dtype == (np.int64 if "num_batches" in name else np.float64)
        assert given[name].tolist() == values


def test_every_layer_that_holds_something_was_compared() -> None:
    holding = {row.name for row in ROWS if row.state} - {"Layer", "Residual"}
    assert {case.name for case in WITH_STATE} == holding


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_tensors_of_every_dtype_and_device_are_taken(dtype: str) -> None:
    layer = mg.Linear(2, 1, bias=True)
    state = {"weight": ForeignTensor([[1.5, -2.0]], dtype), "bias": ForeignTensor([0.25], dtype)}
    mg.from_torch_state_dict(layer, state)
    assert layer.weight.data.tolist() == [[1.5], [-2.0]]
    assert layer.state_dict()["bias"].tolist() == [0.25]
    assert layer.weight.dtype == np.float64
    assert layer.weight.requires_grad


def test_our_own_tensors_and_lists_are_taken_too() -> None:
    weight = mg.Tensor([[1.5, -2.0]], requires_grad=True)
    layer = mg.Linear(2, 1, bias=True)
    mg.from_torch_state_dict(layer, {"weight": weight, "bias": [0.25]})
    assert weights(layer) == [np.array([1.5, -2.0]).tobytes(), np.array([0.25]).tobytes()]


# What is given


@each()
def test_every_layer_gives_copies_that_another_takes(row: Row) -> None:
    model, other = stirred(row), stirred(row)
    before = weights(model)
    other.load_state_dict({name: 0 * array for name, array in other.state_dict().items()})
    given = mg.to_torch_state_dict(model)
    assert list(given) == list(model.state_dict())
    mg.from_torch_state_dict(other, given)
    assert weights(other) == before
    for array in given.values():
        assert array.flags.c_contiguous
        assert array.flags.owndata
        array[...] = 7
    assert weights(model) == weights(other) == before


def test_linear_weights_are_turned_wherever_they_are_and_nothing_else_is() -> None:
    class Masked(mg.Linear):
        """A Linear of another name that holds more."""

        def __init__(self) -> None:
            super().__init__(2, 3)
            self.mask = np.ones((2, 3))

    linear = mg.Linear(2, 3)
    model = mg.Sequential(
        mg.Residual(Masked()), np.tanh,
        Held(parts=[{"a": linear}, (linear.weight,)], layers=[mg.Linear(2, 3)],
             weight=np.ones((2, 3))),
    )  # fmt: skip
    given = mg.to_torch_state_dict(model)
    assert {name: array.shape for name, array in given.items()} == {
        "0.0.weight": (3, 2), "0.0.mask": (2, 3), "2.parts.0.a.weight": (3, 2),
        "2.parts.1.0": (2, 3), "2.layers.0.weight": (3, 2), "2.weight": (2, 3),
    }  # fmt: skip
    assert np.array_equal(given["2.parts.0.a.weight"], given["2.parts.1.0"].T)
    before = weights(model)
    mg.from_torch_state_dict(model, given)
    assert weights(model) == before


def test_state_of_every_kind_is_given_in_native_byte_order() -> None:
    model = Held(
        frozen=mg.Tensor([1.0, 2.0]), big=np.arange(3, dtype=">i4"), flag=np.array(True),
        turned=np.asfortranarray(np.arange(6.0).reshape(2, 3)), text="x", names=np.array(["x"]),
        made=mg.Tensor([1.0], requires_grad=True) * 2, empty=np.zeros((0, 2), np.float16),
    )  # fmt: skip
    given = mg.to_torch_state_dict(model)
    assert {name: array.dtype.str for name, array in given.items()} == {
        "frozen": "<f8", "big": np.dtype(np.int32).str, "flag": "|b1", "turned": "<f8",
        "empty": "<f2",
    }  # fmt: skip
    assert given["big"].tolist() == [0, 1, 2]
    assert given["turned"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_model_that_holds_itself_has_finitely_many_names() -> None:
    model: Any = Held(a=np.ones(1))
    model.me = [model]
    assert list(mg.to_torch_state_dict(model)) == ["a"]


def test_two_tensors_of_one_name_are_refused() -> None:
    model = Held(parts={1: np.ones(1), "1": np.zeros(1)})
    for call in (mg.to_torch_state_dict, lambda m: mg.from_torch_state_dict(m, {})):
        with pytest.raises(ValueError, match=r"two tensors of the layer are both called parts\.1"):
            call(model)


# What two layers share


def tied() -> Any:
    first, second = mg.Linear(2, 2), mg.Linear(2, 2)
    second.weight = first.weight
    return mg.Sequential(first, mg.Tanh(), second)


def test_what_is_shared_is_given_under_all_names_and_taken_from_any() -> None:
    given = mg.to_torch_state_dict(tied())
    assert list(given) == ["0.weight", "2.weight"]
    assert np.array_equal(given["0.weight"], given["2.weight"])
    assert not np.shares_memory(given["0.weight"], given["2.weight"])
    values = np.array([[1.0, np.nan], [3.0, 4.0]])
    for names in (["0.weight"], ["2.weight"], ["2.weight", "0.weight"]):
        model = tied()
        mg.from_torch_state_dict(model, {name: values.copy() for name in names})
        assert model[0].weight is model[2].weight
        assert np.array_equal(model[0].weight.data, values.T, equal_nan=True)


def test_what_is_shared_must_not_differ() -> None:
    model = tied()
    before = weights(model)
    state = {"0.weight": np.ones((2, 2)), "2.weight": np.eye(2)}
    with pytest.raises(ValueError, match=r"shares what differs in the state: 2\.weight and 0\."):
        mg.from_torch_state_dict(model, state)
    assert weights(model) == before


# What does not fit


def misfits() -> Iterator[tuple[str, mg.Layer, dict[str, Any], str]]:
    linear, weight = mg.Linear(3, 2), np.zeros((2, 3))
    both, pair = mg.Linear(3, 2, bias=True), mg.Sequential(linear, mg.Tanh(), mg.Linear(3, 2))
    yield "nothing", linear, {}, "missing: weight$"
    yield "turned", linear, {"weight": weight.T}, r"weight must have \(3, 2\); received \(2, 3\)$"
    yield "one too many", linear, {"weight": weight, "x": 1}, "unexpected: x$"
    yield "no bias", both, {"weight": weight}, "missing: bias$"
    yield (
        "a bias", linear, {"weight": weight, "bias": np.zeros(2)},
        r"unexpected: bias\n  \(a layer has a bias if it was made with bias=True\)$",
    )  # fmt: skip
    yield (
        "a prefix", pair, {"module.0.weight": weight, "module.2.weight": weight},
        r"missing: 0\.weight.*\n  \(leave out 'module\.', with which all names begin\)$",
    )  # fmt: skip
    yield (
        "a prefix before a bias", both, {"0.weight": weight, "0.bias": weight[0]},
        r"\n  \(leave out '0\.', with which all names begin\)$",
    )  # fmt: skip
    yield "a prefix and no bias", both, {"a.weight": weight}, r"missing: bias.*\(leave out 'a\.'"
    yield "two models", linear, {"0.weight": weight, "1.weight": weight}, r": 1\.weight$"
    yield "more behind a prefix", linear, {"a.weight": weight, "a.x": 1}, r"unexpected: a\.x$"
    yield "words", linear, {"weight": np.array([["x"]])}, "no numbers: weight is ndarray$"
    yield "something else", linear, {"weight": {}}, "no numbers: weight is ndarray$"
    yield "imaginary", linear, {"weight": weight * 1j}, "no numbers: weight is ndarray$"
    yield (
        "no averages", mg.BatchNorm1d(2), {"weight": np.ones(2), "bias": np.ones(2)},
        "missing: running_mean\n.*missing: running_var\n.*missing: num_batches_tracked$",
    )  # fmt: skip


MISFITS: dict[str, list[Any]] = {what: rest for what, *rest in misfits()}


def test_arguments_of_other_kinds_are_refused_with_a_remedy() -> None:
    model: Any = mg.Linear(3, 2)
    state = mg.to_torch_state_dict(model)
    with pytest.raises(TypeError, match=r"received dict: the model comes first, then the state$"):
        mg.from_torch_state_dict(state, model)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"received Linear: pass module.state_dict\(\)$"):
        mg.from_torch_state_dict(model, model)


@pytest.mark.parametrize("what", MISFITS)
def test_what_does_not_fit_is_told_and_changes_nothing(what: str) -> None:
    model, state, message = MISFITS[what]
    before = weights(model)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        mg.from_torch_state_dict(model, state)
    assert weights(model) == before
