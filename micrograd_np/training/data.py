"""Data: samples in batches, and divided into those to train on and those to test with."""

from collections.abc import Iterator
from typing import Any

from ..checks import at_least_one
from ..initializers import random_stream
from ..operations import plain
from ..ops.common import Array, as_array


def batches(
    *arrays: Any,
    batch_size: int,
    shuffle: bool = False,
    drop_last: bool = False,
    rng: Any = None,
) -> Iterator[Any]:
    """Return an iterator over batches of samples.

    Parameters
    ----------
    *arrays
        Arrays with the same number of samples along their first axis. Only the rows of a batch are
        read at a time, so they may be memory-mapped files larger than the memory.
    batch_size
        Samples in a batch, at least 1; the last one may have fewer.
    shuffle
        Whether to draw an order at random. Without it the batches are views of the arrays.
    drop_last
        Whether to leave out a last batch that has fewer.
    rng
        ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state.

    Returns
    -------
    iterator
        Over tuples of arrays; over arrays if there is only one.

    Raises
    ------
    ValueError
        If the arrays differ in length, there are none, or `batch_size` is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> for x, y in mg.batches(np.arange(5), np.arange(5) ** 2, batch_size=2):
    ...     print(x, y)
    [0 1] [0 1]
    [2 3] [4 9]
    [4] [16]
    """
    found, count = _samples(arrays)
    at_least_one(batch_size=batch_size)
    order = random_stream(rng).permutation(count) if shuffle else None
    stop = count - count % batch_size if drop_last else count
    starts = range(0, stop, batch_size)
    return (_batch(found, order, start, min(start + batch_size, count)) for start in starts)


def _batch(arrays: list[Array], order: Array | None, start: int, stop: int) -> Any:
    rows = slice(start, stop) if order is None else order[start:stop]
    batch = tuple(array[rows] for array in arrays)
    return batch if len(batch) > 1 else batch[0]


def train_test_split(
    *arrays: Any, test_size: float = 0.25, shuffle: bool = True, rng: Any = None
) -> tuple[Array, ...]:
    """Divide samples into two parts: one to train on, one to test with.

    Parameters
    ----------
    *arrays
        Arrays with the same number of samples along their first axis.
    test_size
        The fraction of the samples to test with, between 0 and 1, or their number.
    shuffle
        Whether to draw them at random; otherwise they are the last ones, and the parts are views.
    rng
        ``numpy.random.Generator`` or ``RandomState``; None draws from NumPy's global state.

    Returns
    -------
    tuple of ndarray
        For each array the part to train on and the part to test with.

    Raises
    ------
    ValueError
        If the arrays differ in length, or one of the parts would be empty.

    Examples
    --------
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> x_train, x_test, y_train, y_test = mg.train_test_split(np.ones((8, 2)), np.ones(8))
    >>> x_train.shape, y_test.shape
    ((6, 2), (2,))
    """
    found, count = _samples(arrays)
    tested: Any = test_size
    if not hasattr(test_size, "__index__"):
        tested = round(count * test_size) if 0 < test_size < 1 else 0
    if not 0 < tested < count:
        raise ValueError(
            "test_size must be a fraction between 0 and 1, or a number, that leaves samples on "
            f"both sides; received {test_size} of {count} samples"
        )
    rows: Any = [slice(0, count - tested), slice(count - tested, count)]
    if shuffle:
        order = random_stream(rng).permutation(count)
        rows = [order[part] for part in rows]
    return tuple(array[part] for array in found for part in rows)


def _samples(arrays: tuple[Any, ...]) -> tuple[list[Array], int]:
    """Return arrays, and how many samples each has."""
    found = [as_array(plain(array)) for array in arrays]
    lengths = [len(array) if array.ndim else None for array in found]
    if len(set(lengths)) != 1 or lengths[0] is None:
        raise ValueError(
            "there must be arrays of the same length along the first axis; received shapes "
            f"{[array.shape for array in found]}"
        )
    return found, lengths[0]
