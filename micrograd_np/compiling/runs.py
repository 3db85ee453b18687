"""Runs: one recorded run of a function, with all that has to be the same in the next."""

import builtins
import random
import sys
import warnings
from collections.abc import Callable
from keyword import kwlist
from typing import Any
from weakref import ref

import numpy as np

from .. import clipping, initializers, tensor
from ..ops import elementwise, products
from ..ops.common import Array
from ..optimizers import Optimizer
from ..saving.checkpoint import state_of
from ..tensor import Tensor
from .memories import mark_of
from .nesting import arrays_in, owner
from .reaching import Check, Reach, leaves_below, remembered
from .recording import Call, Recorder, Replaced, new_array, recording
from .traced import Traced, TracedNumber, current, plain, stripped, traced

_short_ones = products._short_ones  # itself: while something is recorded, another stands there

# Names that programs use themselves.
RESERVED = {
    *kwlist, *(f"x{i}" for i in range(100)), "AttributeError", "DiffersError", "Exception",
    "FAILED", "HELD", "IndexError", "KeyError", "MISS", "ValueError", "changed", "copyto", "fill",
    "is_recording", "made", "make", "most", "program", "references", "repr", "reset_errors",
    "set_errors", "silence", "tensor", "token", "type", "value", "zip",
}  # fmt: skip


