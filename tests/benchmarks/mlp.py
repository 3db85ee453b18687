"""Time per update of multi-layer perceptrons, beside PyTorch and hand-written NumPy.

python -m tests.benchmarks.mlp [--rounds 20]
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

import micrograd_np as mg
from tests.benchmarks.timing import LR, Step, compare, our_step, rounds_asked_for, their_step, torch

NETWORKS = [
    ((2, 16, 16, 2), 100),
    ((64, 64, 10), 32),
    ((784, 256, 128, 10), 128),
    ((1024, 1024, 1024, 1024), 512),
]


def numpy_step(
    parameters: list[npt.NDArray[np.float32]],
    x: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
) -> Step:
    """Make the step by hand; `parameters` are the weight and the bias of each layer in turn."""
    weights = [parameter.copy() for parameter in parameters[::2]]
    biases = [parameter.copy() for parameter in parameters[1::2]]
    rows, lr = np.arange(len(x)), np.float32(LR)
    count = np.float32(len(x))

    def step() -> np.float32:
        inputs, y = [], x
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            if i:
                np.maximum(y, 0, out=y)
            inputs.append(y)
            y = y @ weight
            y += bias
        y -= y.max(1, keepdims=True)
        chosen = y[rows, labels]
        np.exp(y, out=y)
        total = y.sum(1)
        loss: np.float32 = (np.log(total) - chosen).mean()
        y /= total[:, None]
        y[rows, labels] -= 1
        y /= count
        g = y
        for i in reversed(range(len(weights))):
            weight_gradient, bias_gradient = inputs[i].T @ g, g.sum(0)
            if i:
                g = g @ weights[i].T
                g *= inputs[i] > 0
            weight_gradient *= lr
            bias_gradient *= lr
            weights[i] -= weight_gradient
            biases[i] -= bias_gradient
        return loss

    return step


def main() -> None:
    rounds = rounds_asked_for("Time multi-layer perceptrons.")
    rng = np.random.default_rng(0)
    np.random.seed(0)  # of the weights
    for widths, batch in NETWORKS:
        x = rng.standard_normal((batch, widths[0]), np.float32)
        labels = rng.integers(0, widths[-1], batch)
        layers: list[mg.Layer] = []
        for wide, narrow in pairwise(widths):
            layers += [mg.Linear(wide, narrow, bias=True, dtype=np.float32), mg.ReLU()]
        model = mg.Sequential(*layers[:-1])
        steps = {"micrograd_np": our_step(model, x, labels)}
        if torch is not None:
            theirs: list[Any] = []
            for wide, narrow in pairwise(widths):
                theirs += [torch.nn.Linear(wide, narrow), torch.nn.ReLU()]
            module = torch.nn.Sequential(*theirs[:-1])
            steps["PyTorch"] = their_step(model, x, labels, module, module)
        steps["NumPy"] = numpy_step([p.data for p in model.parameters()], x, labels)
        compare(f"{'-'.join(map(str, widths))}, batch {batch}", steps, rounds)


if __name__ == "__main__":
    main()
