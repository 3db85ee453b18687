"""Save and load; and runs that stop anywhere and go on as if they had not."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from micrograd_np.saving.checkpoint import state_of
from tests.test_fit import fit, network, press_ctrl_c, samples, weights, without_seconds
from tests.test_layer_table import ROWS, Row, build, each, outputs, stirred

OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda p: mg.SGD(p, lr=0.05),
    "SGD with momentum": lambda p: mg.SGD(p, 0.05, 0.9),
    "SGD with nesterov": lambda p: mg.SGD(p, 0.05, 0.9, nesterov=True, weight_decay=1e-3),
    "RMSprop": lambda p: mg.RMSprop(p, momentum=0.5, centered=True),
    "Adagrad": lambda p: mg.Adagrad(p, lr_decay=0.01),
    "Adam": mg.Adam,
    "AdamW": mg.AdamW,
    "AdamW with amsgrad": lambda p: mg.AdamW(p, amsgrad=True),
    "groups": lambda p: mg.Adam([{"params": p[:1], "lr": 0.01}, {"params": p[1:]}], 1e-3),
    "groups with settings": lambda p: mg.SGD(
        [{"params": p[:2], "momentum": 0.5, "weight_decay": 0.1}, {"params": p[2:]}], 0.05, 0.9
    ),
}


# Save and load


@each()
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_every_layer_comes_back_from_a_file(row: Row, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    for dtype in (np.float64, np.float32):
        model, other = stirred(row, dtype=dtype), build(row, 1, dtype=dtype).eval()
        mg.save(path, model)
        assert mg.load(path, other) == {}
        assert weights(other) == weights(model)
        for y, expected in zip(outputs(other, row.x), outputs(model, row.x), strict=True):
            assert y.data.tobytes() == expected.data.tobytes()


def test_parts_are_filled_or_returned(tmp_path: Path) -> None:
    path = str(tmp_path / "run.NPZ")
    model = network()
    optimizer = mg.Adam(model.parameters(), lr=0.1)
    fit(model, optimizer=optimizer)
    twister = np.random.MT19937
    generators: list[Any] = [
        np.random.default_rng(3), np.random.RandomState(4), np.random.Generator(twister(5)),
    ]  # fmt: skip
    np.random.seed(6)
    mg.save(
        path, model, optimizer=optimizer, a=generators[0], b=generators[1], c=generators[2],
        d=np.random, epoch=3, note=("x", None), order=np.arange(3),
    )  # fmt: skip
    expected = [generator.random(3).tolist() for generator in [*generators, np.random]]

    twin = network(seed=9)
    other = mg.Adam(twin.parameters())
    fresh: list[Any] = [
        np.random.default_rng(0), np.random.RandomState(0), np.random.Generator(twister(0)),
    ]  # fmt: skip
    rest = mg.load(path, twin, optimizer=other, a=fresh[0], b=fresh[1], c=fresh[2], d=np.random)
    assert [generator.random(3).tolist() for generator in [*fresh, np.random]] == expected
    assert weights(twin) == weights(model)
    assert other.lr == 0.1
    assert repr(other.state_dict()) == repr(optimizer.state_dict())
    assert rest["epoch"] == 3
    assert rest["note"] == ("x", None)
    assert rest["order"].tolist() == [0, 1, 2]
    assert list(mg.load(path, network())) == ["optimizer", "a", "b", "c", "d", *rest]


def faults(path: Path) -> list[tuple[dict[str, Any], Any, str]]:
    model = network()
    return [
        (
            {"model": mg.Linear(3, 5)},
            mg.CheckpointError,
            "(?s)does not fit: .*unexpected: 0.weight",
        ),
        ({"optimizer": mg.SGD(model.parameters())}, mg.CheckpointError, "must have the keys"),
        ({"optimizer": mg.Adam([model[0].weight])}, mg.CheckpointError, "is of 3 parameters"),
        ({"rng": np.random.RandomState(0)}, mg.CheckpointError, "PCG64, not MT19937"),
        ({"epoch": np.random.default_rng(0)}, mg.CheckpointError, "random generator int"),
        ({"other": np.random.default_rng(0)}, mg.CheckpointError, r"has no \['other'\]; it has"),
        ({"epoch": 3}, TypeError, "epoch must be a random generator or have load_state_dict"),
    ]


@pytest.mark.parametrize("i", range(7))
def test_what_does_not_fit_changes_nothing(i: int, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    trained = network()
    optimizer = mg.Adam(trained.parameters())
    fit(trained, optimizer=optimizer)
    mg.save(path, trained, optimizer=optimizer, rng=np.random.default_rng(1), epoch=3)
    options, kind, message = faults(path)[i]
    options = {"model": network(5), "rng": np.random.default_rng(7), **options}
    model, rng = options["model"], options["rng"]
    before = weights(model), repr(state_of(rng))
    optimizers = [part for part in options.values() if isinstance(part, mg.Optimizer)]
    states = [repr(part.state_dict()) for part in optimizers]
    with pytest.raises(kind, match=message) as caught:
        mg.load(path, **options)
    assert kind is TypeError or str(caught.value).startswith(str(path))
    after = weights(model), repr(state_of(rng))
    assert after == before
    assert [repr(part.state_dict()) for part in optimizers] == states


def test_a_name_says_what_the_file_is(tmp_path: Path) -> None:
    model = network()
    for name in ("model", "model.pt", "model.onnx", ".npz"):
        with pytest.raises(ValueError, match=r"must end in \.npz \(or \.safetensors\); received"):
            mg.save(tmp_path / name, model)
        with pytest.raises(ValueError, match="must end in"):
            mg.load(tmp_path / name, model)
    for call in (mg.save, mg.load):
        with pytest.raises(ValueError, match=r"holds a model alone, not \['epoch'\]"):
            call(tmp_path / "model.safetensors", model, epoch=np.random.default_rng(0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_bad_luck_while_filling_changes_nothing_and_is_no_fault_of_the_file(
    error: type[BaseException], tmp_path: Path
) -> None:
    class Part:
        def state_dict(self) -> dict[str, Any]:
            return {"lucky": True}

        def load_state_dict(self, state: Any) -> None:
            if fail.pop():
                raise error

    model, fail = network(1), [False, True]
    before = weights(model)
    mg.save(tmp_path / "run.npz", network(), part=Part())
    with pytest.raises(error):
        mg.load(tmp_path / "run.npz", model, part=Part())
    assert weights(model) == before


def test_arguments_that_changed_places_are_told_apart(tmp_path: Path) -> None:
    path, model = tmp_path / "model.npz", network()
    calls: list[Any] = [mg.save, mg.load]
    for call in calls:
        with pytest.raises(TypeError, match=r"come before the model; received Sequential$"):
            call(model, path)
        with pytest.raises(TypeError, match=r"received str: the path comes first, then the model$"):
            call(path, "model")
        with pytest.raises(TypeError, match=r"received the class Linear: make an instance of it$"):
            call(path, mg.Linear)
    assert not path.exists()


def test_models_and_optimizers_pickle_and_copy_without_their_graph() -> None:
    model: Any = network()
    loss = mg.mean_squared_error(model(samples()[0]), samples()[1])
    model.kept = loss
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert weights(twin)[:3] == weights(model)[:3]
        assert not twin.kept.requires_grad
        assert twin.kept.data == loss.data
        fit(twin)
    loss.backward()


# Stop and resume


class Stop(mg.Callback):
    """Ctrl-C after so many updates, or a file to copy from there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def after_update(self, run: mg.Run) -> None:
        if run.step == self.step:
            press_ctrl_c()