class Run:
    """A recorded run.

    Attributes
    ----------
    inputs
        Of each argument that is an array or a tensor: its name, itself and the array that was used,
        a copy unless it was also the argument of the `last` run.
    leaves, had_grad
        The tensors that gradients are left in, and whether they had one before, by node.
    result
        What the function returned, to be passed through `handed_over` first.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        last: dict[str, Any],
    ) -> None:
        self.recorder = Recorder()
        self._last_arguments: dict[str, Any] = last
        self.arguments = {**{f"x{i}": x for i, x in enumerate(args)}, **options}
        self.arity = len(args)
        others = [x for x in self.arguments.values() if not isinstance(x, Tensor | np.ndarray)]
        self.reach = Reach(function, others)
        self.leaves = [t for t in self.reach.tensors if t._node is not None and not t._node.order]
        self.nodes: list[Any] = leaves_below([t._node for t in self.reach.tensors])
        self.had_grad = {id(node): node.grad is not None for node in self.nodes}
        self.inputs: list[tuple[str, Any, Array]] = []
        self._stood: list[tuple[Tensor, Array]] = []
        given = [self._input(name, value) for name, value in self.arguments.items()]
        if self.reach.refused:
            self.recorder.cannot(self.reach.refused)
        list(map(self.recorder.memory, self.reach.arrays))
        self._remembered = {id(o): remembered(o) for o in self.reach.optimizers}
        streams = _states(self.reach.streams)
        try:
            self._trace()
            with recording(self.recorder, self._replaced()):
                self.result = function(
                    *given[: self.arity], **dict(zip(options, given[self.arity :]))
                )
                self._note_gradients()
        finally:
            self._untrace()
        list(map(self._check_optimizer, self.reach.optimizers))
        drawn = {id(c.function.__self__) for c in self.recorder.calls if c.way == "draw"}
        for key, state in _states(self.reach.streams).items():
            if key not in drawn and state != streams[key]:
                self.recorder.cannot("it draws random numbers where no recorder sees it")
        self._check_effects()

    def _check_optimizer(self, optimizer: Optimizer) -> None:
        """Note what the function did to an optimizer beside letting it make its steps."""
        before, now = self._remembered[id(optimizer)], remembered(optimizer)
        if before[0] != now[0]:
            self.recorder.cannot("it sets lr or another setting: set it outside, before each call")
        if before[1] != now[1]:
            self.recorder.cannot("it changes what an optimizer remembers")
        arrays = [x for own in optimizer.state for x in own.values() if isinstance(x, np.ndarray)]
        if any(id(owner(array)) in self.recorder.found for array in arrays):
            self.recorder.cannot("it reads what an optimizer remembers")

    def _check_effects(self) -> None:
        """Note what the function did that no call shows."""
        if changed := self.reach.changed():
            self.recorder.cannot(f"it changes Python objects: {changed}")
        self.recorder.check(self.reach.arrays)
        if any(mark_of(array) != mark for array, mark in self.unseen):
            self.recorder.cannot("it changes an array where no recorder sees it")
        for _, value, array in self.inputs:
            given = value._data if isinstance(value, Tensor) else value
            if array is not given and not np.array_equal(array, given, equal_nan=_has_nan(array)):
                np.copyto(given, array)
                self.recorder.cannot("it changes its arguments")
        written = {memory for call in self.recorder.calls for memory in call.writes}
        if any(self.recorder.memory(array) in written for _, _, array in self.inputs):
            self.recorder.cannot("it changes its arguments")

    def _lies_in(self, array: Array) -> bool:
        """Whether an argument lies where other things lie that the function reads."""
        layers = [vars(layer).values() for layer in self.reach.layers]
        others = [x for values in layers for x in values if isinstance(x, np.ndarray)]
        others += [*(t._data for t in self.reach.tensors), *self.reach.arrays]
        return any(np.may_share_memory(x, array) for x in others)

    def _input(self, name: str, value: Any) -> Any:
        """Return an argument as the function gets it: an array as a traced copy."""
        array = value._data if isinstance(value, Tensor) else value
        if not isinstance(array, np.ndarray):
            return value
        if type(array) not in (np.ndarray, np.memmap):
            self.recorder.cannot(f"its argument {name} is a {type(array).__name__}")
            return value
        if isinstance(value, Tensor) and value._node is not None:
            self.recorder.cannot(f"its argument {name} requires a gradient")
            return value
        copy: Array = array
        if self._lies_in(array):
            self.recorder.cannot(f"its argument {name} is part of what it reads otherwise")
        elif value is not self._last_arguments.get(name) or not _is_usual(array):
            copy = new_array(array, order="C", subok=False)
        self.recorder.memory(copy)
        self.inputs.append((name, value, copy))
        return tensor._wrapped(traced(copy)) if isinstance(value, Tensor) else traced(copy)

    def _trace(self) -> None:
        """Put traced views in the place of the arrays of tensors, layers and gradients."""
        for t in self.reach.tensors:
            self._stood.append((t, t._data))
            t._data = traced(t._data)
        views: dict[int, Any] = {}
        unseen = {id(array): array for array in self.reach.arrays}
        self._held: list[Check] = []
        for check in self.reach.checks:
            if type(check.value) is np.ndarray and check.way in ("cell", "item", "attribute"):
                view = views.setdefault(id(check.value), traced(check.value))
                try:
                    check.put(view)
                except (AttributeError, TypeError):  # of a class, a tuple, or what is frozen
                    continue
                unseen.pop(id(check.value), None)
                self._held.append(check)
        self.unseen = [(array, mark_of(array)) for array in unseen.values()]
        self._given = [node.grad for node in self.nodes]
        self._last: list[ref[Any] | None] = []
        self._before: set[int] = set()  # memory of gradients that are as they were before
        self._untouched: set[int] = set()  # and of those that are as they were when noted
        self._noted = 0  # how many calls there were then
        for node in self.nodes:
            if node.grad is not None:
                copy = self.recorder.fresh(node.grad.copy())
                memory, place = self.recorder.memory(copy), self.recorder.placed(copy)
                held = Call("held", node, (), {}, place, (), {memory}, "grad")
                self.recorder.calls.append(held)
                self._before.add(memory)
                self._untouched.add(memory)
                node.grad = traced(copy)
            self._last.append(_reference(node.grad))

    def _untrace(self) -> None:
        for t, data in self._stood:
            same = owner(t._data) is owner(data) and t._data.shape == data.shape
            t._data = data if same else stripped(t._data)
        for check in self._held:
            now = check.now()
            if isinstance(now, Traced):
                same = owner(now) is owner(check.value) and now.shape == check.value.shape
                check.put(check.value if same else plain(now))
        for node, given in zip(self.nodes, self._given):
            node.grad = stripped(node.grad)
            if node.grad is not None and self.recorder.memory(node.grad) in self._before:
                node.grad = given  # as it was, if somebody holds it
        self._given = []

    def _note_gradients(self) -> None:
        """Note the gradients that came to be, or changed, since this was last called."""
        new = self.recorder.calls[self._noted :]
        self._untouched -= {memory for c in new if c.way != "held" for memory in c.writes}
        for i, node in enumerate(self.nodes):
            array = stripped(node.grad)
            memory = set() if array is None else {self.recorder.memory(array)}
            if self._last[i] is _reference(node.grad) and memory <= self._untouched:
                continue
            self._last[i] = _reference(node.grad)
            self._before -= memory
            self._untouched |= memory
            self.recorder.check(arrays_in(array))
            place = self.recorder.placed(array)
            self.recorder.calls.append(Call("grad", node, (place,), reads=memory))
        self._noted = len(self.recorder.calls)

    # What is run as it is

    def _replaced(self) -> Replaced:
        """Return what stands for the functions that no NumPy call shows whole."""
        recorder, step, stream = self.recorder, Optimizer.step, initializers.random_stream

        def refusing(what: str) -> Callable[[], None]:
            return lambda: recorder.cannot(f"it {what}, which a program would not")

        return [
            self._here(Optimizer, "step", lambda optimizer: self._step(optimizer, step)),
            self._here(initializers, "random_stream", lambda rng: _Stream(stream(rng), recorder)),
            self._here(tensor, "number", lambda *given: recorder.make(np.array, given, {})),
            self._here(tensor, "_asarray", lambda x: np.asarray(x)),
            self._here(products, "_short_ones", lambda *given: traced(_short_ones(*given))),
            self._here(elementwise, "_by_entry", self._opaque(elementwise._by_entry)),
            self._here(clipping, "_clip_norm", self._clipping(clipping._clip_norm)),
            self._here(builtins, "print", print, before=refusing("prints")),
            self._here(np, "errstate", self._silencing(np.errstate)),
            self._here(warnings, "warn", warnings.warn, before=refusing("warns")),
        ]

    def _here(
        self, place: Any, name: str, function: Callable[..., Any], before: Any = None
    ) -> tuple[Any, str, Any]:
        """Let a function stand for another one, but only where this run is recorded."""
        original = getattr(place, name)

        def call(*args: Any, **options: Any) -> Any:
            if current.get() is not self.recorder:
                return original(*args, **options)
            if before:
                before()
            return function(*args, **options)

        return place, name, call

    def _step(self, optimizer: Optimizer, step: Callable[..., Any]) -> None:
        """Let an optimizer make its step on plain arrays."""
        if id(optimizer) in self._remembered:
            self._check_optimizer(optimizer)
        else:
            self.recorder.cannot("it makes an optimizer")
        self._note_gradients()
        tensors = optimizer.parameters
        before = [(p._data, p.grad) for p in tensors]
        grads_before = [node.grad for node in self.nodes]
        for p in tensors:
            p._data = stripped(p._data)
        for node in self.nodes:
            node.grad = stripped(node.grad)
        try:
            _untraced(step, optimizer)
        finally:
            for p, (data, _) in zip(tensors, before):
                p._data = data
            for node, grad in zip(self.nodes, grads_before):
                node.grad = grad
        values = [stripped(data) for data, _ in before]
        writes = set(map(self.recorder.memory, values))
        self._remembered[id(optimizer)] = remembered(optimizer)
        grads: list[Any] = [stripped(grad) for _, grad in before]
        for i, (p, grad) in enumerate(zip(tensors, grads)):
            if grad is not None and self.recorder.memory(grad) in self._before:
                grads[i] = p._node  # whose gradient is to be read there
        reads = writes | set(map(self.recorder.memory, arrays_in(grads)))
        self.recorder.check(g for g in arrays_in(grads) if self.recorder.memory(g) not in writes)
        self.recorder.mark(values)
        places = tuple(self.recorder.placed(grads))
        call = Call("step", optimizer, places, reads=reads, writes=writes, name="step")
        self.recorder.calls.append(call)

    def _silencing(self, errstate: Any) -> Callable[..., Any]:
        """Refuse what asks for floating-point errors, of which programs raise none."""

        def call(**settings: Any) -> Any:
            if set(settings.values()) != {"ignore"}:
                self.recorder.cannot("it sets what becomes of floating-point errors")
            return errstate(**settings)

        return call

    def _opaque(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that is noted as one call."""

        def call(*args: Any) -> Any:
            given = stripped(args)
            return self.recorder.outcome(
                _untraced(function, *given),
                lambda made: self.recorder.note("into", function, given, {}, made),
                function.__name__,
            )

        return call

    def _clipping(self, clip: Callable[..., Any]) -> Callable[..., Any]:
        def call(gradients: Any, max_norm: float) -> Any:
            given = stripped(list(gradients))
            made = self.recorder.fresh(new_array(_untraced(clip, given, max_norm)))
            self.recorder.mark(given)
            self.recorder.note("into", clip, (given, max_norm), {}, made, given)
            self.recorder.calls[-1].reads |= self.recorder.calls[-1].writes
            return traced(made, TracedNumber)

        return call


