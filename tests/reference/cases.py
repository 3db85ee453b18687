"""The cases that reference values are computed for; they name ours, and need no PyTorch."""

from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

AXES: list[Any] = [None, 0, -1, (0, 2)]
LABELS = [2, 0, 1]
IMAGE_LABELS = [[0, 2], [1, 1]]
EXTREMES = [-1000.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1000.0]
TIES = [[3.0, 1.0, 3.0], [2.0, 2.0, 2.0], [0.0, -1000.0, 1000.0]]
FAR = [[1000.0, 1000.0, 1000.0], [0.0, 1.0, -1000.0], [-inf, 0.0, 1000.0]]
LATER = [[column > row for column in range(3)] for row in range(3)]
PADDED = [[False, False, True], [False, True, False]]


class Drawn(NamedTuple):
    """An input to be drawn, uniformly; a bare shape stands for one from -2 to 2."""

    shape: tuple[int, ...]
    low: float = -2
    high: float = 2


class Fixed(NamedTuple):
    """An input of floats whose gradient is not asked for."""

    values: Any


class Case(NamedTuple):
    """One of ours by name, with its inputs and its options; of a layer also how it is made."""

    name: str
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    layer: dict[str, Any] | None = None
    mode: str = "train"
    rtol: float = 1e-10  # in float64

    def id(self) -> str:
        inputs = [x[0] if isinstance(x, (Drawn, Fixed)) else x for x in self.inputs]
        settings = [f"{k}={v}" for k, v in {**(self.layer or {}), **self.options}.items()]
        mode = ["eval"] if self.mode == "eval" else []
        return f"{self.name}({', '.join([*map(str, inputs), *settings, *mode])})".replace("'", "")


def op(name: str, *inputs: Any, **options: Any) -> Case:
    return Case(name, inputs, options)


def loss(name: str, *inputs: Any, **options: Any) -> Iterator[Case]:
    for reduction in ("mean", "none") if options else ("mean", "sum", "none"):
        yield Case(name, inputs, {**options, "reduction": reduction})


def elementwise() -> Iterator[Case]:
    for name in (
        "absolute", "arctan", "cos", "cosh", "elu", "erf", "exp", "expm1", "floor", "gelu",
        "leaky_relu", "log", "log1p", "log2", "negative", "reciprocal", "relu", "round", "sigmoid",
        "sign", "silu", "sin", "sinh", "softplus", "sqrt", "square", "tan", "tanh",
    ):  # fmt: skip
        positive = name in ("log", "log1p", "log2", "sqrt")
        yield op(name, Drawn((2, 3), 0.1, 3) if positive else (2, 3))
        yield op(name, EXTREMES)
    for points in ((2, 3), EXTREMES):
        yield op("gelu", points, approximate="tanh")
        yield op("leaky_relu", points, negative_slope=0.3)
        yield op("elu", points, alpha=1.5)
        yield op("clip", points, min=-0.5, max=1)
        yield op("clip", points, min=0.5)
        yield op("clip", points, max=-0.5)
    for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp"):
        yield op(name, (2, 3), (2, 3))
        yield op(name, (2, 1, 2), (3, 1))
        yield op(name, [-1000.0, 0.0, 0.0, 2.0, 1000.0], [0.0, 0.0, 1.0, 2.0, -1000.0])
        yield op(name, [1000.0, 1000.0], [1000.0, 0.0])
    yield op("power", Drawn((2, 3), 0.1, 3), (3,))
    yield op("power", [0.0, 0.0, 0.0, -2.0, -2.0, 1000.0], [0.0, 2.0, -1.0, 2.0, 0.5, 1000.0])
    for exponent in (0.0, 0.5, 1.0, 2.0, 3.0, -1.0):
        yield op("power", [-2.0, 0.0, 3.0], exponent)
    yield op("where", (2, 3), (3,), condition=[[True, False, True], [False, False, True]])


def reductions() -> Iterator[Case]:
    for name in ("sum", "mean", "var", "std", "max", "min", "prod", "logsumexp", "norm"):
        for axis in AXES:
            yield op(name, (2, 2, 3), axis=axis)
        yield op(name, (2, 3), axis=1, keepdims=True)
        yield op(name, TIES, axis=1)
    for name in ("var", "std"):
        yield op(name, (2, 2, 3), axis=(0, 2), ddof=1)
    zeros = [[0.0, 2.0, 3.0], [0.0, 0.0, 1.0], [4.0, 5.0, 6.0], [0.0, 0.0, 0.0]]
    for name in ("prod", "norm", "std"):
        yield op(name, zeros, axis=1)
        yield op(name, zeros, axis=0)
    for name in ("softmax", "log_softmax", "cumsum"):
        for axis in (1, -1):
            yield op(name, (2, 2, 3), axis=axis)
    for name in ("softmax", "log_softmax", "logsumexp"):
        yield op(name, FAR, axis=1)


