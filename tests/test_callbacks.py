"""Callbacks: what they are told and when, and what those of the package do."""

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg
from tests.test_fit import fit, network, press_ctrl_c, weights, without_seconds

NAN = math.nan


def watched(
    values: Iterable[float], *callbacks: Any, model: Any = None, **options: Any
) -> mg.History:
    """Train for as many epochs as there are values, which a column called value has."""
    values = list(values)
    given = iter(values)
    options.setdefault("epochs", len(values))
    return fit(
        model or network(), metrics={"value": lambda p, t: next(given)}, callbacks=callbacks,
        **options,
    )  # fmt: skip


class Keep(mg.Callback):
    """Keep the weights that there are after each epoch."""

    def reset(self) -> None:
        self.weights: list[Any] = []

    def epoch_end(self, run: mg.Run) -> None:
        self.weights.append(weights(run.model))


# What they are told


class Diary(mg.Callback):
    """Write down all that a callback is told."""

    def __init__(self, pages: list[Any], name: str = "") -> None:
        self.pages, self.name = pages, name

    def note(self, event: str, run: mg.Run) -> None:
        self.pages.append((self.name + event, run.epoch, run.step, len(run.history)))

    def reset(self) -> None:
        self.pages.append(self.name + "reset")

    def start(self, run: mg.Run) -> None:
        self.note("start", run)

    def before_update(self, run: mg.Run) -> None:
        assert run.loss > 0
        self.note("before", run)

    def after_update(self, run: mg.Run) -> None:
        self.note("after", run)

    def epoch_end(self, run: mg.Run) -> None:
        assert run.history[-1]["epoch"] == len(run.history)
        self.note("epoch", run)

    def end(self, run: mg.Run) -> None:
        self.note("end", run)


def test_they_are_told_what_happens_in_order() -> None:
    pages: list[Any] = []
    fit(network(), epochs=2, batch_size=20, callbacks=[Diary(pages)])
    assert pages == [
        "reset", ("start", 1, 0, 0),
        ("before", 1, 0, 0), ("after", 1, 1, 0), ("before", 1, 1, 0), ("after", 1, 2, 0),
        ("epoch", 2, 2, 1),
        ("before", 2, 2, 1), ("after", 2, 3, 1), ("before", 2, 3, 1), ("after", 2, 4, 1),
        ("epoch", 3, 4, 2), ("end", 3, 4, 2),
    ]  # fmt: skip


def test_the_run_says_what_it_is() -> None:
    seen: list[mg.Run] = []

    class Look(mg.Callback):
        def start(self, run: mg.Run) -> None:
            seen.append(run)

    model = network()
    optimizer = mg.SGD(model.parameters(), lr=0.1)
    history = fit(model, optimizer=optimizer, validation=0.2, callbacks=[Look()])
    (run,) = seen
    assert run.model is model
    assert run.optimizer is optimizer
    assert run.history is history
    assert run.columns == history.columns == ["epoch", "loss", "val_loss", "lr", "seconds"]
    assert (run.epochs, run.size, run.batch_size, run.steps_per_epoch) == (3, 18, 5, 4)


def test_the_base_class_does_nothing_and_a_generator_of_callbacks_will_do() -> None:
    expected = fit(network())
    found = fit(network(), callbacks=(mg.Callback() for _ in range(2)))
    assert without_seconds(found) == without_seconds(expected)
    assert mg.Callback().state_dict() == {}
    mg.Callback().load_state_dict({})


@pytest.mark.parametrize("event", ["before_update", "after_update", "epoch_end"])
def test_each_may_stop_the_run(event: str) -> None:
    class Stopper(mg.Callback):
        def stop(self, run: mg.Run) -> None:
            if run.epoch == 2:
                run.stop("enough")
                run.stop("the first reason counts")

    pages: list[Any] = []
    stopper = Stopper()
    setattr(stopper, event, stopper.stop)
    history = fit(network(), batch_size=6, callbacks=[stopper, Diary(pages)])
    assert history.stopped == "enough"
    assert history["epoch"] == [1]
    updates = sum(page[0] == "after" for page in pages[1:])
    assert updates == 4 + (event == "after_update")
    assert pages[-1][0] == "end"


