"""Layers: what they hold is found, saved, loaded and shown; what does not fit is named."""

import copy
import math
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import ops


class Scale(mg.Layer):
    """A layer as a user writes one: no super().__init__(), no registration."""

    def __init__(self, size: int) -> None:
        self.factor = mg.Tensor([2.0] * size, requires_grad=True)
        self.seen = np.zeros(1)

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        if self.training:
            self.seen += 1
        return x * self.factor


class Nested(mg.Layer):
    """Layers and tensors in lists, tuples and dicts."""

    def __init__(self) -> None:
        self.first = Scale(1)
        self.blocks = [Scale(2), [Scale(3), np.tanh]]
        self.by_name = {"a": Scale(4), "b": (mg.Tensor([1.0], requires_grad=True), 5, "text")}
        self.frozen = mg.Tensor([7.0])
        self.counts = np.arange(3)
        self.label = "not an array"
        self.shared = self.first

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x


class Pair(NamedTuple):
    """Arrays may be held in named tuples too."""

    array: Any
    number: int


class Unlike(mg.Layer):
    """A layer whose attributes are other things than its arguments of the same names."""

    def __init__(self, table: Any, kind: str = "a", scale: Any = 0, shape: Any = None) -> None:
        self.table, self.scale = np.asarray(table), np.ones(2)
        self.kind, self.shape = "b", (2,)

    def forward(self) -> int:
        return 7


NAMES = ["first.factor", "blocks.0.factor", "blocks.1.0.factor", "by_name.a.factor", "by_name.b.0"]
STATE = [
    "first.factor", "first.seen", "blocks.0.factor", "blocks.0.seen", "blocks.1.0.factor",
    "blocks.1.0.seen", "by_name.a.factor", "by_name.a.seen", "by_name.b.0", "frozen", "counts",
]  # fmt: skip


def test_parameters_are_found_once_in_order_of_assignment() -> None:
    layer = Nested()
    assert [name for name, _ in layer.named_parameters()] == NAMES
    assert [p.size for p in layer.parameters()] == [1, 2, 3, 4, 1]


def test_a_layer_shared_by_two_is_trained_once() -> None:
    inner = mg.Linear(2, 2)
    model = mg.Sequential(inner, mg.Tanh(), inner)
    assert [name for name, _ in model.named_parameters()] == ["0.weight"]
    assert list(model.state_dict()) == ["0.weight"]
    optimizer = mg.SGD(model.parameters(), lr=1, weight_decay=0.5)
    model(np.zeros((1, 2))).sum().backward()
    before = inner.weight.numpy()
    optimizer.step()
    np.testing.assert_allclose(inner.weight.data, before / 2)


def test_layers_that_refer_to_each_other_are_walked_once() -> None:
    one, two = Scale(1), Scale(1)
    one.friend, two.friend = two, one  # type: ignore[attr-defined]
    assert len(one.parameters()) == 2
    assert list(one.state_dict()) == ["factor", "seen", "friend.factor", "friend.seen"]


def test_values_of_ops_are_neither_parameters_nor_state() -> None:
    layer = Scale(2)
    layer.last = layer([1.0, 2.0])  # type: ignore[attr-defined]
    assert len(layer.parameters()) == 1
    assert list(layer.state_dict()) == ["factor", "seen"]


def test_calling_a_layer_makes_tensors_of_arrays_lists_and_numbers() -> None:
    layer = Scale(2)
    for x in ([1, 2], (np.array([1, 2])), mg.Tensor([1, 2]), [1.0, 2.0]):
        assert layer(x).data.tolist() == [2, 4]
    assert layer(3).data.tolist() == [6, 6]
    with pytest.raises(TypeError, match="received str"):
        layer("text")


def test_several_inputs_and_options_reach_forward() -> None:
    class Attend(mg.Layer):
        def forward(self, q: mg.Tensor, k: Any, state: Any = None, *, scale: float = 1.0) -> Any:
            assert type(q) is mg.Tensor
            assert k is None or type(k) is mg.Tensor
            return (q if k is None else q + k) * scale, state

    value, state = Attend()([1.0], [2.0], (1, 2), scale=3)
    assert (value.data.tolist(), state) == ([9], (1, 2))
    assert Attend()([1.0], None)[0].data.tolist() == [1]
    assert Attend()(mg.Tensor([1.0]), k=None, scale=4)[0].data.tolist() == [4]
    with pytest.raises(TypeError, match="scael"):
        Attend()([1.0], None, scael=2)


def test_a_layer_may_take_no_input_or_named_ones() -> None:
    class Named(mg.Layer):
        def forward(self, query: mg.Tensor) -> mg.Tensor:
            return query * 2

    assert Unlike([1])() == 7
    assert Named()(query=mg.Tensor(2.0)).item() == 4


def test_a_layer_without_forward_says_so() -> None:
    class Empty(mg.Layer):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty must define forward\(self, x\)"):
        Empty()(1.0)


def test_repr_shows_what_differs_from_the_defaults() -> None:
    class Kernel(mg.Layer):
        def __init__(self, padding: str, kernel: Any = None, rate: float = 0.5) -> None:
            self.padding, self.kernel, self.rate = padding, kernel, rate

    assert repr(Kernel("same")) == "Kernel('same')"
    assert repr(Kernel("same", (3, 3), 0.25)) == "Kernel('same', kernel=(3, 3), rate=0.25)"


