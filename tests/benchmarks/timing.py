"""What the benchmarks of whole networks share: the same training step in several frameworks.

A step is a function that makes one update and returns the loss before it. The steps of one network
start from the same weights; that they compute the same losses is checked before they are timed.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from typing import Any, TypeAlias

import numpy as np

import micrograd_np as mg

__all__ = [
    "LR", "Batches", "Step", "asked_for", "compare", "compared", "libraries", "optional",
    "our_step", "our_steps", "our_update", "over", "printed", "run", "their_step", "written",
]  # fmt: skip

LR = {"SGD": 0.1, "Adam": 0.001}
TURN = 0.1  # seconds that one version is timed for before the next has its turn
Step: TypeAlias = Callable[[], Any]
Update: TypeAlias = Callable[[Any, Any], Any]  # of inputs and labels
Batches: TypeAlias = list[tuple[Any, Any]]  # of the same
warnings.filterwarnings("error", ".* is not compiled and runs as it is")


def optional(name: str) -> Any:
    """Return a library that need not be there, or None."""
    return import_module(name) if find_spec(name) else None


def asked_for(description: str) -> argparse.Namespace:
    """Read the command line, and say what is timed."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=20, help="turns of each version")
    parser.add_argument("--batches", type=int, default=1, help="which take turns, call by call")
    print(libraries())
    return parser.parse_args()


def libraries() -> str:
    """Return what takes part, with versions."""
    texts = [f"Python {sys.version.split()[0]}", f"NumPy {np.__version__}"]
    if torch := optional("torch"):
        texts.append(f"PyTorch {torch.__version__} with {torch.get_num_threads()} threads")
    if jax := optional("jax"):
        texts.append(f"JAX {jax.__version__}")
    return ", ".join([*texts, *settings()])


def settings() -> list[str]:
    """Return what the environment says of threads and kernels, which decides large products."""
    prefixes = ("OPENBLAS_", "OMP_", "MKL_", "XLA_FLAGS")
    return [f"{name}={value}" for name, value in os.environ.items() if name.startswith(prefixes)]


def over(update: Update, batches: Batches) -> Step:
    """Make a step of an update: of one batch after the other, and from the first again."""
    turn = cycle(batches)
    return lambda: update(*next(turn))


def our_steps(layer: mg.Layer, batches: Batches, optimizer: str = "SGD") -> dict[str, Step]:
    """Make the steps of two copies of a layer that gives logits."""
    return {
        name: our_step(deepcopy(layer), batches, optimizer, name == "compiled")
        for name in ("eager", "compiled")
    }


def our_step(layer: mg.Layer, batches: Batches, optimizer: str, is_compiled: bool) -> Step:
    """Make the step of a layer that gives logits."""
    update = our_update(layer, optimizer)
    own = [(mg.Tensor(x), labels) for x, labels in batches]
    return over(mg.compile(update) if is_compiled else update, own)


def our_update(layer: mg.Layer, optimizer: str) -> Update:
    """Make the update of a layer that gives logits."""
    rule = getattr(mg, optimizer)(layer.parameters(), lr=LR[optimizer])

    def update(inputs: mg.Tensor, labels: Any) -> mg.Tensor:
        rule.zero_grad()
        loss = mg.cross_entropy(layer(inputs), labels)
        loss.backward()
        rule.step()
        return loss

    return update


def their_step(
    layer: mg.Layer,
    batches: Batches,
    module: Any,
    forward: Callable[[Any], Any],
    optimizer: str = "SGD",
) -> Step:
    """Make the step of a PyTorch module that starts from the parameters of our layer.

    They have the same names. Our Linear holds its weight as (in, out), PyTorch's as (out, in).
    `forward` gives the module's logits. Adam is fused, the fastest that PyTorch has.
    """
    torch = optional("torch")
    linear = [name for name, m in module.named_modules() if isinstance(m, torch.nn.Linear)]
    transposed = {f"{name}.weight" for name in linear}
    values = dict(layer.named_parameters())
    for name, parameter in module.named_parameters():
        value = values[name].data
        parameter.data.copy_(torch.from_numpy(value.T if name in transposed else value))
    options = {"fused": True} if optimizer == "Adam" else {}
    rule = getattr(torch.optim, optimizer)(module.parameters(), lr=LR[optimizer], **options)

    def update(inputs: Any, targets: Any) -> Any:
        rule.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(inputs), targets)
        loss.backward()
        rule.step()
        return loss

    return over(update, [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches])


def compare(network: str, steps: dict[str, Step], rounds: int) -> None:
    """Time the steps in turn; print medians, and ours as multiples of each and the other way."""
    medians = compared(steps, rounds)
    ours = ["eager", "compiled"]
    rows = [[network, "per update", *(f"{name} takes, of it" for name in ours)]]
    for name, median in medians.items():
        ratios = [medians[our] / median for our in ours if our != name]
        row = [f"{r:.2f} = 1 / {1 / r:.2f}" for r in ratios]
        rows.append([name, written(median), *([""] * (name == "eager")), *row])
    printed(rows)


def compared(steps: dict[str, Step], rounds: int, turn: float = TURN) -> dict[str, float]:
    """Check that the steps compute the same, and return their median seconds, timed in turn."""
    losses = {name: [step().item() for _ in range(10)] for name, step in steps.items()}
    first, *others = steps
    for name in others:
        np.testing.assert_allclose(losses[name], losses[first], rtol=1e-4, err_msg=name)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            run(step, turn / 2)  # until the threads of the version before have gone to sleep
            times[name].append(run(step, turn))
    return {name: statistics.median(values) for name, values in times.items()}


def run(step: Step, duration: float) -> float:
    """Return the seconds per step, from as many steps as fit into `duration` and at least one."""
    count = 0
    start = now = time.perf_counter()
    while now < start + duration:
        step()
        count += 1
        now = time.perf_counter()
    return (now - start) / count


def printed(rows: list[list[str]]) -> None:
    """Print a table, as Markdown has it."""
    columns = max(map(len, rows))
    rows = [row + [""] * (columns - len(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        cells = [
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


def written(seconds: float) -> str:
    if seconds < 1e-4:
        return f"{seconds * 1e6:.1f} us"
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
