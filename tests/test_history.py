"""History: rows that print as a table, columns by name, a file that reads back, and a plot."""

import copy
import csv
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot

import micrograd_np as mg

mpl.use("agg")


def history() -> mg.History:
    """Return rows as a callback that adds columns of its own may leave them."""
    return mg.History(
        [
            {"epoch": 1, "loss": 1 / 3, "val_loss": float("nan"), "lr": 1e-3},
            {"epoch": 2, "loss": 123456.7, "note": "a, <b>", "lr": np.float32(0.1)},
            {"epoch": 10, "loss": None, "läßt": True, "lr": np.float64(2) / 3},
        ],
        stopped="early",
    )


def test_it_prints_as_a_table() -> None:
    assert repr(history()) == str(history()) == (
        "epoch       loss  val_loss      lr    note  läßt\n"
        "    1     0.3333       nan   0.001              \n"
        "    2  1.235e+05               0.1  a, <b>      \n"
        "   10                       0.6667          True\n"
        "stopped: early"
    )  # fmt: skip
    assert repr(mg.History()) == "epoch  loss"
    assert repr(mg.History([{"loss": 1.0}])) == "loss\n   1"


def test_it_is_a_table_in_a_notebook() -> None:
    html = history()._repr_html_()
    assert html.startswith("<table><thead><tr>")
    assert html.endswith("<p>stopped: early</p>")
    assert html.count("<tr>") == 4
    assert html.count("<td ") == 4 * 6
    assert "a, &lt;b&gt;" in html
    assert ">0.3333<" in html
    note = mg.History([{"loss": 1.0}], stopped="a < b")._repr_html_()
    assert note.endswith("<p>stopped: a &lt; b</p>")
    assert "stopped" not in mg.History([{"loss": 1.0}])._repr_html_()


def test_columns_are_found_by_name_with_none_where_a_row_has_none() -> None:
    rows = history()
    assert rows.columns == ["epoch", "loss", "val_loss", "lr", "note", "läßt"]
    assert rows["epoch"] == [1, 2, 10]
    assert rows["note"] == [None, "a, <b>", None]
    with pytest.raises(KeyError, match=r"there is no column 'acc'; there are \['epoch', 'loss',"):
        rows["acc"]
    assert mg.History()["loss"] == []  # as after a Ctrl-C in the first epoch


def test_it_is_a_list_of_rows() -> None:
    rows = history()
    assert rows[0]["epoch"] == rows[np.int64(-3)]["epoch"] == 1
    assert [row["epoch"] for row in rows] == [1, 2, 10]
    assert len(rows) == 3
    assert rows == list(rows)
    with pytest.raises(IndexError):
        rows[3]
    rows.sort(key=lambda row: -row["epoch"])
    assert rows["epoch"] == [10, 2, 1]
    rows += mg.History([{"epoch": 11}])
    rows.append({"epoch": 12})
    assert rows["epoch"] == [10, 2, 1, 11, 12]
    assert json.loads(json.dumps(mg.History([{"loss": 0.1}]))) == [{"loss": 0.1}]


COPIES: dict[str, Callable[[mg.History], Any]] = {
    "slice": lambda rows: rows[:],
    "copy method": lambda rows: rows.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda rows: pickle.loads(pickle.dumps(rows)),
    "old pickle": lambda rows: pickle.loads(pickle.dumps(rows, 0)),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_a_history_too(name: str) -> None:
    rows = history()
    twin = COPIES[name](rows)
    assert type(twin) is mg.History
    assert repr(twin) == repr(rows)
    assert twin.stopped == "early"
    twin.append({"epoch": 11})
    twin.stopped = None
    assert len(rows) == 3
    assert rows.stopped == "early"
    assert (twin[0] is rows[0]) is (name in ("slice", "copy method", "copy"))


def test_a_sum_is_a_history_too() -> None:
    first, second = history(), mg.History([{"epoch": 1, "loss": 0.5}], "late")
    both = first + second
    assert type(both) is mg.History
    assert both["epoch"] == [*first["epoch"], 1]
    assert both.stopped == "late"
    assert (len(first), first.stopped) == (3, "early")
    assert (first + list(second)).stopped is None
    with pytest.raises(TypeError, match="list"):
        first + 1  # type: ignore[operator]


def test_a_part_is_a_history_too() -> None:
    part = history()[1:]
    assert part["epoch"] == [2, 10]
    assert part.stopped == "early"
    assert part.columns == ["epoch", "loss", "note", "lr", "läßt"]


def test_a_file_reads_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "läßt.csv"
    rows = history()
    rows.to_csv(path)
    with open(path, encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == rows.columns
    assert [float(row["lr"]) for row in found] == [1e-3, float("0.1"), 2 / 3]
    assert [np.float32(row["lr"]) for row in found][1] == np.float32(0.1)
    assert float(found[0]["loss"]) == 1 / 3
    assert np.isnan(float(found[0]["val_loss"]))
    assert [row["note"] for row in found] == ["", "a, <b>", ""]
    assert path.read_bytes().startswith(
        b"epoch,loss,val_loss,lr,note,l\xc3\xa4\xc3\x9ft\r\n1,0.333"
    )


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    history().to_csv(path)
    before = path.read_bytes()
    with pytest.raises(UnicodeEncodeError):
        mg.History([{"loss": "half of a pair: \ud800"}]).to_csv(path)
    assert path.read_bytes() == before
    mg.History([{"loss": 1.0}]).to_csv(str(path))
    assert path.read_bytes() == b"loss\r\n1.0\r\n"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_drawn_with_matplotlib() -> None:
    rows = mg.History({"epoch": i, "loss": 1 / i, "val_loss": 2 / i} for i in (1, 2, 3))
    axes = pyplot.figure().add_subplot()
    try:
        assert rows.plot(axes) is axes
        assert [list(line.get_ydata()) for line in axes.get_lines()] == [
            rows["loss"], rows["val_loss"],
        ]  # fmt: skip
        assert rows.plot() is not axes
    finally:
        pyplot.close("all")
