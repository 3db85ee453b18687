"""Plots: pictures of a training run and of what a model says, drawn with matplotlib.

Each draws into the axes that it is given, or into new ones, and returns them; none shows or saves a
figure.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from ..extras import extra
from ..layers.layer import in_mode
from ..operations import plain
from ..ops.common import Array, as_array
from ..tape import no_grad
from ..tensor import Tensor

# Okabe and Ito's colours, then Tol's, which differ for the colour-blind, too.
COLOURS = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#f0e442",
    "#882255", "#999933", "#332288", "#dddddd",
]  # fmt: skip


def plot_history(history: Sequence[Mapping[str, Any]], ax: Any = None) -> Any:
    """Draw the columns of a training history over the epochs.

    Losses are drawn on the left axis and metrics on the right; those of the validation are dashed.
    A row may lack a column, as where validation is rare; NaN is a gap.

    Parameters
    ----------
    history
        A `History`, or any rows with "epoch" and other columns of numbers; what is called "lr" or
        "seconds" is not drawn.
    ax
        Axes of matplotlib; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the losses.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    ImportError
        If matplotlib is not installed.
    """
    columns = list(dict.fromkeys(name for row in history for name in row))
    names = [name for name in columns if name not in ("epoch", "lr", "seconds")]
    if not names:
        raise ValueError(
            "there must be at least one epoch with a loss or metric to draw; received "
            f"{len(history)} rows of {columns}"
        )
    ax = _axes(ax, "plot_history")
    measures = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    metrics = [name for name in measures if not name.endswith("loss")]
    right: Any = ax.twinx() if 0 < len(metrics) < len(measures) else ax
    right.spines["right"].set_visible(right is not ax or ax.spines["right"].get_visible())
    lines = []
    for name, colour in zip(measures, cycle(COLOURS)):
        side, size = (right, 4) if name in metrics else (ax, 9)  # of a dot, above or below others
        style: dict[str, Any] = {"color": colour, "markersize": size}
        lines += _plot(history, name, side, linestyle="-", **style)
        lines += _plot(history, f"val_{name}", side, linestyle="--", mfc="white", **style)
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if metrics:
        right.set_ylabel(", ".join(metrics))
    if right is not ax:
        for line in ax.lines:  # A legend keeps clear of its own axes' lines alone: let it see all.
            right.add_artist(type(line)(*line.get_data(), transform=ax.transData, visible=False))
    right.legend(handles=lines, loc="best")
    return ax


def plot_decision_boundary(
    model: Callable[[Any], Any],
    inputs: Any,
    targets: Any,
    ax: Any = None,
    *,
    threshold: float | None = None,
    resolution: int = 200,
    size: float = 20,
    legend: bool = True,
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
        Their classes, whole numbers from 0, of shape (n,) or (n, 1).
    ax
        Axes of matplotlib; None makes a new figure.
    threshold
        Above which one number means class 1: 0 for logits, 0.5 for probabilities. None is 0.5 if
        all numbers that the model gives are from 0 to 1, else 0.
    resolution
        Places along each axis.
    size
        Area of a sample's dot, in square points.
    legend
        Whether to name the classes.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    ValueError
        If inputs, targets or outputs are not as said.
    ImportError
        If matplotlib is not installed.
    """
    x, labels = _samples(inputs, targets)
    low, high = x.min(axis=0), x.max(axis=0)
    margin = 0.1 * np.where(high > low, high - low, 1.0)
    lines = np.linspace(low - margin, high + margin, resolution).T
    places = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2)
    given = _classes(model, places, threshold)
    ax = _axes(ax, "plot_decision_boundary")
    for label in np.union1d(labels, given):
        colour, own = COLOURS[label % len(COLOURS)], x[labels == label]
        # Each class on its own: between the contours of all lie bands of classes in between.
        region = (given == label).reshape(resolution, resolution)
        shade = ax.contourf(*lines, region, levels=[0.5, 1], colors=[colour], alpha=0.3, zorder=0)
        shade.set_rasterized(True)  # else a ragged border makes a large file
        ax.scatter(
            *own.T, s=size, color=colour, edgecolors="white", linewidths=0.5, label=f"class {label}"
        )
    if legend:
        ax.legend(loc="best")
    return ax