def test_misspelt_arguments_are_refused() -> None:
    with pytest.raises(TypeError, match="baias"):
        mg.Linear(2, 3, baias=True)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="wieght"):
        _ = mg.Linear(2, 3).wieght  # type: ignore[attr-defined]


def test_train_and_eval_reach_every_layer() -> None:
    layer = Nested()
    assert [inner.training for _, inner in layer.layers_within()] == [True] * 5
    assert layer.eval() is layer
    assert [inner.training for _, inner in layer.layers_within()] == [False] * 5
    assert layer.train() is layer
    assert [inner.training for _, inner in layer.layers_within()] == [True] * 5
    assert "training" not in layer.state_dict()


def test_zero_grad_forgets_all_gradients() -> None:
    layer = Scale(2)
    layer([1.0, 2.0]).sum().backward()
    assert layer.factor.grad is not None
    layer.zero_grad()
    assert layer.factor.grad is None


def test_state_dict_copies_and_load_state_dict_restores() -> None:
    layer = Nested()
    state = layer.state_dict()
    assert list(state) == STATE
    before = {name: array.copy() for name, array in state.items()}
    for _, array in state.items():
        array += 1
    other = Nested()
    parameters = [(p, p.data) for p in other.parameters()]
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        assert np.array_equal(array, before[name] + 1)
    assert all(p.data is array for p, array in parameters)
    assert all(np.array_equal(a, before[n]) for n, a in layer.state_dict().items())


def test_arrays_of_no_numbers_are_no_state() -> None:
    layer = Scale(1)
    layer.names = np.array(["a", "b"])  # type: ignore[attr-defined]
    assert list(layer.state_dict()) == ["factor", "seen"]


def test_state_without_axes_remains_state_when_it_is_replaced() -> None:
    class Counting(mg.Layer):
        def __init__(self, p: Any) -> None:
            self.calls = np.array(0)
            self.p = p

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            self.calls = self.calls + 1
            self.p = self.p * np.float64(1)
            self.fresh = np.float64(1)
            return x

    layer = Counting(np.float64(0.5))
    for _ in range(2):
        layer(1.0)
    assert layer.calls.dtype == int
    assert {name: x.tolist() for name, x in layer.state_dict().items()} == {"calls": 2}
    assert isinstance(layer.p, np.float64)
    other = Counting(0.1)
    other.load_state_dict(layer.state_dict())
    assert other.calls == 2
    layer.calls = None  # type: ignore[assignment]
    assert not layer.state_dict()


def test_frozen_parameters_are_saved() -> None:
    layer = mg.Linear(2, 2, bias=True)
    layer.weight.requires_grad = False
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert list(layer.state_dict()) == ["weight", "bias"]


def test_load_state_dict_lists_every_fault_and_changes_nothing() -> None:
    layer = mg.Sequential(mg.Linear(2, 3, bias=True), mg.Linear(3, 1, bias=True), Scale(2))
    layer[2].seen.setflags(write=False)
    before = layer.state_dict()
    state = {
        "0.weight": np.ones((2, 3)),
        "0.bias": np.ones((1, 3)),
        "1.bias": ["text"],
        "2.factor": [1j, 2],
        "2.seen": [1.0],
        "extra": np.ones(1),
    }
    with pytest.raises(ValueError, match="the state does not fit the layer") as caught:
        layer.load_state_dict(state)
    assert str(caught.value).splitlines()[1:] == [
        "  missing: 1.weight",
        "  unexpected: extra",
        "  wrong shape: 0.bias must have (3,); received (1, 3)",
        "  no numbers: 1.bias is list",
        "  no numbers: 2.factor is list",
        "  read-only: 2.seen of the layer cannot be written into",
    ]
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())


def test_a_state_that_overflows_changes_nothing() -> None:
    layer = mg.Linear(1, 1, bias=True, dtype=np.float32)
    before = layer.state_dict()
    with pytest.raises(RuntimeWarning, match="overflow"):  # warnings are errors in the tests
        layer.load_state_dict({"weight": [[5.0]], "bias": [1e300]})
    assert all(np.array_equal(array, before[name]) for name, array in layer.state_dict().items())


def test_load_state_dict_takes_tensors_lists_and_other_float_dtypes() -> None:
    layer = mg.Linear(1, 2, bias=True, dtype=np.float32)
    layer.load_state_dict({"weight": mg.Tensor([[1.0, 2.0]]), "bias": [3, 4]})
    assert layer.weight.data.tolist() == [[1, 2]]
    assert layer.weight.dtype == np.float32
    counter = Nested()
    state = counter.state_dict()
    state["counts"] = np.array([0.5, 1, 2])
    with pytest.raises(ValueError, match="wrong dtype: counts is float64, not int64"):
        counter.load_state_dict(state)
    state["counts"] = [[1], [2, 3]]  # type: ignore[assignment]
    with pytest.raises(ValueError, match="no numbers: counts is list"):
        counter.load_state_dict(state)


