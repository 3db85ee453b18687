"""Plots: what is drawn where, that it can be read, and what else stays as it was."""

import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import micrograd_np as mg
from micrograd_np.looking.plots import COLOURS

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _without_a_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail if something is shown or saved; close all figures."""

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("shown or saved")

    monkeypatch.setattr(plt, "show", never)
    monkeypatch.setattr(Figure, "show", never)
    monkeypatch.setattr(Figure, "savefig", never)
    yield
    plt.close("all")


def epochs(count: int = 20, **columns: Callable[[float], Any]) -> list[dict[str, Any]]:
    columns = columns or {
        "loss": lambda e: np.exp(-e / 5) + 0.1, "accuracy": lambda e: 1 - np.exp(-e / 4),
        "val_loss": lambda e: np.exp(-e / 4) + 0.2, "val_accuracy": lambda e: 0.9 - np.exp(-e / 4),
    }  # fmt: skip
    always: dict[str, Callable[[float], Any]] = {"lr": lambda _: 0.1, "seconds": lambda e: e}
    return [
        {"epoch": e, **{name: f(e) for name, f in (columns | always).items()}}
        for e in range(1, count + 1)
    ]


def lines(ax: Any) -> dict[str, Any]:
    """Return the visible lines of axes and of their twin by label."""
    return {
        line.get_label(): line for each in ax.figure.axes for line in each.lines
        if line.get_visible()
    }  # fmt: skip


def pixels(ax: Any, *places: tuple[float, float]) -> list[Any]:
    """Return the colours that are drawn at places."""
    canvas = ax.figure.canvas
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    return [image[row, column] for column, row in ax.transData.transform(places).astype(int)]


def region(label: int) -> Any:
    """Return the colour of a class's region: its colour, with much white."""
    return pytest.approx(0.3 * np.array(to_rgb(COLOURS[label])) + 0.7, abs=0.01)


# History


def test_losses_are_on_the_left_and_metrics_on_the_right() -> None:
    history = epochs()
    ax = mg.plot_history(history)
    left, right = ax.figure.axes
    assert ax is left
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == (
        "epoch", "loss", "accuracy",
    )  # fmt: skip
    drawn = lines(ax)
    assert list(drawn) == ["loss", "val_loss", "accuracy", "val_accuracy"]
    for name, line in drawn.items():
        assert line.axes is (left if name.endswith("loss") else right)
        assert list(line.get_xdata()) == list(range(1, 21))
        assert list(line.get_ydata()) == [row[name] for row in history]
        assert line.get_linestyle() == ("--" if name.startswith("val_") else "-")
        assert line.get_marker() in ("None", None)
    assert drawn["loss"].get_color() == drawn["val_loss"].get_color() == COLOURS[0]
    assert drawn["accuracy"].get_color() == drawn["val_accuracy"].get_color() == COLOURS[1]
    legend = right.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == list(drawn)


def test_the_legend_covers_no_line_of_either_axis() -> None:
    ax = mg.plot_history(epochs())
    ax.figure.draw_without_rendering()
    box = ax.figure.axes[1].get_legend().get_window_extent()
    for line in lines(ax).values():
        assert not box.count_contains(line.axes.transData.transform(line.get_xydata()))


def test_the_axes_limits_are_those_of_their_own_lines() -> None:
    far = epochs(loss=lambda e: 1000 + e, accuracy=lambda e: e / 20)
    left, right = mg.plot_history(far).figure.axes
    assert 1000 < left.get_ylim()[0] < left.get_ylim()[1] < 1022
    assert -0.1 < right.get_ylim()[0] < right.get_ylim()[1] < 1.1


def test_one_kind_of_column_has_one_axis() -> None:
    ax = mg.plot_history(epochs(loss=lambda e: 1 / e))
    assert len(ax.figure.axes) == 1
    assert ax.get_ylabel() == "loss"
    ax = mg.plot_history(epochs(accuracy=lambda e: e, val_auc=lambda e: e))
    assert len(ax.figure.axes) == 1
    assert ax.get_ylabel() == "accuracy, auc"
    assert list(lines(ax)) == ["accuracy", "val_auc"]


def test_one_epoch_is_drawn_as_dots_that_do_not_hide_each_other() -> None:
    ax = mg.plot_history(epochs(1))
    drawn = lines(ax)
    assert {line.get_marker() for line in drawn.values()} == {"o"}
    assert drawn["loss"].get_markersize() > drawn["accuracy"].get_markersize()
    assert drawn["val_loss"].get_markerfacecolor() == "white" != COLOURS[0]
    assert drawn["loss"].get_markerfacecolor() == COLOURS[0]
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low < tick < high] == [1]


