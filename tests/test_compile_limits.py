"""What cannot be compiled runs as it is and says why, and nothing that changes is frozen."""

import copy
import dataclasses
import functools
import pickle
import random
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from tests.test_compile import CALLS, Plain, Wrap, batch, both, network, seen, state

# What cannot be recorded


def stopped_by(function: Callable[[Any, Any], Any], reason: str, hidden: bool) -> None:
    """Check that a function gives the same, with one warning that has the reason."""

    def make(wrap: Wrap) -> Any:
        model = network()
        memory: dict[str, Any] = {
            "calls": 0, "list": [], "generator": np.random.default_rng(5),
        }  # fmt: skip
        if hidden:
            memory["hidden"] = iter(range(99))
        random.seed(3)

        @wrap
        def forward(x: Any) -> Any:
            return function(model(x), memory)

        return [seen(forward(batch(i))) for i in range(CALLS)]

    compiled = both(make, falls_back=True)
    assert reason in compiled.reason


def counting(y: Any, memory: Any) -> Any:
    memory["calls"] += 1
    return y * memory["calls"]


STOPS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "a number": (lambda y, memory: y * float(y.data[0, 0]), "takes a value out of an array"),
    "an integer": (lambda y, memory: y * int(y.data[0, 0]), "takes a value out of an array"),
    "item": (lambda y, memory: y * y.data[0, 0].item(), "takes a value out of an array"),
    "a list": (lambda y, memory: y * max(y.data[0].tolist()), "takes a value out of an array"),
    "counting": (counting, "changes Python objects: calls"),
    "a log": (lambda y, memory: (memory["list"].append(y), y)[1], "changes Python objects"),
    "a generator": (
        lambda y, memory: y * memory["generator"].random((8, 3)),
        "filled where no recorder",
    ),
    "NumPy's generator": (
        lambda y, memory: y * np.random.default_rng(3).random((8, 3)),
        "filled where",
    ),
    "Python's generator": (
        lambda y, memory: y * random.random(),
        "draws random numbers where no recorder",
    ),
    "a hidden number": (lambda y, memory: y * next(memory["hidden"]), "reads a range_iterator"),
    "text": (lambda y, memory: (str(y.data), y)[1], "takes a value out of an array"),
}


@pytest.mark.parametrize("name", STOPS)
def test_what_cannot_be_recorded_runs_as_it_is_with_one_warning(name: str) -> None:
    function, reason = STOPS[name]
    stopped_by(function, reason, hidden="hidden" in name)


# Where two recorded calls look alike


def alike(i: int) -> Any:
    """Return the same samples for the calls that are recorded, and others afterwards."""
    return batch(max(i, 3))


def largest_rows(x: Any, memory: dict[str, Any]) -> Any:
    rows = x[x[:, 0] > 0]  # as many as there are
    return rows, np.nonzero(x > 1)[0], np.unique(np.sign(x)), x[x[:, 0].argmax()]


def averaged(x: Any, memory: dict[str, Any]) -> Any:
    average = memory["average"]
    average *= 0.9
    average += 0.1 * x.mean(axis=0)
    return x * average[0] + average.sum()


def flags(x: Any, memory: dict[str, Any]) -> Any:
    if memory["average"][0] > 0.05:
        x = x * 2
    memory["average"] += x[0]
    return x


def filled(x: Any, memory: dict[str, Any]) -> Any:
    y = np.full_like(x, x.mean())
    y += np.full(x.shape, x.max())
    np.clip(y, -1, 1, y)
    z = np.zeros_like(x)
    z[0] = np.nan
    np.nan_to_num(z, copy=False)
    y += z
    return y, np.linalg.svd(x)[1], np.linalg.qr(x), x.reshape(5, 8, order="F") * 1, x.ravel("F")


def numbers(x: Any, memory: dict[str, Any]) -> Any:
    total = x.sum()
    other = total
    other **= 3
    rounded = (x * 10).astype(int)
    return total, other, rounded, np.array(x, bool), total.copy(), np.float32(2) * x[0, 0]