def test_astype_converts_parameters_and_state_in_place() -> None:
    layer = Nested()
    layer.pair = (np.ones(2), "text")  # type: ignore[attr-defined]
    layer.last = layer.first([1.0])  # type: ignore[attr-defined]
    parameters = layer.parameters()
    layer.first([2.0]).sum().backward()
    assert layer.astype(np.float32) is layer
    assert all(p.dtype == np.float32 and p.requires_grad for p in parameters)
    assert layer.parameters() == parameters or all(
        a is b for a, b in zip(layer.parameters(), parameters, strict=True)
    )
    assert layer.first.factor.grad is not None
    assert layer.first.factor.grad.dtype == np.float32
    dtypes = {name: array.dtype for name, array in layer.state_dict().items()}
    assert dtypes.pop("counts") == np.int64
    assert set(dtypes.values()) == {np.dtype(np.float32)}
    assert layer.first(np.ones(1, np.float32)).dtype == np.float32
    with pytest.raises(TypeError, match="layers hold floats; received dtype int64"):
        layer.astype(int)


def test_astype_keeps_what_is_shared_shared() -> None:
    layer = Scale(1)
    array, pair = np.ones(2), (np.ones(1),)
    layer.named = Pair(np.ones(1), 5)  # type: ignore[attr-defined]
    layer.plain = (1, 2)  # type: ignore[attr-defined]
    layer.ids = mg.Tensor([1, 2])  # type: ignore[attr-defined]
    plain = layer.plain  # type: ignore[attr-defined]
    layer.a = layer.b = array  # type: ignore[attr-defined]
    layer.c = layer.d = pair  # type: ignore[attr-defined]
    state = layer.state_dict()
    layer.astype(np.float32)
    assert layer.a is layer.b  # type: ignore[attr-defined]
    assert layer.c is layer.d  # type: ignore[attr-defined]
    assert type(layer.c) is tuple  # type: ignore[attr-defined]
    assert layer.c[0].dtype == np.float32  # type: ignore[attr-defined]
    assert type(layer.named) is Pair  # type: ignore[attr-defined]
    assert layer.named.array.dtype == np.float32  # type: ignore[attr-defined]
    assert layer.plain is plain  # type: ignore[attr-defined]
    assert layer.ids.dtype == np.int64  # type: ignore[attr-defined]
    layer.load_state_dict(state)


def test_gradients_arrive_when_a_layer_is_converted_before_backward() -> None:
    layer = mg.Linear(2, 1)
    loss = layer([1.0, 2.0]).sum()
    layer([1.0, 1.0]).sum().backward()
    layer.astype(np.float32)
    loss.backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == np.float32
    assert layer.weight.grad.tolist() == [[2], [3]]


def test_two_entries_of_one_name_are_refused() -> None:
    layer = Scale(1)
    one, two = (mg.Tensor([x], requires_grad=True) for x in (1.0, 2.0))
    layer.table = {1: one, "1": two}  # type: ignore[attr-defined]
    assert len(layer.parameters()) == 3
    with pytest.raises(ValueError, match=r"both called table\.1; rename one"):
        layer.state_dict()


def test_state_made_by_ops_is_saved_and_loaded() -> None:
    class Centre(mg.Layer):
        def __init__(self) -> None:
            self.mean = mg.Tensor([0.0])

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            self.mean = 0.5 * self.mean + 0.5 * x.detach().mean(axis=0)
            return x - self.mean

    layer, other = Centre(), Centre()
    layer([[1.0], [3.0]])
    other([[7.0]])
    other.load_state_dict(layer.state_dict())
    assert other.mean.data.tolist() == [1]


def test_a_state_may_share_memory_with_the_layer() -> None:
    layer = Scale(1)
    layer.a, layer.b = mg.Tensor([1.0]), mg.Tensor([2.0])  # type: ignore[attr-defined]
    state = layer.state_dict()
    layer.load_state_dict({**state, "a": layer.b, "b": layer.a})  # type: ignore[attr-defined]
    assert (layer.a.item(), layer.b.item()) == (2, 1)  # type: ignore[attr-defined]


def test_repr_leaves_out_a_layer_that_holds_itself() -> None:
    layer = mg.Linear(1, 1)
    layer.me = layer  # type: ignore[attr-defined]
    assert repr(layer) == "Linear(1, 1)  # 1 parameter"


def test_repr_ends_where_layers_refer_to_each_other() -> None:
    one, two = Scale(1), Scale(1)
    one.friend, two.friend = two, one  # type: ignore[attr-defined]
    assert one.astype(np.float32).parameters()[1].dtype == np.float32
    assert repr(one).count("Scale(") == 2
    assert "(friend): ..." in repr(one)


def test_optimizers_go_on_after_astype() -> None:
    layer = mg.Linear(2, 1)
    optimizer = mg.SGD(layer.parameters(), lr=0.1)
    layer.astype(np.float32)
    layer(np.ones((1, 2), np.float32)).backward()
    before = layer.weight.numpy()
    optimizer.step()
    np.testing.assert_allclose(layer.weight.data, before - np.float32(0.1))
    assert layer.weight.dtype == np.float32