def test_epochs_are_whole_numbers() -> None:
    for count in (2, 3, 5):
        ticks = mg.plot_history(epochs(count)).get_xticks()
        assert np.array_equal(ticks, np.round(ticks))


def test_a_missing_value_is_passed_over_and_nan_is_a_gap() -> None:
    history = epochs(5, loss=lambda e: np.nan if e == 2 else e, f1=lambda e: None)
    for row in history[1::2]:
        row["val_loss"] = 0.0
    history[4]["val_loss"] = None
    drawn = lines(mg.plot_history(history))
    np.testing.assert_array_equal(drawn["loss"].get_ydata(), [1, np.nan, 3, 4, 5])
    assert list(drawn["val_loss"].get_xdata()) == [2, 4]
    assert "f1" not in drawn


def test_many_columns_have_colours_in_turn() -> None:
    columns: Any = {f"m{i}": lambda e: e for i in range(len(COLOURS) + 1)}
    drawn = lines(mg.plot_history(epochs(**columns)))
    assert list(drawn) == list(columns)
    assert len({line.get_color() for line in drawn.values()}) == len(COLOURS)
    assert len(set(COLOURS)) == len(COLOURS) >= 10


@pytest.mark.parametrize("history", [[], [{"epoch": 1}], [{"epoch": 1, "lr": 1, "seconds": 2}]])
def test_a_history_has_something_to_draw(history: Any) -> None:
    with pytest.raises(ValueError, match=f"one epoch with a loss or metric .* {len(history)} rows"):
        mg.plot_history(history)
    assert not plt.get_fignums()


def test_a_history_of_fit_plots_itself() -> None:
    model = mg.Linear(2, 1)
    x = np.ones((8, 2))
    history = mg.fit(
        model, x, x[:, :1], loss=mg.mean_squared_error, epochs=2, validation=0.5,
        optimizer=mg.SGD(model.parameters(), lr=0.1),
    )  # fmt: skip
    _, ax = plt.subplots()
    assert history.plot(ax) is ax
    assert list(lines(ax)) == ["loss", "val_loss"]
    assert history.plot().figure is not ax.figure


# Decision boundary

CORNERS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])


def test_scores_colour_the_plane_by_the_largest() -> None:
    centres = mg.Tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 4.0]])
    ax = mg.plot_decision_boundary(
        lambda x: x @ centres.T - (centres * centres).sum(axis=1) / 2, CORNERS, [0, 1, 2, 2]
    )
    assert pixels(ax, (1, 0.7), (3, 0.7), (2, 3)) == [region(0), region(1), region(2)]
    points = {c.get_label(): c for c in ax.collections if c.get_label().startswith("class")}
    assert list(points) == ["class 0", "class 1", "class 2"]
    np.testing.assert_array_equal(points["class 2"].get_offsets(), CORNERS[2:])
    assert tuple(points["class 2"].get_facecolor()[0][:3]) == to_rgb(COLOURS[2])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(points)
    assert np.allclose([ax.get_xlim(), ax.get_ylim()], [-0.4, 4.4])


def test_regions_lie_below_the_samples_of_every_class() -> None:
    ax = mg.plot_decision_boundary(lambda x: x[:, 0] - 2, CORNERS, [1, 0, 0, 1])
    heights: dict[bool, list[float]] = {True: [], False: []}
    for drawn in ax.collections:
        heights[drawn.get_label().startswith("class")].append(drawn.get_zorder())
    assert [len(each) for each in heights.values()] == [2, 2]
    assert max(heights[False]) < min(heights[True])


def test_no_other_class_lies_between_two() -> None:
    scores = np.array([[-1.0, 0, 1]])  # of which class 1 has never the largest
    ax = mg.plot_decision_boundary(
        lambda x: (x[:, :1] - 2.1) * scores - [0, 9, 0], CORNERS, [0, 2, 0, 2], resolution=3
    )
    assert pixels(ax, (2.9, 1), (3.5, 1)) == [region(0), region(2)]  # 3.2 is between two places


@pytest.mark.parametrize("threshold", [0.0, 1.0])
@pytest.mark.parametrize("columns", [slice(0, 1), 0])
def test_one_number_is_class_1_above_the_threshold(threshold: float, columns: Any) -> None:
    ax = mg.plot_decision_boundary(
        lambda x: x[:, columns] - 1, CORNERS, [[0], [1], [0], [1]], threshold=threshold
    )
    assert pixels(ax, (threshold + 0.9, 2), (threshold + 1.1, 2)) == [region(0), region(1)]


