"""Time per update of a small convolutional network on images of 28x28, beside PyTorch.

python -m tests.benchmarks.cnn [--rounds 20] [--batches 1]
"""

import numpy as np

import micrograd_np as mg
from tests.benchmarks.timing import (
    Batches,
    Step,
    asked_for,
    compare,
    optional,
    our_steps,
    their_step,
)


def network(count: int = 1) -> tuple[mg.Layer, Batches]:
    """Make the layer and `count` batches, the same in every call."""
    np.random.seed(0)
    layer = mg.Sequential(
        mg.Conv2d(1, 8, 3, padding=1, bias=True, dtype=np.float32),
        mg.ReLU(),
        mg.MaxPool2d(2),
        mg.Conv2d(8, 16, 3, padding=1, bias=True, dtype=np.float32),
        mg.ReLU(),
        mg.MaxPool2d(2),
        mg.Flatten(),
        mg.Linear(16 * 7 * 7, 10, bias=True, dtype=np.float32),
    )
    batches = [
        (
            np.random.standard_normal((64, 1, 28, 28)).astype(np.float32),
            np.random.randint(0, 10, 64),
        )
        for _ in range(count)
    ]
    return layer, batches


def pytorch_step(layer: mg.Layer, batches: Batches) -> Step:
    nn = optional("torch").nn
    module = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 10),
    )
    return their_step(layer, batches, module, module)


def main() -> None:
    asked = asked_for("Time a small convolutional network.")
    layer, batches = network(asked.batches)
    steps = our_steps(layer, batches)
    if optional("torch"):
        steps["PyTorch"] = pytorch_step(layer, batches)
    compare("conv 8, pool, conv 16, pool, linear 10 on 28x28, batch 64", steps, asked.rounds)


if __name__ == "__main__":
    main()