@pytest.mark.parametrize("make", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_models_copy_and_pickle_after_use(make: Callable[[Any], Any]) -> None:
    model = mg.Sequential(mg.Linear(3, 2, bias=True), np.tanh, mg.Linear(2, 1)).eval()
    model(np.ones((4, 3))).sum().backward()
    twin = make(model)
    assert np.array_equal(twin(np.ones((4, 3))).data, model(np.ones((4, 3))).data)
    assert not twin.training
    twin[0].weight.data += 1
    assert not np.array_equal(twin[0].weight.data, model[0].weight.data)


def test_sequential_is_a_sequence() -> None:
    model = mg.Sequential(mg.Linear(3, 4), mg.Tanh(), np.square, mg.Linear(4, 1))
    assert len(model) == 4
    assert [type(layer) for layer in model][:2] == [mg.Linear, mg.Tanh]
    assert model[-1].out_features == 1
    head = model[:3]
    assert isinstance(head, mg.Sequential)
    assert head[0] is model[0]
    x = np.random.default_rng(0).standard_normal((5, 3))
    expected = np.square(np.tanh(x @ model[0].weight.data)) @ model[3].weight.data
    np.testing.assert_allclose(model(x).data, expected)
    assert mg.gradcheck(model, x)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "3.weight"]


def test_an_empty_sequential_is_the_identity() -> None:
    assert mg.Sequential()([1.0, 2.0]).data.tolist() == [1, 2]


def test_sequential_refuses_what_cannot_be_called() -> None:
    with pytest.raises(TypeError, match=r"received list: write Sequential\(\*layers\)"):
        mg.Sequential([mg.Linear(3, 1), mg.Sigmoid()])  # type: ignore[arg-type]


def test_a_subclass_of_sequential_keeps_its_own_attributes() -> None:
    class Scaled(mg.Sequential):
        def __init__(self) -> None:
            super().__init__(mg.Linear(2, 2))
            self.scale = mg.Tensor([1.0], requires_grad=True)
            self.extra = mg.Linear(2, 1)

    model = Scaled()
    assert [n for n, _ in model.named_parameters()] == ["0.weight", "scale", "extra.weight"]
    assert repr(model) == (
        "Scaled(\n"
        "  (0): Linear(2, 2)  # 4 parameters\n"
        "  (extra): Linear(2, 1)  # 2 parameters\n"
        ")  # 7 parameters"
    )


def test_repr_nests_and_counts() -> None:
    model = mg.Sequential(
        mg.Linear(2, 1000, bias=True),
        mg.Sequential(mg.ReLU(), np.tanh),
        Scale(1),
        lambda x: x,
    )
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Linear(2, 1000, bias=True)  # 3,000 parameters\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): tanh\n"
        "  )\n"
        "  (2): Scale()  # 1 parameter\n"
        "  (3): <lambda>\n"
        ")  # 3,001 parameters"
    )
    assert repr(Unlike([1, 2])) == "Unlike(kind='b', shape=(2,))"
    assert repr(Nested()).splitlines() == [
        "Nested(",
        "  (first): Scale()  # 1 parameter",
        "  (blocks.0): Scale()  # 2 parameters",
        "  (blocks.1.0): Scale()  # 3 parameters",
        "  (by_name.a): Scale()  # 4 parameters",
        ")  # 11 parameters",
    ]


def test_linear_is_the_product_with_its_weight() -> None:
    x = np.random.default_rng(0).standard_normal((4, 3))
    layer = mg.Linear(3, 2, bias=True)
    assert layer.bias is not None
    assert layer.bias.data.tolist() == [0, 0]
    layer.load_state_dict({"weight": [[1, 2], [3, 4], [5, 6]], "bias": [10, 20]})
    expected = [[r @ c + b for c, b in zip(layer.weight.data.T, [10, 20], strict=True)] for r in x]
    np.testing.assert_allclose(layer(x).data, expected)
    assert layer(x[0]).shape == (2,)
    assert layer(np.ones((5, 4, 3))).shape == (5, 4, 2)
    assert layer(np.ones((0, 3))).shape == (0, 2)
    assert mg.gradcheck(layer, x)
    assert mg.Linear(3, 2).bias is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_keeps_its_dtype_for_integers_and_its_own(dtype: Any) -> None:
    layer = mg.Linear(3, 2, bias=True, dtype=dtype)
    for x in (np.ones((4, 3), dtype), np.ones((4, 3), int), np.ones((4, 3), bool), [[1, 2, 3]]):
        y = layer(x)
        assert y.dtype == dtype
        layer.zero_grad()
        y.sum().backward()
        assert layer.weight.grad is not None
        assert layer.weight.grad.dtype == dtype


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(4, 2), (2,), (), (3, 4), (2, 3, 4), (5, 1, 3, 1)])
def test_linear_says_what_it_takes_and_what_it_received(shape: tuple[int, ...], bias: bool) -> None:
    model = mg.Sequential(mg.Linear(3, 1, bias=bias), mg.Sigmoid())
    with pytest.raises(ValueError, match=r"^Linear\(3, 1.*\): takes inputs whose") as caught:
        model(np.ones(shape))
    end = "; put Flatten() before it" * (shape == (5, 1, 3, 1))
    assert str(caught.value).endswith(f"last axis has length 3; received shape {shape}{end}")


def test_an_error_names_the_innermost_layer_once() -> None:
    inner = mg.Sequential(mg.Linear(3, 2), mg.Embedding(4, 2))
    outer = mg.Residual(mg.Sequential(np.tanh, inner))
    with pytest.raises(ValueError, match=r"^Linear\(3, 2\): takes inputs") as caught:
        outer(np.ones((2, 4)))
    assert not any(name in str(caught.value) for name in ("Residual", "Sequential", "Embedding"))
    assert type(caught.value) is ValueError
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(IndexError, match=r"^Embedding\(4, 2\): embedding of shape \(4, 2\)") as e:
        mg.Sequential(inner[1:])([4])
    assert type(e.value) is IndexError


