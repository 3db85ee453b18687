"""Runs: one recorded run of a function, with all that has to be the same in the next."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import clipping, initializers, tensor
from ..ops import elementwise, products
from ..ops.common import Array
from ..optimizers import Optimizer
from ..tensor import Tensor
from .nesting import arrays_in, owner
from .reaching import VALUES, Reach
from .recording import Call, Recorder, Replaced, new_array, recording
from .traced import Traced, TracedScalar, current, plain, stripped, traced


class Number(float):
    """A number taken out of an array: it may be returned, but nobody sees what else it is for."""

    array: Array


def _computing(name: str) -> Callable[..., Any]:
    def method(self: Number, *others: Any) -> Any:
        if recorder := current.get():
            recorder.cannot("it computes with a number taken out of an array")
        return getattr(float, name)(self, *others)

    return method


for _name in (
    "abs", "add", "bool", "ceil", "divmod", "eq", "floor", "floordiv", "format", "ge", "gt", "hash",
    "int", "le", "lt", "mod", "mul", "ne", "neg", "pos", "pow", "radd", "rdivmod", "repr",
    "rfloordiv", "rmod", "rmul", "round", "rpow", "rsub", "rtruediv", "str", "sub", "truediv",
    "trunc",
):  # fmt: skip
    setattr(Number, f"__{_name}__", _computing(f"__{_name}__"))


class Run:
    """A recorded run.

    Attributes
    ----------
    inputs
        Of each argument that is an array or a tensor: its name, itself and the array that was used,
        a copy unless it was also the argument of the `last` run.
    leaves, grads
        The tensors that gradients are left in, and the gradients that these had before.
    result
        What the function returned, to be passed through `handed_over` first.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
        last: "Traits | None",
    ) -> None:
        self.recorder = Recorder()
        self._last_arguments: dict[str, Any] = last.arguments if last else {}
        self.arguments = {**{f"x{i}": x for i, x in enumerate(args)}, **options}
        self.arity = len(args)
        self.returned: Any = None
        self.reach = Reach(function, self.arguments.values())
        self.leaves = [t for t in self.reach.tensors if t._node is not None and not t._node.order]
        self.nodes: list[Any] = [leaf._node for leaf in self.leaves]
        self.grads: dict[int, Any] = {
            id(node): node.grad for node in self.nodes
        }  # as they were before
        self.inputs: list[tuple[str, Any, Array]] = []
        self._stood: list[tuple[dict[str, Any] | Tensor, str, Array]] = []
        given = [self._input(name, value) for name, value in self.arguments.items()]
        marks = [array.tobytes() for array in self.reach.arrays]
        rates = [optimizer.lr for optimizer in self.reach.optimizers]
        try:
            self._trace()
            with recording(self.recorder, self._replaced()):
                self.result = function(
                    *given[: self.arity], **dict(zip(options, given[self.arity :]))
                )
                self._note_gradients()
        finally:
            self._untrace()
        if rates != [optimizer.lr for optimizer in self.reach.optimizers]:
            self.recorder.cannot("it sets lr: set it outside, before each call")
        self._check_effects(marks)

    def _check_effects(self, marks: list[bytes]) -> None:
        """Note what the function did that no call shows."""
        written = {memory for call in self.recorder.calls for memory in call.writes}
        if changed := self.reach.changed():
            self.recorder.cannot(f"it changes Python objects: {changed}")
        for array, mark in zip(self.reach.arrays, marks):
            if array.tobytes() != mark and id(owner(array)) not in written:
                self.recorder.cannot("it changes an array by calls on that array alone")
        if any(self.recorder.memory(array) in written for _, _, array in self.inputs):
            self.recorder.cannot("it changes its arguments")

    def _input(self, name: str, value: Any) -> Any:
        """Return an argument as the function gets it: an array as a traced copy."""
        array = value._data if isinstance(value, Tensor) else value
        if not isinstance(array, np.ndarray):
            return value
        if isinstance(value, Tensor) and value._node is not None:
            self.recorder.cannot(f"its argument {name} requires a gradient")
            return value
        copy: Array = array
        if value is not self._last_arguments.get(name) or not _is_usual(array):
            copy = new_array(array, order="C", subok=False)
        self.recorder.memory(copy)
        self.inputs.append((name, value, copy))
        return tensor._wrapped(traced(copy)) if isinstance(value, Tensor) else traced(copy)

    def _trace(self) -> None:
        """Put traced views in the place of the arrays of tensors, layers and gradients."""
        for t in self.reach.tensors:
            self._stood.append((t, "_data", t._data))
            t._data = traced(t._data)
        for layer in self.reach.layers:
            for name, value in vars(layer).items():
                if isinstance(value, np.ndarray):
                    self._stood.append((vars(layer), name, value))
                    vars(layer)[name] = traced(value)
        self._last: list[Any] = []
        self._before: set[int] = set()  # memory of gradients that are as they were before
        self._untouched: set[int] = set()  # and of those that are as they were when noted
        self._noted = 0  # how many calls there were then
        for node in self.nodes:
            if node.grad is not None:
                copy = self.recorder.fresh(node.grad.copy())
                held = Call("held", node, (), {}, copy, (), {id(owner(copy))}, "grad")
                self.recorder.calls.append(held)
                self._before.add(id(owner(copy)))
                self._untouched.add(id(owner(copy)))
                node.grad = traced(copy)
            self._last.append(node.grad)

    def _untrace(self) -> None:
        for place, name, value in self._stood:
            now: Any = place._data if isinstance(place, Tensor) else place.get(name)
            if isinstance(now, Traced):
                same = owner(now) is owner(value) and now.shape == value.shape
                now = value if same else plain(now)
            if isinstance(place, Tensor):
                place._data = now
            elif name in place:
                place[name] = now
        for node in self.nodes:
            node.grad = stripped(node.grad)

    def _note_gradients(self) -> None:
        """Note the gradients that came to be, or changed, since this was last called."""
        new = self.recorder.calls[self._noted :]
        self._untouched -= {memory for c in new if c.way != "held" for memory in c.writes}
        for i, node in enumerate(self.nodes):
            array = stripped(node.grad)
            memory = set() if array is None else {self.recorder.memory(array)}
            if node.grad is self._last[i] and memory <= self._untouched:
                continue
            self._last[i] = node.grad
            self._before -= memory
            self._untouched |= memory
            self.recorder.check(memory)
            self.recorder.calls.append(Call("grad", node, (array,), reads=memory))
        self._noted = len(self.recorder.calls)

    # What is run as it is

    def _replaced(self) -> Replaced:
        """Return what stands for the functions of the package that no NumPy call shows whole."""
        step, random_stream = Optimizer.step, initializers.random_stream
        short_ones, recorder = products._short_ones, self.recorder
        return [
            (Optimizer, "step", lambda optimizer: self._step(optimizer, step)),
            (initializers, "random_stream", lambda rng: _Stream(random_stream(rng), recorder)),
            (tensor, "number", lambda *given: recorder.make(np.array, given, {})),
            (tensor, "_asarray", lambda x: np.asarray(x)),
            (products, "_short_ones", lambda *given: traced(short_ones(*given))),
            (elementwise, "_by_entry", self._opaque(elementwise._by_entry)),
            (clipping, "_clip_norm", self._clipping(clipping._clip_norm)),
            (Traced, "item", _item),
        ]

    def _step(self, optimizer: Optimizer, step: Callable[..., Any]) -> None:
        """Let an optimizer make its step on plain arrays."""
        self._note_gradients()
        tensors = optimizer.parameters
        before = [(p._data, p.grad) for p in tensors]
        for p in tensors:
            p._data = stripped(p._data)
        for node in self.nodes:
            node.grad = stripped(node.grad)
        try:
            _untraced(step, optimizer)
        finally:
            for p, (data, _) in zip(tensors, before):
                p._data = data
            for node, grad in zip(self.nodes, self._last):
                node.grad = grad
        writes = {self.recorder.memory(data) for data, _ in before}
        grads: list[Any] = [stripped(grad) for _, grad in before]
        for i, (p, grad) in enumerate(zip(tensors, grads)):
            if grad is not None and self.recorder.memory(grad) in self._before:
                grads[i] = p._node  # whose gradient is to be read there
        reads = writes | set(map(self.recorder.memory, arrays_in(grads)))
        call = Call("step", optimizer, tuple(grads), reads=reads, writes=writes, name="step")
        self.recorder.calls.append(call)

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
        def call(gradients: Any, max_norm: float) -> Number:
            given = stripped(list(gradients))
            number = Number(_untraced(clip, given, max_norm))
            number.array = self.recorder.fresh(new_array(float(number)))
            self.recorder.note("into", clip, (given, max_norm), {}, number.array, given)
            self.recorder.calls[-1].reads |= self.recorder.calls[-1].writes
            return number

        return call


