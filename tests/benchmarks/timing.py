"""What the benchmarks of whole networks share: the same training step in several frameworks.

A step is a function that makes one update and returns the loss before it. The steps of one network
start from the same weights; that they compute the same losses is checked before they are timed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

import micrograd_np as mg

try:
    import torch
except ImportError:
    torch = None

__all__ = ["LR", "Step", "compare", "our_step", "rounds_asked_for", "their_step", "torch"]

LR = 0.1
TURN = 0.1  # seconds that one version is timed for before the next has its turn
Step: TypeAlias = Callable[[], Any]


def rounds_asked_for(description: str) -> int:
    """Read the command line, and say what is timed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each version")
    rounds: int = parser.parse_args().rounds
    print(f"Python {sys.version.split()[0]}, NumPy {np.__version__}", end="")
    if torch is not None:
        print(f", PyTorch {torch.__version__} with {torch.get_num_threads()} threads", end="")
    print()
    return rounds


def our_step(layer: mg.Layer, x: Any, labels: Any) -> Step:
    """Make the step of a layer that gives logits."""
    inputs = mg.Tensor(x)
    optimizer = mg.SGD(layer.parameters(), lr=LR)

    def step() -> mg.Tensor:
        optimizer.zero_grad()
        loss = mg.cross_entropy(layer(inputs), labels)
        loss.backward()
        optimizer.step()
        return loss

    return step


def their_step(
    layer: mg.Layer, x: Any, labels: Any, module: Any, forward: Callable[[Any], Any]
) -> Step:
    """Make the step of a PyTorch module that starts from the parameters of our layer.

    They have the same names. Our Linear holds its weight as (in, out), PyTorch's as (out, in).
    `forward` gives the module's logits.
    """
    linear = [name for name, m in module.named_modules() if isinstance(m, torch.nn.Linear)]
    transposed = {f"{name}.weight" for name in linear}
    module.load_state_dict(
        {
            name: torch.from_numpy(value.T if name in transposed else value)
            for name, value in layer.state_dict().items()
        }
    )
    inputs, targets = torch.from_numpy(x), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(module.parameters(), lr=LR)

    def step() -> Any:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    return step


def compare(network: str, steps: dict[str, Step], rounds: int) -> None:
    """Time the steps in turn and print the ratios of the first to each of the others."""
    losses = {name: [step().item() for _ in range(10)] for name, step in steps.items()}
    first, *others = steps
    for name in others:
        np.testing.assert_allclose(losses[name], losses[first], rtol=1e-4, err_msg=name)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            run(step, TURN / 2)  # until the threads of the version before have gone to sleep
            times[name].append(run(step, TURN))
    medians = {name: statistics.median(values) for name, values in times.items()}
    line = f"{network}: {first} {written(medians[first])}"
    for name in others:
        ratio = medians[first] / medians[name]
        line += f"{',;'[name != others[0]]} {name} {written(medians[name])}, {ratio:.2f} x"
    print(line, flush=True)


def run(step: Step, duration: float) -> float:
    """Return the seconds per step, from as many steps as fit into `duration` and at least one."""
    count = 0
    start = now = time.perf_counter()
    while now < start + duration:
        step()
        count += 1
        now = time.perf_counter()
    return (now - start) / count


def written(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