def test_an_error_in_a_function_names_the_layer_that_calls_it() -> None:
    with pytest.raises(ValueError, match=r"^Sequential\(\): matmul of shape \(2, 3\) and"):
        mg.Sequential(lambda x: x @ np.ones((2, 2)))(np.ones((2, 3)))


class OwnError(ValueError):
    """An exception of a user's own."""


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("x"), KeyboardInterrupt(), OwnError("x")]
)
def test_exceptions_of_other_kinds_pass_unchanged(error: BaseException) -> None:
    def fail(x: mg.Tensor) -> mg.Tensor:
        raise error

    with pytest.raises(type(error)) as caught:
        mg.Sequential(mg.Sequential(fail))(1.0)
    assert caught.value is error


@pytest.mark.parametrize(
    ("sizes", "kind", "message"),
    [
        ((0, 1), ValueError, "in_features must be at least 1; received 0"),
        ((3, -1), ValueError, "out_features must be at least 1; received -1"),
        ((2.5, 1), TypeError, "in_features must be an integer; received 2.5"),
        (("3", 1), TypeError, "in_features must be an integer; received '3'"),
        ((1, 3.0), TypeError, "out_features must be an integer; received 3.0"),
    ],
)
def test_linear_refuses_sizes_that_are_none(sizes: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        mg.Linear(*sizes)


def test_weights_are_uniform_with_the_variance_of_lecun() -> None:
    weight = mg.Linear(300, 200, rng=np.random.default_rng(0)).weight.data
    assert abs(weight).max() <= 0.1
    assert abs(weight).max() > 0.0999
    assert weight.var() == pytest.approx(1 / 300, rel=0.02)
    assert weight.mean() == pytest.approx(0, abs=1e-3)


def test_rng_none_draws_from_numpys_global_state_and_others_leave_it_alone() -> None:
    np.random.seed(3)
    first, second = mg.Linear(2, 2), mg.Linear(2, 2)
    np.random.seed(3)
    own = mg.Linear(2, 2, rng=np.random.default_rng(0))
    mg.Linear(2, 2, rng=np.random.RandomState(0))
    assert np.array_equal(mg.Linear(2, 2).weight.data, first.weight.data)
    assert np.array_equal(mg.Linear(2, 2).weight.data, second.weight.data)
    assert np.array_equal(
        mg.Linear(2, 2, rng=np.random.default_rng(0)).weight.data, own.weight.data
    )


@pytest.mark.parametrize("rng", [0, "seed", np.random])
def test_an_rng_that_is_none_is_refused(rng: Any) -> None:
    with pytest.raises(TypeError, match=r"rng must be None, .*default_rng\(seed\)"):
        mg.Linear(2, 2, rng=rng)
    with pytest.raises(TypeError, match="rng must be None"):
        mg.Linear(2, 2, rng=rng, weight_init=lambda shape, rng: np.ones(shape))


def test_weight_init_makes_the_weights() -> None:
    layer = mg.Linear(2, 3, weight_init=lambda shape, rng: np.full(shape, 0.5), dtype=np.float32)
    assert layer.weight.data.tolist() == [[0.5] * 3] * 2
    with pytest.raises(
        ValueError, match=r"weight_init must return shape \(2, 3\); received \(3,\)"
    ):
        mg.Linear(2, 3, weight_init=lambda shape, rng: np.zeros(3))
    with pytest.raises(ValueError, match=r"received \(3, 2\)"):
        mg.Linear(2, 3, weight_init=lambda shape, rng: np.zeros((3, 2)))
    whole = mg.Linear(2, 3, weight_init=lambda shape, rng: np.ones(shape, int))
    assert whole.weight.dtype == np.float64
    narrow = mg.Linear(2, 3, weight_init=lambda shape, rng: np.ones(shape, np.float32))
    assert narrow.weight.dtype == np.float64
    for factory in (mg.initializers.normal, mg.initializers.orthogonal, "he", None):
        with pytest.raises(TypeError, match="those with settings are called first, as initial"):
            mg.Linear(3, 1, weight_init=factory)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dtype must be one of floats"):
        mg.Linear(3, 1, dtype=int)


def test_repr_shows_none_where_another_value_is_the_default() -> None:
    class Limited(mg.Layer):
        def __init__(self, first: Any, limit: float | None = 0.5, bias: bool = True) -> None:
            self.first, self.limit, self.bias = first, limit, None

    assert repr(Limited(None)) == "Limited(None, bias=False)"
    assert repr(Limited(1, None)) == "Limited(1, limit=None, bias=False)"


def test_residual_adds_its_input_and_refuses_another_shape() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3))
    np.testing.assert_allclose(mg.Residual(np.tanh, np.square)(x).data, x + np.tanh(x) ** 2)
    assert np.array_equal(mg.Residual()(x).data, 2 * x)
    for layer in (mg.Linear(3, 1), mg.Linear(3, 4)):  # the first would broadcast
        with pytest.raises(
            ValueError, match=r"^Residual\(\): the layers must keep .* \(2, 3\) bec"
        ):
            mg.Residual(layer)(x)
    assert isinstance(mg.Residual(np.tanh)[0], np.ufunc)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ((), (2, 60)), ((0,), (120,)), ((1, 2), (2, 12, 5)), ((2,), (2, 3, 20)),
        ((0, 0), (2, 3, 4, 5)),
        ((-2, -1), (2, 3, 20)), ((0, -3), (6, 4, 5)), ((-4, 3), (120,)), ((3, 3), (2, 3, 4, 5)),
    ],
)  # fmt: skip
def test_flatten_joins_the_axes_it_is_given(arguments: Any, shape: tuple[int, ...]) -> None:
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    y = mg.Flatten(*arguments)(x)
    assert y.shape == shape
    assert y.data.ravel().tolist() == x.ravel().tolist()