@pytest.mark.parametrize("event", ["reset", "start", "before_update", "epoch_end", "end"])
def test_what_a_callback_raises_ends_training_and_the_others_are_told(event: str) -> None:
    class Faulty(mg.Callback):
        def fault(self, *_: Any) -> None:
            raise ZeroDivisionError

    pages: list[Any] = []
    faulty = Faulty()
    setattr(faulty, event, faulty.fault)
    model = network().eval()
    with pytest.raises(ZeroDivisionError):
        fit(model, callbacks=[Diary(pages, "1 "), faulty, Diary(pages, "2 ")])
    began = event not in ("reset", "start")
    assert [page[0] for page in pages[-2:]] == ["1 end", "2 end"] or not began
    assert not any(layer.training for _, layer in model.layers_within())
    fit(model)


# Functions of a row


@pytest.mark.parametrize(
    ("answer", "stops"),
    [(True, True), (np.True_, True), (False, False), (None, False), (1, False), ("yes", False)],
)
def test_a_function_of_the_row_ends_training_by_returning_true(answer: Any, stops: bool) -> None:
    rows: list[Any] = []

    def enough(row: Any) -> Any:
        rows.append(row)
        return answer

    history = fit(network(), callbacks=[enough])
    assert rows == list(history)
    assert len(history) == (1 if stops else 3)
    assert history.stopped == ("enough returned True" if stops else None)


def test_any_object_that_can_be_called_with_a_row_will_do() -> None:
    class Enough:
        def __call__(self, row: Any) -> bool:
            return bool(row["epoch"] == 2)

    history = fit(network(), callbacks=[Enough(), [].append])
    assert history.stopped == "a callback returned True"
    assert len(history) == 2


# Early stopping


@pytest.mark.parametrize(
    ("values", "options", "best_epoch", "epochs"),
    [
        ([3, 2, 1, 0, -1, -2], {}, 6, 6),
        ([3, 2, 2, 2, 0, -1], {}, 2, 4),
        ([3, 2, 4, 1, 4, 4, 0], {}, 4, 6),
        ([3, 4, 5, 0], {"patience": 1}, 1, 2),
        ([3, 2, 1.9, 1.4, 1.3, 1.2], {"min_delta": 0.5}, 4, 6),
        ([3, 2, 1.9, 1.8, 1.0, 0], {"min_delta": 0.5}, 2, 4),
        ([3, 2.5, 2.5, 0], {"min_delta": 0.5}, 1, 3),
        ([1, 2, 3, 2, 3, 9], {"mode": "max"}, 3, 5),
        ([1, 2, 2.4, 2.5, 9], {"mode": "max", "min_delta": 0.5}, 2, 4),
        ([3, NAN, 1, NAN, NAN, 0], {}, 3, 5),
        ([NAN, NAN, 1], {}, 0, 2),
        ([NAN, 4, 5, 6], {}, 2, 4),
        ([math.inf, 4, 5, 6], {}, 2, 4),
        ([-math.inf, 4, 5, 6], {}, 1, 3),
    ],
)
def test_early_stopping_ends_training_and_restores_the_best_weights(
    values: list[float], options: dict[str, Any], best_epoch: int, epochs: int
) -> None:
    settings: dict[str, Any] = {"patience": 2, "mode": "min", **options}
    for restore_best in (True, False):
        stopper = mg.EarlyStopping("value", **settings, restore_best=restore_best)
        keep, model = Keep(), network()
        history = watched(values, keep, stopper, model=model)
        assert len(history) == epochs
        assert stopper.best_epoch == best_epoch
        if best_epoch:
            assert stopper.best == values[best_epoch - 1]
        kept = best_epoch if restore_best and best_epoch else epochs
        assert weights(model) == keep.weights[kept - 1]
        ended = epochs - best_epoch >= settings["patience"]
        best = f"was best in epoch {best_epoch}: {stopper.best:.4g}"
        reason = f"value {best if best_epoch else 'was never finite'}"
        assert history.stopped == (reason if ended else None)


