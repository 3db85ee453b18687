"""The examples that train networks, as a person runs them: what they print, draw and refuse."""

import ast
import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

import micrograd_np as mg

EXAMPLES = Path(__file__).parent.parent / "examples"


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-W", "error", str(EXAMPLES / f"{name}.py"), *arguments]


def run(
    folder: Path, name: str, *arguments: str, without: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run an example in a folder, as if the package `without` were not installed."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    if without:
        fault = f"raise ImportError('No module named {without}')\n"
        (folder / f"{without}.py").write_text(fault)
    return subprocess.run(
        command(name, *arguments), cwd=folder, env=environment, capture_output=True, text=True
    )


def documented_lines(name: str) -> list[str]:
    """Return what an example's docstring says that it prints."""
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text())) or ""
    return [line[4:] for line in text.splitlines() if line.startswith("    ")]


def coloured(path: Path) -> float:
    """Return which share of a picture is not white."""
    image = imread(path)
    assert min(image.shape[:2]) > 300
    return float(np.mean(image[..., :3].min(axis=-1) < 1))


def imported(name: str) -> Any:
    """Return an example as a module, to be asked for its parts."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # which digits.py sets for good otherwise
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def digits() -> Any:
    return imported("digits")


@pytest.mark.parametrize(
    ("name", "picture"),
    [("moons", "decision_boundary.png"), ("spiral", "decision_boundaries.png")],
)
def test_the_documented_figures_are_printed_and_the_picture_drawn(
    tmp_path: Path, name: str, picture: str
) -> None:
    done = run(tmp_path, name)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(documented_lines(name)) > 1
    assert set(documented_lines(name)) <= set(done.stdout.splitlines())
    assert done.stdout.endswith(f"picture: {name}_output/{picture}\n")
    assert coloured(tmp_path / f"{name}_output" / picture) > 0.5


def test_digits_prints_draws_resumes_and_exports(tmp_path: Path) -> None:
    done = run(tmp_path, "digits", "--seeds", "3", "--epochs", "2")
    assert done.returncode == 1
    assert done.stderr == (
        "digits.py: not as promised:\n"
        "  MLP, seed 3: test accuracy below 97.0%\n"
        "  CNN, seed 3: test accuracy below 98.5%\n"
    )
    for text in (
        "MLP, seed 3\nepoch", "CNN, seed 3\nepoch", " of 359 wrong\n", "val_accuracy",
        "confusion matrix of the CNN, seed 3\n[[",
        "stopped after epoch 1 of 2 and resumed: equal to the last bit\n",
        "mlp.onnx, outputs differ by at most", "cnn.onnx, outputs differ by at most",
    ):  # fmt: skip
        assert text in done.stdout
    folder = tmp_path / "digits_output"
    assert {path.name for path in folder.iterdir()} == {
        "histories.png", "confusion_matrix.png", "mlp_checkpoint.npz", "mlp.onnx", "cnn.onnx",
    }  # fmt: skip
    assert coloured(folder / "histories.png") > 0.02
    assert coloured(folder / "confusion_matrix.png") > 0.5


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("moons", "--steps", "moons.py: an accuracy of 100% was promised; it is "),
        ("spiral", "--epochs", "spiral.py: promised were below 60% without a hidden layer, "),
    ],
)
def test_too_short_a_training_breaks_the_promise(
    tmp_path: Path, name: str, option: str, message: str
) -> None:
    done = run(tmp_path, name, option, "1")
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
    assert "picture: " in done.stdout


@pytest.mark.parametrize("name", ["moons", "spiral"])
def test_without_matplotlib_there_is_training_but_no_picture(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, name, without="matplotlib")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no picture: " in done.stdout
    assert "pip install" in done.stdout
    assert [*tmp_path.glob("**/*.png")] == []


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
def test_without_its_packages_digits_says_what_to_install(tmp_path: Path, package: str) -> None:
    done = run(tmp_path, "digits", without=package)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"digits.py: No module named {package}; install what it needs: "
        "pip install 'micrograd_np[examples]'\n"
    )


def test_without_onnx_digits_says_what_it_leaves_out(tmp_path: Path) -> None:
    done = run(tmp_path, "digits", "--seeds", "3", "--epochs", "1", without="onnxruntime")
    assert "left out: No module named onnxruntime; pip install onnx onnxruntime\n" in done.stdout
    assert "onnx" not in done.stderr
    assert [*tmp_path.glob("**/*.onnx")] == []


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("moons", ["--seed", "-1"], "argument --seed: must be at least 0; received -1"),
        ("moons", ["--steps", "0"], "argument --steps: must be at least 1; received 0"),
        ("moons", ["--steps", "x"], "argument --steps: invalid int value: 'x'"),
        ("spiral", ["--seed", "-1"], "argument --seed: must be at least 0; received -1"),
        ("spiral", ["--epochs", "0"], "argument --epochs: must be at least 1; received 0"),
        ("digits", ["--seeds", "1", "-1"], "argument --seeds: must be at least 0; received -1"),
        ("digits", ["--epochs", "0"], "argument --epochs: must be at least 1; received 0"),
    ],
)
def test_bad_arguments_are_named(
    tmp_path: Path, name: str, arguments: list[str], message: str
) -> None:
    done = run(tmp_path, name, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"{name}.py: error: {message}\n")


@pytest.mark.parametrize("name", ["moons", "spiral", "digits"])
def test_a_folder_that_cannot_be_made_gets_one_clear_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    done = run(tmp_path, name, "--out", "file/inside")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}.py: cannot write: ")
    assert done.stderr.endswith("'file/inside'\n")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("moons", ["--steps", "10000000"]),
        ("digits", ["--epochs", "5", "--seeds", *map(str, range(100))]),
    ],
)
def test_ctrl_c_ends_with_one_line(tmp_path: Path, name: str, arguments: list[str]) -> None:
    # As a user runs it: with warnings as errors, what is interrupted while it reads a file says so.
    usual = [part for part in command(name, *arguments) if part not in ("-W", "error")]
    process = subprocess.Popen(
        usual, cwd=tmp_path, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert (process.returncode, complaint) == (1, f"{name}.py: interrupted\n")


@pytest.mark.parametrize("name", ["spiral", "digits"])
def test_a_training_that_fit_ended_because_of_ctrl_c_ends_the_example(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    example = imported(name)
    monkeypatch.setattr(sys, "argv", [name])
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    monkeypatch.setattr(mg, "fit", lambda *_, **__: mg.History(stopped="interrupted"))
    with pytest.raises(KeyboardInterrupt):
        example.main()


def test_digits_are_divided_into_parts_that_share_nothing(digits: Any) -> None:
    data = digits.load_data(np.random.default_rng(0))
    parts = [data.train[0][: len(data.train[0]) // 5], data.validation[0], data.test[0]]
    assert [len(part) for part in parts] == [1258, 180, 359]
    assert all(part.dtype == np.float32 for part in parts)
    assert (min(map(np.min, parts)), max(map(np.max, parts))) == (0, 1)
    images = [{image.tobytes() for image in part} for part in parts]
    assert [len(part) for part in images] == [1258, 180, 359]
    assert len(set.union(*images)) == 1797
    again, other = (digits.load_data(np.random.default_rng(seed)) for seed in (0, 1))
    assert np.array_equal(data.test[0], again.test[0])
    assert not np.array_equal(data.test[0], other.test[0])


def test_shifted_copies_are_the_images_moved_by_one_pixel(digits: Any) -> None:
    images = np.zeros((2, 1, 8, 8), np.float32)
    images[0, 0, 0, 3] = images[0, 0, 5, 7] = 1
    copies, labels = digits.with_shifted_copies(images, np.array([7, 4]))
    assert labels.tolist() == [7, 4] * 5
    assert not copies[1::2].any()
    assert [np.argwhere(copy[0]).tolist() for copy in copies[::2]] == [
        [[0, 3], [5, 7]],
        [[1, 3], [6, 7]],
        [[4, 7]],  # what leaves the image is lost
        [[0, 4]],
        [[0, 2], [5, 6]],
    ]


def test_validation_and_test_figures_are_of_their_own_parts(digits: Any) -> None:
    model, data, history, accuracy = digits.run("MLP", seed=0, epochs=1)
    measured = [
        mg.metrics.accuracy(mg.predict(model, images), labels)
        for images, labels in (data.validation, data.test)
    ]
    assert [history[-1]["val_accuracy"], accuracy] == measured
    assert measured[0] != measured[1]


def test_a_resumed_run_that_differs_is_reported(digits: Any, tmp_path: Path) -> None:
    other = digits.make_mlp(np.random.default_rng(0))
    broken = digits.check_resuming(other, seed=0, epochs=1, path=tmp_path / "run.npz")
    assert broken == ["the MLP that was stopped and resumed differs from the other one"]


def test_an_export_that_computes_something_else_is_reported(
    digits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = digits.make_mlp(np.random.default_rng(0)), np.ones((3, 1, 8, 8), np.float32)
    assert digits.check_onnx("MLP", model, images, tmp_path / "mlp.onnx") == []
    predict = mg.predict
    monkeypatch.setattr(mg, "predict", lambda *arguments: predict(*arguments) + 0.01)
    (broken,) = digits.check_onnx("MLP", model, images, tmp_path / "mlp.onnx")
    assert broken.startswith("MLP: outputs of ONNX Runtime differ by 0.01")