@pytest.mark.parametrize("arguments", [(2, 1), (4,), (0, 4), (-5,), (0, -5), (3, -2)])
def test_flatten_refuses_axes_that_are_not_there(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"are to be joined; received \(2, 3, 4, 5\)"):
        mg.Flatten(*arguments)(np.ones((2, 3, 4, 5)))


def test_embedding_takes_rows_and_sums_the_gradients_of_repeated_ones() -> None:
    layer = mg.Embedding(4, 2, rng=np.random.default_rng(0))
    y = layer([[3, 0], [3, 3]])
    assert np.array_equal(y.data, layer.weight.data[[[3, 0], [3, 3]]])
    y.backward([[[1, 2], [3, 4]], [[10, 20], [100, 200]]])
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[3, 4], [0, 0], [0, 0], [111, 222]]
    wide = mg.Embedding(300, 1)
    assert wide(np.array([1, 255], np.uint8)).shape == (2, 1)
    assert wide(mg.Tensor(299)).shape == (1,)


@pytest.mark.parametrize(("padding_idx", "row"), [(0, 0), (3, 3), (-1, 3), (-4, 0)])
def test_every_row_can_be_the_padding(padding_idx: int, row: int) -> None:
    weight = mg.Embedding(4, 2, padding_idx).weight.data
    assert np.flatnonzero(~weight.any(axis=1)).tolist() == [row]


@pytest.mark.parametrize("padding_idx", [1, -3])
def test_the_padding_row_starts_as_zeros_and_gets_no_gradient(padding_idx: int) -> None:
    init = mg.initializers.constant(2)
    layer = mg.Embedding(4, 2, padding_idx, weight_init=init)
    assert layer.weight.data.tolist() == [[2, 2], [0, 0], [2, 2], [2, 2]]
    layer([1, 2, 1]).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.tolist() == [[0, 0], [0, 0], [1, 1], [0, 0]]
    layer.weight.data[1] = 5  # as loaded by a state
    assert layer([1]).data.tolist() == [[5, 5]]


@pytest.mark.parametrize("index", [4, -1, 10**12, -(2**63)])
def test_an_index_that_is_no_row_is_refused(index: int) -> None:
    layer = mg.Embedding(4, 2)
    message = f"indices must be at least 0 and below 4; received {index}"
    with pytest.raises(IndexError, match=f"^Embedding.4, 2.: .*{message}$"):
        layer([[0, 1], [index, 3]])


@pytest.mark.parametrize("indices", [[0.0, 1.0], 1.5, [True, False], np.ones(2, np.float32)])
def test_indices_that_are_no_integers_are_refused(indices: Any) -> None:
    with pytest.raises(TypeError, match=r"indices must be integers; received dtype (float|bool)"):
        mg.Embedding(4, 2)(indices)


def test_indices_may_change_before_backward() -> None:
    layer, indices = mg.Embedding(4, 1), np.array([1, 1])
    y = layer(indices)
    indices[:] = 3
    y.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.ravel().tolist() == [0, 2, 0, 0]