def shapes() -> Iterator[Case]:
    x = (2, 3, 2)
    yield op("broadcast_to", (3, 1), shape=(2, 3, 2))
    yield op("concatenate", (2, 1), (2, 3), axis=1)
    yield op("expand_dims", (2, 3), axis=1)
    yield op("flip", x, axis=(0, 2))
    yield op("getitem", x, index=[1, 0, 1])
    yield op("moveaxis", x, source=0, destination=-1)
    yield op("pad", (2, 3), pad_width=((1, 0), (2, 1)), constant_values=0.5)
    yield op("ravel", x)
    yield op("repeat", x, repeats=2, axis=1)
    yield op("reshape", x, shape=(3, 4))
    yield op("roll", x, shift=1, axis=1)
    yield op("split", (2, 5), indices_or_sections=(1, 3), axis=1)
    yield op("squeeze", (2, 1, 3), axis=1)
    yield op("stack", (2, 3), (2, 3), axis=1)
    yield op("swapaxes", x, axis1=0, axis2=2)
    yield op("take", x, indices=[2, 0, 0], axis=1)
    yield op("take_along_axis", (2, 3), indices=[[0, 0], [2, 1]], axis=1)
    yield op("tile", (2, 3), reps=(2, 1))
    yield op("transpose", x, axes=(2, 0, 1))
    yield op("tril", (3, 3), k=-1)
    yield op("triu", (2, 3, 3), k=1)


def products() -> Iterator[Case]:
    for x, y in (
        ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 2, 3), (3, 2)),
        ((2, 1, 2, 3), (3, 3, 2)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
    ):  # fmt: skip
        yield op("matmul", x, y)
    for subscripts, *inputs in (
        ("ij,jk->ik", (2, 3), (3, 2)), ("ij,jk", (2, 3), (3, 2)), ("ba", (2, 3)), ("ii", (3, 3)),
        ("ii->i", (3, 3)), ("i,j->", (2,), (3,)), ("i...->...", (2, 3)),
        ("...ij,...jk->...ik", (2, 2, 3), (3, 2)), ("bij,bkj->bik", (2, 2, 3), (2, 2, 3)),
        ("ij,ij,j->i", (2, 3), (2, 3), (3,)),
    ):  # fmt: skip
        yield op("einsum", *inputs, subscripts=subscripts)
    yield op("tensordot", (2, 3, 2), (3, 2, 2), axes=2)
    yield op("tensordot", (2, 3, 2), (3, 2, 2), axes=((1, 0), (0, 2)))
    yield op("outer", (2,), (3,))
    yield op("inner", (2, 3), (2, 3))
    yield op("inner", (3,), (3,))
    yield op("trace", (3, 4))


