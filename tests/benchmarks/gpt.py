"""Time per update of the smallest GPT, which learns to sort six digits, beside PyTorch.

    python -m tests.benchmarks.gpt [--rounds 20] [--batches 1]

The network is that of minGPT's sorting demo: six digits and then the same six sorted, where each
position predicts the next. The loss is over all positions, and the optimizer plain SGD.
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

BATCH, DIGITS, SYMBOLS = 64, 6, 3
CONTEXT = 2 * DIGITS - 1
WIDTH, HEADS, BLOCKS = 48, 3, 3


class GPT(mg.Layer):
    """Logits of the next symbol at every position, one row each."""

    def __init__(self) -> None:
        self.symbol = mg.Embedding(SYMBOLS, WIDTH, dtype=np.float32)
        self.position = mg.Embedding(CONTEXT, WIDTH, dtype=np.float32)
        self.blocks = [
            mg.TransformerBlock(WIDTH, HEADS, causal=True, dtype=np.float32) for _ in range(BLOCKS)
        ]
        self.norm = mg.LayerNorm(WIDTH, dtype=np.float32)
        self.head = mg.Linear(WIDTH, SYMBOLS, dtype=np.float32)

    def forward(self, symbols: mg.Tensor) -> Any:
        x = self.symbol(symbols) + self.position.weight
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).reshape(-1, SYMBOLS)


def network(count: int = 1) -> tuple[mg.Layer, Batches]:
    """Make the layer and `count` batches, the same in every call."""
    np.random.seed(0)
    batches = []
    for _ in range(count):
        digits = np.random.randint(0, SYMBOLS, (BATCH, DIGITS))
        sequences = np.concatenate([digits, np.sort(digits)], axis=1)
        batches.append((sequences[:, :-1].copy(), sequences[:, 1:].ravel()))
    return GPT(), batches


def pytorch_step(gpt: mg.Layer, batches: Batches) -> Step:
    """Make PyTorch's step, with blocks as minGPT writes them.

    That takes a tenth less time than TransformerEncoderLayer, which only holds their parameters.
    """
    nn = optional("torch").nn
    functional = nn.functional
    blocks = [
        nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, norm_first=True) for _ in range(BLOCKS)
    ]
    module = nn.ModuleDict(
        {
            "symbol": nn.Embedding(SYMBOLS, WIDTH),
            "position": nn.Embedding(CONTEXT, WIDTH),
            "blocks": nn.ModuleList(blocks),
            "norm": nn.LayerNorm(WIDTH),
            "head": nn.Linear(WIDTH, SYMBOLS, bias=False),
        }
    )

    def attention(layer: Any, x: Any) -> Any:
        projected = functional.linear(x, layer.in_proj_weight, layer.in_proj_bias)
        query, key, value = (
            part.view(BATCH, CONTEXT, HEADS, WIDTH // HEADS).transpose(1, 2)
            for part in projected.split(WIDTH, 2)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return layer.out_proj(mixed.transpose(1, 2).reshape(BATCH, CONTEXT, WIDTH))

    def forward(symbols: Any) -> Any:
        x = module["symbol"](symbols) + module["position"].weight
        for block in blocks:
            x = x + attention(block.self_attn, block.norm1(x))
            x = x + block.linear2(functional.gelu(block.linear1(block.norm2(x))))
        return module["head"](module["norm"](x)).view(-1, SYMBOLS)

    return their_step(gpt, batches, module, forward)


def main() -> None:
    asked = asked_for("Time the smallest GPT.")
    gpt, batches = network(asked.batches)
    steps = our_steps(gpt, batches)
    if optional("torch"):
        steps["PyTorch"] = pytorch_step(gpt, batches)
    compare("GPT of 3 blocks, 3 heads, width 48, context 11, batch 64", steps, asked.rounds)


if __name__ == "__main__":
    main()