def _is_usual(array: Array) -> bool:
    return type(array) is np.ndarray and array.flags.c_contiguous and array.flags.aligned


def _untraced(function: Callable[..., Any], *args: Any) -> Any:
    token = current.set(None)
    try:
        return function(*args)
    finally:
        current.reset(token)


def _item(array: Traced, *args: Any) -> Any:
    """Take a number out of an array."""
    value = plain(array).item(*args)
    recorder = current.get()
    if recorder is None:
        return value
    if args or not isinstance(value, float):
        recorder.cannot("item takes a value out of an array")
        return value
    number = Number(value)
    number.array = plain(array)
    return number


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


class Traits:
    """What of a run is compared with the next one, without the memory that it used."""

    def __init__(self, run: Run) -> None:
        self.way = [(call.way, call.name) for call in run.recorder.calls]
        self.constants, self.reach = run.recorder.constants, run.reach
        self.arguments: dict[str, Any] = run.arguments
        own = {run.recorder.memory(array) for _, _, array in run.inputs}
        self.outside = [held for key, held in run.recorder.found.items() if key not in own]
        kinds = {name: (type(given), copy.shape, copy.dtype) for name, given, copy in run.inputs}
        others = {
            name: (type(given), given if isinstance(given, VALUES) else id(given))
            for name, given in run.arguments.items()
            if name not in kinds
        }
        self.kind = kinds, others, [g is None for g in run.grads.values()]