def losses() -> Iterator[Case]:
    probabilities = Drawn((3, 3), 0.05, 0.95)
    edges, logits = [-3.0, -1.5, -0.5, 0.0, 0.5, 1.5, 1000.0], [-1000.0, -2.0, 0.0, 1.0, 1000.0]
    for name in ("sum_of_squares", "mean_squared_error", "mean_absolute_error", "huber"):
        yield from loss(name, (2, 3), (2, 3))
    yield from loss("mean_absolute_error", edges, [0.0] * 7)
    yield from loss("huber", edges, [0.0] * 7, delta=1.5)
    yield from loss("binary_cross_entropy", probabilities, probabilities)
    # Here PyTorch's gradient of the target is infinite, although the value is limited; and the
    # 1e-12 that limits the gradient of the prediction is a float32, which is off by 4e-9.
    certain = Fixed([0.0, 1.0, 0.3, 1.0, 0.0])
    for case in loss("binary_cross_entropy", [0.0, 0.0, 0.5, 1.0, 1.0], certain):
        yield case._replace(rtol=1e-8)
    for options in ({}, {"pos_weight": [0.5, 1.0, 3.0]}):
        yield from loss("binary_cross_entropy_with_logits", (3, 3), probabilities, **options)
    for targets in ([1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.3, 0.7, 1.0]):
        yield from loss("binary_cross_entropy_with_logits", logits, targets, pos_weight=2.5)
    for extra in (
        {}, {"weight": [0.5, 1.0, 3.0]}, {"label_smoothing": 0.1}, {"ignore_index": 2},
        {"weight": [0.5, 1.0, 3.0], "label_smoothing": 0.2, "ignore_index": 0},
    ):  # fmt: skip
        yield from loss("cross_entropy", (3, 3), LABELS, **extra)
        yield from loss("cross_entropy", (2, 3, 2), IMAGE_LABELS, **extra)
        if "ignore_index" not in extra:
            yield from loss("cross_entropy", (3, 3), probabilities, **extra)
            yield from loss("cross_entropy", (2, 3, 2), Drawn((2, 3, 2), 0, 1), **extra)
        if "label_smoothing" not in extra:
            yield from loss("negative_log_likelihood", (3, 3), LABELS, **extra)
            yield from loss("negative_log_likelihood", (2, 3, 2), IMAGE_LABELS, **extra)
    far = [[1000.0, 1000.0, 0.0], [0.0, -1000.0, 1000.0], [-1000.0, 1.0, 0.0]]
    both = {"weight": [0.5, 1.0, 3.0], "label_smoothing": 0.2}
    yield from loss("cross_entropy", (3, 3), probabilities, **both)
    yield from loss("cross_entropy", far, LABELS)
    yield from loss("cross_entropy", far, probabilities)
    yield from loss("cross_entropy", (3,), 1)
    yield from loss("kl_divergence", Drawn((2, 3), -3, -0.1), Drawn((2, 3), 0.1, 0.9))
    # PyTorch's gradient of a target of 0 is NaN.
    yield from loss("kl_divergence", Drawn((3,), -3, -0.1), Fixed([0.0, 0.4, 1.0]))
    yield from loss("hinge", (2, 3), [[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0]])


