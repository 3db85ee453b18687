"""Compile: functions of arrays that are recorded once and then run as the NumPy calls they make."""

import functools
import warnings
from collections.abc import Callable
from threading import Lock, RLock
from typing import Any

from .. import tensor
from .comparing import Traits, difference
from .program import FAILED, HELD, Missed, Program, build
from .results import described, handed_over, without_graph
from .runs import RESERVED, Run
from .traced import current

_MOST_PROGRAMS = 8  # that are kept
_MOST_RUNS = 60  # that are recorded
_MOST_KINDS = 1000  # of arguments that are told apart
_recording = RLock()  # what is replaced meanwhile is there once
_result_of = tensor.result_of


def compile(function: Callable[..., Any]) -> "Compiled":
    """Run a function as the NumPy calls that it makes, without all that leads to them.

    The function may be a whole training step, a part of it or a forward pass. Its first call with
    arrays of some shapes and dtypes runs as it is; the next two are recorded while they run; from
    then on a program of plain NumPy calls does the same, bit for bit, in memory that is taken once.
    It stands for the function as long as the objects are the same that the function reads: layers
    and their settings, modes, tensors, numbers; otherwise another one is recorded. Of an optimizer
    all may change, such as `lr`.

    What cannot be done so, the function does itself, and one warning says why: if it decides by
    values where that cannot be undone, takes numbers out of arrays, changes Python objects, prints,
    draws from a random generator of its own, or uses what cannot be checked, such as iterators, or
    arrays that are not made by NumPy.

    Parameters
    ----------
    function
        A function of arrays and tensors that need no gradient. Other arguments are taken to be
        the same in every call.

    Returns
    -------
    Compiled
        The function, to be called as before. Tensors that it returns have no graph. Its
        ``source()`` is the source of its programs, and ``reason`` says why there are none.

    Examples
    --------
    >>> import numpy as np
    >>> import micrograd_np as mg
    >>> model = mg.Sequential(mg.Linear(3, 1, rng=np.random.default_rng(0)), mg.Sigmoid())
    >>> optimizer = mg.SGD(model.parameters(), lr=1.0)
    >>> @mg.compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = mg.sum_of_squares(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x = np.array([[0.0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
    >>> losses = [step(x, x[:, :1]).item() for _ in range(100)]
    >>> losses[-1] < losses[0], "dot(weight, " in step.source()
    (True, True)
    """
    return Compiled(function)


class Compiled:
    """A function and the programs that stand for it: see `compile`.

    Attributes
    ----------
    reason : str
        Why the function runs as it is; empty if it does not.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function = function
        self._programs: list[tuple[Any, Program]] = []
        self._met: set[Any] = set()
        self._waiting: list[Traits] = []  # of runs, for a second run like them
        self._recorded = 0
        self._copies = False  # whether gradients are handed out as copies
        self._busy = Lock()
        self.reason = ""

    def __call__(self, /, *args: Any, **options: Any) -> Any:
        # Somebody who watches every op, or another call under way, which uses the same memory.
        if tensor.result_of is not _result_of or not self._busy.acquire(False):
            return without_graph(self._function(*args, **options), self.reason)
        try:
            names = (len(args), *options) if options else len(args)
            for kind, program in self._programs:
                if kind == names:
                    result = program.call(*args, **options)
                    if result.__class__ is not Missed:
                        return result
                    if result is HELD:
                        self._copies = True
                        self._programs.clear()
                        break
                    if result is FAILED:
                        self._give_up("a call raises an exception")
                        break
            return without_graph(self._called(names, args, options), self.reason)
        finally:
            self._busy.release()

    def __reduce__(self) -> Any:
        return Compiled, (self._function,)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def source(self) -> str:
        """Return the programs that there are as Python source, the newest first."""
        return "\n\n".join(program.source for _, program in self._programs)

    def _called(self, names: Any, args: Any, options: dict[str, Any]) -> Any:
        """Call the function itself, and record the call unless it is the first of its kind."""
        kind = (names, *map(_kind, args), *map(_kind, options.values()))
        if self.reason or current.get() or kind not in self._met:
            if len(self._met) < _MOST_KINDS:
                self._met.add(kind)  # what is made once and kept is there next time
            return self._function(*args, **options)
        if taken := RESERVED & options.keys():
            self._give_up(f"its arguments must not be called {sorted(taken)}")
            return self._function(*args, **options)
        with _recording:
            last = self._waiting[-1].arguments if self._waiting else {}
            run = Run(self._function, args, options, last)
        returned = described(run.result, run.recorder)
        result, run.result = handed_over(run.result), None
        if reason := run.recorder.reason or self._taken(names, run, returned):
            self._give_up(reason)
        return result

    def _give_up(self, reason: str) -> None:
        """Run the function as it is from now on, and say why."""
        self.reason, self._programs, self._waiting = reason, [], []
        name = getattr(self._function, "__name__", type(self._function).__name__)
        warnings.warn(f"{name} is not compiled and runs as it is: {reason}", stacklevel=4)

    def _taken(self, names: Any, run: Run, returned: Any) -> str:
        """Make a program of a run if it is the second of its kind; return why that cannot be."""
        self._recorded += 1
        if self._recorded > _MOST_RUNS:
            return "what it reads changes too often"
        traits = Traits(run)
        before = [t for t in self._waiting if t.kind == traits.kind and not t.reach.changed()]
        self._waiting = [t for t in self._waiting if t.kind != traits.kind][-_MOST_PROGRAMS:]
        if not before:
            self._waiting.append(traits)
            return ""
        if reason := difference(before[0], traits):
            return reason
        try:
            program = build(run, returned, self._copies)
        except Exception as error:  # rather none than a wrong one
            return f"its calls cannot be written down ({type(error).__name__}: {error})"
        program.hand_over()
        self._programs = [(names, program), *self._programs[: _MOST_PROGRAMS - 1]]
        return run.recorder.reason


def _kind(value: Any) -> Any:
    return type(value), getattr(value, "shape", None), getattr(value, "dtype", None)