def flat_values(x: Any, memory: dict[str, Any]) -> Any:
    return x * next(x.flat)


def shared(x: Any, memory: dict[str, Any]) -> Any:
    return x * memory["space"].factor + memory["partial"]() + memory["slots"].number


class Slots:
    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 1.0


@pytest.mark.parametrize(
    "function", [largest_rows, averaged, flags, filled, numbers, flat_values, shared]
)
@pytest.mark.parametrize("inputs", [alike, batch])
def test_what_two_recorded_calls_have_in_common_is_not_frozen(
    function: Callable[..., Any], inputs: Callable[[int], Any]
) -> None:
    def make(wrap: Wrap) -> Any:
        space = types.SimpleNamespace(factor=2.0)
        memory: dict[str, Any] = {
            "average": np.zeros(5), "space": space, "slots": Slots(),
            "partial": functools.partial(lambda held: held.factor * 3, space),
        }  # fmt: skip

        @wrap
        def call(x: Any) -> Any:
            return function(x, memory)

        results = []
        for i in range(12):
            if i == 8:
                space.factor = 5.0
            if i == 10:
                memory["slots"].number = 7.0
            results.append([seen(call(inputs(i))), seen(memory["average"])])
        return results

    expected = make(Plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        assert make(mg.compile) == expected


@pytest.mark.parametrize("kind", [mg.SGD, mg.Adam])
def test_gradients_that_were_there_before_are_used(kind: Any) -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = kind(model.parameters(), lr=0.1)
        step = wrap(lambda: optimizer.step())
        results = []
        for i in range(8):
            for parameter in model.parameters():
                parameter.grad = np.full(parameter.shape, i + 1.0)
            step()
            results.append(state(model, optimizer))
        return results

    both(make)


class Keeping(mg.Optimizer):
    """An optimizer that keeps the gradient it is given."""

    def update(self, parameter: Any, g: Any, state: dict[str, Any]) -> None:
        parameter -= self.lr * (g + state.get("last", 0.0))
        state["last"] = g


def test_an_optimizer_may_keep_what_it_is_given() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = Keeping(model.parameters(), lr=0.1)

        @wrap
        def step(x: Any) -> Any:
            optimizer.zero_grad()
            mg.sum_of_squares(model(x), x[:, :3]).backward()
            optimizer.step()

        results = []
        for i in range(10):
            step(batch(i))
            results.append(state(model, optimizer))
        return results

    both(make)


def test_an_optimizers_numbers_that_a_function_reads_are_not_frozen() -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.1, weight_decay=0.1)

        @wrap
        def value(x: Any) -> Any:
            return model(x) * optimizer.lr + optimizer.weight_decay

        results = []
        for i in range(16):
            optimizer.lr = 0.1 if i < 8 else 0.5
            results.append(seen(value(batch(i))))
        return results

    both(make)


def test_kept_gradients_stay_when_the_leaf_has_forgotten_them() -> None:
    model = network()

    @mg.compile
    def gradients(x: Any) -> None:
        mg.sum_of_squares(model(x), x[:, :3]).backward()

    kept: list[Any] = []
    values: list[bytes] = []
    for i in range(10):
        gradients(batch(i))
        assert [array.tobytes() for array in kept] == values
        kept = [parameter.grad for parameter in model.parameters()]
        values = [array.tobytes() for array in kept]
        model.zero_grad()


def test_an_exception_in_a_program_is_the_functions_own() -> None:
    model = network()

    @mg.compile
    def solve(x: Any) -> Any:
        return np.linalg.inv(x[:5]) @ model(x).data[:5]

    for i in range(5):
        solve(batch(i))
    assert solve.source()
    with pytest.raises(np.linalg.LinAlgError), pytest.warns(UserWarning, match="raises"):
        solve(np.zeros((8, 5)))
    assert solve(batch(0)).shape == (5, 3)


def test_compiled_functions_copy_and_pickle() -> None:
    compiled = mg.compile(batch)
    for again in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(mg.compile(len)))):
        assert callable(again)


