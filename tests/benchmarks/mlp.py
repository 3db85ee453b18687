"""Time per update of multi-layer perceptrons, beside PyTorch, hand-written NumPy and JAX.

python -m tests.benchmarks.mlp [--rounds 20] [--batches 1]
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

import micrograd_np as mg
from tests.benchmarks.timing import (
    LR,
    Batches,
    Step,
    asked_for,
    compare,
    optional,
    our_step,
    over,
    their_step,
)

NETWORKS = [
    ((2, 16, 16, 2), 100, "SGD"),
    ((64, 64, 10), 32, "SGD"),
    ((784, 256, 128, 10), 128, "SGD"),
    ((1024, 1024, 1024, 1024), 512, "SGD"),
    ((64, 64, 10), 32, "Adam"),
]


def network(widths: tuple[int, ...], batch: int, count: int = 1) -> tuple[mg.Layer, Batches]:
    """Make the layer and `count` batches, the same in every call."""
    rng = np.random.default_rng(0)
    layers: list[mg.Layer] = []
    for wide, narrow in pairwise(widths):
        layers += [mg.Linear(wide, narrow, bias=True, dtype=np.float32, rng=rng), mg.ReLU()]
    batches = [
        (rng.standard_normal((batch, widths[0]), np.float32), rng.integers(0, widths[-1], batch))
        for _ in range(count)
    ]
    return mg.Sequential(*layers[:-1]), batches


def pytorch_step(layer: mg.Layer, batches: Batches, optimizer: str = "SGD") -> Step:
    nn = optional("torch").nn
    layers: list[Any] = []
    for parameter in layer.parameters():
        if parameter.ndim == 2:
            layers += [nn.Linear(*parameter.shape), nn.ReLU()]
    module = nn.Sequential(*layers[:-1])
    return their_step(layer, batches, module, module, optimizer)


def numpy_step(layer: mg.Layer, batches: Batches) -> Step:
    """Make the step by hand, as one would: in place where that is no trouble."""
    parameters = [parameter.data.copy() for parameter in layer.parameters()]
    weights, biases = parameters[::2], parameters[1::2]
    rows, lr = np.arange(len(batches[0][0])), np.float32(LR["SGD"])
    count = np.float32(len(rows))

    def update(x: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> np.float32:
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

    return over(update, batches)


def jax_step(layer: mg.Layer, batches: Batches) -> Step:
    """Make a step that is compiled whole, updates in place and waits until all is done."""
    jax, jnp = optional("jax"), optional("jax.numpy")
    parameters = [jnp.array(parameter.data) for parameter in layer.parameters()]

    def loss_of(parameters: Any, x: Any, labels: Any) -> Any:
        for i, (weight, bias) in enumerate(zip(parameters[::2], parameters[1::2], strict=True)):
            x = (jax.nn.relu(x) if i else x) @ weight + bias
        chosen = jnp.take_along_axis(jax.nn.log_softmax(x), labels[:, None], 1)
        return -chosen.mean()

    def updated(parameters: Any, x: Any, labels: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels)
        return loss, [p - LR["SGD"] * g for p, g in zip(parameters, gradients, strict=True)]

    compiled = jax.jit(updated, donate_argnums=0)

    def update(x: Any, labels: Any) -> Any:
        nonlocal parameters
        loss, parameters = jax.block_until_ready(compiled(parameters, x, labels))
        return loss

    return over(update, [(jnp.array(x), jnp.array(labels)) for x, labels in batches])


def step_of(name: str, layer: mg.Layer, batches: Batches, optimizer: str = "SGD") -> Step:
    """Make the step in one way. Ours trains the layer itself."""
    if name in ("eager", "compiled"):
        return our_step(layer, batches, optimizer, name == "compiled")
    if name == "PyTorch":
        return pytorch_step(layer, batches, optimizer)
    return {"NumPy by hand": numpy_step, "JAX jit": jax_step}[name](layer, batches)


def versions(optimizer: str = "SGD") -> list[str]:
    """Return the ways that there are here."""
    found = ["eager", "compiled"]
    found += ["PyTorch"] * bool(optional("torch"))
    found += ["NumPy by hand"] * (optimizer == "SGD")
    return found + ["JAX jit"] * (optimizer == "SGD" and bool(optional("jax")))


def main() -> None:
    asked = asked_for("Time multi-layer perceptrons.")
    for widths, batch, optimizer in NETWORKS:
        steps = {
            name: step_of(name, *network(widths, batch, asked.batches), optimizer)
            for name in versions(optimizer)
        }
        title = f"{'-'.join(map(str, widths))}, batch {batch}, {optimizer}"
        compare(title, steps, asked.rounds)


if __name__ == "__main__":
    main()
