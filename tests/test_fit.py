"""Fit: the loop it stands for, what it reports, and what it leaves behind."""

import os
import signal
import sys
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

# A shell that starts the tests in the background has told them to ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

INPUTS = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype=float)
TARGETS = np.array([[0], [1], [1], [0]], dtype=float)


def network(seed: int = 0, dropout: float = 0.0) -> mg.Sequential:
    rng = np.random.default_rng(seed)
    return mg.Sequential(
        mg.Linear(3, 5, bias=True, rng=rng), mg.Tanh(), mg.Dropout(dropout, rng=rng),
        mg.Linear(5, 2, rng=rng),
    )  # fmt: skip


def samples(count: int = 23, seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((count, 3))
    return x, x[:, :2] ** 2


def fit(model: Any, x: Any = None, y: Any = None, **options: Any) -> mg.History:
    """Call fit with what most tests do not care about."""
    if x is None:
        x, y = samples()
    settings: dict[str, Any] = {
        "loss": mg.mean_squared_error, "epochs": 3, "batch_size": 5,
        "rng": np.random.default_rng(2), **options,
    }  # fmt: skip
    if "optimizer" not in settings:
        settings["optimizer"] = mg.SGD(model.parameters(), lr=0.05)
    return mg.fit(model, x, y, **settings)


def without_seconds(history: mg.History) -> list[dict[str, Any]]:
    return [{name: v for name, v in row.items() if name != "seconds"} for row in history]


def weights(model: Any) -> list[Any]:
    return [array.tobytes() for array in model.state_dict().values()]


# What it does


def test_it_is_the_tutorials_formula_bit_for_bit() -> None:
    np.random.seed(1)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    fit(
        model, INPUTS, TARGETS, loss=mg.sum_of_squares, epochs=50, batch_size=4, shuffle=False,
        optimizer=mg.SGD(model.parameters(), lr=1.0),
    )  # fmt: skip
    np.random.seed(1)
    w = 2 * np.random.random((3, 1)) - 1
    for _ in range(50):
        output = 1 / (1 + np.exp(-(INPUTS @ w)))
        w += INPUTS.T @ ((TARGETS - output) * output * (1 - output))
    assert np.array_equal(model[0].weight.data, w)


def test_it_is_the_loop_written_out() -> None:
    x, y = samples()
    ours, theirs = network(dropout=0.3), network(dropout=0.3)
    schedule = mg.schedules.cosine(0.1, 12)
    history = fit(
        ours, x, y, optimizer=mg.Adam(ours.parameters()), schedule=schedule, clip_norm=0.5
    )

    optimizer = mg.Adam(theirs.parameters())
    rng, step, rows = np.random.default_rng(2), 0, []
    for _ in range(3):
        order, total = rng.permutation(23), 0.0
        for start in range(0, 23, 5):
            batch = order[start : start + 5]
            optimizer.zero_grad()
            loss = mg.mean_squared_error(theirs(x[batch]), y[batch])
            loss.backward()
            mg.clip_grad_norm(theirs.parameters(), 0.5)
            optimizer.lr = schedule(step)
            optimizer.step()
            step += 1
            total += loss.item() * len(batch)
        rows.append((total / 23, optimizer.lr))
    assert weights(ours) == weights(theirs)
    assert list(zip(history["loss"], history["lr"])) == rows
    assert history["epoch"] == [1, 2, 3]
    assert all(seconds > 0 for seconds in history["seconds"])
    assert history.stopped is None


@pytest.mark.parametrize("kind", [mg.SGD, mg.Adam])
@pytest.mark.parametrize(
    "options",
    [
        {}, {"batch_size": 100}, {"clip_norm": 0.5, "schedule": mg.schedules.cosine(0.1, 60)},
        {"validation": 0.3, "metrics": {"error": mg.metrics.mean_absolute_error}},
        {"callbacks": [mg.EarlyStopping("loss", 2), mg.TerminateOnNaN()], "shuffle": False},
    ],
    ids=range(5),
)  # fmt: skip
def test_compiled_it_is_the_same_bit_for_bit(kind: Any, options: dict[str, Any]) -> None:
    runs = []
    for compile in (False, True):
        model = network(dropout=0.3)
        optimizer = kind(model.parameters(), lr=0.02)
        history = fit(model, optimizer=optimizer, epochs=12, compile=compile, **options)
        runs.append((without_seconds(history), weights(model), repr(optimizer.state_dict())))
    assert runs[0] == runs[1]


def test_compiled_it_stops_before_an_update_that_would_spoil_the_model() -> None:
    runs = []
    for compile in (False, True):
        model = network()
        x, y = samples(40)
        y[33] = np.nan
        history = fit(model, x, y, shuffle=False, compile=compile, callbacks=[mg.TerminateOnNaN()])
        assert history.stopped == "the loss was nan in epoch 1, update 7"
        runs.append(weights(model))
    assert runs[0] == runs[1]


def test_what_cannot_be_compiled_is_trained_with_a_warning() -> None:
    losses: list[float] = []

    def loss(prediction: Any, target: Any) -> Any:
        value = mg.mean_squared_error(prediction, target)
        losses.append(float(value))
        return value

    ours, theirs = network(), network()
    with pytest.warns(UserWarning, match="gradients is not compiled and runs as it is"):
        fit(ours, loss=loss, compile=True)
    fit(theirs, loss=loss)
    assert weights(ours) == weights(theirs)
    assert len(losses) == 30


def test_the_loss_is_the_mean_over_samples_with_a_last_batch_that_is_smaller() -> None:
    x, y = samples(7)
    model = network()
    expected = np.mean((model(x).data - y) ** 2)
    optimizer = mg.SGD(model.parameters(), lr=0.0)
    for batch_size in (1, 3, 7, 100):
        history = fit(
            model, x, y, epochs=1, batch_size=batch_size, optimizer=optimizer, validation=(x, y)
        )
        np.testing.assert_allclose(history["loss"], [expected], rtol=1e-13)
        np.testing.assert_allclose(history["val_loss"], [expected], rtol=1e-13)


def test_metrics_are_of_all_predictions_of_the_epoch_together() -> None:
    x, y = samples()
    model = network()
    seen: list[Any] = []

    def largest_error(predictions: Any, targets: Any) -> Any:
        assert type(predictions) is type(targets) is np.ndarray
        seen.append((predictions, targets))
        return np.abs(predictions - targets).max()

    history = fit(
        model, x, y, optimizer=mg.SGD(model.parameters(), lr=0.0), epochs=2,
        metrics={"worst": largest_error}, validation=(x[:9], y[:9]),
    )  # fmt: skip
    errors = np.abs(model(x).data - y)
    np.testing.assert_allclose(history["worst"], [errors.max()] * 2, rtol=1e-12)
    np.testing.assert_allclose(history["val_worst"], [errors[:9].max()] * 2, rtol=1e-12)
    assert [len(predictions) for predictions, _ in seen] == [23, 9, 23, 9]
    np.testing.assert_allclose(sorted(seen[0][1][:, 0]), sorted(y[:, 0]))
    assert list(history[0]) == [
        "epoch", "loss", "worst", "val_loss", "val_worst", "lr", "seconds",
    ]  # fmt: skip


def test_tensors_and_arrays_of_one_entry_are_numbers() -> None:
    def loss(prediction: Any, target: Any) -> Any:
        return mg.mean_squared_error(prediction, target).reshape(1)

    history = fit(
        network(), loss=loss, validation=np.float32(0.3),
        metrics={"a": loss, "b": lambda p, t: np.array([[0.5]]), "c": lambda p, t: np.int8(2)},
    )  # fmt: skip
    assert history["val_loss"] == pytest.approx(history["val_a"])
    assert (history["b"], history["val_c"]) == ([0.5] * 3, [2.0] * 3)
    assert all(type(value) is float for name in "abc" for value in history[name])


def test_predictions_that_are_views_do_not_keep_what_they_are_views_of() -> None:
    x = np.zeros((40, 1))
    model = mg.Sequential(mg.Linear(1, 10_000), lambda y: y[:, :1])
    tracemalloc.start()
    try:
        fit(model, x, x, metrics={"zero": lambda p, t: 0}, epochs=1, validation=(x, x))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 10_000 * 8


def test_only_what_the_optimizer_has_and_what_is_not_frozen_is_trained() -> None:
    model = network()
    optimizer = mg.SGD(model.parameters()[1:], lr=0.1)
    model[3].weight.requires_grad = False
    before = weights(model)
    fit(model, optimizer=optimizer, clip_norm=1.0)
    changed = [old != new for old, new in zip(before, weights(model))]
    assert changed == [False, True, False]


def test_one_sample_and_batches_larger_than_the_data() -> None:
    x, y = samples(1)
    for batch_size in (1, 100):
        model = network()
        history = fit(model, x, y, batch_size=batch_size, validation=(x, y), epochs=30)
        assert history["loss"][0] > history["loss"][-1] > history["val_loss"][-1]


def test_validation_is_in_evaluation_mode_and_records_nothing() -> None:
    modes: list[Any] = []

    class Spy(mg.Layer):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            y = x * 1
            modes.append((self.training, y.requires_grad))
            return y

    model = mg.Sequential(mg.Linear(3, 2), Spy())
    x, y = samples(10)
    fit(model, x, y, epochs=1, validation=(x, y))
    assert modes == [(True, True)] * 2 + [(False, False)] * 2


def test_a_fraction_is_kept_back_for_validation_and_never_trained_on() -> None:
    x = np.arange(20.0)[:, None]
    trained: set[float] = set()
    validated: set[float] = set()

    class Spy(mg.Layer):
        def __init__(self) -> None:
            self.factor = mg.Tensor(1.0, requires_grad=True)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            (trained if self.training else validated).update(x.data[:, 0].tolist())
            return x * self.factor

    for shuffle in (True, False):
        trained.clear()
        validated.clear()
        history = fit(Spy(), x, x, validation=0.25, shuffle=shuffle, epochs=4)
        assert len(validated) == 5
        assert trained | validated == set(range(20))
        assert not trained & validated
        assert (validated == set(range(15, 20))) is not shuffle
        assert "val_loss" in history.columns


def test_orders_are_new_each_epoch_unless_told_otherwise() -> None:
    x = np.arange(6.0)[:, None]
    orders: list[list[float]] = []

    def loss(prediction: Any, target: Any) -> Any:
        orders.append(target[:, 0].tolist())
        return mg.mean_squared_error(prediction, target)

    for shuffle in (True, False):
        orders.clear()
        fit(mg.Linear(1, 1), x, x, loss=loss, batch_size=6, epochs=5, shuffle=shuffle)
        assert all(sorted(order) == [0, 1, 2, 3, 4, 5] for order in orders)
        assert len({tuple(order) for order in orders}) == (5 if shuffle else 1)


def test_the_same_rng_gives_the_same_history_bit_for_bit() -> None:
    runs = []
    for seed in (0, 0, 1):
        model = network(dropout=0.5)
        history = fit(model, rng=np.random.default_rng(seed), validation=0.2)
        runs.append((without_seconds(history), weights(model)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_numpys_seed_is_enough_to_reproduce_a_run() -> None:
    runs = []
    for seed in (3, 3, 4):
        np.random.seed(seed)
        model = mg.Sequential(mg.Linear(3, 4), mg.Dropout(), mg.Linear(4, 2))
        history = fit(model, rng=None)
        runs.append((without_seconds(history), weights(model)))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_lists_tensors_and_integers_are_samples_too() -> None:
    model = mg.Sequential(mg.Embedding(4, 3), mg.Flatten(), mg.Linear(6, 2))
    history = fit(
        model, [[0, 1], [2, 3], [3, 3]], mg.Tensor([0, 1, 1]), loss=mg.cross_entropy,
        metrics={"accuracy": mg.metrics.accuracy},
    )  # fmt: skip
    assert 0 <= history["accuracy"][0] <= 1


# What it leaves behind


def test_every_layer_is_in_its_own_mode_afterwards() -> None:
    model = network()
    model[1].eval()
    fit(model)
    assert [layer.training for _, layer in model.layers_within()] == [True, True, False, True, True]
    model.eval()

    def broken(*_: Any) -> Any:
        raise ZeroDivisionError

    for options in ({"loss": broken}, {"callbacks": [broken]}, {"metrics": {"m": broken}}):
        with pytest.raises(ZeroDivisionError):
            fit(model, **options)
        assert not any(layer.training for _, layer in model.layers_within())


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_ends_training_after_the_batch_with_the_history_so_far() -> None:
    model, twin = network(), network()
    calls: list[int] = []

    def loss(prediction: Any, target: Any) -> Any:
        calls.append(1)
        if len(calls) == 12:  # the second batch of the third epoch
            press_ctrl_c()
        return mg.mean_squared_error(prediction, target)

    history = fit(model, loss=loss, epochs=5)
    assert len(calls) == 12
    assert history.stopped == "interrupted"
    expected = fit(twin, epochs=2)
    assert without_seconds(history) == without_seconds(expected)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(fit(model, epochs=2)) == 2


def test_ctrl_c_in_a_callback_keeps_the_row() -> None:
    history = fit(network(), callbacks=[lambda row: press_ctrl_c()], epochs=5)
    assert history["epoch"] == [1]
    assert history.stopped == "interrupted"


def test_ctrl_c_during_the_last_epochs_end_interrupts_nothing() -> None:
    history = fit(network(), callbacks=[lambda row: press_ctrl_c()], epochs=1)
    assert history.stopped is None


def test_a_second_ctrl_c_raises_at_once() -> None:
    model = network().eval()

    def loss(prediction: Any, target: Any) -> Any:
        press_ctrl_c()
        press_ctrl_c()
        raise AssertionError("not reached")

    with pytest.raises(KeyboardInterrupt):
        fit(model, loss=loss)
    assert not model.training
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_users_own_is_left_alone() -> None:
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        history = fit(network(), callbacks=[lambda row: press_ctrl_c()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(history) == 3 == len(pressed)


def test_it_works_in_a_thread() -> None:
    histories: list[mg.History] = []
    thread = threading.Thread(target=lambda: histories.append(fit(network())))
    thread.start()
    thread.join()
    assert without_seconds(histories[0]) == without_seconds(fit(network()))


# What it refuses


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"model": np.tanh}, TypeError, r"received ufunc: put a function into Sequential\(f"),
        ({"model": mg.Linear}, TypeError, "received the class Linear: make an instance of it"),
        ({"model": "net"}, TypeError, "model must be a layer; received str"),
        ({"optimizer": mg.SGD}, TypeError, r"such as Adam\(model.*received <class.*SGD"),
        ({"optimizer": "adam"}, TypeError, "optimizer must be an instance.*received 'adam'"),
        ({"loss": "mse"}, TypeError, "loss must be a function of predictions.*received 'mse'"),
        ({"schedule": 0.1}, TypeError, "schedule must be a function of the .*received 0.1"),
        ({"metrics": {"m": 1}}, TypeError, "metrics must be a dict of functions"),
        ({"callbacks": mg.TerminateOnNaN()}, TypeError, r"a list of.*: write \[callback\] for a"),
        ({"callbacks": print}, TypeError, r"callbacks must be a list.*: write \[callback\]"),
        ({"callbacks": None}, TypeError, "callbacks must be a list.*received None"),
        ({"y": None}, TypeError, "^targets: data must be numbers; received None"),
        ({"y": ["cat"] * 23}, TypeError, "^targets: data must be floats.*received list of"),
        ({"x": [[1], [1, 2]]}, ValueError, "^inputs: data must be a rectangular array"),
        ({"validation": (np.ones(3), None)}, TypeError, "^validation's targets: data must be"),
        ({"x": np.ones((4, 3)), "y": np.ones((5, 2))}, ValueError, r"\(4, 3\) and \(5, 2\)"),
        ({"x": np.ones((0, 3)), "y": np.ones((0, 2))}, ValueError, "at least one"),
        ({"x": 1.0, "y": 2.0}, ValueError, r"shapes \(\) and \(\)"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1; received 0"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer; received 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"validation": 1.0}, ValueError, "a fraction between 0 and 1"),
        ({"validation": 0.01}, ValueError, "received 0.01 of 23 samples"),
        ({"validation": True}, TypeError, "a pair of inputs and targets, or a fraction"),
        ({"validation": (np.ones((2, 3)), np.ones((3, 2)))}, ValueError, "same number"),
        ({"metrics": {"loss": max}}, ValueError, r"names of their own; received \['loss'\]"),
        ({"validation": 5}, TypeError, "a fraction such as 0.2; received 5"),
        ({"validation": (np.ones((0, 3)), [])}, ValueError, "validation's inputs .* at least one"),
        (
            {"metrics": {"m": lambda p, t: p}},
            TypeError,
            r"m must give a number; received array.{,30}$",
        ),
        ({"metrics": {"m": lambda p, t: None}}, TypeError, "give a number; received None"),
        ({"metrics": [max]}, TypeError, "metrics must be a dict .* received .<built-in function"),
        ({"metrics": None}, TypeError, "metrics must be a dict .* received None"),
        ({"metrics": {1: max}}, TypeError, "metrics must be a dict"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be above 0"),
        ({"clip_norm": -1}, ValueError, "clip_norm must be"),
        ({"rng": 3}, TypeError, "rng must be None"),
        ({"callbacks": [3]}, TypeError, "functions of an epoch's row; received 3"),
        ({"callbacks": [mg.EarlyStopping]}, TypeError, "must be Callback objects"),
        ({"loss": lambda p, t: p}, ValueError, r"one entry.*received \(5, 2\)"),
        ({"loss": lambda p, t: 3.0}, ValueError, "received 3.0"),
        ({"loss": lambda p, t: np.float64(3)}, ValueError, r"received .*3\.0"),
        ({"loss": lambda p, t: (p, t)}, ValueError, r"received \(Tensor"),
    ],
)
def test_bad_arguments_are_refused_by_name(
    options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    model = network()
    before = weights(model)
    x, y = samples()
    given = {"model": model, "x": x, "y": y, "optimizer": mg.SGD(model.parameters()), **options}
    with pytest.raises(kind, match=message):
        fit(**given)
    if "m" not in (options.get("metrics") or ()):
        assert weights(model) == before


def test_what_a_metric_raises_bears_its_name() -> None:
    for kind in (ValueError, IndexError, TypeError):

        def broken(p: Any, t: Any, kind: Any = kind) -> Any:
            raise kind("why")

        with pytest.raises(kind, match=r"^metric worst: why$"):
            fit(network(), metrics={"worst": broken})
    with pytest.raises(ZeroDivisionError) as caught:
        fit(network(), metrics={"best": lambda p, t: 1, "worst": lambda p, t: 1 // 0})
    assert caught.value.__notes__ == ["metric worst"]


def test_metrics_of_nan_are_nan_and_the_history_is_kept() -> None:
    x, labels = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    model = network()
    history = fit(
        model, x, labels, loss=mg.cross_entropy, validation=(x, labels),
        metrics={"accuracy": mg.metrics.accuracy},
        callbacks=[lambda row: model[0].weight.data.fill(np.nan)],
    )  # fmt: skip
    accuracies = np.array([history["accuracy"], history["val_accuracy"]])
    assert np.isnan(accuracies).tolist() == [[False, True, True]] * 2


@pytest.mark.parametrize("shuffle", [True, False])
def test_nobodys_code_overwrites_the_users_data(shuffle: bool, tmp_path: Any) -> None:
    class Greedy(mg.Layer):
        def __init__(self) -> None:
            self.factor = mg.Tensor(1.0, requires_grad=True)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            overwrite(x.data)
            return x * self.factor

    def overwrite(array: Any) -> int:
        try:
            array[...] = 7.0
        except ValueError as error:
            refused.append(str(error))
        return len(array)

    def loss(prediction: Any, target: Any) -> Any:
        overwrite(target)
        return mg.mean_squared_error(prediction, np.zeros_like(target))

    refused: list[str] = []
    np.save(tmp_path / "x.npy", samples()[0])
    x: Any = np.load(tmp_path / "x.npy", mmap_mode="r+")
    given = [x, x * 2, x + 1, x + 2]
    before = [array.copy() for array in given]
    fit(
        Greedy(), *given[:2], loss=loss, validation=tuple(given[2:]), shuffle=shuffle,
        metrics={"m": lambda p, t: overwrite(t)},
        callbacks=[mg.EarlyStopping("loss")],
    )  # fmt: skip
    mg.predict(Greedy(), x)
    assert all(np.array_equal(array, old) for array, old in zip(given, before))
    assert all(array.flags.writeable for array in given)
    assert {"read-only" in message for message in refused} == {True}


def test_metrics_need_one_tensor_per_batch() -> None:
    class Two(mg.Layer):
        def __init__(self) -> None:
            self.layer = network()

        def forward(self, x: mg.Tensor) -> Any:
            return self.layer(x), x

    def loss(prediction: Any, target: Any) -> Any:
        return mg.mean_squared_error(prediction[0], target)

    history = fit(Two(), loss=loss, validation=0.3)
    assert without_seconds(history) == without_seconds(fit(network(), validation=0.3))
    with pytest.raises(TypeError, match="a model that returns one tensor; received tuple: leave"):
        fit(Two(), loss=loss, metrics={"zero": lambda p, t: 0})


def test_an_optimizer_of_another_model_is_refused() -> None:
    other = mg.SGD(network().parameters(), lr=0.1)
    with pytest.raises(ValueError, match="none of the optimizer's parameters"):
        fit(network(), optimizer=other)


# What it shows


class Terminal:
    """A standard error that is a terminal and keeps what it was sent."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize("has_tqdm", [True, False])
def test_progress_is_shown_on_a_terminal(monkeypatch: Any, has_tqdm: bool) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    if not has_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    fit(network(), validation=0.2)
    last = terminal.text.rstrip("\n").split("\r")[-1]
    assert "epoch 3/3" in last
    assert "12/12" in last
    assert "loss" in last
    assert "val_loss" in last
    assert terminal.text.endswith("\n")
    assert "\x1b[" not in terminal.text.replace("\x1b[A", "")
    assert ("left" in last) is not has_tqdm


def test_nothing_is_shown_elsewhere_unless_asked(capsys: Any, monkeypatch: Any) -> None:
    fit(network())
    monkeypatch.setattr("sys.stderr", None)
    fit(network())
    monkeypatch.undo()
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    fit(network(), progress=False)
    assert terminal.text == ""
    monkeypatch.undo()
    fit(network(), progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "epoch 3/3" in captured.err


def test_progress_ends_its_line_when_training_fails(monkeypatch: Any) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)

    def broken(row: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(network(), callbacks=[broken])
    assert terminal.text.endswith("\n")


def test_without_tqdm_one_line_is_written_again_and_again(monkeypatch: Any) -> None:
    terminal, clock = Terminal(), [100.0]
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr("micrograd_np.training.progress.monotonic", lambda: clock[0])
    losses, seconds = iter([1.0, 22.0, 333.0, 0.5]), iter([2000.0, 0.09, 0.11, 1.0])

    def loss(prediction: Any, target: Any) -> Any:
        clock[0] += next(seconds)
        return prediction.sum() * 0 + next(losses)

    for columns in (200, 30):
        monkeypatch.setenv("COLUMNS", str(columns))
        fit(network(), loss=loss, epochs=2, batch_size=12)
        losses, seconds = iter([1.0, 22.0, 333.0, 0.5]), iter([2000.0, 0.09, 0.11, 1.0])
        lines = [
            "\repoch 1/2, update 1/4, loss 1, 1:40:00 left",  # as long for each of three more
            "\repoch 1/2, update 2/4, loss 11.04, 33:20 left",
            "\repoch 2/2, update 3/4, loss 333, 11:07 left  ",  # which covers the longer one
            "\repoch 2/2, update 4/4, loss 0.5, 0:00 left ",
            "\repoch 2/2, update 4/4, loss 174, 0:00 left",
            "\repoch 2/2, update 4/4, loss 174, 0:00 left",
        ]
        assert terminal.text == "".join(line[:columns] for line in lines) + "\n"
        terminal.text = ""


def test_progress_goes_on_where_a_resumed_run_does(monkeypatch: Any, tmp_path: Any) -> None:
    clock = [0.0]

    def loss(prediction: Any, target: Any) -> Any:
        clock[0] += 1
        return mg.mean_squared_error(prediction, target)

    fit(network(), epochs=2, callbacks=[mg.Checkpoint(tmp_path / "run.npz")])
    for has_tqdm in (True, False):
        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("COLUMNS", "200")
        if not has_tqdm:
            monkeypatch.setitem(sys.modules, "tqdm", None)
            monkeypatch.setattr("micrograd_np.training.progress.monotonic", lambda: clock[0])
        callbacks = [mg.Checkpoint(tmp_path / "more.npz")]
        fit(network(), loss=loss, callbacks=callbacks, resume=tmp_path / "run.npz")
        first, *_, last = terminal.text.strip().split("\r")
        assert ("10/15" if has_tqdm else "epoch 3/3, update 11/15") in first
        assert has_tqdm or first.endswith("0:04 left")
        assert "15/15" in last
