"""Time per update of micrograd's own demonstration, beside micrograd, MyGrad and PyTorch.

python -m tests.benchmarks.others [--rounds 5]

A network 2-16-16-1 with ReLU, the hinge loss of 100 points, plain gradient descent, float64. What
is not installed takes no part: pip install micrograd mygrad
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

import micrograd_np as mg
from tests.benchmarks.timing import Step, asked_for, compare, optional

WIDTHS = 2, 16, 16, 1
LR = 0.1
Arrays = list[npt.NDArray[np.float64]]


def start() -> tuple[Arrays, Any, Any]:
    """Return weights and biases, points and their classes, which are -1 and 1."""
    rng = np.random.default_rng(0)
    held: Arrays = []
    for wide, narrow in pairwise(WIDTHS):
        held += [rng.uniform(-1, 1, (wide, narrow)), np.zeros(narrow)]
    points = rng.standard_normal((100, 2))
    return held, points, np.where(points.prod(axis=1, keepdims=True) > 0, 1.0, -1.0)


def our_step(is_compiled: bool) -> Step:
    held, points, classes = start()
    layers: list[mg.Layer] = []
    for weight, bias in zip(held[::2], held[1::2], strict=True):
        wide, narrow = weight.shape
        layer = mg.Linear(wide, narrow, bias=True)
        layer.load_state_dict({"weight": weight, "bias": bias})
        layers += [layer, mg.ReLU()]
    model = mg.Sequential(*layers[:-1])
    optimizer = mg.SGD(model.parameters(), lr=LR)

    def update(x: Any, y: Any) -> mg.Tensor:
        optimizer.zero_grad()
        loss = mg.hinge(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step = mg.compile(update) if is_compiled else update
    return lambda: step(points, classes)


def micrograd_step() -> Step:
    """Make the step of micrograd, in which every number is an object."""
    nn = optional("micrograd.nn")
    held, points, classes = start()
    model = nn.MLP(WIDTHS[0], list(WIDTHS[1:]))
    for layer, weight, bias in zip(model.layers, held[::2], held[1::2], strict=True):
        for neuron, column, b in zip(layer.neurons, weight.T, bias, strict=True):
            neuron.b.data = float(b)
            for w, value in zip(neuron.w, column, strict=True):
                w.data = float(value)

    def step() -> Any:
        scores = [model(row) for row in points.tolist()]
        losses = [(1 - y * s).relu() for y, s in zip(classes[:, 0].tolist(), scores, strict=True)]
        loss = sum(losses) * (1 / len(losses))
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= LR * p.grad
        return np.float64(loss.data)

    return step


def mygrad_step() -> Step:
    mygrad, relu = optional("mygrad"), optional("mygrad.nnet.activations").relu
    held, points, classes = start()
    parameters = [mygrad.tensor(array) for array in held]

    def step() -> Any:
        x = points
        for i, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2], strict=True)):
            x = (relu(x) if i else x) @ weight + bias
        loss = mygrad.maximum(1 - classes * x, 0).mean()
        loss.backward()
        for p in parameters:
            p.data -= LR * p.grad
        return loss

    return step


def pytorch_step() -> Step:
    torch = optional("torch")
    held, *data = start()
    points, classes = map(torch.from_numpy, data)
    layers: list[Any] = []
    for weight, bias in zip(held[::2], held[1::2], strict=True):
        linear = torch.nn.Linear(*weight.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = map(torch.from_numpy, (weight.T.copy(), bias))
        layers += [linear, torch.nn.ReLU()]
    module = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(module.parameters(), lr=LR)

    def step() -> Any:
        optimizer.zero_grad()
        loss = (1 - classes * module(points)).relu().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step


OTHERS: dict[str, Callable[[], Step]] = {
    "micrograd": micrograd_step, "mygrad": mygrad_step, "torch": pytorch_step,
}  # fmt: skip


def main() -> None:
    asked = asked_for("Time micrograd's demonstration.")
    steps = {"eager": our_step(False), "compiled": our_step(True)}
    steps |= {name: make() for name, make in OTHERS.items() if optional(name)}
    compare("2-16-16-1, 100 points, hinge", steps, asked.rounds)


if __name__ == "__main__":
    main()
