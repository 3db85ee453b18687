"""Callbacks: what is done beside training, when an epoch has ended or a batch looks bad."""

import math
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import at_least_one, at_least_zero
from .history import Row
from .progress import Progress, is_terminal
from .run import Callback, Run


class _Monitor(Callback):
    """A callback that watches one column for improvement."""

    def __init__(self, monitor: str, mode: str | None, min_delta: float = 0.0) -> None:
        if not isinstance(monitor, str):
            raise TypeError(
                f"monitor must be the name of a column, such as 'val_loss'; received {monitor!r}"
            )
        if mode is None and not monitor.endswith("loss"):
            raise ValueError(
                f"mode must say whether {monitor} is better when it is smaller or larger; pass "
                "'min' or 'max', or a name such as 'loss' or 'val_loss'"
            )
        if mode not in (None, "min", "max"):
            raise ValueError(f"mode must be 'min' or 'max'; received {mode!r}")
        self.monitor = monitor
        self.mode = mode or "min"
        self.min_delta = at_least_zero("min_delta", min_delta)
        self.reset()

    def reset(self) -> None:
        self.best = math.inf if self.mode == "min" else -math.inf

    def start(self, run: Run) -> None:
        if self.monitor not in run.columns:
            raise ValueError(
                f"{self.monitor} is to be monitored but is not among the columns {run.columns}; "
                "pass validation or metrics to fit"
            )

    def improved(self, run: Run) -> bool:
        """Return whether the last row has the best value so far, and remember it then."""
        value = run.history[-1][self.monitor]
        gain = self.best - value if self.mode == "min" else value - self.best
        if not (gain > self.min_delta):  # as with NaN
            return False
        self.best = value
        return True


class EarlyStopping(_Monitor):
    """End the training when a column has not become better for some epochs.

    Parameters
    ----------
    monitor
        The column, such as "val_loss".
    patience
        For how many epochs in a row it may fail to become better, at least 1.
    mode
        "min" if smaller is better, "max" if larger is; needed unless the column is a loss.
    min_delta
        How much better counts as better, at least 0.
    restore_best
        Whether the model gets back, when training ends, the state that it had at the best epoch.

    Attributes
    ----------
    best : float
        The best value so far.
    best_epoch : int
        Its epoch; 0 before the first.

    Raises
    ------
    ValueError
        If a number is out of its range, the mode is missing, or there is no such column.

    References
    ----------
    Prechelt, "Early Stopping - But When?" (1998).
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 10,
        *,
        mode: str | None = None,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        at_least_one(patience=patience)
        self.patience = patience
        self.restore_best = restore_best

    def reset(self) -> None:
        super().reset()
        self.best_epoch = 0
        self._since = 0  # the best epoch
        self._best_state: dict[str, Any] | None = None

    def epoch_end(self, run: Run) -> None:
        self._since += 1
        if self.improved(run):
            self.best_epoch, self._since = len(run.history), 0
            self._best_state = run.model.state_dict() if self.restore_best else None
        elif self._since >= self.patience:
            best = f"was best in epoch {self.best_epoch}: {self.best:.4g}"
            run.stop(f"{self.monitor} {best if self.best_epoch else 'was never finite'}")

    def end(self, run: Run) -> None:
        if self._best_state is not None:
            run.model.load_state_dict(self._best_state)

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best, "best_epoch": self.best_epoch, "since": self._since,
            "state": self._best_state,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self._since, self._best_state = state["since"], state["state"]


class ReduceLROnPlateau(_Monitor):
    r"""Lower the learning rate when a column has not become better for some epochs.

    .. math:: lr \leftarrow max(factor \cdot lr, min\_lr)

    Parameters
    ----------
    monitor, mode, min_delta
        As for `EarlyStopping`.
    factor
        What the learning rate is multiplied with, between 0 and 1.
    patience
        For how many epochs in a row the column may fail to become better, at least 1.
    min_lr
        The least learning rate, at least 0.

    Raises
    ------
    ValueError
        If a number is out of its range, the mode is missing, there is no such column, or a
        schedule sets the learning rate already.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        *,
        mode: str | None = None,
        min_delta: float = 0.0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"factor must be between 0 and 1; received {factor}")
        at_least_one(patience=patience)
        self.factor = factor
        self.patience = patience
        self.min_lr = at_least_zero("min_lr", min_lr)

    def reset(self) -> None:
        super().reset()
        self._since = 0  # the last improvement or reduction

    def start(self, run: Run) -> None:
        super().start(run)
        if run.schedule is not None:
            raise ValueError("a schedule sets the learning rate already; leave out one of the two")

    def epoch_end(self, run: Run) -> None:
        self._since = 0 if self.improved(run) else self._since + 1
        if self._since >= self.patience:
            self._since = 0
            lr = run.optimizer.lr
            run.optimizer.lr = min(lr, max(lr * self.factor, self.min_lr))

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "since": self._since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.best, self._since = state["best"], state["since"]


class TerminateOnNaN(Callback):
    """End the training when the loss of a batch is NaN or infinite, before it spoils the model."""

    def before_update(self, run: Run) -> None:
        if not math.isfinite(run.loss):
            run.stop(f"the loss was {run.loss} in epoch {run.epoch}, update {run.step + 1}")