@pytest.mark.parametrize("make", [mg.EarlyStopping, mg.ReduceLROnPlateau])
def test_the_column_is_given_by_name(make: Any) -> None:
    with pytest.raises(TypeError, match=r"the name of a column, such as 'val_loss'; received 10$"):
        make(10)


def test_early_stopping_of_a_loss_needs_no_mode_and_watches_the_validation() -> None:
    stopper = mg.EarlyStopping()
    assert (stopper.monitor, stopper.mode, stopper.patience) == ("val_loss", "min", 10)
    history = fit(network(), validation=0.3, epochs=6, callbacks=[stopper])
    assert stopper.best == min(history["val_loss"])
    assert history["val_loss"][stopper.best_epoch - 1] == stopper.best


def test_early_stopping_begins_anew_with_each_fit() -> None:
    stopper = mg.EarlyStopping("value", 2, mode="min")
    watched([1, 2, 3], stopper)
    model, keep = network(5), Keep()
    history = watched([9, 8, 9, 9, 9], stopper, keep, model=model)
    assert (stopper.best, stopper.best_epoch, len(history)) == (8, 2, 4)
    assert weights(model) == keep.weights[1]


@pytest.mark.parametrize("way", ["ctrl-c", "exception"])
def test_early_stopping_restores_the_best_weights_however_training_ends(way: str) -> None:
    def end(row: Any) -> None:
        if row["epoch"] == 3:
            if way == "exception":
                raise ZeroDivisionError
            press_ctrl_c()

    model, keep = network(), Keep()
    callbacks = [keep, mg.EarlyStopping("value", mode="min"), end]
    if way == "exception":
        with pytest.raises(ZeroDivisionError):
            watched([2, 1, 3, 4], *callbacks, model=model)
    else:
        assert watched([2, 1, 3, 4], *callbacks, model=model).stopped == "interrupted"
    assert weights(model) == keep.weights[1]


def test_the_running_statistics_are_restored_too() -> None:
    rng = np.random.default_rng(0)
    model = mg.Sequential(mg.Linear(3, 4, rng=rng), mg.BatchNorm1d(4), mg.Linear(4, 2, rng=rng))
    keep = Keep()
    watched([1, 2, 3], keep, mg.EarlyStopping("value", mode="min"), model=model, batch_size=12)
    assert weights(model) == keep.weights[0] != keep.weights[2]


def test_before_the_first_fit_nothing_is_best_and_nothing_was_written() -> None:
    stopper = mg.EarlyStopping("value", mode="max")
    assert (stopper.best, stopper.best_epoch) == (-math.inf, 0)
    state: Any = {"path": "run.npz", "written": [], "best": None}
    assert mg.Checkpoint("run.npz").state_dict() == state


# Learning rate


@pytest.mark.parametrize(
    ("values", "options", "rates"),
    [
        ([5, 4, 3, 2], {}, [8, 8, 8, 8]),
        ([5, 5, 5, 5, 5, 5, 5], {}, [8, 8, 8, 4, 4, 2, 2]),
        ([5, 6, 4, 5, 6, 7], {}, [8, 8, 8, 8, 8, 4]),
        ([5, 6, 6, 4, 5, 5, 5], {}, [8, 8, 8, 4, 4, 4, 2]),
        ([5, 5, 5, 5], {"patience": 1, "factor": 0.25}, [8, 8, 2, 0.5]),
        ([5, 5, 5, 5], {"patience": 1, "min_lr": 3}, [8, 8, 4, 3]),
        ([5, 5, 5, 5], {"patience": 1, "min_lr": 9}, [8, 8, 8, 8]),
        ([5, 4.5, 4.5, 1], {"min_delta": 1}, [8, 8, 8, 4]),
        ([1, 2, 3, 3, 3, 4], {"mode": "max"}, [8, 8, 8, 8, 8, 4]),
        ([NAN, NAN, NAN], {}, [8, 8, 4]),
    ],
)
def test_the_learning_rate_falls_on_a_plateau(
    values: list[float], options: dict[str, Any], rates: list[float]
) -> None:
    settings: dict[str, Any] = {"factor": 0.5, "patience": 2, "mode": "min", **options}
    model = network()
    optimizer = mg.Adagrad(model.parameters(), lr=8)
    plateau = mg.ReduceLROnPlateau("value", **settings)
    for _ in range(2):
        optimizer.lr = 8
        assert watched(values, plateau, model=model, optimizer=optimizer)["lr"] == rates