def difference(first: Traits, second: Traits) -> str:
    """Say in what two runs differ that should be the same; nothing if they do not."""
    if first.way != second.way:
        return "it takes different ways from call to call"
    for (name, before), (_, after) in zip(first.constants, second.constants):
        if before != after:
            return f"a number in {name} changes from call to call, as in {before} and {after}"
    for x, y in zip(first.outside, second.outside):
        if x is y or (x.shape == y.shape == () and x.tobytes() == y.tobytes()):
            continue
        if x.shape == y.shape == ():
            return f"a number changes from call to call, as in {x} and {y}"
        return f"it uses an array of shape {y.shape} that is made where no recorder sees it"
    return ""


def described(value: Any, recorder: Recorder) -> Any:
    """Describe what a run returned: its kind, and arrays or parts."""
    recorder.check(recorder.memory(x) for x in arrays_in(getattr(value, "_data", value)))
    if isinstance(value, Tensor) and isinstance(value._data, Traced):
        return "tensor", plain(value._data)
    if isinstance(value, TracedScalar):
        return "scalar", plain(value)
    if isinstance(value, Traced):
        return "array", plain(value)
    if isinstance(value, Number):
        return "number", value.array
    if value.__class__ in (tuple, list):
        return value.__class__.__name__, [described(item, recorder) for item in value]
    if value.__class__ is dict:
        return "dict", {key: described(item, recorder) for key, item in value.items()}
    if not (value is None or isinstance(value, (bool, int, str, Tensor))):
        recorder.cannot(f"it returns {type(value).__name__}, which no recorder has seen")
    return "same", value


def handed_over(value: Any) -> Any:
    """Return what a run returned, in memory of its own."""
    if isinstance(value, Tensor):
        if isinstance(value._data, Traced):
            value._data = plain(value._data).copy()
            value._data.setflags(write=False)
        return value
    if isinstance(value, TracedScalar):
        return plain(value)[()]
    if isinstance(value, Traced):
        return plain(value).copy()
    if isinstance(value, Number):
        return float(value)
    if value.__class__ in (tuple, list):
        return value.__class__(map(handed_over, value))
    if value.__class__ is dict:
        return {key: handed_over(item) for key, item in value.items()}
    return value
