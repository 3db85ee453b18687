"""Time per update of an LSTM that reads images of 28x28 row by row, beside PyTorch.

python -m tests.benchmarks.lstm [--rounds 20] [--batches 1]
"""

from typing import Any

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


class Reader(mg.Layer):
    """Logits from what the LSTM has read by the last step."""

    def __init__(self) -> None:
        self.lstm = mg.LSTM(28, 64, dtype=np.float32)
        self.linear = mg.Linear(64, 10, bias=True, dtype=np.float32)

    def forward(self, x: mg.Tensor) -> Any:
        output, _ = self.lstm(x)
        return self.linear(output[-1])


def network(count: int = 1) -> tuple[mg.Layer, Batches]:
    """Make the layer and `count` batches, the same in every call."""
    np.random.seed(0)
    reader = Reader()
    batches = [
        (np.random.standard_normal((28, 64, 28)).astype(np.float32), np.random.randint(0, 10, 64))
        for _ in range(count)
    ]
    return reader, batches


def pytorch_step(reader: mg.Layer, batches: Batches) -> Step:
    nn = optional("torch").nn
    module = nn.ModuleDict({"lstm": nn.LSTM(28, 64), "linear": nn.Linear(64, 10)})
    lstm, linear = module["lstm"], module["linear"]

    def forward(x: Any) -> Any:
        output, _ = lstm(x)
        return linear(output[-1])

    return their_step(reader, batches, module, forward)


def main() -> None:
    asked = asked_for("Time an LSTM.")
    reader, batches = network(asked.batches)
    steps = our_steps(reader, batches)
    if optional("torch"):
        steps["PyTorch"] = pytorch_step(reader, batches)
    compare("LSTM of 64, 28 steps of 28 features, batch 64", steps, asked.rounds)


if __name__ == "__main__":
    main()
