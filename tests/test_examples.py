"""The examples as a person runs them: their output, their questions, their complaints."""

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
TUTORIAL = [sys.executable, "-W", "error", str(EXAMPLES / "tutorial.py")]


def run(*arguments: str, answers: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*TUTORIAL, *arguments], input=answers, capture_output=True, text=True)


def test_the_tutorial_prints_the_published_figures() -> None:
    done = run("1", "0", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "starting weights\n"
        "[[-0.16595599]\n"
        " [ 0.44064899]\n"
        " [-0.99977125]]\n"
        "trained weights (original formula beside them)\n"
        "[[10.08740896 10.08740896]\n"
        " [-0.20695366 -0.20695366]\n"
        " [-4.83757835 -4.83757835]]\n"
        "inputs      target  prediction  original formula\n"
        "[0. 0. 1.]  0       0.00786389  0.00786389\n"
        "[1. 1. 1.]  1       0.99358625  0.99358625\n"
        "[1. 0. 1.]  1       0.99477899  0.99477899\n"
        "[0. 1. 1.]  0       0.00640321  0.00640321\n"
        "loss                0.00008562  0.00008562\n"
        "largest difference  0\n"
        "new situation [1.0, 0.0, 0.0] -> 0.9999584\n"
    )


def test_without_arguments_it_asks_three_questions() -> None:
    done = run(answers="1\n 0 \n0\n")
    assert done.returncode == 0
    assert done.stdout.endswith(
        "input 1: input 2: input 3: new situation [1.0, 0.0, 0.0] -> 0.9999584\n"
    )


def test_options_change_the_run_and_the_formula_alike() -> None:
    for options in (["--seed", "7", "--lr", "0.5"], ["--lr", "1e308"], ["--updates", "0"]):
        done = run("--updates", "50", *options, "-1", "-2e3", "0.5")
        assert (done.returncode, done.stderr) == (0, "")
        assert "largest difference  0\nnew situation [-1.0, -2000.0, 0.5]" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "answers", "message"),
    [
        (["1", "0"], "", "a situation is 3 numbers; received 2"),
        (["1", "0", "0", "1"], "", "a situation is 3 numbers; received 4"),
        (["1", "0", "x"], "", "argument inputs: a finite number is needed; received 'x'"),
        (["1", "0", "nan"], "", "argument inputs: a finite number is needed; received 'nan'"),
        (["1", "0", "-inf"], "", "argument inputs: a finite number is needed; received '-inf'"),
        (["--updates", "-3"], "", "--updates: a whole number from 0 is needed; received '-3'"),
        (["--updates", "1.5"], "", "--updates: a whole number from 0 is needed; received '1.5'"),
        (["--lr", "-1"], "", "argument --lr: must be at least 0; received -1.0"),
        (["--lr", "inf"], "", "argument --lr: a finite number is needed; received 'inf'"),
        (["--seed", "4294967296"], "", "argument --seed: must be below 2**32"),
        (["--speed", "1"], "", "unrecognized arguments: --speed"),
        ([], "1\nx\n", "input 2: a finite number is needed; received 'x'"),
        ([], "1\ninf\n", "input 2: a finite number is needed; received 'inf'"),
        ([], "1\n\n", "input 2: a finite number is needed; received ''"),
        ([], "1\n", "input 2 is missing: the answers ended"),
        ([], "", "input 1 is missing: the answers ended"),
    ],
)
def test_bad_input_gets_one_clear_line(arguments: list[str], answers: str, message: str) -> None:
    done = run("--updates", "5", *arguments, answers=answers)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("redirection", "message"),
    [
        (">/dev/full", "cannot write: No space left on device\n"),
        ("| true", "cannot write: Broken pipe\n"),
        ("<&-", "input 1 is missing: the answers ended\n"),
    ],
)
def test_a_full_disk_and_a_closed_pipe_get_one_clear_line(redirection: str, message: str) -> None:
    command = f"{shlex.join(TUTORIAL)} --updates 20000 {'' if '<' in redirection else '1 0 0'}"
    done = subprocess.run(
        ["bash", "-c", f"{command} {redirection}"], stderr=subprocess.PIPE, text=True
    )
    assert done.stderr == message


def start_on_a_terminal(*arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*TUTORIAL, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, pattern: str) -> str:
    """Read what a terminal shows until `pattern` or the end."""
    text = ""
    while not re.search(pattern, text):
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, f"nothing more came after {text!r}"
        try:
            text += os.read(terminal, 4096).decode()
        except OSError:
            break
    return text


def test_a_terminal_shows_progress_and_a_pipe_does_not() -> None:
    process, terminal = start_on_a_terminal("--updates", "200", "1", "0", "0")
    text = read_until(terminal, "never")
    os.close(terminal)
    assert process.wait() == 0
    assert "\rupdate 2 of 200, loss" in text
    assert re.search(r"\rupdate 200 of 200, loss 0\.\d{6}\r\ntrained weights", text)
    assert "update" not in run("--updates", "200", "1", "0", "0").stdout


@pytest.mark.parametrize("moment", ["training", "question"])
def test_ctrl_c_ends_with_one_line_and_status_130(moment: str) -> None:
    options = ["--updates", "100000000"] if moment == "training" else ["--updates", "10"]
    process, terminal = start_on_a_terminal(*options)
    text = read_until(terminal, "update 1" if moment == "training" else "input 1: ")
    time.sleep(0.3)  # let it sit down to wait: between prompt and wait a signal would be missed
    process.send_signal(signal.SIGINT)
    text += read_until(terminal, "never")
    os.close(terminal)
    assert process.wait() == 130
    assert "Traceback" not in text
    assert text.endswith("\r\ninterrupted\r\n")