def plot_confusion_matrix(matrix: Any, classes: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw a confusion matrix: true classes downwards, predicted ones to the right.

    Parameters
    ----------
    matrix
        Counts of shape (classes, classes), as from `metrics.confusion_matrix`, or shares.
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
        If the matrix is not square or empty, or there are not as many names.
    ImportError
        If matplotlib is not installed.
    """
    counts = as_array(matrix)
    names = [str(i) for i in range(len(counts))] if classes is None else [*map(str, classes)]
    if counts.shape != (len(names), len(names)) or not names:
        raise ValueError(
            f"the matrix must be square, with a name for each class; received {counts.shape} and "
            f"{len(names)} names"
        )
    side = max(4.8, 0.4 * len(names))
    ax = _axes(ax, "plot_confusion_matrix", figsize=(side, side))
    # Shaded by the share of the true class, so that rare classes are to be seen.
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    written = np.round(counts, 2).astype(str)
    room = 60 * min(ax.bbox.size) / ax.figure.dpi / len(names)  # in a cell, in points
    size = min(10, 1.5 * room / max(map(len, written.flat)), room)
    for i, j in np.ndindex(*counts.shape):
        colour = "white" if shares[i, j] > 0.5 else "black"
        ax.text(j, i, written[i, j], ha="center", va="center", color=colour, fontsize=size)
    turn = 90 if max(map(len, names)) * 6 > room else 0
    ax.set_xticks(range(len(names)), names, rotation=turn, fontsize=min(10, room))
    ax.set_yticks(range(len(names)), names, fontsize=min(10, room))
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    return ax


def _axes(ax: Any, user: str, **options: Any) -> Any:
    """Return the axes given, or those of a new figure."""
    if ax is not None:
        return ax
    pyplot = extra("matplotlib.pyplot", "plot", user)
    return pyplot.subplots(layout="constrained", **options)[1]


def _plot(history: Sequence[Mapping[str, Any]], name: str, side: Any, **style: Any) -> list[Any]:
    """Draw a column where there are values: a line, or a dot for only one; return what is drawn."""
    rows = [row for row in history if row.get(name) is not None]
    style["marker"] = "o" if len(rows) == 1 else None
    values = [row[name] for row in rows]
    drawn = side.plot([row["epoch"] for row in rows], values, label=name, **style) if rows else []
    return list(drawn)


def _samples(inputs: Any, targets: Any) -> tuple[Array, Array]:
    """Return samples and their classes as integers, having checked them."""
    x, labels = as_array(plain(inputs)), as_array(plain(targets))
    if x.ndim != 2 or x.shape[1] != 2 or labels.shape not in ((len(x),), (len(x), 1)) or not len(x):
        raise ValueError(
            "inputs must have shape (n, 2) and targets (n,) or (n, 1), n at least 1; received "
            f"{x.shape} and {labels.shape}"
        )
    if np.any((labels < 0) | (labels % 1 != 0)):
        raise ValueError(
            "targets must be whole numbers from 0; received others: write targets > 0 for -1 and 1"
        )
    return x, labels.reshape(-1).astype(int)


def _classes(model: Callable[[Any], Any], places: Array, threshold: float | None) -> Array:
    """Return the class that a model gives to each place."""
    parts = []
    with in_mode(model, training=False), no_grad():
        for part in np.split(places, range(4096, len(places), 4096)):
            scores = as_array(plain(model(Tensor(part))))
            if scores.ndim not in (1, 2) or len(scores) != len(part) or not scores.size:
                raise ValueError(
                    "the model must give scores (n, classes) or one number per sample; received "
                    f"{scores.shape} for {len(part)} samples"
                )
            parts.append(scores.reshape(len(part), -1))
    found: Array = np.concatenate(parts)
    if found.shape[1] > 1:
        labels: Array = np.argmax(found, axis=1)
        return labels
    if threshold is None:
        threshold = 0.5 if np.all((found >= 0) & (found <= 1)) else 0.0
    return (found[:, 0] > threshold).astype(int)