def _reference(grad: Any) -> Any:
    """Return what tells one gradient from another and lets it be freed."""
    return None if grad is None else ref(grad)  # always the same one while it lives


def _has_nan(array: Array) -> bool:
    return array.dtype.kind in "fc"


def _states(streams: list[Any]) -> dict[int, str]:
    """Return the states of random generators: NumPy's and Python's global ones, and others."""
    known = [*streams, *([np.random.mtrand._rand] if "numpy.random" in sys.modules else [])]
    states = {id(stream): repr(state_of(stream)) for stream in known}
    return {**states, 0: repr(random.getstate())}


def _is_usual(array: Array) -> bool:
    return type(array) is np.ndarray and array.flags.c_contiguous and array.flags.aligned


def _untraced(function: Callable[..., Any], *args: Any) -> Any:
    token = current.set(None)
    try:
        return function(*args)
    finally:
        current.reset(token)


class _Stream:
    """A random generator whose draws are noted."""

    def __init__(self, stream: Any, recorder: Recorder) -> None:
        self._stream, self._recorder = stream, recorder

    def __getattr__(self, name: str) -> Any:
        draw = getattr(self._stream, name)

        def drawing(*args: Any, **options: Any) -> Any:
            made = draw(*args, **options)
            if not isinstance(made, np.ndarray):
                self._recorder.cannot(f"it draws a Python number by {name}")
                return made
            self._recorder.note("draw", draw, args, options, self._recorder.fresh(made))
            return traced(made)

        return drawing