FAULTS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: mg.Embedding(0, 2), ValueError, "num_embeddings must be at least 1; received 0"),
    (lambda: mg.Embedding(3, 0), ValueError, "embedding_dim must be at least 1; received 0"),
    (lambda: mg.Embedding(3, 2, 3), ValueError, "padding_idx must be a row of the 3; received 3"),
    (lambda: mg.Embedding(3, 2, -4), ValueError, "padding_idx must be a row of the 3; received -4"),
    (lambda: mg.Conv1d(0, 1, 3), ValueError, "in_channels must be at least 1; received 0"),
    (lambda: mg.Conv2d(1, 0, 3), ValueError, "out_channels must be at least 1; received 0"),
    (lambda: mg.Conv2d(1, 1, 3, groups=0), ValueError, "groups must be at least 1; received 0"),
    (lambda: mg.Conv2d(3, 2, 3, groups=2), ValueError, "divide .* received 2, 3 and 2"),
    (lambda: mg.Conv2d(2, 3, 3, groups=2), ValueError, "divide .* received 2, 2 and 3"),
    (lambda: mg.Conv2d(1, 1, 0), ValueError, "kernel_size must be .* at least 1, or 2 of them"),
    (lambda: mg.Conv2d(1, 1, (3, 3, 3)), ValueError, r"received \(3, 3, 3\)"),
    (lambda: mg.Conv1d(1, 1, (3, 3)), ValueError, "kernel_size must be .* or 1 of them"),
    (lambda: mg.Conv2d(1, 1, 2.5), TypeError,  # type: ignore[arg-type]
     "kernel_size must be an integer or 2 of them; received 2.5"),
    (lambda: mg.Conv2d(1, 1, 3, stride=0), ValueError, "stride must be"),
    (lambda: mg.Conv2d(1, 1, 3, padding=-1), ValueError, "padding must be .* at least 0"),
    (lambda: mg.Conv2d(1, 1, 3, padding="full"), TypeError, "padding must be .* received 'full'"),
    (lambda: mg.Conv2d(1, 1, 3, dilation=(1, 0)), ValueError, "dilation must be"),
    (lambda: mg.Conv1d(1, 1, 3, 2, "same"), ValueError, '"same" needs stride 1; received .2,'),
    (lambda: mg.MaxPool2d(0), ValueError, "kernel_size must be"),
    (lambda: mg.AvgPool2d(2, 0), ValueError, "stride must be"),
    (lambda: mg.MaxPool2d(2, padding=-1), ValueError, "padding must be"),
    (lambda: mg.MaxPool2d(2, padding="same"), TypeError,  # type: ignore[arg-type]
     "padding must be an integer or 2 of them; received 'same'"),
    (lambda: mg.BatchNorm1d(0), ValueError, "num_features must be at least 1; received 0"),
    (lambda: mg.LayerNorm(0), ValueError, "normalized_shape must be at least 1; received 0"),
    (lambda: mg.RMSNorm((2, 0)), ValueError, "normalized_shape must be at least 1; received 0"),
    (lambda: mg.LSTM(0, 2), ValueError, "input_size must be at least 1; received 0"),
    (lambda: mg.GRU(3, 0), ValueError, "hidden_size must be at least 1; received 0"),
    (lambda: mg.RNN(3, 2, 0), ValueError, "num_layers must be at least 1; received 0"),
    (lambda: mg.MultiHeadAttention(0, 1), ValueError, "embed_dim must be at least 1; received 0"),
    (lambda: mg.MultiHeadAttention(4, 0), ValueError, "num_heads must be at least 1; received 0"),
    (lambda: mg.TransformerBlock(4, 2, 0), ValueError, "must be at least 1; received 0"),
    (lambda: mg.GELU("sigmoid"), ValueError, "\"none\" or \"tanh\"; received 'sigmoid'"),
    (lambda: mg.Softplus(0), ValueError, "beta must be above 0; received 0"),
    (lambda: mg.Softplus(math.nan), ValueError, "beta must be above 0; received nan"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "message"), FAULTS)
def test_arguments_out_of_their_range_are_refused(make: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    ("kernel", "padding"), [(2, 2), (3, 2), ((3, 1), (1, 1)), ((2, 4), (1, 3))]
)
def test_the_padding_of_a_pool_is_at_most_half_of_its_window(kernel: Any, padding: Any) -> None:
    for kind in (mg.MaxPool2d, mg.AvgPool2d):
        with pytest.raises(ValueError, match="padding must be at most half of kernel_size"):
            kind(kernel, padding=padding)
    for op in (ops.max_pool2d, ops.avg_pool2d):
        with pytest.raises(ValueError, match=r"^\w+_pool2d of shape .*: padding must be at most"):
            mg.apply(op, np.ones((1, 6, 6)), kernel_size=kernel, padding=padding)


def test_the_gradient_of_a_maximum_passes_nan_and_the_first_of_equal_entries() -> None:
    x = mg.Tensor([[[1.0, 1, 5, math.nan], [1, 1, 5, 5]]], requires_grad=True)
    y = mg.MaxPool2d(2)(x)
    assert y.data[0, 0, 0] == 1
    assert math.isnan(y.data[0, 0, 1])
    y.backward([[[2, 3]]])
    assert x.grad is not None
    assert x.grad[0, :, :2].tolist() == [[2, 0], [0, 0]]
    assert x.grad[0, :, 2:].sum() == 3


KERNELS: list[tuple[Any, dict[str, Any], str]] = [
    ((np.ones((2, 3, 2)),), {}, r"kernels must have 4 axes; received shape \(2, 3, 2\)"),
    (
        (np.ones((2, 4, 2, 2)),),
        {},
        "2 .* of 4 channels, with groups=1, take .*h, 4, height, .*; received .1, 3",
    ),
    (
        (np.ones((3, 3, 2, 2)),),
        {"groups": 2},
        r"groups=2, take .*, 6, .*; received .*; move the last axis, as in np.moveaxis\(x, -1, 1",
    ),
    ((np.ones((3, 1, 2, 2)),), {"groups": 2}, r"3 kernels of 1 .* groups=2, take .*, 2, .*6\)$"),
    ((np.ones((3, 1, 2, 2)),), {"groups": 0}, "with groups=0"),
    ((np.ones((2, 3, 2, 2)), np.ones(1)), {}, r"bias must have shape \(2,\); received \(1,\)"),
    ((np.ones((2, 3, 2, 2)), np.ones(())), {}, r"bias must have shape \(2,\); received \(\)"),
    ((np.ones((2, 3, 5, 2)),), {}, r"a window of \(5, 2\) does not fit into \(4, 6\)"),
    ((np.ones((2, 3, 2, 2)),), {"dilation": (1, 6)}, r"\(2, 7\) does not fit into \(4, 6\)"),
]


@pytest.mark.parametrize(("arrays", "options", "message"), KERNELS)
def test_kernels_that_do_not_fit_are_refused(arrays: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"^conv2d of shape \(1, 3, 4, 6\) and .*: .*" + message):
        mg.apply(ops.conv2d, np.ones((1, 3, 4, 6)), *arrays, **options)