@pytest.mark.parametrize(
    ("least", "most", "classes"),
    [(0.05, 0.95, [0, 0, 1]), (-0.05, 0.95, [0, 1, 1]), (0.05, 1.05, [1, 1, 1])],
)
def test_probabilities_are_told_from_logits(least: float, most: float, classes: Any) -> None:
    ax = mg.plot_decision_boundary(  # places are from -0.4 to 4.4
        lambda x: least + (x[:, 0] + 0.4) / 4.8 * (most - least), CORNERS, [0, 1, 0, 1]
    )
    assert pixels(ax, (-0.3, 2), (1.0, 2), (3.0, 2)) == [region(label) for label in classes]


def test_the_model_is_asked_as_in_evaluation_and_stays_as_it_was() -> None:
    class Watched(mg.Layer):
        def forward(self, x: mg.Tensor) -> mg.Tensor:
            seen.append((x.dtype.type, len(x), self.training, x.requires_grad))
            return x

    seen: list[Any] = []
    model = mg.Sequential(mg.Linear(2, 3, dtype=np.float32), Watched(), mg.Dropout(0.5))
    model[2].eval()
    mg.plot_decision_boundary(model, CORNERS.astype(np.float32), np.arange(4) > 1)
    assert set(seen) == {(np.float32, n, False, False) for n in (4096, 40000 % 4096)}
    assert [layer.training for _, layer in model.layers_within()] == [True, True, True, False]
    mg.plot_decision_boundary(model, CORNERS.astype(int), [0.0, 1.0, 2.0, 0.0], resolution=9)
    assert seen[-1] == (np.float64, 81, False, False)
    model[2].train()
    with pytest.raises(ZeroDivisionError):
        mg.plot_decision_boundary(mg.Sequential(model, lambda x: 1 / 0), CORNERS, [0, 1, 0, 1])
    assert model[2].training
    assert len(plt.get_fignums()) == 2


def test_one_sample_and_one_class_are_enough() -> None:
    for given, labels in (([[2, 3]], [0]), (CORNERS, [1] * 4), ([[2, 3]], [3])):
        ax = mg.plot_decision_boundary(lambda x: x[:, :1] * 0 - 1, given, labels, resolution=5)
        assert pixels(ax, tuple(np.mean(given, axis=0) + 0.06)) == [region(0)]
        shown = [text.get_text() for text in ax.get_legend().get_texts()]
        assert shown == [f"class {label}" for label in sorted({0, *labels})]


