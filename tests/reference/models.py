"""Models for PyTorch and for us: the same lines, run with `nn` being torch.nn or micrograd_np."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Model(NamedTuple):
    """How to make a model, the shape of an input (or integers), and the dtype in its file."""

    make: Callable[[Any], Any]
    x: Any
    dtype: str = "float32"


def has_modules(nn: Any) -> bool:
    return hasattr(nn, "Module")


def base(nn: Any) -> Any:
    return nn.Module if has_modules(nn) else nn.Layer


def mlp(nn: Any) -> Any:
    return nn.Sequential(
        nn.Linear(3, 5, bias=True), nn.ReLU(),
        nn.Sequential(nn.Linear(5, 4, bias=False), nn.Tanh()),
        nn.Linear(4, 2, bias=True),
    )  # fmt: skip


def cnn(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, (3, 2), padding=1, bias=True), nn.BatchNorm2d(4), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(4, 6, 2, groups=2, bias=False), nn.SiLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(6, 4, bias=True), nn.BatchNorm1d(4), nn.Linear(4, 3, bias=True),
    )  # fmt: skip


def reader(kind: str, **options: Any) -> Callable[[Any], Any]:
    """Return the maker of a model that reads a sequence and gives two numbers for each step."""

    def make(nn: Any) -> Any:
        class Reader(base(nn)):  # type: ignore[misc]
            def __init__(self) -> None:
                super().__init__()
                self.body = getattr(nn, kind)(3, 4, **options)
                self.head = nn.Linear(8 if "bidirectional" in options else 4, 2, bias=True)

            def forward(self, x: Any) -> Any:
                return self.head(self.body(x)[0])

        return Reader()

    return make


def embedding(nn: Any) -> Any:
    return nn.Sequential(
        nn.Embedding(7, 3, padding_idx=0), nn.Conv1d(4, 2, 2, bias=True), nn.Flatten(),
        nn.RMSNorm(4, eps=1e-6), nn.Linear(4, 3, bias=True), nn.LogSoftmax(dim=-1),
    )  # fmt: skip


def block(nn: Any, *sizes: int) -> Any:
    if not has_modules(nn):
        return nn.TransformerBlock(*sizes)
    return nn.TransformerEncoderLayer(
        *sizes, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def transformer(nn: Any) -> Any:
    """Make a model of blocks whose last layer shares the weights of its first, an embedding."""

    class Tied(base(nn)):  # type: ignore[misc]
        def __init__(self, weight: Any) -> None:
            super().__init__()
            self.weight = weight

        def forward(self, x: Any) -> Any:
            return x @ self.weight.T

    class Transformer(base(nn)):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(7, 6)
            self.places = nn.Embedding(4, 6)
            blocks = [block(nn, 6, 2, 8), block(nn, 6, 3, 5)]
            self.blocks = nn.ModuleList(blocks) if has_modules(nn) else blocks
            self.norm = nn.LayerNorm(6)
            self.head = Tied(self.words.weight)

        def forward(self, words: Any) -> Any:
            x = self.words(words) + self.places.weight
            for layer in self.blocks:
                x = layer(x)
            return self.head(self.norm(x))

    return Transformer()


WORDS = [[1, 4, 0, 6], [2, 2, 5, 0]]
MODELS = {
    "mlp": Model(mlp, (4, 3)),
    "mlp-float64": Model(mlp, (4, 3), "float64"),
    "mlp-float16": Model(mlp, (4, 3), "float16"),
    "mlp-bfloat16": Model(mlp, (4, 3), "bfloat16"),
    "cnn": Model(cnn, (3, 1, 7, 6)),
    "rnn": Model(reader("RNN", nonlinearity="relu", bias=False), (5, 2, 3)),
    "gru": Model(reader("GRU", num_layers=2, batch_first=True), (5, 2, 3)),
    "lstm": Model(reader("LSTM", num_layers=2, bidirectional=True), (5, 2, 3)),
    "embedding": Model(embedding, WORDS),
    "block": Model(lambda nn: block(nn, 6, 2, 8), (2, 4, 6)),
    "transformer": Model(transformer, WORDS),
}