def test_other_threads_are_not_recorded() -> None:
    other = mg.Dropout(0.5, rng=np.random.default_rng(1))
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            other(np.ones((4, 4)))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        model = network(p=0.5)
        forward = mg.compile(model)
        for i in range(6):
            forward(batch(i))
    finally:
        stop.set()
        thread.join()
    assert forward.source().count("random(") == 1


# What is done to an optimizer within a call


def two_rates(optimizer: Any, update: Callable[[], None], x: Any) -> None:
    for rate in (0.1, 0.01):
        optimizer.lr = rate
        update()


def two_momenta(optimizer: Any, update: Callable[[], None], x: Any) -> None:
    for momentum in (0.5, 0.9):
        optimizer.momentum = momentum
        update()


def loading(optimizer: Any, update: Callable[[], None], x: Any) -> None:
    update()
    optimizer.load_state_dict(optimizer.state_dict())


def shrinking(optimizer: Any, update: Callable[[], None], x: Any) -> None:
    update()
    for own in optimizer.state:
        own["velocity"] *= 0.5


def reading(optimizer: Any, update: Callable[[], None], x: Any) -> Any:
    update()
    return x[0, 0] * optimizer.state[0]["velocity"]


def making(optimizer: Any, update: Callable[[], None], x: Any) -> Any:
    weight = mg.Tensor(x, requires_grad=True)
    own = mg.SGD([weight], lr=0.1)
    (weight * weight).sum().backward()
    own.step()
    return weight.data


@pytest.mark.parametrize(
    "function",
    [two_rates, two_momenta, loading, shrinking, reading, making],
    ids=lambda f: f.__name__,
)
def test_what_is_done_to_an_optimizer_within_a_call_is_not_left_out(function: Any) -> None:
    def make(wrap: Wrap) -> Any:
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.01, momentum=0.9)

        def call(x: Any) -> Any:
            def update() -> None:
                optimizer.zero_grad()
                mg.sum_of_squares(model(x), x[:, :3]).backward()
                optimizer.step()

            return function(optimizer, update, x)

        step = wrap(call)
        return [[seen(step(batch(i))), state(model, optimizer)] for i in range(CALLS)]

    both(make, falls_back=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * np.array(memoryview(x.data.tobytes()))[0],
        lambda x: x * np.array(x.data),
        lambda x: np.divmod(x, 2.0, out=(np.empty_like(x), None))[0],  # type: ignore[arg-type]
    ],
    ids=["bytes", "memory", "one result"],
)
def test_arrays_of_what_cannot_be_seen_are_refused(function: Any) -> None:
    def make(wrap: Wrap) -> Any:
        call = wrap(function)
        return [seen(call(batch(i))) for i in range(CALLS)]

    both(make, falls_back=True)


def test_an_integer_view_of_one_is_no_one() -> None:
    def make(wrap: Wrap) -> Any:
        call = wrap(lambda x: np.ones(()).view(np.int64) * x)
        return [seen(call(np.arange(3) + i)) for i in range(CALLS)]

    both(make)


def test_what_is_frozen_and_what_lies_in_files_can_be_read(tmp_path: Any) -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Held:
        scale: Any

    np.save(tmp_path / "scale.npy", np.full(5, 2.0))

    def make(wrap: Wrap) -> Any:
        one, other = Held(np.full(5, 3.0)), np.load(tmp_path / "scale.npy", mmap_mode="r")
        call = wrap(lambda x: x * one.scale + other.sum())
        return [seen(call(batch(i))) for i in range(CALLS)]

    both(make)


def test_a_file_that_is_written_where_no_recorder_sees_it_is_refused(tmp_path: Any) -> None:
    def make(wrap: Wrap) -> Any:
        path = tmp_path / f"{wrap is Plain}.npy"
        np.save(path, np.zeros(5))
        average = np.load(path, mmap_mode="r+")

        @wrap
        def forward(x: Any) -> Any:
            average[...] = x.mean(axis=0)
            return x * 2

        return [[seen(forward(batch(i))), average.tobytes()] for i in range(CALLS)]

    assert "where no recorder sees it" in both(make, falls_back=True).reason