class Checkpoint(Callback):
    """Save the run after each epoch, so that ``fit(..., resume=path)`` can go on from there.

    The file holds all that the run needs, and is replaced as a whole: whatever happens, the last
    one is intact. When Ctrl-C ends the training within an epoch, it is written once more.
    ``load(path, model)`` takes the model alone, with the weights of that moment: those that
    `EarlyStopping` will give back are in a file written with `monitor`.

    Parameters
    ----------
    path
        Name of the file, ending in ``.npz``. With ``{epoch}`` or ``{step}`` in it, as in
        ``"run-{epoch:03d}.npz"``, there is one for each epoch or number of updates.
    keep
        How many files to keep where the names differ, the last ones; None for all.
    monitor, mode
        Save only after epochs in which this column is better than ever (see `EarlyStopping`).
    every
        Save within epochs, too, after every so many updates.

    Raises
    ------
    ValueError
        If the name ends in something else or has something else in braces, a number is below 1,
        `keep` is given for a single file, or `every` beside `monitor`.
    OSError
        If the folder is missing when training begins, or the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep: int | None = None,
        monitor: str | None = None,
        mode: str | None = None,
        every: int | None = None,
    ) -> None:
        self.path = os.fspath(path)
        if not self._name(1, 1).lower().endswith(".npz"):
            raise ValueError(f"a checkpoint's name must end in .npz; received {self.path!r}")
        self.keep = keep
        self.monitor = monitor
        self.every = every
        at_least_one(**{n: v for n, v in (("keep", keep), ("every", every)) if v is not None})
        self._best = None if monitor is None else _Monitor(monitor, mode)
        if self._best and every is not None:
            raise ValueError("every saves within epochs, where nothing is monitored; pass only one")
        if keep is not None and self._name(1, 1) == self._name(2, 2):
            raise ValueError(f"keep needs a name with {{epoch}} or {{step}}; received {self.path}")
        self.reset()

    def reset(self) -> None:
        self._written: list[str] = []
        self._due = False
        if self._best:
            self._best.reset()

    def start(self, run: Run) -> None:
        if self._best:
            self._best.start(run)
        folder = Path(self._name(run.epoch, run.step)).parent
        if not folder.is_dir():  # to say it now, not after an epoch
            raise FileNotFoundError(f"there is no folder {folder} for checkpoints; make it first")

    def after_update(self, run: Run) -> None:
        due = self.every is not None and run.step % self.every == 0
        if due or (run.interrupted and not self._best):
            self._note(run, run.epoch)

    def epoch_end(self, run: Run) -> None:
        if not self._best or self._best.improved(run):
            self._note(run, len(run.history))

    def _note(self, run: Run, epoch: int) -> None:
        """Take note of a file, before any is written: each holds what all checkpoints know."""
        path = self._name(epoch, run.step)
        self._written = [name for name in self._written if name != path] + [path]
        self._due = True

    def settled(self, run: Run) -> None:
        if not self._due:
            return
        self._due = False
        run.save(self._written[-1])
        old = self._written[: -(self.keep or 1)]
        del self._written[: len(old)]
        for name in old if self.keep else ():
            Path(name).unlink(missing_ok=True)

    def _name(self, epoch: int, step: int) -> str:
        try:
            return self.path.format(epoch=epoch, step=step)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"braces in the path can hold epoch and step only; received {self.path!r}"
            ) from error

    def state_dict(self) -> dict[str, Any]:
        best = self._best and self._best.best
        return {"path": self.path, "written": self._written, "best": best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["path"] == self.path:  # else they may be those of another, which deletes its own
            self._written = list(state["written"])
        if self._best:
            self._best.best = state["best"]


class _RowFunction(Callback):
    """A function of an epoch's row as a callback."""

    def __init__(self, function: Callable[[Row], Any]) -> None:
        self.function = function

    def epoch_end(self, run: Run) -> None:
        answer = self.function(run.history[-1])
        if isinstance(answer, bool | np.bool_) and answer:  # not any number or text
            run.stop(f"{getattr(self.function, '__name__', 'a callback')} returned True")


def in_order(
    callbacks: Iterable[Callback | Callable[[Row], Any]], progress: bool | None
) -> list[Callback]:
    """Return callbacks as a run calls them.

    Checkpoints come after those that may interrupt, and last the progress, so that no bar was begun
    when the start of another fails.
    """
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            "callbacks must be a list of Callback objects or functions of an epoch's row; received "
            f"{callbacks!r}: write [callback] for a single one"
        )
    found: list[Callback] = []
    for callback in callbacks:
        if isinstance(callback, Callback):
            found.append(callback)
        elif callable(callback) and not isinstance(callback, type):
            found.append(_RowFunction(callback))
        else:
            raise TypeError(
                "callbacks must be Callback objects or functions of an epoch's row; received "
                f"{callback!r}"
            )
    found.sort(key=lambda callback: isinstance(callback, Checkpoint))
    if progress or (progress is None and is_terminal()):
        found.append(Progress())
    return found