def test_by_default_it_falls_to_a_tenth_ten_epochs_after_the_best() -> None:
    model = network()
    history = fit(
        model, loss=lambda p, t: p.sum() * 0, optimizer=mg.SGD(model.parameters(), lr=1.0),
        epochs=12, validation=0.3, callbacks=[mg.ReduceLROnPlateau()],
    )  # fmt: skip
    assert history["lr"] == [1.0] * 11 + [0.1]


def test_groups_of_parameters_keep_the_ratio_of_their_learning_rates() -> None:
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[3].parameters()}]
    optimizer = mg.SGD(groups, lr=1.0)
    watched([1, 1], mg.ReduceLROnPlateau("value", 0.5, 1, mode="min"), model=model,
            optimizer=optimizer)  # fmt: skip
    assert [group["lr"] for group in optimizer.groups] == [0.05, 0.5]


# NaN


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_ends_training_before_the_update(bad: float) -> None:
    losses: list[int] = []
    before: list[Any] = []

    def loss(prediction: Any, target: Any) -> Any:
        losses.append(1)
        before[:] = weights(model)
        value = mg.mean_squared_error(prediction, target)
        return value * bad if len(losses) == 7 else value

    model = network()
    history = fit(model, loss=loss, callbacks=[mg.TerminateOnNaN()])
    assert len(losses) == 7
    assert history["epoch"] == [1]
    assert history.stopped == f"the loss was {bad} in epoch 2, update 7"
    assert weights(model) == before
    assert all(np.isfinite(p.data).all() for p in model.parameters())
    expected = fit(network())
    assert without_seconds(fit(network(), callbacks=[mg.TerminateOnNaN()])) == without_seconds(
        expected
    )


# Checkpoints


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_of_each_epoch(tmp_path: Path) -> None:
    keep, checkpoint = Keep(), mg.Checkpoint(tmp_path / "run-{epoch:03d}-{step}.npz")
    fit(network(), callbacks=[checkpoint, keep])
    assert names(tmp_path) == ["run-001-5.npz", "run-002-10.npz", "run-003-15.npz"]
    for name, expected in zip(names(tmp_path), keep.weights):
        model = network(3)
        mg.load(tmp_path / name, model)
        assert weights(model) == expected
    assert len(checkpoint.state_dict()["written"]) == 1  # a long run is not to fill the file


def test_one_file_has_the_last_epoch(tmp_path: Path) -> None:
    model = network()
    fit(model, callbacks=[mg.Checkpoint(str(tmp_path / "run.NPZ"))])
    assert names(tmp_path) == ["run.NPZ"]
    other = network(3)
    rest = mg.load(tmp_path / "run.NPZ", other)
    assert weights(other) == weights(model)
    assert len(rest["run"]["history"]) == 3


@pytest.mark.parametrize(
    ("keep", "expected"), [(1, [4]), (2, [3, 4]), (4, [1, 2, 3, 4]), (9, [1, 2, 3, 4])]
)
def test_the_last_files_are_kept(keep: int, expected: list[int], tmp_path: Path) -> None:
    (tmp_path / "0.npz").write_text("of somebody else")
    fit(network(), epochs=4, callbacks=[mg.Checkpoint(tmp_path / "{epoch}.npz", keep=keep)])
    assert names(tmp_path) == [f"{epoch}.npz" for epoch in [0, *expected]]


