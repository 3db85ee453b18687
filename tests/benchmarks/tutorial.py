"""Microseconds per update of the tutorial's network, beside the written-out NumPy loop.

    python tests/benchmarks/tutorial.py [--rounds 60] [--updates 400]

All loops train the same network on the same data, in turn, in one process; the figures are medians
over the rounds, and the ratios are what travels to other machines. "50 a call" is a compiled
function that makes 50 updates in each call.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import micrograd_np as mg

INPUTS = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype=float)
TARGETS = np.array([[0], [1], [1], [0]], dtype=float)
BASE = "written-out NumPy"
MANY = 50
Loop = Callable[[int], Any]  # makes that many updates and returns the weights


def optional(name: str) -> Any:
    """Return a library that need not be there, or None."""
    return import_module(name) if find_spec(name) else None


def start() -> Any:
    """Return the weights that all loops start from, which are those of Linear(3, 1)."""
    np.random.seed(1)
    return 2 * np.random.random((3, 1)) - 1


def written_out() -> Loop:
    inputs, targets, weights = INPUTS, TARGETS, start()

    def loop(updates: int) -> Any:
        nonlocal weights
        for _ in range(updates):
            output = 1 / (1 + np.exp(-(inputs @ weights)))
            weights += inputs.T @ ((targets - output) * output * (1 - output))
        return weights

    return loop


def through_the_loss(is_compiled: bool) -> Loop:
    np.random.seed(1)
    inputs, targets = mg.Tensor(INPUTS), mg.Tensor(TARGETS)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    optimizer = mg.SGD(model.parameters(), lr=1.0)

    def step(inputs: mg.Tensor, targets: mg.Tensor) -> mg.Tensor:
        optimizer.zero_grad()
        loss = mg.sum_of_squares(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    return looped(mg.compile(step) if is_compiled else step, inputs, targets, model)


def without_a_loss(is_compiled: bool) -> Loop:
    np.random.seed(1)
    inputs, targets = mg.Tensor(INPUTS), mg.Tensor(TARGETS)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    optimizer = mg.SGD(model.parameters(), lr=1.0)

    def step(inputs: mg.Tensor, targets: mg.Tensor) -> None:
        optimizer.zero_grad()
        output = model(inputs)
        output.backward(output.data - targets.data)
        optimizer.step()

    return looped(mg.compile(step) if is_compiled else step, inputs, targets, model)


def many_a_call() -> Loop:
    np.random.seed(1)
    inputs, targets = mg.Tensor(INPUTS), mg.Tensor(TARGETS)
    model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    optimizer = mg.SGD(model.parameters(), lr=1.0)

    @mg.compile
    def steps(inputs: mg.Tensor, targets: mg.Tensor) -> None:
        for _ in range(MANY):
            optimizer.zero_grad()
            output = model(inputs)
            output.backward(output.data - targets.data)
            optimizer.step()

    return looped(steps, inputs, targets, model, MANY)


def looped(
    step: Callable[..., Any], inputs: Any, targets: Any, model: mg.Layer, each: int = 1
) -> Loop:
    (weight,) = model.parameters()

    def loop(updates: int) -> Any:
        for _ in range(updates // each):
            step(inputs, targets)
        return weight.data

    return loop


def pytorch() -> Loop:
    torch = optional("torch")
    torch.set_num_threads(1)
    inputs, targets = torch.from_numpy(INPUTS), torch.from_numpy(TARGETS)
    linear = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    linear.weight.data = torch.from_numpy(start().T.copy())
    model = torch.nn.Sequential(linear, torch.nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)

    def loop(updates: int) -> Any:
        for _ in range(updates):
            optimizer.zero_grad()
            loss = 0.5 * ((model(inputs) - targets) ** 2).sum()
            loss.backward()
            optimizer.step()
        return linear.weight.detach().numpy().T

    return loop


def jax_jit() -> Loop:
    jax, jnp = optional("jax"), optional("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    inputs, targets, weights = jnp.array(INPUTS), jnp.array(TARGETS), jnp.array(start())

    def loss_of(weights: Any, inputs: Any, targets: Any) -> Any:
        return 0.5 * ((jax.nn.sigmoid(inputs @ weights) - targets) ** 2).sum()

    gradient = jax.grad(loss_of)
    update = jax.jit(lambda weights, *data: weights - gradient(weights, *data), donate_argnums=0)

    def loop(updates: int) -> Any:
        nonlocal weights
        for _ in range(updates):
            weights = update(weights, inputs, targets).block_until_ready()
        return weights

    return loop


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the tutorial's update.")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--updates", type=int, default=400, help="per round and loop")
    arguments = parser.parse_args()
    if arguments.updates < 1 or arguments.updates % MANY:
        parser.error(f"--updates must be a multiple of {MANY}; received {arguments.updates}")
    warnings.filterwarnings("error", ".* is not compiled and runs as it is")
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}", end="")
    loops: dict[str, Loop] = {
        BASE: written_out(),
        "eager, through the loss": through_the_loss(False),
        "eager, without a loss": without_a_loss(False),
        "compiled, through the loss": through_the_loss(True),
        "compiled, without a loss": without_a_loss(True),
        "compiled, 50 a call": many_a_call(),
    }
    if torch := optional("torch"):
        print(f", PyTorch {torch.__version__}", end="")
        loops["PyTorch, through the loss"] = pytorch()
    if jax := optional("jax"):
        print(f", JAX {jax.__version__}", end="")
        loops["JAX jit, gradient of the loss"] = jax_jit()
    weights = {name: np.array(loop(4 * MANY)) for name, loop in loops.items()}
    for name, values in weights.items():
        np.testing.assert_allclose(values, weights[BASE], rtol=1e-9, err_msg=name)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(arguments.rounds):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(arguments.updates)
            times[name].append((time.perf_counter() - start) / arguments.updates * 1e6)
    base = statistics.median(times[BASE])
    print(f"\n| {'loop':29} | us per update | times {BASE} |\n|{'-' * 31}|{'-' * 15}|{'-' * 25}|")
    for name, durations in times.items():
        median = statistics.median(durations)
        ratio = f"{median / base:.2f} = 1 / {base / median:.2f}"
        print(f"| {name:29} | {median:13.2f} | {ratio:>23} |")


if __name__ == "__main__":
    main()
