"""Time per update of an LSTM that reads images of 28x28 row by row, beside PyTorch.

python -m tests.benchmarks.lstm [--rounds 20]
"""

from typing import Any

import numpy as np

import micrograd_np as mg
from tests.benchmarks.timing import compare, our_step, rounds_asked_for, their_step, torch


class Reader(mg.Layer):
    """Logits from what the LSTM has read by the last step."""

    def __init__(self) -> None:
        self.lstm = mg.LSTM(28, 64, dtype=np.float32)
        self.linear = mg.Linear(64, 10, bias=True, dtype=np.float32)

    def forward(self, x: mg.Tensor) -> Any:
        output, _ = self.lstm(x)
        return self.linear(output[-1])


def main() -> None:
    rounds = rounds_asked_for("Time an LSTM.")
    np.random.seed(0)
    x = np.random.standard_normal((28, 64, 28)).astype(np.float32)
    labels = np.random.randint(0, 10, 64)
    reader = Reader()
    steps = {"micrograd_np": our_step(reader, x, labels)}
    if torch is not None:
        theirs = {"lstm": torch.nn.LSTM(28, 64), "linear": torch.nn.Linear(64, 10)}

        def forward(x: Any) -> Any:
            output, _ = theirs["lstm"](x)
            return theirs["linear"](output[-1])

        module = torch.nn.ModuleDict(theirs)
        steps["PyTorch"] = their_step(reader, x, labels, module, forward)
    compare("LSTM of 64, 28 steps of 28 features, batch 64", steps, rounds)


if __name__ == "__main__":
    main()
