"""Data: batches, parts to train on and to test with, predictions; and arrays that stay on disk."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import micrograd_np as mg

X = np.arange(14.0).reshape(7, 2)
Y = np.arange(7)


def each_kind() -> list[Any]:
    return [lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)]


# Batches


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (3, False, [3, 3, 1]),
        (3, True, [3, 3]),
        (7, True, [7]),
        (np.int64(7), False, [7]),
        (8, False, [7]),
        (8, True, []),
        (1, True, [1] * 7),
    ],
)
def test_batches_have_the_samples_in_order(
    batch_size: Any, drop_last: bool, sizes: list[int]
) -> None:
    found = list(mg.batches(X, Y, batch_size=batch_size, drop_last=drop_last))
    assert [len(x) for x, _ in found] == [len(y) for _, y in found] == sizes
    count = sum(sizes)
    assert np.array_equal(np.concatenate([X[:0], *(x for x, _ in found)]), X[:count])
    assert np.array_equal(np.concatenate([Y[:0], *(y for _, y in found)]), Y[:count])
    assert all(type(batch) is tuple for batch in found)


def test_batches_are_views_unless_shuffled() -> None:
    assert all(x.base is X.base for x in mg.batches(X, batch_size=3))
    assert not any(np.shares_memory(x, X) for x in mg.batches(X, batch_size=3, shuffle=True))


@pytest.mark.parametrize("rng", each_kind())
def test_shuffled_batches_have_each_sample_once_and_rows_stay_together(rng: Any) -> None:
    found = list(mg.batches(X, Y, X[:, 1], batch_size=3, shuffle=True, rng=rng()))
    x, y, z = (np.concatenate(parts) for parts in zip(*found))
    assert sorted(y) == list(range(7))
    assert y.tolist() == rng().permutation(7).tolist()
    assert np.array_equal(x, X[y])
    assert np.array_equal(z, X[y, 1])


def test_drop_last_leaves_out_other_samples_each_time() -> None:
    rng = np.random.default_rng(0)
    dropped = set()
    for _ in range(30):
        parts = list(mg.batches(Y, batch_size=3, shuffle=True, drop_last=True, rng=rng))
        assert [len(part) for part in parts] == [3, 3]
        dropped |= set(Y.tolist()) - set(np.concatenate(parts).tolist())
    assert dropped == set(range(7))


def test_one_array_gives_arrays_and_lists_and_tensors_are_arrays() -> None:
    assert [y.tolist() for y in mg.batches([1, 2, 3], batch_size=2)] == [[1, 2], [3]]
    (pair,) = mg.batches(mg.Tensor([1.0, 2.0], requires_grad=True), ((3,), (4,)), batch_size=2)
    assert [type(part) for part in pair] == [np.ndarray, np.ndarray]
    assert list(mg.batches(X[:0], batch_size=2)) == []


def test_numpys_seed_is_enough() -> None:
    found = []
    for _ in range(2):
        np.random.seed(5)
        found.append([y.tolist() for y in mg.batches(Y, batch_size=2, shuffle=True)])
        found.append([part.tolist() for part in mg.train_test_split(Y)])
    assert found[:2] == found[2:]


# Train and test


@pytest.mark.parametrize(
    ("test_size", "tested"),
    [(0.25, 2), (0.5, 4), (np.float32(0.3), 2), (0.9, 6), (0.1, 1), (1, 1), (np.int64(6), 6)],
)
def test_samples_are_divided(test_size: Any, tested: int) -> None:
    for shuffle in (True, False):
        x, x_test, y, y_test = mg.train_test_split(X, Y, test_size=test_size, shuffle=shuffle)
        assert len(x_test) == len(y_test) == tested
        assert sorted([*y, *y_test]) == list(range(7))
        assert np.array_equal(x, X[y])
        assert np.array_equal(x_test, X[y_test])
        if not shuffle:
            assert np.array_equal(y, Y[: 7 - tested])
            assert x.base is x_test.base is X.base


@pytest.mark.parametrize("rng", each_kind())
def test_a_division_is_drawn_from_the_rng(rng: Any) -> None:
    y, y_test = mg.train_test_split(Y, test_size=3, rng=rng())
    assert [*y, *y_test] == rng().permutation(7).tolist()
    assert len(mg.train_test_split(np.zeros(100), rng=rng())[1]) == 25


# Predictions


def network() -> mg.Sequential:
    rng = np.random.default_rng(0)
    return mg.Sequential(
        mg.Linear(2, 4, rng=rng), mg.BatchNorm1d(4), mg.Dropout(0.5), mg.Linear(4, 3, rng=rng)
    )


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_predictions_are_those_in_evaluation_mode(batch_size: int) -> None:
    model = network()
    model[2].eval()
    model.forward(mg.Tensor(X))  # gives the running statistics something to differ by
    before = {name: array.copy() for name, array in model.state_dict().items()}
    found = mg.predict(model, X, batch_size)
    modes = [layer.training for _, layer in model.layers_within()]
    assert modes == [True, True, True, False, True]
    assert all(np.array_equal(before[n], array) for n, array in model.state_dict().items())
    expected = model.eval()(X).data
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert type(found) is np.ndarray
    assert found.flags.writeable
    assert found.flags.owndata


@pytest.mark.parametrize(
    ("model", "received"),
    [(X, "ndarray: the model comes first, then"), (mg.ReLU, "the class ReLU: make an instance")],
)
def test_predictions_need_a_model(model: Any, received: str) -> None:
    with pytest.raises(TypeError, match=f"model must be a layer; received {received}"):
        mg.predict(model, X)


def test_predictions_record_nothing_and_read_a_batch_at_a_time() -> None:
    seen: list[Any] = []

    def model(x: mg.Tensor) -> mg.Tensor:
        seen.append((x.shape, (x * weight).requires_grad))
        return x * weight

    weight = mg.Tensor(2.0, requires_grad=True)
    assert np.array_equal(mg.predict(model, X, batch_size=3), 2 * X)
    assert seen == [((3, 2), False), ((3, 2), False), ((1, 2), False)]
    assert (mg.Tensor(X) * weight).requires_grad
    mg.predict(model, np.zeros(1000))
    assert [shape for shape, _ in seen[3:]] == [(256,)] * 3 + [(232,)]


def test_predictions_have_the_models_dtype_and_shape() -> None:
    model = network().astype(np.float32)
    assert mg.predict(model, X.astype(np.float32)).dtype == np.float32
    assert mg.predict(model, X[:0].astype(np.float32)).shape == (0, 3)
    assert mg.predict(mg.Embedding(5, 3), [[0, 1], [4, 4], [2, 2]]).shape == (3, 2, 3)
    assert mg.predict(lambda x: np.argmax(x.data, axis=1), X).dtype.kind == "i"
    assert mg.predict(lambda x: x.sum(axis=1), mg.Tensor(X)).tolist() == X.sum(axis=1).tolist()


def test_the_mode_comes_back_after_an_exception() -> None:
    model = network()
    with pytest.raises(ValueError, match="Linear"):
        mg.predict(model, np.ones((3, 5)))
    assert all(layer.training for _, layer in model.layers_within())
    assert (mg.Tensor(1.0, requires_grad=True) * 1).requires_grad


# Arrays that are larger than the memory


def test_mapped_arrays_are_never_copied_whole(tmp_path: Path) -> None:
    shape, size = (2000, 4000), 2000 * 4000 * 4
    np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, shape).flush()
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    y = np.zeros((2000, 1), np.float32)
    model = mg.Linear(4000, 1, dtype=np.float32)
    optimizer = mg.SGD(model.parameters(), lr=0.1)

    def fit(**options: Any) -> None:
        mg.fit(
            model, x, y, loss=mg.mean_squared_error, optimizer=optimizer, epochs=1, batch_size=50,
            **options,
        )  # fmt: skip

    calls: list[Callable[[], Any]] = [
        lambda: fit(validation=0.5),
        lambda: fit(validation=(x, y), metrics={"error": mg.metrics.mean_absolute_error}),
        lambda: fit(shuffle=False, validation=0.5),
        lambda: mg.predict(model, x, 50),
        lambda: [batch[0, 0] for batch in mg.batches(x, batch_size=50)],
        lambda: [batch[0, 0] for batch in mg.batches(x, batch_size=50, shuffle=True)],
        lambda: mg.train_test_split(x, shuffle=False),
    ]
    peaks = []
    tracemalloc.start()
    try:
        for call in calls:
            tracemalloc.reset_peak()
            call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        whole = x + 0
        assert tracemalloc.get_traced_memory()[0] > size  # it does see arrays
        del whole
    finally:
        tracemalloc.stop()
    assert max(peaks) < size / 4, peaks


# What they refuse


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.batches(X, Y[:6], batch_size=2), ValueError, r"\[\(7, 2\), \(6,\)\]"),
        (lambda: mg.batches(batch_size=2), ValueError, r"received shapes \[\]"),
        (lambda: mg.batches(3.0, batch_size=2), ValueError, r"shapes \[\(\)\]"),
        (lambda: mg.batches(X, 3.0, batch_size=2), ValueError, r"shapes \[\(7, 2\), \(\)\]"),
        (lambda: mg.batches(X, batch_size=0), ValueError, "batch_size must be at least 1"),
        (lambda: mg.batches(X, batch_size=2.0), TypeError, "batch_size must be an integer"),  # type: ignore[arg-type]
        (lambda: mg.batches(X, batch_size=2, shuffle=True, rng=3), TypeError, "rng must be"),
        (lambda: mg.train_test_split(X, Y[:6]), ValueError, "same length"),
        (lambda: mg.train_test_split(), ValueError, "there must be arrays"),
        (lambda: mg.train_test_split(X, test_size=0), ValueError, "received 0 of 7 samples"),
        (lambda: mg.train_test_split(X, test_size=7), ValueError, "received 7 of 7"),
        (lambda: mg.train_test_split(X, test_size=-1), ValueError, "received -1 of 7"),
        (lambda: mg.train_test_split(X, test_size=1.0), ValueError, "received 1.0 of 7"),
        (lambda: mg.train_test_split(X, test_size=2.0), ValueError, "received 2.0 of 7"),
        (lambda: mg.train_test_split(X, test_size=0.01), ValueError, "received 0.01 of 7"),
        (lambda: mg.train_test_split(X, test_size=0.99), ValueError, "received 0.99 of 7"),
        (lambda: mg.train_test_split(X, test_size=np.nan), ValueError, "received nan of 7"),
        (lambda: mg.train_test_split(X, rng=3), TypeError, "rng must be"),
        (lambda: mg.predict(network(), X, 0), ValueError, "batch_size must be at least 1"),
        (lambda: mg.predict(network(), 3.0), ValueError, "an axis that counts samples"),
        (lambda: mg.predict(lambda x: (x, x), X), TypeError, r"one tensor; received tuple: wrap"),
        (lambda: mg.predict(lambda x: x.sum(), X), ValueError, r"of 7 samples; received \(\)"),
        (lambda: mg.predict(lambda x: x.T, X), ValueError, r"of 7 samples; received \(2, 7\)"),
        (lambda: mg.predict(lambda x: x[:2], X, 3), ValueError, r"of 3 samples; received \(2, 2"),
    ],
)
def test_bad_arguments_are_refused_at_once(
    call: Callable[[], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call()