def test_files_of_an_earlier_fit_and_files_that_were_removed_are_left_alone(tmp_path: Path) -> None:
    checkpoint = mg.Checkpoint(tmp_path / "{epoch}-{step}.npz", keep=1)
    fit(network(), epochs=2, callbacks=[checkpoint])
    fit(network(), epochs=2, batch_size=23, callbacks=[checkpoint])
    assert names(tmp_path) == ["2-10.npz", "2-2.npz"]

    def remove(row: Any) -> None:
        for path in tmp_path.iterdir():
            path.unlink()

    fit(network(), epochs=2, callbacks=[checkpoint, remove])
    assert names(tmp_path) == ["2-10.npz"]


def test_a_resumed_run_removes_the_files_that_it_wrote_before(tmp_path: Path) -> None:
    checkpoint = mg.Checkpoint(tmp_path / "{epoch}.npz", keep=2)
    fit(network(), epochs=3, callbacks=[checkpoint])
    assert names(tmp_path) == ["2.npz", "3.npz"]
    fit(network(), epochs=4, callbacks=[checkpoint], resume=tmp_path / "3.npz")
    assert names(tmp_path) == ["3.npz", "4.npz"]


@pytest.mark.parametrize(
    ("mode", "saved"), [("min", ["1.npz", "2.npz", "5.npz"]), ("max", ["1.npz", "3.npz"])]
)
def test_a_checkpoint_of_the_best_epochs_only(mode: str, saved: list[str], tmp_path: Path) -> None:
    checkpoint = mg.Checkpoint(tmp_path / "{epoch}.npz", monitor="value", mode=mode)
    for _ in range(2):
        watched([4, 3, 7, 3, 2, NAN], checkpoint)
        assert names(tmp_path) == saved
        for path in tmp_path.iterdir():
            path.unlink()


def test_what_was_best_is_known_to_a_resumed_run(tmp_path: Path) -> None:
    best = mg.Checkpoint(tmp_path / "best-{epoch}.npz", monitor="value", mode="min")
    last = mg.Checkpoint(tmp_path / "last.npz")
    watched([4, 2], best, last)
    watched([3, 1], best, last, epochs=4, resume=tmp_path / "last.npz")
    assert names(tmp_path) == ["best-1.npz", "best-2.npz", "best-4.npz", "last.npz"]


@pytest.mark.parametrize("best_only", [False, True])
def test_ctrl_c_within_an_epoch_writes_once_more_unless_the_best_are_asked_for(
    best_only: bool, tmp_path: Path
) -> None:
    class Press(mg.Callback):
        def after_update(self, run: mg.Run) -> None:
            if run.step == 7:
                press_ctrl_c()

    options: dict[str, Any] = {"monitor": "loss"} if best_only else {}
    fit(network(), callbacks=[mg.Checkpoint(tmp_path / "{epoch}-{step}.npz", **options), Press()])
    assert names(tmp_path) == ["1-5.npz"] + ["2-7.npz"] * (not best_only)


def test_files_within_epochs(tmp_path: Path) -> None:
    fit(network(), callbacks=[mg.Checkpoint(tmp_path / "{step:02d}.npz", every=4)])
    assert names(tmp_path) == [f"{step:02d}.npz" for step in (4, 5, 8, 10, 12, 15)]


def test_a_checkpoint_that_cannot_be_written_ends_training(tmp_path: Path) -> None:
    path = tmp_path / "run.npz"

    def obstruct(row: Any) -> None:
        path.mkdir()

    stopper = mg.EarlyStopping("loss")
    model = network()
    with pytest.raises(OSError, match=r"run\.npz"):
        fit(model, callbacks=[mg.Checkpoint(path), obstruct, stopper])
    assert stopper.best_epoch == 1


