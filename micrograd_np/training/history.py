"""History: what each epoch of a training run gave, one row per epoch."""

import csv
import os
from collections.abc import Iterable
from html import escape
from io import StringIO
from typing import Any, SupportsIndex, TypeAlias, overload

import numpy as np

from ..looking.plots import plot_history
from ..saving.files import replacing

Row: TypeAlias = dict[str, Any]


class History(list[Row]):
    """The rows of a training run: a list of dicts, which also gives and draws whole columns.

    Each row has "epoch" (from 1), "loss", the metrics, "val_loss" and ``"val_..."`` where there
    was validation, "lr" after the epoch's last update and "seconds". The sum of two is a history,
    too.

    Parameters
    ----------
    rows
        Dicts of one kind, one per epoch.
    stopped
        Why training ended before the last epoch, if it did.

    Attributes
    ----------
    stopped : str or None
        Why training ended before the last epoch, if it did.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> history = mg.History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    >>> history[-1]["loss"]
    0.25
    >>> history
    epoch  loss
        1   0.5
        2  0.25
    """

    def __init__(self, rows: Iterable[Row] = (), stopped: str | None = None) -> None:
        super().__init__(rows)
        self.stopped = stopped

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in the order in which they first appear."""
        return list(dict.fromkeys(name for row in self for name in row))

    @overload
    def __getitem__(self, index: str) -> list[Any]: ...
    @overload
    def __getitem__(self, index: SupportsIndex) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "History": ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            if self and index not in self.columns:
                raise KeyError(f"there is no column {index!r}; there are {self.columns}")
            return [row.get(index) for row in self]
        found = super().__getitem__(index)
        return History(found, self.stopped) if isinstance(index, slice) else found

    def __add__(self, other: list[Any]) -> "History":  # type: ignore[override]
        return History(super().__add__(other), getattr(other, "stopped", None))

    def copy(self) -> "History":
        """Return a history of the same rows."""
        return self[:]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a header and one line per row to a file of comma-separated values.

        Numbers are written so that they read back exactly. The file is replaced as a whole.

        Parameters
        ----------
        path
            The file.
        """
        text = StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)
        writer.writeheader()
        writer.writerows(self)
        with replacing(path) as file:
            file.write(text.getvalue().encode())

    def plot(self, ax: Any = None) -> Any:
        """Draw the columns over the epochs with matplotlib: see `plot_history`.

        Parameters
        ----------
        ax
            Axes of matplotlib; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_history(self, ax=ax)

    def __repr__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in cells
        ]
        return "\n".join(lines + ([f"stopped: {self.stopped}"] if self.stopped else []))

    def _repr_html_(self) -> str:
        head, *body = ["".join(map(_cell, line)) for line in self._cells()]
        rows = "".join(f"<tr>{line}</tr>" for line in body)
        note = f"<p>stopped: {escape(self.stopped)}</p>" if self.stopped else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}"

    def _cells(self) -> list[list[str]]:
        columns = self.columns or ["epoch", "loss"]
        return [columns, *([_text(row.get(name)) for name in columns] for row in self)]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _cell(text: str) -> str:
    return f'<td style="text-align: right">{escape(text)}</td>'