@pytest.mark.parametrize(
    ("given", "labels", "message"),
    [
        (
            np.ones((4, 3)),
            [0] * 4,
            r"inputs must have shape \(n, 2\).*received \(4, 3\) and \(4,\)",
        ),
        (np.ones(2), [0], r"received \(2,\) and \(1,\)"),
        (CORNERS, [0] * 3, r"received \(4, 2\) and \(3,\)"),
        (CORNERS, np.eye(4), r"received \(4, 2\) and \(4, 4\)"),
        (CORNERS[:2], np.zeros((1, 2)), r"received \(2, 2\) and \(1, 2\)"),
        (np.ones((0, 2)), [], r"n at least 1; received \(0, 2\) and \(0,\)"),
        (CORNERS, [-1, 1, 1, 1], "whole numbers from 0.*targets > 0 for -1 and 1"),
        (CORNERS, [0.5, 1, 1, 1], "whole numbers from 0"),
        (CORNERS, [np.nan, 1, 1, 1], "whole numbers from 0"),
    ],
)
def test_samples_are_points_of_a_plane_with_classes(given: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mg.plot_decision_boundary(mg.Linear(2, 2), given, labels)
    assert not plt.get_fignums()


@pytest.mark.parametrize("model", [
    lambda x: x.sum(), lambda x: x[:, :0], lambda x: x[1:], lambda x: x.T[:1],
    lambda x: x.reshape(-1, 1, 2), lambda x: (x, x),
])  # fmt: skip
def test_outputs_are_scores_or_one_number_a_sample(model: Any) -> None:
    with pytest.raises(ValueError, match=r"must give scores \(n, classes\) or one number .* for 9"):
        mg.plot_decision_boundary(model, CORNERS, [0] * 4, resolution=3)
    assert not plt.get_fignums()


# Confusion matrix


def test_counts_are_written_and_shaded_by_the_share_of_the_true_class() -> None:
    ax = mg.plot_confusion_matrix([[900, 100, 0], [0, 1, 3], [0, 0, 0]], ["cat", "dog", "owl"])
    written = {text.get_position(): text for text in ax.texts}
    assert written[(1, 0)].get_text() == "100"
    assert written[(2, 1)].get_text() == "3"
    shares: Any = [[0.9, 0.1, 0], [0, 0.25, 0.75], [0, 0, 0]]
    np.testing.assert_allclose(ax.images[0].get_array(), shares)
    assert ax.images[0].get_clim() == (0, 1)
    colours = [written[place].get_color() for place in ((0, 0), (1, 0), (2, 1), (2, 2))]
    assert colours == ["white", "black", "white", "black"]
    for axis in (ax.xaxis, ax.yaxis):
        assert [text.get_text() for text in axis.get_ticklabels()] == ["cat", "dog", "owl"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert ax.get_ylim() == (2.5, -0.5)  # downwards


def test_it_takes_what_metrics_give_and_shares() -> None:
    matrix = mg.metrics.confusion_matrix([0, 1, 1], [0, 1, 0])
    ax = mg.plot_confusion_matrix(matrix)
    assert [text.get_text() for text in ax.texts] == ["1", "1", "0", "1"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1"]
    ax = mg.plot_confusion_matrix(matrix / 3)
    assert [text.get_text() for text in ax.texts] == ["0.33", "0.33", "0.0", "0.33"]


@pytest.mark.parametrize("count", [2, 10, 40])
@pytest.mark.parametrize("largest", [9, 10**6])
@pytest.mark.parametrize("is_given", [True, False])
def test_numbers_stay_in_their_cells_and_names_apart(
    count: int, largest: int, is_given: bool
) -> None:
    names = [f"class number {i}" for i in range(count)] if largest == 9 else None
    ax = plt.subplots(figsize=(5, 5))[1] if is_given else None
    ax = mg.plot_confusion_matrix(np.full((count, count), largest), names, ax)
    ax.figure.draw_without_rendering()
    cell = min(np.abs(ax.transData.transform((1, 1)) - ax.transData.transform((0, 0))))
    for text in ax.texts:
        box = text.get_window_extent()
        assert max(box.width, box.height) <= cell
    for axis in (ax.xaxis, ax.yaxis):
        boxes = [text.get_window_extent() for text in axis.get_ticklabels()]
        assert not any(box.padded(-0.1).overlaps(after) for box, after in pairwise(boxes))
        assert is_given or min(min(box.x0, box.y0) for box in boxes) > 0
    if not is_given:
        assert ax.texts[0].get_fontsize() >= (8 if largest == 9 else 3)


@pytest.mark.parametrize(("matrix", "classes", "received"), [
    (np.ones((2, 3)), None, r"\(2, 3\) and 2 names"), (np.ones(2), None, r"\(2,\) and 2 names"),
    (np.eye(2), ["a"], r"\(2, 2\) and 1 names"), (np.ones((0, 0)), None, r"\(0, 0\) and 0 names"),
])  # fmt: skip
def test_a_matrix_is_square_with_a_name_for_each_class(
    matrix: Any, classes: Any, received: str
) -> None:
    with pytest.raises(ValueError, match=f"must be square, with a name .*received {received}"):
        mg.plot_confusion_matrix(matrix, classes)
    assert not plt.get_fignums()


# All of them

PLOTS: dict[str, Callable[..., Any]] = {
    "plot_history": lambda **given: mg.plot_history(epochs(), **given),
    "plot_decision_boundary": lambda **given: mg.plot_decision_boundary(
        mg.Linear(2, 2), CORNERS, [0, 1, 1, 0], **given
    ),
    "plot_confusion_matrix": lambda **given: mg.plot_confusion_matrix(np.eye(2), **given),
}
each_plot = pytest.mark.parametrize("name", PLOTS)


@each_plot
def test_axes_are_the_given_ones_or_new(name: str) -> None:
    figure, axes = plt.subplots(1, 2)
    assert PLOTS[name](ax=axes[0]) is axes[0]
    assert plt.get_fignums() == [figure.number]
    assert axes[0].has_data()
    assert not axes[1].has_data()
    ax = PLOTS[name]()
    assert ax.figure is not figure
    assert len(plt.get_fignums()) == 2


@each_plot
def test_without_matplotlib_the_message_says_how_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    command = r"pip install 'micrograd_np\[plot\]'"
    with pytest.raises(ImportError, match=f"^{name} needs matplotlib; install it with: {command}"):
        PLOTS[name]()


def test_a_plane_is_drawn_as_pixels_and_with_a_legend_if_wanted(tmp_path: Path) -> None:
    for wanted in (True, False):
        ax = mg.plot_decision_boundary(
            lambda x: x[:, :1], [[-1.0, 0.0], [1.0, 0.0]], [0, 1], legend=wanted, size=50
        )
        assert [dots.get_sizes().tolist() for dots in ax.collections[1::2]] == [[50.0], [50.0]]
        assert (ax.get_legend() is not None) == wanted
    canvas: Any = FigureCanvasSVG(ax.figure)
    canvas.print_svg(tmp_path / "plane.svg")
    assert "data:image/png" in (tmp_path / "plane.svg").read_text()
