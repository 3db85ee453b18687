"""Time per update of a small convolutional network on images of 28x28, beside PyTorch.

python -m tests.benchmarks.cnn [--rounds 20]
"""

import numpy as np

import micrograd_np as mg
from tests.benchmarks.timing import compare, our_step, rounds_asked_for, their_step, torch


def main() -> None:
    rounds = rounds_asked_for("Time a small convolutional network.")
    np.random.seed(0)
    x = np.random.standard_normal((64, 1, 28, 28)).astype(np.float32)
    labels = np.random.randint(0, 10, 64)
    model = mg.Sequential(
        mg.Conv2d(1, 8, 3, padding=1, bias=True, dtype=np.float32),
        mg.ReLU(),
        mg.MaxPool2d(2),
        mg.Conv2d(8, 16, 3, padding=1, bias=True, dtype=np.float32),
        mg.ReLU(),
        mg.MaxPool2d(2),
        mg.Flatten(),
        mg.Linear(16 * 7 * 7, 10, bias=True, dtype=np.float32),
    )
    steps = {"micrograd_np": our_step(model, x, labels)}
    if torch is not None:
        module = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(8, 16, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * 7 * 7, 10),
        )
        steps["PyTorch"] = their_step(model, x, labels, module, module)
    compare("conv 8, pool, conv 16, pool, linear 10 on 28x28, batch 64", steps, rounds)


if __name__ == "__main__":
    main()