def layers() -> Iterator[Case]:
    def layer(name: str, *inputs: Any, mode: str = "train", **arguments: Any) -> Case:
        return Case(name, inputs, {}, arguments, mode)

    shape: tuple[int, ...]
    arguments: dict[str, Any]
    for name in ("Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus"):
        yield layer(name, (2, 3))
    yield layer("LeakyReLU", (2, 3), negative_slope=0.2)
    yield layer("ELU", (2, 3), alpha=0.5)
    yield layer("GELU", (2, 3), approximate="tanh")
    yield layer("Softplus", (2, 3), beta=2.5)
    for dim in (0, -1):
        yield layer("Softmax", (2, 3), dim=dim)
        yield layer("LogSoftmax", (2, 3), dim=dim)
    for shape in ((3,), (2, 3), (2, 2, 3)):
        for bias in (False, True):
            yield layer("Linear", shape, in_features=3, out_features=2, bias=bias)
    table: dict[str, Any] = {"num_embeddings": 4, "embedding_dim": 2}
    yield layer("Embedding", [[0, 3, 1], [1, 1, 2]], **table)
    yield layer("Embedding", [0, 3, 1, 1], **table, padding_idx=1)
    yield layer("Sequential", (2, 3), sizes=[3, 2, 1])
    yield layer("Dropout", (2, 3), mode="eval")
    yield layer("Dropout", (2, 3), p=0.0)
    yield layer("Flatten", (2, 2, 3))
    yield layer("Flatten", (2, 2, 3), start_dim=0, end_dim=1)
    least = {"in_channels": 2, "out_channels": 2, "kernel_size": 3, "bias": False}
    for name, shape in (("Conv1d", (2, 2, 5)), ("Conv2d", (1, 2, 4, 4))):
        for arguments in (
            {}, {"stride": 2}, {"padding": 1}, {"padding": "valid"},
            {"padding": "same", "kernel_size": 2}, {"padding": "same", "dilation": 2},
            {"groups": 2}, {"groups": 2, "in_channels": 4, "bias": True},
            {"stride": 2, "padding": 2, "dilation": 2, "groups": 2, "bias": True},
        ):  # fmt: skip
            full: dict[str, Any] = {**least, **arguments}
            yield layer(name, (shape[0], full["in_channels"], *shape[2:]), **full)
        yield layer(name, (1, *shape[2:]), in_channels=1, out_channels=2, kernel_size=2, bias=True)
    yield layer(
        "Conv2d", (1, 2, 5, 4), in_channels=2, out_channels=2, kernel_size=(3, 2), stride=(2, 1),
        padding=(0, 1), dilation=(1, 2), bias=True,
    )  # fmt: skip
    ties = [[[1.0, 1.0, 0.0, 3.0], [1.0, 0.0, 3.0, 3.0], [2.0] * 4, [2.0] * 4]]
    for name in ("MaxPool2d", "AvgPool2d"):
        for arguments in (
            {"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1},
            {"kernel_size": (3, 2), "stride": (1, 2), "padding": (1, 0)},
            {"kernel_size": 2, "stride": 3},
        ):  # fmt: skip
            yield layer(name, (2, 5, 4), **arguments)
        yield layer(name, (2, 1, 4, 2), kernel_size=2)
        yield layer(name, ties, kernel_size=2)
        yield layer(name, ties, kernel_size=3, stride=1, padding=1)
    for mode in ("train", "eval"):  # each of two batches
        norm: dict[str, Any] = {"mode": mode, "num_features": 2}
        yield layer("BatchNorm1d", (2, 2, 3), (2, 2, 2), **norm)
        yield layer("BatchNorm2d", (2, 2, 2, 3), (1, 2, 2, 2), **norm)
        for arguments in ({}, {"affine": False, "eps": 0.1}, {"track_running_stats": False}):
            yield layer("BatchNorm1d", (4, 2), (3, 2), **norm, **arguments)
    for momentum in (None, 0.3):
        yield layer("BatchNorm1d", (4, 2), (3, 2), num_features=2, momentum=momentum)
    for name in ("LayerNorm", "RMSNorm"):
        yield layer(name, (2, 2, 3), normalized_shape=3)
        yield layer(name, (2, 2, 3), normalized_shape=(2, 3), eps=0.01)
        yield layer(name, (2, 2, 3), normalized_shape=3, elementwise_affine=False)
    yield layer("LayerNorm", (2, 3), normalized_shape=3, bias=False)
    yield from recurrent()
    yield from attention()


def recurrent() -> Iterator[Case]:
    def layer(name: str, *inputs: Any, **arguments: Any) -> Case:
        return Case(name, inputs, {}, {"input_size": 3, "hidden_size": 2, **arguments})

    yield layer("RNN", (3, 2, 3), nonlinearity="relu")
    for name in ("RNN", "GRU", "LSTM"):
        states = 2 if name == "LSTM" else 1
        yield layer(name, (3, 2, 3))
        yield layer(name, (2, 1, 3), num_layers=2, bias=False)
        yield layer(name, (2, 2, 3), *[(4, 2, 2)] * states, num_layers=2, bidirectional=True)
        yield layer(name, (2, 3, 3), *[(1, 2, 2)] * states, batch_first=True)
        yield layer(name, (3, 3), *[(1, 2)] * states)


def attention() -> Iterator[Case]:
    def attend(*inputs: Any, layer: Any = None, **options: Any) -> Case:
        sizes = {"embed_dim": 4, "num_heads": 2}
        return Case("MultiHeadAttention", inputs, options, {**sizes, **(layer or {})})

    x, memory, query = (3, 2, 4), (3, 2, 4), (2, 2, 4)
    floats = [[0.5, -1.0, 0.0], [-inf, 0.25, 2.0], [0.0, 0.0, -1.5]]
    each_head = [[[0.5 * (i + j - k) for j in range(3)] for k in range(3)] for i in range(4)]
    yield attend(query, memory, memory, key_padding_mask=PADDED)
    yield attend(query, memory, layer={"bias": False})
    yield attend((1, 2, 4), (1, 3, 4), (1, 3, 4), layer={"batch_first": True})
    yield attend((3, 4), attn_mask=LATER)
    yield attend(x, attn_mask=floats, average_attn_weights=False)
    yield attend(x, attn_mask=each_head, key_padding_mask=[[0.0, 0.5, -inf], [1.0, 0.0, -2.0]])
    yield attend((3, 1, 4), need_weights=False, is_causal=True)
    small = {"embed_dim": 4, "num_heads": 2, "hidden_features": 3}
    masks = {"attn_mask": LATER, "key_padding_mask": PADDED}
    yield Case("TransformerBlock", ((2, 3, 4),), masks, small)
    yield Case("TransformerBlock", ((3, 4),), {}, {**small, "causal": True})
    yield Case("TransformerBlock", ((3, 2),), {}, {"embed_dim": 2, "num_heads": 1})


ALL = [
    case
    for group in (elementwise, reductions, shapes, products, losses, layers)
    for case in group()
]
