"""Progress: how far a run has come, shown while it goes on."""

import shutil
import sys
from time import monotonic
from typing import Any

from ..extras import extra
from .run import Callback, Run


class Progress(Callback):
    """Show epoch, loss and time left on standard error: with tqdm as a bar, else as one line."""

    def start(self, run: Run) -> None:
        try:
            tqdm = extra("tqdm", "progress", "the progress bar").tqdm
        except ImportError:
            tqdm = _Line
        self._bar = tqdm(
            total=run.epochs * run.steps_per_epoch, initial=run.step, unit="update", file=sys.stderr
        )
        self._bar.set_description_str(_epoch(run), refresh=False)

    def after_update(self, run: Run) -> None:
        self._bar.set_postfix_str(f"loss {run.loss:.4g}", refresh=False)
        self._bar.update()

    def epoch_end(self, run: Run) -> None:
        row = run.history[-1]
        shown = [name for name in run.columns if name.endswith("loss") and name in row]
        self._bar.set_postfix_str(", ".join(f"{name} {row[name]:.4g}" for name in shown))
        self._bar.set_description_str(_epoch(run), refresh=False)

    def end(self, run: Run) -> None:
        self._bar.close()


def is_terminal() -> bool:
    """Whether standard error is there and is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def _epoch(run: Run) -> str:
    return f"epoch {min(run.epoch, run.epochs)}/{run.epochs}"


class _Line:
    """One line that is written again and again, with the part of tqdm's interface used here."""

    def __init__(self, total: int, initial: int, unit: str, file: Any) -> None:
        self._total, self._done, self._initial = total, initial, initial
        self._file = file
        self._began = monotonic()
        self._shown = -1.0
        self._description = self._postfix = ""
        self._width = 0

    def set_description_str(self, text: str, refresh: bool = True) -> None:
        self._description = text

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        self._postfix = text
        if refresh:
            self._write()

    def update(self) -> None:
        self._done += 1
        if monotonic() - self._shown >= 0.1:  # a terminal takes longer than a small batch
            self._write()

    def close(self) -> None:
        self._write()
        self._file.write("\n")
        self._file.flush()

    def _write(self) -> None:
        self._shown = monotonic()
        done = self._done - self._initial
        left = (self._shown - self._began) / done * (self._total - self._done) if done else 0.0
        text = f"{self._description}, update {self._done}/{self._total}, {self._postfix}"
        text += f", {_clock(left)} left" if done else ""
        text = text[: shutil.get_terminal_size().columns - 1]
        self._file.write("\r" + text.ljust(self._width))
        self._file.flush()
        self._width = len(text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