def settings(model: Any, name: str, path: Path, **options: Any) -> dict[str, Any]:
    """Return arguments of fit that use everything that a run has to remember."""
    return {
        "optimizer": OPTIMIZERS[name](model.parameters()),
        "rng": np.random.default_rng(2), "validation": 0.3, "epochs": 4, "clip_norm": 1.0,
        "metrics": {"error": lambda p, t: np.abs(p - t).mean()},
        "callbacks": [mg.Checkpoint(path), mg.EarlyStopping(patience=50)], **options,
    }  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("step", [1, 3, 4, 5, 12, 15])
def test_a_run_that_stops_anywhere_goes_on_as_if_it_had_not(
    name: str, step: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.npz"
    schedule = mg.schedules.cosine(0.02, 16)

    whole = network(dropout=0.4)
    expected = fit(whole, **settings(whole, name, path, schedule=schedule))
    assert len(expected) == 4

    model = network(dropout=0.4)
    options = settings(model, name, path, schedule=schedule)
    options["callbacks"].append(Stop(step))
    stopped = fit(model, **options)
    assert stopped.stopped == "interrupted"
    assert len(stopped) == step // 4

    other = network(seed=11, dropout=0.4)  # as a new process would have it, but for the seeds
    options = settings(other, name, path, schedule=schedule, rng=np.random.default_rng(12))
    history = fit(other, **options, resume=path)
    assert without_seconds(history) == without_seconds(expected)
    assert weights(other) == weights(whole)
    assert history.stopped is None
    assert all(seconds > 0 for seconds in history["seconds"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_that_stops_after_every_update_goes_on_as_if_it_had_not(
    name: str, tmp_path: Path
) -> None:
    def run(path: Path, seed: int, step: int, resume: Path | None) -> tuple[Any, ...]:
        model = network(seed, dropout=0.4)
        rng = np.random.default_rng(seed)
        stopper = mg.EarlyStopping("error", 5, mode="min")
        callbacks = [
            Stop(step), mg.Checkpoint(path), stopper,
            mg.ReduceLROnPlateau("val_loss", 0.5, 1, min_delta=0.1),
            mg.Checkpoint(path.with_name(path.stem + "-{epoch}.npz"), keep=2),
            mg.Checkpoint(path.with_name(path.stem + "-best-{epoch}.npz"), monitor="val_loss"),
        ]  # fmt: skip
        options = settings(model, name, path, rng=rng, epochs=5, callbacks=callbacks)
        history = fit(model, **options, resume=resume)
        best = stopper.best, stopper.best_epoch
        return history.stopped, without_seconds(history), weights(model), best

    whole = run(tmp_path / "whole.npz", 0, -1, None)
    assert whole[0] is None
    assert len({row["lr"] for row in whole[1]}) > 1
    path = tmp_path / "parts.npz"
    for step in range(1, 20):
        found = run(path, 0 if step == 1 else step, step, path if step > 1 else None)
        assert found[0] == "interrupted"
        assert len(found[1]) == step // 4
    assert run(path, 99, -1, path) == whole
    files = {file.name for file in tmp_path.iterdir()}
    wholes = {file for file in files if file.startswith("whole")}
    assert files - wholes == {file.replace("whole", "parts") for file in wholes}
    for file in wholes:
        model, twin = network(), network(1)
        mg.load(tmp_path / file, model)
        mg.load(tmp_path / file.replace("whole", "parts"), twin)
        assert weights(model) == weights(twin)


@pytest.mark.parametrize("event", ["before_update", "after_update", "epoch_end"])
@pytest.mark.parametrize("step", [1, 4, 5, 6, 9, 10])
def test_a_run_that_an_exception_ends_goes_on_from_the_last_file(
    event: str, step: int, tmp_path: Path
) -> None:
    class Faulty(mg.Callback):
        def fault(self, run: mg.Run) -> None:
            if run.step >= step:
                raise ZeroDivisionError

    path = tmp_path / "run.npz"
    model = network(dropout=0.5)
    expected = fit(model, callbacks=[mg.Checkpoint(path, every=1)])
    path.unlink()
    other, faulty = network(dropout=0.5), Faulty()
    setattr(faulty, event, faulty.fault)
    with pytest.raises(ZeroDivisionError):
        fit(other, callbacks=[mg.Checkpoint(path, every=1), faulty])
    if not path.exists():
        assert (event, step) == ("after_update", 1)  # which comes before the first file
        return
    twin = network(seed=7, dropout=0.5)
    rng = np.random.default_rng(7)
    history = fit(twin, callbacks=[mg.Checkpoint(path)], rng=rng, resume=path)
    assert without_seconds(history) == without_seconds(expected)
    assert weights(twin) == weights(model)


def test_a_callback_of_ones_own_goes_on_with_what_it_remembers(tmp_path: Path) -> None:
    class Rows(mg.Callback):
        def reset(self) -> None:
            self.losses: dict[str, float] = {}

        def epoch_end(self, run: mg.Run) -> None:
            self.losses[f"{len(run.history)}"] = run.history[-1]["loss"]

        def state_dict(self) -> dict[str, Any]:
            return self.losses  # empty before the first epoch, which is a state, too

        def load_state_dict(self, state: Any) -> None:
            self.losses = dict(state)

    path = tmp_path / "run.npz"
    rows = Rows()
    fit(network(), epochs=2, callbacks=[rows, mg.Checkpoint(path)])
    history = fit(network(), epochs=4, callbacks=[rows, mg.Checkpoint(path)], resume=path)
    assert list(rows.losses.values()) == history["loss"]
    assert list(rows.losses) == ["1", "2", "3", "4"]


def test_a_model_with_a_frozen_part_goes_on_too(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    results = []
    for step, resume in ((99, None), (7, None), (99, path)):
        model = network(dropout=0.5)
        model[0].weight.requires_grad = False
        if resume:
            model[0].weight.data[...] = 0
        optimizer = mg.Adam(model[3].parameters())
        history = fit(model, optimizer=optimizer, callbacks=[mg.Checkpoint(path), Stop(step)],
                      resume=resume)  # fmt: skip
        results.append((without_seconds(history), weights(model)))
    assert results[0] == results[2]
    assert results[0][1][0] == weights(network())[0]


def test_a_run_on_numpys_global_state_goes_on_too(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    results = []
    for step, resume in ((99, None), (3, None), (99, path)):
        np.random.seed(0)
        model = mg.Sequential(mg.Linear(3, 8), mg.ReLU(), mg.Dropout(), mg.Linear(8, 2))
        if resume:
            np.random.seed(123)
        callbacks = [mg.Checkpoint(path), Stop(step)]
        history = fit(model, rng=None, callbacks=callbacks, resume=resume)
        results.append((without_seconds(history), weights(model)))
    assert results[0] == results[2]
    assert results[0] != results[1]


def test_batch_norm_and_generators_of_layers_of_ones_own_go_on_too(tmp_path: Path) -> None:
    class Noise(mg.Layer):
        def __init__(self, seed: int) -> None:
            self.source = np.random.RandomState(seed)

        def forward(self, x: mg.Tensor) -> mg.Tensor:
            return x + self.source.standard_normal(x.shape)

    path = tmp_path / "run.npz"
    results = []
    for step, resume in ((99, None), (7, None), (99, path)):
        rng = np.random.default_rng(0)
        noise = Noise(77 if resume else 1)
        model = mg.Sequential(mg.Linear(3, 8, rng=rng), mg.BatchNorm1d(8), noise,
                              mg.Linear(8, 2, rng=rng))  # fmt: skip
        history = fit(model, callbacks=[mg.Checkpoint(path), Stop(step)], resume=resume)
        results.append((without_seconds(history), weights(model)))
    assert results[0] == results[2]


def test_files_written_within_an_epoch_are_as_good(tmp_path: Path) -> None:
    model = network(dropout=0.5)
    expected = fit(model, callbacks=[mg.Checkpoint(tmp_path / "{epoch}-{step}.npz", every=1)])
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 15  # the last update of an epoch and its end share a name
    for path in paths:
        other = network(dropout=0.5, seed=3)
        history = fit(other, callbacks=[mg.Checkpoint(tmp_path / "new.npz")], resume=path)
        assert without_seconds(history) == without_seconds(expected)
        assert weights(other) == weights(model)


def test_callbacks_go_on_with_what_they_remember(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    values = iter([5.0, 4.0, 4.5, 4.6, 4.7, 4.8, 3.0, 3.1])

    def run(epochs: int, resume: Any = None) -> tuple[Any, ...]:
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.05)
        stopper = mg.EarlyStopping("value", 3, mode="min")
        plateau = mg.ReduceLROnPlateau("value", 0.5, 2, mode="min")
        history = fit(
            model, optimizer=optimizer, epochs=epochs, resume=resume,
            metrics={"value": lambda p, t: next(values)},
            callbacks=[mg.Checkpoint(path), stopper, plateau],
        )  # fmt: skip
        return without_seconds(history), weights(model), stopper.best_epoch, history.stopped

    whole = run(9)
    assert whole[2:] == (2, "value was best in epoch 2: 4")
    assert [row["value"] for row in whole[0]] == [5.0, 4.0, 4.5, 4.6, 4.7]
    assert [row["lr"] for row in whole[0]] == [0.05] * 4 + [0.025]
    values = iter([5.0, 4.0, 4.5])
    run(3)
    values = iter([4.6, 4.7])
    assert run(9, resume=path) == whole
    values = iter([])  # a run that has ended does not go on
    assert run(9, resume=path) == whole


def test_an_epoch_has_the_seconds_of_all_its_parts(tmp_path: Path, monkeypatch: Any) -> None:
    clock = [0.0]
    monkeypatch.setattr("micrograd_np.training.run.perf_counter", lambda: clock[0])

    def loss(prediction: Any, target: Any) -> Any:
        clock[0] += 1
        return mg.mean_squared_error(prediction, target)

    path = tmp_path / "run.npz"
    for step in (2, 4, 5, 7, 99):
        callbacks = [mg.Checkpoint(path), Stop(step)]
        resume = path if path.exists() else None
        history = fit(network(), loss=loss, epochs=2, callbacks=callbacks, resume=resume)
        clock[0] += 1000
    assert history["seconds"] == [5, 5]


def test_more_epochs_can_be_added(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    whole, model = network(dropout=0.2), network(dropout=0.2)
    expected = fit(whole, epochs=5)
    fit(model, epochs=2, callbacks=[mg.Checkpoint(path)])
    other = network(seed=4, dropout=0.2)
    history = fit(other, epochs=5, callbacks=[mg.Checkpoint(path)], resume=path)
    assert without_seconds(history) == without_seconds(expected)
    assert weights(other) == weights(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": np.ones((22, 3)), "y": np.ones((22, 2))}, "had samples 23, this one has 22"),
        ({"metrics": {"m": lambda p, t: 1}}, "had columns"),
        ({"validation": 0.5}, "had columns"),
        ({"batch_size": 6}, "had batch_size 5, this one has 6"),
        ({"shuffle": False}, "had shuffle True, this one has False"),
        ({"rng": None}, "generators"),
        ({"rng": np.random.RandomState(0)}, "random generator PCG64, not MT19937"),
    ],
)
def test_resuming_another_run_is_refused_and_changes_nothing(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "run.npz"
    fit(mg.Linear(3, 2), callbacks=[mg.Checkpoint(path)])
    model = mg.Linear(3, 2)
    before = weights(model)
    with pytest.raises(mg.CheckpointError, match=message):
        fit(model, **{"callbacks": [mg.Checkpoint(path)], **options}, resume=path)
    assert weights(model) == before


@pytest.mark.parametrize("kind", [mg.AdamW, mg.SGD])
def test_resuming_with_another_optimizer_is_refused(kind: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    first, model = mg.Linear(3, 2), mg.Linear(3, 2)
    adam = mg.Adam(first.parameters(), weight_decay=0.01)
    fit(first, optimizer=adam, callbacks=[mg.Checkpoint(path)])
    optimizer = kind(model.parameters())
    before = weights(model), repr(optimizer.state_dict())
    with pytest.raises(mg.CheckpointError, match=f"optimizer Adam, this one has {kind.__name__};"):
        fit(model, optimizer=optimizer, resume=path)
    assert (weights(model), repr(optimizer.state_dict())) == before


def test_resuming_with_another_kind_of_validation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    pair: Any = samples(4)
    for own, other in ((0.25, 0.5), (0.25, pair), (pair, 0.25)):
        names = [x if isinstance(x, float) else "a pair" for x in (own, other)]
        fit(mg.Linear(3, 2), validation=own, callbacks=[mg.Checkpoint(path)])
        with pytest.raises(
            mg.CheckpointError, match="validation {}, this one has {};".format(*names)
        ):
            fit(mg.Linear(3, 2), validation=other, resume=path)
        fit(mg.Linear(3, 2), validation=own, resume=path)


def test_a_file_without_a_run_cannot_be_resumed_from(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    mg.save(path, mg.Linear(3, 2))
    with pytest.raises(
        mg.CheckpointError, match=r"'run'\]; .*: resume needs a file that Checkpoint wrote$"
    ):
        fit(mg.Linear(3, 2), resume=path)


def test_the_learning_rate_is_the_files_unless_a_callback_sets_another(tmp_path: Path) -> None:
    class Rate(mg.Callback):
        def start(self, run: mg.Run) -> None:
            run.optimizer.lr = 0.01

    path = tmp_path / "run.npz"
    fit(network(), epochs=1, callbacks=[mg.Checkpoint(path)])
    for callbacks, expected in (([], 0.05), ([Rate()], 0.01)):
        model = network()
        optimizer = mg.SGD(model.parameters(), lr=0.5)
        history = fit(model, optimizer=optimizer, epochs=2, callbacks=callbacks, resume=path)
        assert history["lr"] == [0.05, expected]


class Count(mg.Callback):
    """Count epochs, and remember how many."""

    def reset(self) -> None:
        self.epochs = 0

    def epoch_end(self, run: mg.Run) -> None:
        self.epochs += 1

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: Any) -> None:
        self.epochs = state["epochs"]


def test_callbacks_may_come_and_go_when_a_run_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    checkpoint, counts = mg.Checkpoint(path), [Count(), Count(), Count()]
    fit(network(), epochs=2, callbacks=[counts[0], checkpoint, mg.EarlyStopping("loss")])
    fit(network(), epochs=3, callbacks=[checkpoint, *counts[:2]], resume=path)
    assert [count.epochs for count in counts[:2]] == [3, 1]  # in order; the second is new
    fit(network(), epochs=4, callbacks=counts, resume=path)
    assert [count.epochs for count in counts] == [4, 2, 1]
    history = fit(network(), epochs=4, resume=path)
    assert without_seconds(history) == without_seconds(fit(network(), epochs=4))


def test_a_callback_that_is_new_counts_from_where_it_began(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    fit(network(), epochs=4, callbacks=[mg.Checkpoint(path)])
    values = iter([np.nan, 1.0, 2.0, 3.0])
    stopper = mg.EarlyStopping("loss", patience=2)

    class Spoil(mg.Callback):
        def epoch_end(self, run: mg.Run) -> None:
            run.history[-1]["loss"] = next(values)

    history = fit(network(), epochs=9, callbacks=[Spoil(), stopper], resume=path)
    assert len(history) == 8
    assert history.stopped == "loss was best in epoch 6: 1"


def test_a_callback_takes_over_from_that_of_the_same_column(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    options: dict[str, Any] = {"metrics": {"error": lambda p, t: np.abs(p - t).mean() + 50}}
    errors = mg.EarlyStopping("error", mode="min")
    best = mg.Checkpoint(tmp_path / "best-{epoch}.npz", monitor="loss", keep=1)
    every = mg.Checkpoint(tmp_path / "every-{epoch}.npz", keep=1)
    losses = mg.EarlyStopping("loss")
    last = mg.Checkpoint(path)
    fit(network(), epochs=2, callbacks=[errors, losses, every, best, last], **options)
    before = losses.best, {file.name for file in tmp_path.iterdir()}
    fresh = mg.EarlyStopping("loss")
    moved = mg.Checkpoint(tmp_path / "moved-{epoch}.npz", keep=1)
    again = mg.Checkpoint(tmp_path / "best-{epoch}.npz", monitor="loss", keep=1)
    fit(network(), epochs=2, callbacks=[fresh, moved, again], resume=path, **options)
    assert (fresh.best, {file.name for file in tmp_path.iterdir()}) == before
    fit(network(), epochs=3, callbacks=[again, moved], resume=path, **options)
    found = {file.name for file in tmp_path.iterdir()}
    assert found == {"run.npz", "every-2.npz", "moved-3.npz", "best-3.npz"}


def test_a_checkpoint_is_a_model_file_too(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    model, other = network(), network(seed=5)
    fit(model, callbacks=[mg.Checkpoint(path)])
    rest = mg.load(path, other)
    assert weights(other) == weights(model)
    assert list(rest) == ["optimizer", "run"]
    assert [row["epoch"] for row in rest["run"]["history"]] == [1, 2, 3]


def test_every_layer_of_the_package_was_saved() -> None:
    assert {row.name for row in ROWS} == set(mg.layers.__all__)