# What they refuse


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.EarlyStopping("accuracy"), ValueError, "whether accuracy is better .*'max'"),
        (lambda: mg.EarlyStopping(mode="up"), ValueError, "'min' or 'max'; received 'up'"),
        (lambda: mg.EarlyStopping(patience=0), ValueError, "patience must be at least 1"),
        (lambda: mg.EarlyStopping(patience=1.5), TypeError, "patience must be an integer"),  # type: ignore[arg-type]
        (lambda: mg.EarlyStopping(min_delta=-1), ValueError, "min_delta must be .*at least 0"),
        (lambda: mg.EarlyStopping(min_delta=NAN), ValueError, "min_delta must be .*finite"),
        (lambda: mg.ReduceLROnPlateau("r2"), ValueError, "whether r2 is better"),
        (lambda: mg.ReduceLROnPlateau(factor=1), ValueError, "between 0 and 1; received 1"),
        (lambda: mg.ReduceLROnPlateau(factor=0), ValueError, "between 0 and 1; received 0"),
        (lambda: mg.ReduceLROnPlateau(patience=0), ValueError, "patience must be at least 1"),
        (lambda: mg.ReduceLROnPlateau(min_lr=-1), ValueError, "min_lr must be"),
        (lambda: mg.ReduceLROnPlateau(min_delta=-1), ValueError, "min_delta must be"),
        (lambda: mg.Checkpoint("run"), ValueError, r"must end in \.npz; received 'run'"),
        (lambda: mg.Checkpoint("run.safetensors"), ValueError, r"must end in \.npz"),
        (lambda: mg.Checkpoint("{time}.npz"), ValueError, r"epoch and step only; .*'{time}\.npz'"),
        (lambda: mg.Checkpoint("{}.npz"), ValueError, "epoch and step only"),
        (lambda: mg.Checkpoint("{epoch.npz"), ValueError, "epoch and step only"),
        (lambda: mg.Checkpoint("a.npz", keep=1), ValueError, r"needs a name .*received a\.npz"),
        (lambda: mg.Checkpoint("{epoch}.npz", keep=0), ValueError, "keep must be at least 1"),
        (lambda: mg.Checkpoint("a.npz", every=0), ValueError, "every must be at least 1"),
        (lambda: mg.Checkpoint("a.npz", monitor="r2"), ValueError, "whether r2 is better"),
        (
            lambda: mg.Checkpoint("a.npz", monitor="loss", every=1),
            ValueError,
            "nothing is monitored; pass only one",
        ),
    ],
)
def test_bad_arguments_are_refused_at_once(
    call: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize(
    ("callback", "options", "kind", "message"),
    [
        (lambda: mg.EarlyStopping(), {}, ValueError, "val_loss is to be monitored .*'loss'"),
        (lambda: mg.ReduceLROnPlateau(), {}, ValueError, "val_loss is to be monitored"),
        (lambda: mg.Checkpoint("a.npz", monitor="val_loss"), {}, ValueError, "val_loss is to be"),
        (lambda: mg.Checkpoint("no/where/a.npz"), {}, FileNotFoundError, "no folder no.where for"),
        (
            lambda: mg.ReduceLROnPlateau("loss"),
            {"schedule": mg.schedules.constant(0.1)},
            ValueError,
            "a schedule sets the learning rate already",
        ),
    ],
)
def test_what_does_not_fit_the_run_is_refused_before_it_starts(
    callback: Callable[[], Any],
    options: dict[str, Any],
    kind: type[Exception],
    message: str,
    capsys: Any,
) -> None:
    model = network()
    before = weights(model)
    with pytest.raises(kind, match=message):
        fit(model, callbacks=[callback()], progress=True, **options)
    assert weights(model) == before
    assert capsys.readouterr() == ("", "")


def test_a_misspelt_moment_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Late.epoch_ended would never be called; is epoch_end m"):

        class Late(mg.Callback):
            def epoch_ended(self, run: mg.Run) -> None:
                pass

    class Fine(mg.Callback):
        def epoch_end(self, run: mg.Run) -> None:
            self.ended = self.epochs_seen = True

        def started_at(self) -> None:
            pass


def test_a_callback_that_saves_must_also_load() -> None:
    with pytest.raises(TypeError, match="Half must have both state_dict and load_state_dict"):

        class Half(mg.Callback):
            def state_dict(self) -> dict[str, Any]:
                return {}

    class Other(mg.EarlyStopping):  # which inherits the other half
        def state_dict(self) -> dict[str, Any]:
            return super().state_dict()
