"""The tutorial's neuron: trained as a network, beside the original formula, then asked.

python examples/tutorial.py            asks for a new situation
python examples/tutorial.py 1 0 0      answers this one
"""

import argparse
import math
import os
import sys
from typing import NoReturn

import numpy as np
import numpy.typing as npt

import micrograd_np as mg

Array = npt.NDArray[np.float64]

INPUTS = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype=float)
TARGETS = np.array([[0], [1], [1], [0]], dtype=float)


def train(model: mg.Sequential, optimizer: mg.Optimizer, updates: int) -> None:
    """Train on all four examples at once, showing progress on a terminal."""
    every = max(1, updates // 100)
    for update in range(1, updates + 1):
        optimizer.zero_grad()
        loss = mg.sum_of_squares(model(INPUTS), TARGETS)
        loss.backward()
        optimizer.step()
        if sys.stdout.isatty() and (update % every == 0 or update == updates):
            print(f"\rupdate {update:,} of {updates:,}, loss {loss:.6f}", end="", flush=True)
    if sys.stdout.isatty() and updates:
        print()


def original_formula(seed: int, lr: float, updates: int) -> tuple[Array, Array]:
    """Train the tutorial's neuron without the framework; return weights and predictions."""
    np.random.seed(seed)
    weights = 2 * np.random.random((3, 1)) - 1
    for _ in range(updates):
        output = 1 / (1 + np.exp(-(INPUTS @ weights)))
        weights += lr * (INPUTS.T @ ((TARGETS - output) * output * (1 - output)))
    return weights, 1 / (1 + np.exp(-(INPUTS @ weights)))


def shielded(text: str) -> str:
    """Put a blank before a number, or argparse takes -2e3 for an option."""
    try:
        float(text)
    except ValueError:
        return text
    return f" {text}"


def finite_number(text: str) -> float:
    """Read a finite number, or say that `text` is none."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"a finite number is needed; received {text.strip()!r}")
    return number


def natural_number(text: str) -> int:
    """Read a whole number from 0 upwards, or say that `text` is none."""
    text = text.strip()
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number from 0 is needed; received {text!r}")
    return int(text)


def complain(message: str, status: int = 2) -> NoReturn:
    """End with one line on standard error."""
    print(message, file=sys.stderr)
    raise SystemExit(status)


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: {message}")


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(description="Train the tutorial's neuron and ask it about a new situation.")
    parser.add_argument(
        "inputs", nargs="*", type=finite_number, help="the new situation: 3 numbers"
    )
    parser.add_argument("--updates", type=natural_number, default=15_000, help="default: 15000")
    parser.add_argument("--seed", type=natural_number, default=1, help="of the first weights")
    parser.add_argument("--lr", type=finite_number, default=1.0, help="learning rate, default: 1")
    arguments = parser.parse_args([shielded(text) for text in sys.argv[1:]])
    if len(arguments.inputs) not in (0, 3):
        parser.error(f"a situation is 3 numbers; received {len(arguments.inputs)}")
    if arguments.lr < 0:
        parser.error(f"argument --lr: must be at least 0; received {arguments.lr}")
    if arguments.seed >= 2**32:
        parser.error(f"argument --seed: must be below 2**32; received {arguments.seed}")
    return arguments


def ask() -> list[float]:
    """Ask for the three inputs of a new situation."""
    answers = []
    for i in range(1, 4):
        try:
            answers.append(finite_number(input(f"input {i}: ").strip()))
        except (EOFError, RuntimeError):  # the latter if there is no standard input at all
            print()
            complain(f"input {i} is missing: the answers ended")
        except argparse.ArgumentTypeError as error:
            complain(f"input {i}: {error}")
    return answers


def main() -> None:
    """Train, compare and answer."""
    arguments = read_arguments()
    np.random.seed(arguments.seed)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    weight = model[0].weight
    print(f"starting weights\n{weight.data}")

    optimizer = mg.SGD(model.parameters(), lr=arguments.lr)
    train(model, optimizer, arguments.updates)
    predictions = model(INPUTS)
    loss = mg.sum_of_squares(predictions, TARGETS)

    weights, outputs = original_formula(arguments.seed, arguments.lr, arguments.updates)
    print(f"trained weights (original formula beside them)\n{np.hstack([weight.data, weights])}")
    print("inputs      target  prediction  original formula")
    rows = zip(INPUTS, TARGETS, predictions.data, outputs, strict=True)
    for x, target, prediction, output in rows:
        print(f"{x}  {target[0]:.0f}       {prediction[0]:.8f}  {output[0]:.8f}")
    print(f"loss                {loss:.8f}  {0.5 * np.sum((outputs - TARGETS) ** 2):.8f}")
    difference = max(abs(weight.data - weights).max(), abs(predictions.data - outputs).max())
    print(f"largest difference  {difference:g}")

    situation = arguments.inputs or ask()
    print(f"new situation {situation} -> {model(situation).item():.7f}")


if __name__ == "__main__":
    try:
        with np.errstate(all="ignore"):  # a learning rate that is too high may overflow
            main()
            sys.stdout.flush()
    except KeyboardInterrupt:
        print()
        complain("interrupted", status=130)
    except OSError as error:  # nobody reads on, or the disk is full
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain(f"cannot write: {error.strerror}")
