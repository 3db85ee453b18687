"""Plots: pictures of a training run and of what a model says, drawn with matplotlib.

Each draws into the axes that it is given, or into new ones, and returns them; none shows or saves a
figure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..extras import extra
from ..layers.layer import in_mode
from ..operations import plain
from ..ops.common import as_array
from ..tape import no_grad
from ..tensor import Tensor

# Okabe and Ito's colours, which differ for the colour-blind, too.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]


def plot_history(history: Sequence[Mapping[str, Any]], ax: Any = None) -> Any:
    """Draw the columns of a training history over the epochs.

    Losses are drawn on the left axis and metrics, if there are any, on a right axis; those of the
    validation are dashed.

    Parameters
    ----------
    history
        A `History`, or any rows with "epoch" and other columns.
    ax
        Axes of matplotlib; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the losses.

    Raises
    ------
    ValueError
        If the history has no rows.
    ImportError
        If matplotlib is not installed.
    """
    if not len(history):
        raise ValueError("there must be at least one epoch to draw; the history has no rows")
    ax = _axes(ax, "plot_history")
    columns = dict.fromkeys(name for row in history for name in row)
    names = [name for name in columns if name not in ("epoch", "lr", "seconds")]
    losses = [name for name in names if name.endswith("loss")]
    metrics = [name for name in names if name not in losses]
    epochs = [row["epoch"] for row in history]
    right: Any = ax.twinx() if metrics else None
    lines = []
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in [*losses, *metrics]))
    for name in [*losses, *metrics]:
        values = [np.nan if row.get(name) is None else row[name] for row in history]
        lines += (ax if name in losses else right).plot(
            epochs, values, label=name, linestyle="--" if name.startswith("val_") else "-",
            color=COLOURS[bases.index(name.removeprefix("val_")) % len(COLOURS)],
            marker="o" if len(history) == 1 else None,
        )  # fmt: skip
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.xaxis.get_major_locator().set_params(integer=True)
    if right is not None:
        right.set_ylabel(", ".join(name for name in metrics if not name.startswith("val_")))
    ax.legend(handles=lines, loc="best", frameon=False)
    return ax


def plot_decision_boundary(
    model: Callable[[Any], Any],
    inputs: Any,
    targets: Any,
    ax: Any = None,
    *,
    threshold: float = 0.0,
    resolution: int = 200,
) -> Any:
    """Draw which class a model gives to each place of a plane, and the samples above.

    Parameters
    ----------
    model
        A layer or function of tensors of shape (n, 2). It gives scores (n, classes), of which the
        largest decides, or one number per place, (n, 1) or (n,).
    inputs
        Samples, of shape (n, 2).
    targets
        Their classes, integers from 0, of shape (n,) or (n, 1).
    ax
        Axes of matplotlib; None makes a new figure.
    threshold
        Above which one number means class 1: 0 for logits, 0.5 for probabilities.
    resolution
        Places along each axis.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If the inputs or the outputs do not have such shapes.
    ImportError
        If matplotlib is not installed.
    """
    x, labels = as_array(plain(inputs)), as_array(plain(targets)).astype(int).reshape(-1)
    if x.ndim != 2 or x.shape[1] != 2 or len(x) != len(labels) or not len(x):
        raise ValueError(
            "inputs must have shape (n, 2) and targets (n,), n at least 1; received "
            f"{x.shape} and {np.shape(plain(targets))}"
        )
    ax = _axes(ax, "plot_decision_boundary")
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.1 * np.where(high > low, high - low, 1.0)
    lines = np.linspace(low - margin, high + margin, resolution).T
    places = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2).astype(_floats(x.dtype))
    given = _classes(model, places, threshold)
    classes = int(max(labels.max(), given.max(), 1)) + 1
    colours = [COLOURS[i % len(COLOURS)] for i in range(classes)]
    edges = np.arange(classes + 1) - 0.5
    grid = given.reshape(resolution, resolution)
    ax.contourf(*lines, grid, levels=edges, colors=colours, alpha=0.3)
    for label in np.unique(labels):
        own = x[labels == label]
        ax.scatter(own[:, 0], own[:, 1], s=20, color=colours[label], edgecolors="white",
                   linewidths=0.5, label=f"class {label}")  # fmt: skip
    ax.legend(loc="best")
    return ax


def plot_confusion_matrix(matrix: Any, classes: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw a confusion matrix: true classes downwards, predicted ones to the right.

    Parameters
    ----------
    matrix
        Counts of shape (classes, classes), as from `metrics.confusion_matrix`.
    classes
        Their names; by default their numbers.
    ax
        Axes of matplotlib; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If the matrix is not square, or there are not as many names.
    ImportError
        If matplotlib is not installed.
    """
    counts = as_array(matrix)
    names = [str(i) for i in range(len(counts))] if classes is None else [*map(str, classes)]
    if counts.ndim != 2 or counts.shape != (len(names), len(names)):
        raise ValueError(
            f"the matrix must be square, with a name for each class; received {counts.shape} and "
            f"{len(names)} names"
        )
    ax = _axes(ax, "plot_confusion_matrix")
    # Shaded by the share of the true class, so that rare classes are to be seen.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(*counts.shape):
        colour = "white" if shares[i, j] > 0.5 else "black"
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", color=colour)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    return ax


def _axes(ax: Any, user: str) -> Any:
    """Return the axes given, or those of a new figure."""
    return extra("matplotlib.pyplot", "plot", user).subplots()[1] if ax is None else ax


def _floats(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype if dtype.kind == "f" else np.dtype(np.float64)


def _classes(model: Callable[[Any], Any], places: Any, threshold: float) -> Any:
    """Return the class that a model gives to each place."""
    found = []
    with in_mode(model, training=False), no_grad():
        for start in range(0, len(places), 4096):
            scores = plain(model(Tensor(places[start : start + 4096])))
            if scores.ndim == 2 and scores.shape[1] > 1:
                found.append(np.argmax(scores, axis=1))
            elif scores.size == len(places[start : start + 4096]):
                found.append((scores.reshape(-1) > threshold).astype(int))
            else:
                raise ValueError(
                    f"the model must give scores (n, classes) or one number per sample; "
                    f"received {scores.shape}"
                )
    return np.concatenate(found)
