"""Steps of optimizers: many small parameters as one vector, for a tenth of the calls."""

import math
from operator import is_not
from typing import Any, TypeAlias

import numpy as np

from ..ops.common import Array
from ..optimizers import SGD, Optimizer

_Member: TypeAlias = tuple[dict[str, Any], Array, Any]  # state, values, gradient or leaf
_PACKAGE = __name__.split(".")[0]
_MOST = 2**15  # entries: for more the copies cost more than the calls


class Step:
    """An optimizer's step for gradients in fixed memory, or in leaves, to be read there.

    The rules of this package's optimizers treat each entry on its own, so one call on all of them
    gives what one call for each parameter gives. What they remember becomes views of vectors.
    """

    def __init__(self, optimizer: Optimizer, gradients: tuple[Any, ...]) -> None:
        self._optimizer, self._gradients = optimizer, gradients
        self._groups: Any = None
        self._plan()

    def __call__(self) -> None:
        optimizer = self._optimizer
        if (
            optimizer._groups is not self._groups
            or optimizer.state is not self._state
            or any(map(is_not, optimizer.state, self._states))
        ):
            self._plan()
        for group, vectors, singles in self._parts:
            update = optimizer._for(group).update
            for vector in vectors:
                vector.step(update)
            for state, array, g in singles:
                update(array, _read(g) if self._is_own else _read(g).copy(), state)

    def _plan(self) -> None:
        optimizer = self._optimizer
        self._groups, self._state, self._parts = optimizer._groups, optimizer.state, []
        self._states = list(optimizer.state)
        self._is_own = is_own(optimizer)  # one of a user's may keep what it is given
        for group in optimizer._groups:
            members: list[_Member] = [
                (optimizer.state[i], optimizer.parameters[i].data, g)
                for i in group.params
                if (g := self._gradients[i]) is not None
            ]
            vectors, singles = [], []
            for dtype in dict.fromkeys(array.dtype for _, array, _ in members):
                alike = [member for member in members if member[1].dtype == dtype]
                if len(alike) > 1 and self._is_by_entry() and _are_small(alike):
                    vectors.append(_Vector(alike))
                else:
                    singles += alike
            self._parts.append((group, vectors, singles))

    def _is_by_entry(self) -> bool:
        """Whether the rule is known to treat entries alike, with so many calls that it pays."""
        rule = self._optimizer
        return self._is_own and type(rule) is not SGD and not getattr(rule, "amsgrad", False)


def is_own(optimizer: Optimizer) -> bool:
    """Whether an optimizer is one of this package."""
    return type(optimizer).__module__.split(".")[0] == _PACKAGE


def _read(g: Any) -> Array:
    """Return a gradient, or that of a leaf."""
    found: Array = g if isinstance(g, np.ndarray) else g.grad
    return found


def is_plain(optimizer: Optimizer) -> bool:
    """Whether a step is ``parameter -= lr * g`` for all parameters."""
    return (
        type(optimizer) is SGD
        and not (optimizer.momentum or optimizer.weight_decay)
        and len(optimizer._groups) == 1
        and optimizer._groups[0].lr_ratio == 1
        and not optimizer._groups[0].settings
    )


def _are_small(members: list[_Member]) -> bool:
    # A leaf's gradient may be there only when it is read.
    arrays = [x for _, values, g in members for x in (values, g) if isinstance(x, np.ndarray)]
    total = sum(values.size for _, values, _ in members)
    # What is remembered of a parameter without axes are NumPy's scalars, of which none is a view.
    return total <= _MOST and all(array.flags.c_contiguous and array.ndim for array in arrays)


class _Vector:
    """Parameters of one dtype, one behind the other."""

    def __init__(self, members: list[_Member]) -> None:
        arrays = [array.reshape(-1) for _, array, _ in members]
        self._arrays, self._grads = arrays, [g for _, _, g in members]
        self._stops = np.cumsum([0, *(array.size for array in arrays)]).tolist()
        self._shapes = [array.shape for _, array, _ in members]
        self._own = [state for state, *_ in members]
        self._expected: Any = None
        self._single: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._p, self._g = (np.concatenate(arrays) for _ in range(2))
        self._pairs = list(zip(arrays, self._split(self._p)))
        self._gather()

    def _split(self, vector: Array) -> list[Array]:
        return [vector[i:j] for i, j in zip(self._stops, self._stops[1:])]

    def _gather(self) -> None:
        """Make vectors of what is remembered, and views of them of what was there."""
        first = self._own[0]
        self._is_alike = all(
            own.keys() == first.keys()
            and all(own[k] == v for k, v in first.items() if not isinstance(v, np.ndarray))
            for own in self._own
        )
        if self._is_alike:
            self._state = {
                key: np.concatenate([own[key].reshape(-1) for own in self._own])
                if isinstance(value, np.ndarray)
                else value
                for key, value in first.items()
            }
            self._spread()

    def _spread(self) -> None:
        """Let every parameter remember its part."""
        self._kept = dict(self._state)
        self._expected = [{} for _ in self._own]
        for key, value in self._state.items():
            parts: Any = [value] * len(self._own)
            if isinstance(value, np.ndarray):
                parts = [v.reshape(s) for v, s in zip(self._split(value), self._shapes)]
            for expected, part in zip(self._expected, parts):
                expected[key] = part
        for own, expected in zip(self._own, self._expected):
            own.update(expected)
        # An array of one entry equals another one of the same value.
        pairs = zip(self._own, self._expected, self._shapes)
        self._single = [(own, expected) for own, expected, shape in pairs if math.prod(shape) < 2]

    def _is_changed(self) -> bool:
        """Whether somebody put other arrays or numbers in place of what is remembered."""
        try:
            return bool(self._own != self._expected) or any(
                own[key] is not value
                for own, expected in self._single
                for key, value in expected.items()
                if isinstance(value, np.ndarray)
            )
        except ValueError:  # an array is another one
            return True

    def step(self, update: Any) -> None:
        if self._is_changed():
            self._gather()
        if not self._is_alike:
            for own, array, g, shape in zip(self._own, self._arrays, self._grads, self._shapes):
                update(array.reshape(shape), _read(g), own)
            return
        np.concatenate(self._arrays, out=self._p)
        np.concatenate([_read(g).reshape(-1) for g in self._grads], out=self._g)
        update(self._p, self._g, self._state)
        for array, part in self._pairs:
            np.copyto(array, part)
        if self._state != self._kept:
            self._numbers_or_spread()

    def _numbers_or_spread(self) -> None:
        changed = {
            key: value for key, value in self._state.items() if value is not self._kept.get(key)
        }
        if any(isinstance(value, np.ndarray) for value in changed.values()):
            self._spread()
            return
        self._kept.update(changed)
        for own, expected in zip(self._own, self._expected):
            own.update(changed)
            expected.update(changed)
