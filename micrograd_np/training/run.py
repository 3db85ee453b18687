"""A run: a training that can be watched by callbacks, stopped between batches, and gone on with."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from difflib import get_close_matches
from reprlib import repr as shortened
from time import perf_counter
from typing import Any, Self

import numpy as np

from ..checks import at_least_one
from ..initializers import random_stream
from ..layers.layer import Layer, in_mode
from ..ops.common import Array
from ..optimizers import Optimizer
from ..saving.checkpoint import fill, load, save, state_of
from ..schedules import Schedule
from ..tape import no_grad
from ..tensor import Tensor
from .arguments import Loss, Metric, check_kinds, columns_of, samples_of
from .history import History, Row


class Run:
    """A training run, as callbacks see it.

    Parameters
    ----------
    model, inputs, targets, loss, optimizer, epochs, batch_size
        As for `fit`, which makes the run.
    validation, metrics, schedule, callbacks, shuffle, rng
        Likewise.

    Attributes
    ----------
    model : Layer
        What is trained.
    optimizer : Optimizer
        What trains it.
    history : History
        The rows of the epochs that are done.
    columns : list of str
        What a row has.
    epochs : int
        How many epochs there shall be.
    step : int
        How many updates were made.
    loss : float
        The loss of the last batch.
    interrupted : bool
        Whether training shall end before the next batch, to be resumed some other time.
    """

    def __init__(
        self,
        model: Layer,
        inputs: Any,
        targets: Any,
        *,
        loss: Loss,
        optimizer: Optimizer,
        epochs: int,
        batch_size: int,
        validation: tuple[Any, Any] | float | None,
        metrics: Mapping[str, Metric],
        schedule: Schedule | None,
        callbacks: list["Callback"],
        shuffle: bool,
        rng: Any,
    ) -> None:
        check_kinds(model, loss, optimizer, schedule)
        at_least_one(epochs=epochs, batch_size=batch_size)
        self.model, self.optimizer = model, optimizer
        self.inputs, self.targets = samples_of(inputs, targets)
        self.epochs = epochs
        self.batch_size = batch_size
        self.schedule = schedule
        self.history = History()
        self.step = 0
        self.loss = float("nan")
        self.interrupted = False
        self.columns = columns_of(metrics, validation is not None)
        self._loss, self._metrics = loss, dict(metrics)
        self._shuffle, self._rng = shuffle, rng
        self._validate_with(validation)
        self._callbacks = callbacks
        for callback in callbacks:
            callback.reset()
        self._begin_epoch()

    def _validate_with(self, validation: Any) -> None:
        """Set what is trained on and what is validated with."""
        self._rows: Array | None = None  # which are trained on; None for all
        self._validation: tuple[Array, Array] | None = None
        self._validated_with: Any = None  # as a run that is resumed must have it, too
        self._validation_rows: Array | None = None  # what was kept back instead
        if isinstance(validation, float | np.floating):
            self._keep_back(float(validation))
            self._validated_with = float(validation)
        elif isinstance(validation, tuple | list) and len(validation) == 2:
            x, y = validation
            self._validation = samples_of(x, y, "validation's ")
            self._validated_with = "a pair"
        elif validation is not None:
            raise TypeError(
                "validation must be a pair of inputs and targets, or a fraction such as 0.2; "
                f"received {shortened(validation)}"
            )

    def _keep_back(self, fraction: float) -> None:
        """Divide the samples into those to train on and those to validate with."""
        count = len(self.inputs)
        kept = round(count * fraction)
        if not (0 < fraction < 1 and 0 < kept < count):
            raise ValueError(
                "validation must be inputs and targets, or a fraction between 0 and 1 that leaves "
                f"samples on both sides; received {fraction} of {count} samples"
            )
        rows = random_stream(self._rng).permutation(count) if self._shuffle else np.arange(count)
        self._rows, self._validation_rows = rows[: count - kept], rows[count - kept :]

    def _begin_epoch(self) -> None:
        self._order: Array | None = None  # of the rows; drawn with the first batch
        self._seen = 0
        self._total = 0.0
        self._predictions: list[Array] = []
        self._seconds, self._since = 0.0, perf_counter()

    @property
    def epoch(self) -> int:
        """The number of the epoch that is under way, from 1."""
        return len(self.history) + 1

    @property
    def size(self) -> int:
        """The number of samples in an epoch."""
        return len(self.inputs) if self._rows is None else len(self._rows)

    @property
    def steps_per_epoch(self) -> int:
        """The number of updates in an epoch."""
        return -(-self.size // self.batch_size)

    def stop(self, reason: str) -> None:
        """End the training before the next update; the history keeps the reason.

        Parameters
        ----------
        reason
            Such as "no better for 10 epochs".
        """
        self.history.stopped = self.history.stopped or reason

    def goes_on(self) -> bool:
        """Whether there is another epoch to do."""
        return len(self.history) < self.epochs and not self._ends()

    def _ends(self) -> bool:
        return self.interrupted or self.history.stopped is not None

    def batches(self) -> Iterator[tuple[Array, Array]]:
        """Yield the batches of the epoch, from where it stands, until somebody calls `stop`."""
        if self._seen == 0:
            self._order = self._rows
            if self._shuffle:
                rows = self.size if self._rows is None else self._rows
                self._order = random_stream(self._rng).permutation(rows)
        while self._seen < self.size and not self._ends():
            rows = self._ordered(self._seen, min(self._seen + self.batch_size, self.size))
            yield self.inputs[rows], self.targets[rows]

    def _ordered(self, start: int, stop: int) -> Any:
        """Return the rows from one place in the epoch's order to another."""
        return slice(start, stop) if self._order is None else self._order[start:stop]

    def may_update(self, loss: Tensor) -> bool:
        """Take note of a batch's loss; return whether no callback stops the run because of it.

        Parameters
        ----------
        loss
            A tensor of one entry.
        """
        self.loss = loss.item()
        self._tell("before_update")
        return self.history.stopped is None

    def updated(self, prediction: Any) -> None:
        """Take note of an update.

        Parameters
        ----------
        prediction
            What the model gave for the batch.
        """
        samples = min(self.batch_size, self.size - self._seen)
        self._total += self.loss * samples
        self._seen += samples
        self.step += 1
        if self._metrics:
            self._predictions.append(_array(prediction))
        self._tell("after_update")
        self._tell("settled")

    def end_epoch(self) -> None:
        """Validate and add a row to the history, if the epoch was done to its end."""
        if self._seen < self.size:
            return
        row: Row = {"epoch": self.epoch, "loss": self._total / self.size}
        if self._metrics:
            row |= self._measured(self._predictions, self.targets[self._ordered(0, self.size)])
        row |= {f"val_{name}": value for name, value in self._validated().items()}
        row |= {"lr": self.optimizer.lr, "seconds": self._time()}
        self._begin_epoch()
        self.history.append(row)
        self._tell("epoch_end")
        self._tell("settled")

    def _validated(self) -> dict[str, float]:
        """Return loss and metrics of the validation data."""
        rows = self._validation_rows
        if self._validation is None and rows is None:
            return {}
        inputs, targets = self._validation or (self.inputs, self.targets)
        count = len(inputs) if rows is None else len(rows)
        total, predictions, all_targets = 0.0, [], []
        with in_mode(self.model, training=False), no_grad():
            for start in range(0, count, self.batch_size):
                part = slice(start, min(start + self.batch_size, count))
                taken = part if rows is None else rows[part]
                y = targets[taken]
                prediction = self.model(inputs[taken])
                total += self._loss(prediction, y).item() * len(y)
                if self._metrics:
                    predictions.append(_array(prediction))
                    all_targets.append(y)
        found = self._measured(predictions, np.concatenate(all_targets)) if self._metrics else {}
        return {"loss": total / count, **found}

    def _measured(self, predictions: list[Array], targets: Array) -> dict[str, float]:
        """Return the metrics of the predictions for all batches together."""
        joined = np.concatenate(predictions)
        if np.isnan(joined).any():  # of which most metrics know no value
            return dict.fromkeys(self._metrics, float("nan"))
        return {name: _measure(name, f, joined, targets) for name, f in self._metrics.items()}

    def _time(self) -> float:
        return self._seconds + perf_counter() - self._since

    def __enter__(self) -> Self:
        self._tell("start")
        return self

    def __exit__(self, *error: object) -> None:
        if self.interrupted and len(self.history) < self.epochs:
            self.stop("interrupted")
        with ExitStack() as ends:  # which tells each, even if one before it raises
            for callback in reversed(self._callbacks):
                ends.callback(callback.end, self)

    def _tell(self, event: str) -> None:
        for callback in self._callbacks:
            getattr(callback, event)(self)

    # Saving and going on

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a file, from which ``fit(..., resume=path)`` goes on.

        Parameters
        ----------
        path
            The file.
        """
        save(path, self.model, optimizer=self.optimizer, run=self)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Go on from where a run stood when it was saved.

        Parameters
        ----------
        path
            The file.
        """
        load(path, self.model, run=self, optimizer=self.optimizer)

    def state_dict(self) -> dict[str, Any]:
        """Return where the run stands."""
        return {
            **self._arguments(),
            "rows": self._rows,
            "validation_rows": self._validation_rows,
            "history": list(self.history),
            "stopped": self.history.stopped,
            "step": self.step,
            "order": self._order if self._seen else None,
            "seen": self._seen,
            "total": self._total,
            "predictions": self._predictions,
            "seconds": self._time() if self._seen else 0.0,
            "generators": [state_of(generator) for generator in self._generators()],
            "callbacks": [(name, callback.state_dict()) for name, callback in self._stateful()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken.

        Parameters
        ----------
        state
            What that method returned.

        Raises
        ------
        ValueError
            If it is of a run on other data or with other arguments or random generators.
        """
        self._check(state)
        for generator, saved in zip(self._generators(), state["generators"]):
            fill(generator, saved)
        remembered = defaultdict[str, list[Any]](list)
        for name, saved in state["callbacks"]:
            remembered[name].append(saved)
        for name, callback in self._stateful():
            if remembered[name]:  # else it was not there and begins anew
                callback.load_state_dict(remembered[name].pop(0))
        self._rows, self._validation_rows = state["rows"], state["validation_rows"]
        self.history[:] = state["history"]
        self.history.stopped = state["stopped"]
        self.step = state["step"]
        self._order, self._seen, self._total = state["order"], state["seen"], state["total"]
        self._predictions = list(state["predictions"])
        self._seconds, self._since = state["seconds"], perf_counter()

    def _check(self, state: Mapping[str, Any]) -> None:
        own = {**self._arguments(), "generators": len(self._generators())}
        given = {**state, "generators": len(state["generators"])}
        for name, expected in own.items():
            if given[name] != expected:
                raise ValueError(
                    f"the run that was saved had {name} {given[name]}, this one has {expected}; "
                    "resume with the data and arguments that the run began with"
                )

    def _arguments(self) -> dict[str, Any]:
        """Return what must be the same when a run is resumed, as far as it can be compared."""
        return {
            "samples": len(self.inputs),
            "columns": self.columns,
            "validation": self._validated_with,
            "batch_size": int(self.batch_size),
            "shuffle": bool(self._shuffle),
            "optimizer": type(self.optimizer).__name__,
        }

    def _stateful(self) -> list[tuple[str, "Callback"]]:
        """Return what remembers something, each under its class and the column it monitors."""
        nothing = Callback.state_dict
        found = [c for c in self._callbacks if type(c).state_dict is not nothing]
        return [(f"{type(c).__name__}({getattr(c, 'monitor', None) or ''})", c) for c in found]

    def _generators(self) -> list[Any]:
        """Return every random generator that the run draws from, each once."""
        kinds = (np.random.Generator, np.random.RandomState)
        found = [random_stream(None), random_stream(self._rng)]
        for _, layer in self.model.layers_within():
            found += [value for value in vars(layer).values() if isinstance(value, kinds)]
        return list({id(generator): generator for generator in found}.values())


def _array(prediction: Any) -> Array:
    """Return what a model gave for a batch as metrics take it."""
    if not isinstance(prediction, Tensor):
        raise TypeError(
            "metrics need a model that returns one tensor; received "
            f"{type(prediction).__name__}: leave them out, or wrap it in a layer that picks one"
        )
    return prediction.data.copy()  # a view would keep a larger array alive


def _measure(name: str, metric: Metric, predictions: Array, targets: Array) -> float:
    """Return what a metric gives as a float; a tensor or array of one entry is a number, too."""
    try:
        value = metric(predictions, targets)
    except Exception as error:
        if type(error) in (ValueError, IndexError, TypeError):
            raise type(error)(f"metric {name}: {error}") from error
        error.add_note(f"metric {name}")  # of kinds that may be made otherwise
        raise
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"metric {name} must give a number; received {shortened(value)}") from error


class Callback:
    """Base class of what is told of a run; a subclass overrides what it wants to be told.

    Each method takes the `Run`, which it may end by ``run.stop(reason)``. For what only wants the
    rows there is a simpler form of callback: a function of the row of an epoch.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> class Print(mg.Callback):
    ...     def epoch_end(self, run):
    ...         print(run.history[-1]["loss"], "after", run.step, "updates")
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        moments = [name for name in vars(Callback) if not name.startswith("_")]
        saves, loads = cls.state_dict, cls.load_state_dict
        if (saves is Callback.state_dict) != (loads is Callback.load_state_dict):
            raise TypeError(
                f"{cls.__name__} must have both state_dict and load_state_dict, or a resumed run "
                "would begin with another state"
            )
        for name in vars(cls):
            near = get_close_matches(name, moments, 1, cutoff=0.85)
            if near and name not in moments:
                raise TypeError(
                    f"{cls.__name__}.{name} would never be called; is {near[0]} meant? A method of "
                    "your own needs another name"
                )

    def reset(self) -> None:
        """Forget an earlier run: called before a run starts or, with `load_state_dict`, goes on."""

    def start(self, run: Run) -> None:
        """Take note that training begins or goes on.

        Parameters
        ----------
        run
            The run.
        """

    def before_update(self, run: Run) -> None:
        """Take note of a batch's loss, ``run.loss``; stopping now prevents its update.

        Parameters
        ----------
        run
            The run.
        """

    def after_update(self, run: Run) -> None:
        """Take note of an update.

        Parameters
        ----------
        run
            The run.
        """

    def epoch_end(self, run: Run) -> None:
        """Take note of the row that was added to ``run.history``.

        Parameters
        ----------
        run
            The run.
        """

    def settled(self, run: Run) -> None:
        """Take note that all have taken note of an update or an epoch: the time to save the run.

        Parameters
        ----------
        run
            The run.
        """

    def end(self, run: Run) -> None:
        """Take note that training has ended, maybe by an exception.

        Parameters
        ----------
        run
            The run.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what has to be saved for a run that is to go on; by default nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Parameters
        ----------
        state
            What that method returned.
        """
