"""Fitting: the training loop, for those who do not want to write it."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from ..checks import at_least_zero
from ..clipping import clip_grad_norm
from ..compiling import compile as compiled
from ..layers.layer import Layer, in_mode
from ..optimizers import Optimizer
from ..schedules import Schedule
from ..tensor import Tensor
from .arguments import Loss, Metric, one_entry
from .callbacks import in_order
from .history import History, Row
from .run import Callback, Run


def fit(
    model: Layer,
    inputs: Any,
    targets: Any,
    *,
    loss: Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int = 32,
    validation: tuple[Any, Any] | float | None = None,
    metrics: Mapping[str, Metric] = MappingProxyType({}),
    schedule: Schedule | None = None,
    clip_norm: float | None = None,
    callbacks: Iterable[Callback | Callable[[Row], Any]] = (),
    shuffle: bool = True,
    rng: Any = None,
    progress: bool | None = None,
    resume: str | os.PathLike[str] | None = None,
    compile: bool = False,
) -> History:
    """Train a model on two arrays, batch by batch, and return the history of its epochs.

    Parameters
    ----------
    model
        The layer to train. It is in training mode meanwhile, and in its own mode again afterwards.
    inputs, targets
        Arrays whose first axis counts the samples. Each batch is taken from them when its turn
        comes, so they may be memory-mapped files larger than the memory. Without `shuffle` it is
        a read-only view.
    loss
        Function of predictions and targets that returns a tensor of one entry.
    optimizer
        Optimizer of the model's parameters.
    epochs
        How many times to go through the samples.
    batch_size
        Samples per update. The last batch of an epoch has what is left.
    validation
        Inputs and targets to evaluate after each epoch, in evaluation mode. Or which fraction of
        the samples to keep back for that: drawn at random, or without `shuffle` the last ones.
    metrics
        Functions of predictions and targets (arrays) by name, such as ``{"accuracy":
        mg.metrics.accuracy}``, for models that return one tensor. They get all predictions of an
        epoch at once, which are held in memory; those of the training data are made in training
        mode, while the model changes.
    schedule
        Function of the number of updates done so far that returns the learning rate for the next.
    clip_norm
        Largest common norm of the gradients (see `clip_grad_norm`).
    callbacks
        Objects of `Callback`, or functions of an epoch's row (a dict), which end the training by
        returning True.
    shuffle
        Whether to draw a new order of the samples for each epoch.
    rng
        ``numpy.random.Generator`` or ``RandomState`` that orders are drawn from; None for NumPy's
        global state.
    progress
        Whether to show progress on standard error; by default where that is a terminal. With tqdm
        (extra ``progress``) it is a bar.
    resume
        A file that `Checkpoint` wrote, to go on from, with the same data and arguments. Weights
        and history will equal those of a run that was never stopped. The learning rate is the
        file's; a `schedule`, or a callback's `start`, sets another. Callbacks that are new begin
        anew, and a run that one of them stopped stays stopped.
    compile
        Whether to `compile` what each batch does: the same numbers in less time where the network
        is small. What cannot be compiled runs as it is, with a warning.

    Returns
    -------
    History
        One row per epoch: loss (the mean of the batches' losses before their updates, weighted by
        their numbers of samples), metrics (NaN where predictions are), those of the validation
        with names in ``val_``, lr and seconds. Ctrl-C ends the training
        after the batch under way, and the history so far is returned; a second Ctrl-C raises.

    Raises
    ------
    ValueError
        If the arrays differ in length or are empty, or a number is out of its range.
    TypeError
        If an argument is of another kind, or a metric gives no number.
    CheckpointError
        If the file to resume from is broken or of another run.

    Examples
    --------
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> inputs = np.array([[0.0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
    >>> model = mg.Sequential(mg.Linear(3, 1, rng=np.random.default_rng(0)), mg.Sigmoid())
    >>> optimizer = mg.SGD(model.parameters(), lr=1.0)
    >>> history = mg.fit(
    ...     model, inputs, inputs[:, :1], loss=mg.sum_of_squares, optimizer=optimizer, epochs=100
    ... )
    >>> len(history), history["loss"][-1] < history["loss"][0]
    (100, True)
    """
    run = Run(
        model, inputs, targets, loss=loss, optimizer=optimizer, epochs=epochs,
        batch_size=batch_size, validation=validation, metrics=metrics, schedule=schedule,
        callbacks=in_order(callbacks, progress), shuffle=shuffle, rng=rng,
    )  # fmt: skip
    if clip_norm is not None and not at_least_zero("clip_norm", clip_norm):
        raise ValueError("clip_norm must be above 0; leave it out for no limit")
    if resume is not None:
        run.load(resume)

    def gradients(x: Any, y: Any) -> tuple[Tensor, Any]:
        optimizer.zero_grad()
        prediction = model(x)
        value = one_entry(loss(prediction, y))
        value.backward()
        if clip_norm is not None:
            clip_grad_norm(optimizer.parameters, clip_norm)
        return value, prediction

    def step() -> None:
        optimizer.step()

    if compile:
        gradients, step = compiled(gradients), compiled(step)
    with in_mode(model, training=True), _interruptible(run), run:
        while run.goes_on():
            for x, y in run.batches():
                value, prediction = gradients(x, y)
                if not run.may_update(value):
                    break
                if schedule is not None:
                    optimizer.lr = schedule(run.step)
                step()
                run.updated(prediction)
            run.end_epoch()
    return run.history


@contextmanager
def _interruptible(run: Run) -> Iterator[None]:
    """Let Ctrl-C end the run between two updates, where all is consistent; a second one raises."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not ours or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        run.interrupted = True

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