def test_convolutions_start_with_the_spread_of_lecun_and_no_bias() -> None:
    for layer, fan in (
        (mg.Conv1d(6, 50, 5, groups=2, bias=True, rng=np.random.default_rng(0)), 15),
        (mg.Conv2d(4, 50, (5, 3), bias=True, rng=np.random.default_rng(0)), 60),
    ):
        limit = math.sqrt(3 / fan)
        assert 0.98 * limit < np.abs(layer.weight.data).max() <= limit
        assert layer.bias is not None
        assert layer.bias.data.tolist() == [0] * 50
    assert mg.Conv2d(1, 1, 3).bias is None


def test_embeddings_start_standard_normal_and_norms_as_the_identity() -> None:
    weight = mg.Embedding(200, 100, rng=np.random.default_rng(0)).weight.data
    assert (weight.mean(), weight.std()) == pytest.approx((0, 1), abs=0.02)
    for layer in (mg.BatchNorm1d(3), mg.BatchNorm2d(3), mg.LayerNorm((2, 3)), mg.RMSNorm(3)):
        for name, parameter in layer.named_parameters():
            assert np.all(parameter.data == (name == "weight"))


def test_settings_may_be_lists_and_numpy_integers() -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 6))
    one = mg.Conv2d(3, 2, [3, 2], stride=[2, 1], padding=np.int64(1))  # type: ignore[arg-type]
    two = mg.Conv2d(3, 2, (3, 2), stride=(2, 1), padding=1)
    two.load_state_dict(one.state_dict())
    assert np.array_equal(one(x).data, two(x).data)


class Repeated(mg.Layer):
    """A layer of a user's, whose forward takes other things than tensors."""

    def forward(self, x: Any, *others: Any, **options: Any) -> Any:
        return (x, *others, *options.values())


def test_what_is_no_array_reaches_forward_as_it_is() -> None:
    tensors, named = [mg.Tensor(1.0), mg.Tensor(2.0)], {"x": np.ones(2)}
    found = Repeated()(tensors, 2, "sum", True, None, named, (1, 2), key=3)
    assert found == (tensors, 2, "sum", True, None, named, (1, 2), 3)
    assert Repeated()(named) == (named,)


def test_arrays_and_lists_become_tensors_wherever_they_stand() -> None:
    found = Repeated()(1.5, np.ones(2), [1, 2], np.float64(3), key=np.ones(3), other=[True])
    assert all(isinstance(x, mg.Tensor) for x in found)
    assert [x.dtype.kind for x in found] == ["f", "f", "i", "f", "f", "b"]
    assert mg.ReLU()(x=np.array([-1.0, 1.0])).data.tolist() == [0, 1]


def test_a_tuple_where_one_tensor_belongs_is_explained_by_the_layer() -> None:
    model = mg.Sequential(mg.GRU(3, 2), mg.Linear(2, 2))
    with pytest.raises(
        TypeError, match=r"^Linear\(2, 2\): a tuple of tensors is no tensor; take one of them"
    ):
        model(np.zeros((4, 1, 3)))
    assert mg.Sequential(model[0], lambda pair: pair[0], model[1])(np.zeros((4, 1, 3))).ndim == 3


def test_a_number_into_linear_is_refused_by_name() -> None:
    for bias in (False, True):
        with pytest.raises(ValueError, match=r"^Linear\(3, 2.*: .* received shape \(\)"):
            mg.Linear(3, 2, bias=bias)(1.0)
    with pytest.raises(
        ValueError,
        match=r"^Linear\(3, 2, bias=True\): takes inputs .* received shape \(4, 5\)$",
    ):
        mg.Linear(3, 2, bias=True)(np.zeros((4, 5)))


def test_a_class_among_layers_is_refused() -> None:
    with pytest.raises(TypeError, match=r"received the class Tanh: write Tanh\(\)"):
        mg.Sequential(mg.Linear(3, 2), mg.Tanh)


def test_a_set_of_layers_or_tensors_is_refused() -> None:
    class Bag(mg.Layer):
        def __init__(self, *held: Any) -> None:
            self.names, self.held = {"a", 1}, {"all": frozenset(held)}

    assert Bag(1, "a").parameters() == []
    for held in (mg.Linear(3, 2), mg.Tensor(1.0, requires_grad=True)):
        with pytest.raises(TypeError, match=r"held\.all is a set, which has no order; hold"):
            Bag(1, held).parameters()


def test_functions_among_layers_are_shown_by_name() -> None:
    def shifted(x: Any, *, by: float) -> Any:
        return x + by, (lambda g: g,)

    model = mg.Sequential(np.tanh, partial(mg.apply, shifted, by=0.5), partial(np.clip, a_max=1))
    assert (
        repr(model) == "Sequential(\n  (0): tanh\n  (1): shifted(by=0.5)\n  (2): clip(a_max=1)\n)"
    )


def test_images_without_an_axis_of_channels_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"received \(8, 5, 6\); add the axis .* x\[:, None\]$"):
        mg.Conv2d(1, 4, 3)(np.ones((8, 5, 6)))
    with pytest.raises(ValueError, match=r"\(5, 6, 2\); move the last axis, .*\(x, -1, 0\)$"):
        mg.Conv2d(2, 4, 3)(np.ones((5, 6, 2)))
    with pytest.raises(ValueError, match=r"\(batch, 3, length\); received \(4, 2, 9\)$"):
        mg.Conv1d(3, 4, 3)(np.ones((4, 2, 9)))
