"""Rows of the losses that are ops."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from micrograd_np import losses

from . import Inputs, Row, by_entry, numbers

PLAIN = {"weight": None, "ignore_index": -100, "label_smoothing": 0.0, "reduction": "mean"}


def rows() -> Iterator[Row]:
    x, _ = numbers((4, 3, 2), (6, 3))
    same = [numbers(shape, shape) for shape in [(), (3,), (2, 3), (1, 1)]]
    yield Row(
        "sum_of_squares",
        losses.sum_of_squares,
        lambda p, t: math.fsum((p - t).ravel() ** 2) / 2,
        [*same, (x.T, x.T[::-1])],
    )
    yield Row(
        "mean_squared_error",
        losses.mean_squared_error,
        lambda p, t: math.fsum((p - t).ravel() ** 2) / p.size,
        [*same, (x.T, x.T[::-1])],
    )
    yield from rows_of_entries()
    yield from rows_of_samples()


def pairs(low: float = -2, high: float = 2, low_target: float = -2) -> list[Inputs]:
    """Draw predictions and targets of one shape: every number of axes, no entries, views."""
    shapes: list[tuple[int, ...]] = [(), (3,), (2, 3), (1, 1), (0, 3), (6, 4)]
    predictions = [numbers(s, low=low, high=high)[0] for s in shapes]
    targets = [numbers(s, s, low=low_target, high=high)[1] for s in shapes]
    *drawn, (x, t) = zip(predictions, targets, strict=True)
    return [*drawn, (x.T[:, ::-2], t.T[:, ::2])]


def rows_of_entries() -> Iterator[Row]:
    each = {"reduction": "none"}
    entries: list[tuple[str, Callable[..., Any], Callable[..., float], list[Inputs]]] = [
        ("squared_error", losses.mean_squared_error, lambda p, t: (p - t) ** 2, pairs()),
        ("absolute_error", losses.mean_absolute_error, lambda p, t: abs(p - t), pairs()),
        ("huber", losses.huber, lambda p, t: huber_by_hand(p - t, 1), pairs()),
        (
            "binary_cross_entropy",
            losses.binary_cross_entropy,
            lambda p, t: -t * math.log(p) - (1 - t) * math.log(1 - p),
            pairs(0.1, 0.9, 0.2),
        ),
        (
            "binary_cross_entropy_with_logits",
            losses.binary_cross_entropy_with_logits,
            lambda x, t: t * math.log1p(math.exp(-x)) + (1 - t) * math.log1p(math.exp(x)),
            [(x * 5, (t + 2) / 5) for x, t in pairs()],
        ),
        (
            "kl_divergence",
            losses.kl_divergence,
            lambda x, t: t * math.log(t / math.exp(x)),
            [(np.log(p), t) for p, t in pairs(0.1, 0.9, 0.2)],
        ),
    ]
    for op, loss, formula, inputs in entries:
        yield Row(op, lambda p, t, loss=loss: loss(p, t, **each), by_entry(formula), inputs)
    yield Row(
        "huber",
        lambda p, t: losses.huber(p, t, delta=0.3, **each),
        by_entry(lambda p, t: huber_by_hand(p - t, 0.3)),
        pairs(),
    )
    positive = np.array([0.5, 3.0, 1.5])
    yield Row(
        "binary_cross_entropy_with_logits",
        lambda x, t: losses.binary_cross_entropy_with_logits(x, t, pos_weight=positive, **each),
        lambda x, t: by_entry(
            lambda x, t, w: w * t * math.log1p(math.exp(-x)) + (1 - t) * math.log1p(math.exp(x))
        )(x, t, positive),
        [(x, (t + 2) / 5) for x, t in pairs() if x.shape[-1:] == (3,)],
    )
    yield Row(
        "hinge",
        lambda x: losses.hinge(x, signs(x.shape), **each),
        lambda x: by_entry(lambda x, t: max(0.0, 1 - t * x))(x, signs(x.shape)),
        [(x,) for x, _ in pairs()],
    )


def huber_by_hand(d: float, delta: float) -> float:
    return d * d / 2 if abs(d) <= delta else delta * (abs(d) - delta / 2)


def signs(shape: tuple[int, ...]) -> Any:
    """Give every entry a target that is -1 or 1, in turns."""
    return 2 * (np.arange(math.prod(shape)).reshape(shape) % 2) - 1


def rows_of_samples() -> Iterator[Row]:
    x, deep = numbers((4, 3), (2, 3, 2))
    masked = x.copy()
    masked[:, 1] = -1000
    inputs: list[Inputs] = [
        (x,), (numbers((3, 4))[0].T,), (x[::-2],), (deep,), (x[0],), numbers((1, 1)), (masked,)
    ]  # fmt: skip
    weight = [0.5, 2.0, 1.5]
    cases: list[dict[str, Any]] = [
        {},
        {"reduction": "sum"},
        {"reduction": "none"},
        {"ignore_index": 2},
        {"weight": weight},
        {"weight": weight, "ignore_index": 2, "reduction": "none"},
        {"label_smoothing": 0.25},
        {"weight": weight, "ignore_index": 2, "label_smoothing": 0.25},
        {"weight": weight, "ignore_index": 2, "label_smoothing": 0.25, "reduction": "none"},
    ]
    for case in cases:
        fitting: list[Inputs] = [(x,) for (x,) in inputs if "weight" not in case or x.size > 1]
        yield Row(
            "cross_entropy",
            lambda x, case=case: losses.cross_entropy(x, labels(x.shape), **case),
            lambda x, case=case: cross_entropy_by_hand(x, **{**PLAIN, **case}),
            fitting,
        )
        if "label_smoothing" not in case:
            yield Row(
                "negative_log_likelihood",
                lambda x, case=case: losses.negative_log_likelihood(x, labels(x.shape), **case),
                lambda x, case=case: labels_by_hand(x, **{**PLAIN, **case}),
                fitting,
            )
    yield Row(
        "cross_entropy",
        lambda x: losses.cross_entropy(x, np.zeros(0, int), reduction="none"),
        lambda x: np.zeros(0),
        [numbers((0, 3))],
    )
    yield Row(
        "soft_cross_entropy",
        lambda x, t: losses.cross_entropy(x, t, reduction="none"),
        lambda x, t: -np.sum(t * log_softmax_by_hand(x), axis=min(1, x.ndim - 1)),
        [numbers(s, s) for s in [(3,), (2, 3), (1, 1), (0, 3), (2, 3, 2)]] + [(x.T, x.T[::-1])],
    )


def labels(shape: tuple[int, ...]) -> Any:
    """Give every sample a label; of three or more the second class is not among them."""
    rest = shape[:1] + shape[2:] if len(shape) > 1 else ()
    classes = shape[min(1, len(shape) - 1)]
    return np.arange(math.prod(rest)).reshape(rest) % 2 * (classes - 1)


def log_softmax_by_hand(x: Any) -> Any:
    """Logarithms of the probabilities, class by class; the classes lie along axis 1, or 0."""
    rows = np.moveaxis(x, min(1, x.ndim - 1), -1)
    value = np.empty(rows.shape)
    for place in np.ndindex(rows.shape[:-1]):
        top = max(rows[place])
        total = math.fsum(math.exp(z - top) for z in rows[place])
        value[place] = [z - top - math.log(total) for z in rows[place]]
    return np.moveaxis(value, -1, min(1, x.ndim - 1))


def cross_entropy_by_hand(x: Any, **case: Any) -> Any:
    return labels_by_hand(log_softmax_by_hand(x), **case)


def labels_by_hand(
    x: Any, weight: Any, ignore_index: int, label_smoothing: float, reduction: str
) -> Any:
    """Sum up -x of the labels, sample by sample."""
    rows, y = np.moveaxis(x, min(1, x.ndim - 1), -1), labels(x.shape)
    classes = rows.shape[-1]
    w = weight or [1.0] * classes
    each, counts = np.zeros(y.shape), []
    for place in np.ndindex(y.shape):
        label = int(y[place])
        if label != ignore_index:
            even = math.fsum(w[c] * rows[place][c] for c in range(classes)) / classes
            own = w[label] * rows[place][label]
            each[place] = -(1 - label_smoothing) * own - label_smoothing * even
            counts.append(w[label])
    if reduction == "none":
        return each
    return math.fsum(each.ravel()) / (math.fsum(counts) if reduction == "mean" else 1)
