"""Compiled functions do bit for bit what they do as they are, whatever changes between calls."""

import contextlib
import gc
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np import losses
from tests.test_layer_table import Row, each, flat, stirred

CALLS = 7
Wrap = Callable[[Callable[..., Any]], Any]


class Plain:
    """The same function as it is, with what tests ask of a compiled one."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.reason = function, ""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.function(*args, **options)

    def source(self) -> str:
        return ""


def seen(value: Any) -> Any:
    """Return nested results as bytes, with their kinds."""
    if isinstance(value, mg.Tensor):
        return "tensor", seen(value.data)
    if isinstance(value, np.ndarray | np.generic):
        return type(value).__name__, value.shape, value.dtype, value.tobytes()
    if isinstance(value, (tuple, list)):
        return [type(value).__name__, *map(seen, value)]
    if isinstance(value, dict):
        return {key: seen(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, str)) else repr(value)


def state(model: mg.Layer, optimizer: Any = None) -> Any:
    """Return all that a step changes, as bytes."""
    grads = [p.grad for p in model.parameters()]
    remembered = [] if optimizer is None else optimizer.state_dict()["state"]
    return seen([model.state_dict(), grads, remembered])


def network(seed: int = 0, dtype: Any = np.float64, p: float = 0.0) -> mg.Sequential:
    rng = np.random.default_rng(seed)
    return mg.Sequential(
        mg.Linear(5, 6, bias=True, rng=rng), mg.Tanh(), mg.Dropout(p, rng=rng),
        mg.Linear(6, 3, bias=True, rng=rng),
    ).astype(dtype)  # fmt: skip


def batch(i: int, rows: int = 8) -> Any:
    return np.random.default_rng(i).standard_normal((rows, 5))


def training_step(model: mg.Layer, optimizer: mg.Optimizer) -> Callable[[Any], Any]:
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = mg.mean_squared_error(model(x), x[:, :3])
        loss.backward()
        optimizer.step()
        return loss

    return step


def both(make: Callable[[Any], Any], falls_back: bool = False) -> Any:
    """Call what `make` makes as it is and compiled; both give all that is to be compared.

    `make(wrap)` wraps its function by `wrap` and returns results; it is called twice.
    """
    made: list[Any] = []

    def compiled(function: Any) -> Any:
        made.append(mg.compile(function))
        return made[-1]

    expected = make(Plain)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = make(compiled)
    assert found == expected
    (function,) = made
    assert len(caught) == falls_back, [str(w.message) for w in caught]
    assert bool(function.reason) == falls_back, function.reason
    assert bool(function.source()) != falls_back
    return function


# Everything there is


@each()
@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_layer(row: Row, mode: bool, dtype: Any) -> None:
    is_float = row.x.dtype.kind == "f"

    def inputs(i: int) -> Any:
        noise = np.random.default_rng(i).standard_normal(row.x.shape) / 10
        return (row.x + noise).astype(dtype) if is_float else row.x

    def make(wrap: Wrap) -> Any:
        model: Any = mg.Sequential(stirred(row, dtype=dtype))
        model.extra = mg.Tensor([1.0], requires_grad=True)  # so that there is a parameter
        for _, inner in model.layers_within():
            if hasattr(inner, "rng"):
                inner.rng = np.random.default_rng(3)
        model.train(mode)
        optimizer = mg.SGD(model.parameters(), lr=1e-3)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            outputs = flat(model(x))
            value: Any = sum((y * y).sum() for y in outputs) * model.extra.sum()
            value.backward()
            optimizer.step()
            return [value, *outputs]

        function = wrap(step)
        return [[seen(function(inputs(i))), state(model, optimizer)] for i in range(CALLS)]

    both(make)


LOSSES: dict[str, Callable[..., Any]] = {
    "binary_cross_entropy": lambda y, t, **o: mg.binary_cross_entropy(y.sigmoid(), t > 0, **o),
    "binary_cross_entropy_with_logits": lambda y, t, **o: mg.binary_cross_entropy_with_logits(
        y, t > 0, **o
    ),
    "cross_entropy": lambda y, t, **o: mg.cross_entropy(y, (t[:, 0] > 0).astype(int), **o),
    "hinge": lambda y, t, **o: mg.hinge(y, np.sign(t), **o),
    "huber": mg.huber,
    "kl_divergence": lambda y, t, **o: mg.kl_divergence(y.log_softmax(1), np.exp(t), **o),
    "mean_absolute_error": mg.mean_absolute_error,
    "mean_squared_error": mg.mean_squared_error,
    "negative_log_likelihood": lambda y, t, **o: mg.negative_log_likelihood(
        y.log_softmax(1), t.argmax(1), **o
    ),
    "sum_of_squares": mg.sum_of_squares,
}


def test_every_loss_is_here() -> None:
    names = {name for name in mg.__all__ if getattr(losses, name, None) is getattr(mg, name)}
    assert names - {"Tensor", "apply"} == set(LOSSES)


@pytest.mark.parametrize(
    ("name", "reduction"),
    [(name, reduction) for name in LOSSES for reduction in ("mean", "sum", "none")],
)
def test_every_loss(name: str, reduction: str) -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.01)

        @wrap
        def step(x: Any, t: Any) -> Any:
            optimizer.zero_grad()
            loss = LOSSES[name](model(x), t, reduction=reduction).sum()
            loss.backward()
            optimizer.step()
            return loss

        return [
            [seen(step(batch(i), batch(i + 50)[:, :3])), state(model, optimizer)]
            for i in range(CALLS)
        ]

    both(make)


SETTINGS: list[tuple[type[mg.Optimizer], dict[str, Any]]] = [
    (mg.SGD, {}), (mg.SGD, {"weight_decay": 0.1}), (mg.SGD, {"momentum": 0.9}),
    (mg.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (mg.RMSprop, {}), (mg.RMSprop, {"centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    (mg.Adagrad, {}), (mg.Adagrad, {"lr_decay": 0.1, "weight_decay": 0.1}),
    (mg.Adam, {}), (mg.Adam, {"amsgrad": True}), (mg.Adam, {"weight_decay": 0.1}),
    (mg.AdamW, {}), (mg.AdamW, {"amsgrad": True, "weight_decay": 0.1}),
]  # fmt: skip


class Sign(mg.Optimizer):
    """An optimizer as a user writes one, whose rule does not go entry by entry."""

    def update(self, parameter: Any, g: Any, state: dict[str, Any]) -> None:
        state["largest"] = max(state.get("largest", 0.0), float(abs(g).max()))
        parameter -= self.lr * np.sign(g) * state["largest"]


@pytest.mark.parametrize(("kind", "settings"), [*SETTINGS, (Sign, {"lr": 0.1})])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("grouped", [False, True])
def test_every_optimizer(kind: Any, settings: dict[str, Any], dtype: Any, grouped: bool) -> None:
    def make(wrap: Wrap) -> Any:
        model = network(dtype=dtype)
        parameters: Any = model.parameters()
        if grouped and kind is not Sign:
            parameters = [
                {"params": parameters[:1], "lr": 0.3}, {"params": parameters[1:]}
            ]  # fmt: skip
        optimizer = kind(parameters, **{"lr": 0.1, **settings})
        schedule = mg.schedules.cosine(0.1, CALLS)
        results = []

        step = wrap(training_step(model, optimizer))
        for i in range(CALLS):
            optimizer.lr = schedule(i)
            results.append([seen(step(batch(i).astype(dtype))), state(model, optimizer)])
        return results

    both(make)


def test_every_optimizer_is_here() -> None:
    kinds = {kind for kind in vars(mg).values() if isinstance(kind, type)}
    assert {k for k in kinds if issubclass(k, mg.Optimizer)} - {mg.Optimizer} == {
        kind for kind, _ in SETTINGS
    }


# What changes between calls


def changing(change: Callable[[Any, Any], Any], **settings: Any) -> Callable[[Any], Any]:
    """Make steps of a network with dropout and Adam, between which something is changed."""

    def make(wrap: Wrap) -> Any:
        model = network(p=0.3)
        optimizer = mg.Adam(model.parameters(), lr=0.05, **settings)
        results = []

        step = wrap(training_step(model, optimizer))
        for i in range(2 * CALLS):
            if i == CALLS:
                change(model, optimizer)
            results.append([seen(step(batch(i))), state(model, optimizer)])
        return results

    return make


def replaced_by_tensor(model: Any, optimizer: Any) -> None:
    model[0].bias = mg.Tensor(np.ones(6), requires_grad=True)


def frozen(model: Any, optimizer: Any) -> None:
    model[0].weight.requires_grad = False


CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "nothing": lambda model, optimizer: None,
    "mode": lambda model, optimizer: model.eval(),
    "dropout": lambda model, optimizer: setattr(model[2], "p", 0.6),
    "generator": lambda model, optimizer: setattr(model[2], "rng", np.random.default_rng(9)),
    "lr": lambda model, optimizer: setattr(optimizer, "lr", 0.001),
    "lr of zero": lambda model, optimizer: setattr(optimizer, "lr", 0.0),
    "betas": lambda model, optimizer: setattr(optimizer, "betas", (0.5, 0.6)),
    "weight decay": lambda model, optimizer: setattr(optimizer, "weight_decay", 0.3),
    "amsgrad": lambda model, optimizer: setattr(optimizer, "amsgrad", True),
    "weights": lambda model, optimizer: model.load_state_dict(network(7).state_dict()),
    "data in place": lambda model, optimizer: model[0].weight.data.fill(0.1),
    "data": lambda model, optimizer: setattr(model[0].weight, "data", np.ones((5, 6))),
    "tensor": replaced_by_tensor,
    "frozen": frozen,
    "no gradients": lambda model, optimizer: model.zero_grad(),
    "a layer": lambda model, optimizer: model.layers.__setitem__(1, mg.ReLU()),
    "a layer less": lambda model, optimizer: model.layers.pop(1),
    "optimizer's state": lambda model, optimizer: optimizer.load_state_dict(
        mg.Adam(model.parameters(), lr=0.2).state_dict()
    ),
    "dtype": lambda model, optimizer: model.astype(np.float32),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_between_calls_are_noticed(name: str) -> None:
    both(changing(CHANGES[name]))


def test_an_optimizer_whose_state_is_put_back_goes_on_from_there() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.Adam(model.parameters())

        step = wrap(training_step(model, optimizer))
        results = []
        for i in range(20):
            step(batch(i))
            if i == 6:
                kept = model.state_dict(), optimizer.state_dict()
            if i == 13:
                model.load_state_dict(kept[0])
                optimizer.load_state_dict(kept[1])
            if i == 16:  # an entry of it, by hand
                optimizer.state[0]["m"] = optimizer.state[0]["m"] * 0
            results.append(state(model, optimizer))
        return results

    both(make)


def test_steps_as_they_are_and_compiled_ones_take_turns() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.Adam(model.parameters(), amsgrad=True)

        plain_step = training_step(model, optimizer)
        step = wrap(plain_step)
        results = []
        for i in range(20):
            (plain_step if i % 3 == 2 else step)(batch(i))
            results.append(state(model, optimizer))
        return results

    both(make)


SCALE, TABLE = 2.0, {"factor": 1.0}


class Scaled(mg.Layer):
    factor = 3.0

    def __init__(self) -> None:
        self.settings = {"powers": [1.0, 2.0]}

    def forward(self, x: mg.Tensor) -> mg.Tensor:
        return x * SCALE * TABLE["factor"] * self.settings["powers"][0]


def test_numbers_of_python_that_it_reads_are_not_frozen(monkeypatch: Any) -> None:
    def make(wrap: Wrap) -> Any:
        layer, offset, results = Scaled(), 1.0, []

        @wrap
        def forward(x: Any) -> Any:
            return layer(x) + offset

        for i in range(40):
            monkeypatch.setattr(f"{__name__}.SCALE", 2.0 if i < 8 else 5.0)
            monkeypatch.setitem(TABLE, "factor", 1.0 if i < 16 else 7.0)
            layer.settings["powers"][0] = 1.0 if i < 24 else 9.0
            offset = 1.0 if i < 32 else 11.0
            results.append(seen(forward(batch(i))))
        return results

    both(make)


def test_shapes_dtypes_modes_and_arguments_have_programs_of_their_own() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()

        @wrap
        def forward(x: Any, factor: float = 1.0, *, more: Any = None) -> Any:
            y = model(x) * factor
            return y if more is None else y + more

        results = []
        for i in range(30):
            results.append(seen(forward(batch(i, rows=3 + i % 3))))
            results.append(seen(forward(batch(i), 2.0)))
            results.append(seen(forward(batch(i), factor=2.0)))
            results.append(seen(forward(batch(i), more=np.full((8, 3), float(i)))))
            results.append(seen(forward(mg.Tensor(batch(i)))))
            results.append(seen(forward(batch(i).astype(np.float32))))
        return results

    function = both(make)
    assert function.source().count("def program(") == 8  # the newest


def test_an_argument_that_is_always_the_same_array_is_read_where_it_lies() -> None:
    def make(wrap: Wrap) -> Any:
        model, x, results = network(), batch(0), []

        @wrap
        def forward(x: Any) -> Any:
            return model(x)

        for i in range(12):
            x += 1
            if i == 8:
                x = batch(5)
            results.append(seen(forward(x)))
        return results

    assert "copyto(x0_, x0)" not in both(make).source().split("def program")[-1]


def test_arguments_lie_in_memory_as_they_like() -> None:
    layouts: list[Callable[[Any], Any]] = [
        np.asfortranarray, lambda x: x[::-1], lambda x: x.repeat(2, 1)[:, ::2],
        lambda x: np.broadcast_to(x[:1], x.shape), lambda x: x.astype(">f8"),
    ]  # fmt: skip
    model = network()
    compiled = mg.compile(model)
    for layout in layouts:
        for i in range(5):
            x = layout(batch(i))
            np.testing.assert_allclose(compiled(x).data, model(x).data, rtol=1e-14)
    assert compiled.source()


# What it does in the middle


def test_gradients_are_clipped_and_the_norm_is_returned() -> None:
    def make(wrap: Wrap) -> Any:
        model = network(dtype=np.float32)
        optimizer = mg.SGD(model.parameters(), lr=0.1)

        @wrap
        def step(x: Any, y: Any) -> Any:
            optimizer.zero_grad()
            loss = mg.mean_squared_error(model(x), y)
            loss.backward()
            norm = mg.clip_grad_norm(model.parameters(), 0.5)
            mg.clip_grad_value(model.parameters(), 0.2)
            optimizer.step()
            return {"loss": loss, "norm": norm, "pair": (loss, None, 3, "x", [True])}

        results = []
        for i in range(12):
            x = batch(i).astype(np.float32)
            y = x[:, :3] * np.float32(10 if i % 3 else 0.01)  # sometimes it is not clipped
            results.append([seen(step(x, y)), state(model, optimizer)])
        return results

    both(make)


def test_a_step_apart_from_its_gradients() -> None:
    for clipped in (False, True):
        for kind in (mg.SGD, mg.Adam, mg.RMSprop):

            def make(wrap: Wrap, kind: Any = kind, clipped: bool = clipped) -> Any:
                model = network()
                optimizer = kind(model.parameters(), lr=0.1)

                @wrap
                def step() -> Any:
                    if clipped:
                        mg.clip_grad_value(model.parameters(), 0.1)
                    optimizer.step()

                results = []
                for i in range(12):
                    optimizer.zero_grad()
                    mg.sum_of_squares(model(batch(i)), batch(i)[:, :3]).backward()
                    step()
                    results.append(state(model, optimizer))
                return results

            both(make)


def test_gradients_add_up_where_nobody_forgets_them() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.1)

        @wrap
        def accumulate(x: Any) -> Any:
            loss = mg.mean_squared_error(model(x), x[:, :3])
            loss.backward()
            return loss

        results = []
        for i in range(24):
            results.append([seen(accumulate(batch(i))), state(model)])
            if i % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
        return results

    both(make)


def test_a_branch_that_values_decide_is_taken_as_they_decide() -> None:
    """Logits far from 0 take another way through cross_entropy, after the statistics moved."""

    def make(wrap: Wrap) -> Any:
        rng = np.random.default_rng(0)
        model = mg.Sequential(
            mg.Linear(5, 4, rng=rng), mg.BatchNorm1d(4), mg.Dropout(0.3, rng=rng), mg.Dropout(0.1),
            mg.Linear(4, 3, rng=rng),
        )  # fmt: skip
        factor = mg.Tensor([1.0])
        optimizer = mg.SGD(model.parameters(), lr=0.01)
        np.random.seed(5)

        @wrap
        def step(x: Any, labels: Any) -> Any:
            optimizer.zero_grad()
            loss = mg.cross_entropy(model(x) * factor, labels)
            loss.backward()
            optimizer.step()
            return loss

        results = []
        for i in range(16):
            factor.data[...] = 1e5 if i in (6, 11) else 1.0
            labels = np.arange(8) % 3
            if i == 8:
                labels[2] = -100  # to be ignored
            results.append([seen(step(batch(i), labels)), state(model, optimizer)])
        return results

    function = both(make)
    assert "undo(MISS)" in function.source()


def test_labels_that_are_no_classes_raise_what_they_raise() -> None:
    model = network()
    optimizer = mg.SGD(model.parameters(), lr=0.1)

    @mg.compile
    def step(x: Any, labels: Any) -> Any:
        optimizer.zero_grad()
        loss = mg.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        return loss

    labels = np.arange(8) % 3
    for i in range(5):
        step(batch(i), labels.copy())
    before = state(model)
    labels[4] = 3
    with pytest.raises(IndexError, match="row 4 has the label 3"):
        step(batch(9), labels)
    assert state(model)[1] == before[1]
    labels[4] = 0
    assert isinstance(step(batch(9), labels), mg.Tensor)


def test_shared_parameters_and_a_model_as_an_argument() -> None:
    def make(wrap: Wrap) -> Any:
        shared = mg.Linear(5, 5, rng=np.random.default_rng(0))
        model = mg.Sequential(shared, mg.Tanh(), shared)
        other = mg.Sequential(mg.Linear(5, 5, rng=np.random.default_rng(1)))
        optimizer = mg.Adam([*model.parameters(), *other.parameters()])

        @wrap
        def step(net: Any, x: Any) -> Any:
            optimizer.zero_grad()
            mg.sum_of_squares(net(x), x).backward()
            optimizer.step()

        results = []
        for i in range(20):
            net = model if i % 3 else other
            step(net, batch(i))
            results.append([state(model), state(other)])
        return results

    both(make)


def test_ops_of_ones_own_in_plain_numpy() -> None:
    def swish(x: Any) -> Any:
        share = 1 / (1 + np.exp(-x))
        value = x * share
        mask = np.zeros(x.shape, bool)
        mask[:, ::2] = True
        value[mask] *= 2
        weights = np.where(mask, 2.0, 1.0)
        order = np.argsort(x, axis=1)
        np.take_along_axis(x, order, axis=1)
        return value, (lambda g: g * weights * (share + value / weights * (1 - share)),)

    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.1)

        @wrap
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = (mg.apply(swish, model(x)) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss, np.sort(loss.data.reshape(1)), x.sum(), x.max(axis=0)

        return [[seen(step(batch(i))), state(model)] for i in range(CALLS)]

    both(make)


def test_numpys_scalars_are_not_changed_in_place() -> None:
    def make(wrap: Wrap) -> Any:
        @wrap
        def total(x: Any) -> Any:
            first = x.sum()
            second = first
            second += 1
            second **= 2
            return first, second, x[0, 0] - 1

        return [seen(total(batch(i))) for i in range(CALLS)]

    both(make)


def test_methods_are_compiled_for_each_object() -> None:
    class Trainer:
        def __init__(self, seed: int) -> None:
            self.model = network(seed)

        def forward(self, x: Any) -> Any:
            return self.model(x)

        compiled = mg.compile(forward)

    one, two = Trainer(0), Trainer(1)
    for i in range(8):
        for trainer in (one, two):
            assert seen(trainer.compiled(batch(i))) == seen(trainer.forward(batch(i)))
    assert Trainer.compiled.source().count("def program") == 2


# Where it stands aside


def test_no_grad_and_modes_outside_are_heeded() -> None:
    def make(wrap: Wrap) -> Any:
        model = network(p=0.5)

        @wrap
        def forward(x: Any) -> Any:
            y = model(x)
            if y.requires_grad:
                y.sum().backward()
            return y

        results = []
        for i in range(24):
            model.zero_grad()
            with mg.no_grad() if i % 3 else contextlib.nullcontext():
                results.append([seen(forward(batch(i))), state(model)])
        return results

    both(make)


def test_anomalies_are_found() -> None:
    model = network()
    forward = mg.compile(model)
    for i in range(5):
        forward(batch(i))
    assert forward.source()
    with mg.detect_anomaly(), pytest.raises(FloatingPointError):
        forward(batch(0) * np.inf)
    assert seen(forward(batch(1))) == seen(model(batch(1)))


def test_threads_call_it_at_the_same_time() -> None:
    model = network()
    forward = mg.compile(model)
    expected = [seen(model(batch(i))) for i in range(20)]
    wrong: list[int] = []

    def call() -> None:
        for _ in range(20):
            wrong.extend(i for i in range(20) if seen(forward(batch(i))) != expected[i])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert forward.reason == ""


def test_exceptions_pass_and_leave_everything_usable() -> None:
    class Fragile(mg.Layer):
        broken = False

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            if self.broken:
                raise ZeroDivisionError
            return x * 2

    layer = Fragile()
    model = mg.Sequential(network(), layer)
    forward = mg.compile(model)
    for i in range(12):
        layer.broken = i in (0, 1, 2, 7)
        if layer.broken:
            with pytest.raises(ZeroDivisionError):
                forward(batch(i))
        else:
            assert seen(forward(batch(i))) == seen(model(batch(i)))
    assert np.zeros.__module__ == "numpy"
    assert type(model[0][0].weight.data) is np.ndarray
    assert forward.reason == ""


def test_nothing_of_the_recording_stays_behind() -> None:
    model = network(p=0.5)
    optimizer = mg.Adam(model.parameters())
    before = {name: getattr(np, name) for name in dir(np)}

    @mg.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = mg.sum_of_squares(model(x), x[:, :3])
        loss.backward()
        optimizer.step()
        return loss

    for i in range(6):
        loss = step(batch(i))
        arrays = [loss.data, *model.state_dict().values(), *(p.grad for p in model.parameters())]
        arrays += [p.data for p in model.parameters()]
        arrays += [a for s in optimizer.state for a in s.values() if isinstance(a, np.ndarray)]
        assert {type(array) for array in arrays} == {np.ndarray}
        assert all(getattr(np, name) is thing for name, thing in before.items())


def test_a_function_that_is_gone_frees_its_memory() -> None:
    model = network()
    forward = mg.compile(model)
    for i in range(5):
        forward(batch(i))
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(20):
        again = mg.compile(model)
        for i in range(5):
            again(batch(i))
    del again
    gc.collect()
    assert len(gc.get_objects()) < before + 200


@pytest.mark.parametrize("kind", [mg.SGD, mg.Adam])
@pytest.mark.parametrize("forgets", [True, False])
def test_several_updates_in_one_call(kind: Any, forgets: bool) -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = kind(model.parameters(), lr=0.1)

        @wrap
        def steps(x: Any) -> Any:
            optimizer.zero_grad()
            for part in (x[:4], x[4:], x):
                if forgets:
                    optimizer.zero_grad()
                loss = mg.sum_of_squares(model(part), part[:, :3])
                loss.backward()
                optimizer.step()
            return loss

        results = []
        for i in range(CALLS):
            optimizer.lr = 0.1 / (1 + i)
            results.append([seen(steps(batch(i))), state(model, optimizer)])
        return results

    written = re.findall(r"_leaf\w*\.grad = ", both(make).source())
    assert len(written) == 4  # the last of each, as nobody looks at the others
