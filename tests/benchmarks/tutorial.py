"""Microseconds per update of the tutorial's network, beside the written-out NumPy loop.

    python tests/benchmarks/tutorial.py [--rounds 60] [--updates 400]

All loops train the same network on the same data, in turn, in one process; the figures are medians
over the rounds, and the ratios are what travels to other machines.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

import micrograd_np as mg

try:
    import torch
except ImportError:
    torch = None

INPUTS = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype=float)
TARGETS = np.array([[0], [1], [1], [0]], dtype=float)
Loop = Callable[[int], None]


def written_out(updates: int) -> None:
    inputs, targets = INPUTS, TARGETS
    weights = 2 * np.random.random((3, 1)) - 1
    for _ in range(updates):
        output = 1 / (1 + np.exp(-(inputs @ weights)))
        weights += inputs.T @ ((targets - output) * output * (1 - output))


def through_the_loss(updates: int) -> None:
    inputs, targets = mg.Tensor(INPUTS), mg.Tensor(TARGETS)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    optimizer = mg.SGD(model.parameters(), lr=1.0)
    for _ in range(updates):
        optimizer.zero_grad()
        loss = mg.sum_of_squares(model(inputs), targets)
        loss.backward()
        optimizer.step()


def without_a_loss(updates: int) -> None:
    inputs = mg.Tensor(INPUTS)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    optimizer = mg.SGD(model.parameters(), lr=1.0)
    for _ in range(updates):
        optimizer.zero_grad()
        output = model(inputs)
        output.backward(output.data - TARGETS)
        optimizer.step()


def pytorch(updates: int) -> None:
    torch.set_num_threads(1)
    inputs, targets = torch.from_numpy(INPUTS), torch.from_numpy(TARGETS)
    linear = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    model = torch.nn.Sequential(linear, torch.nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(updates):
        optimizer.zero_grad()
        loss = 0.5 * ((model(inputs) - targets) ** 2).sum()
        loss.backward()
        optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the tutorial's update.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--updates", type=int, default=400, help="per round and loop")
    arguments = parser.parse_args()
    loops: dict[str, Loop] = {
        "written-out NumPy": written_out,
        "micrograd_np, through the loss": through_the_loss,
        "micrograd_np, without a loss": without_a_loss,
    }
    if torch is not None:
        loops["PyTorch, through the loss"] = pytorch
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(arguments.rounds):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(arguments.updates)
            times[name].append((time.perf_counter() - start) / arguments.updates * 1e6)
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}", end="")
    print("" if torch is None else f", PyTorch {torch.__version__}")
    base = statistics.median(times["written-out NumPy"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:32} {median:8.2f} us per update, {median / base:6.2f} x")


if __name__ == "__main__":
    main()
