"""A layer is a function with parameters: tensors that it holds and that training changes."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ..operations import plain
from ..ops.common import Array, as_array
from ..tensor import Tensor, as_tensor


class Layer:
    """Base class of layers: a subclass writes ``__init__`` and ``forward`` and nothing else.

    What the layer holds is found in its attributes, in the order of their assignment, also inside
    lists, tuples, dicts and other layers. Tensors that require a gradient are its parameters;
    other tensors and arrays are its state (running statistics, for example), which is saved but
    not trained; numbers are settings, so a counter is ``np.array(0)``. There is no need to call
    ``super().__init__()``.

    Attributes
    ----------
    training : bool
        True in training mode, False after `eval`.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> class Scale(mg.Layer):
    ...     def __init__(self, features):
    ...         self.factor = mg.Tensor([1.0] * features, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale(3)
    >>> scale([[1, 2, 3]])
    Tensor([[1., 2., 3.]], requires_grad=True)
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training: bool = True

    def _no_forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output: the formula, which every layer writes for itself.

        Parameters
        ----------
        *inputs, **options
            What the layer was called with; arrays and lists of numbers have become tensors.

        Returns
        -------
        Tensor
            Or several; whatever the layer makes of its inputs.
        """
        raise NotImplementedError(f"{type(self).__name__} must define forward(self, x)")

    # Declared as a callable of any signature, so that subclasses choose their own.
    forward: Callable[..., Any] = _no_forward

    if not TYPE_CHECKING:  # a checker that sees it takes misspelt attributes for good ones

        def __setattr__(self, name: str, value: Any) -> None:
            """Keep state an array: of arrays without axes NumPy makes scalars (n = n + 1)."""
            if isinstance(value, np.generic) and isinstance(vars(self).get(name), np.ndarray):
                value = np.asarray(value)
            object.__setattr__(self, name, value)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run `forward`; arrays, lists of numbers and a number that comes first become tensors.

        What `forward` finds wrong with its inputs is told with the layer's name.
        """
        try:
            if len(inputs) == 1 and inputs[0].__class__ is Tensor and not options:
                return self.forward(inputs[0])
            if inputs and isinstance(inputs[0], (bool, int, float)):
                inputs = (as_tensor(inputs[0]), *inputs[1:])
            options = {name: _as_input(x) for name, x in options.items()}
            return self.forward(*map(_as_input, inputs), **options)
        except (ValueError, IndexError, TypeError) as error:
            if type(error) not in (ValueError, IndexError, TypeError) or hasattr(
                error, "names_a_layer"
            ):
                raise
            named: Any = type(error)(f"{type(self).__name__}({self._arguments()}): {error}")
            named.names_a_layer = True
            raise named from error

    def parameters(self) -> list[Tensor]:
        """Return the tensors that training changes, each once, in order of assignment."""
        return [tensor for _, tensor in self.named_parameters()]

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Yield each parameter once, with its dotted name such as ``0.weight``."""
        for name, value in _named(self, "", set()):
            if isinstance(value, Tensor) and value.requires_grad:
                yield name, value

    def layers_within(self) -> Iterator[tuple[str, "Layer"]]:
        """Yield this layer (its name is empty) and all layers inside, each once."""
        for name, value in _named(self, "", set()):
            if isinstance(value, Layer):
                yield name, value

    def state_dict(self) -> dict[str, Array]:
        """Return copies of all parameters and state by dotted name."""
        return {name: plain(held).copy() for name, held in self._held().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy parameters and state from what `state_dict` returned.

        Parameters
        ----------
        state
            Arrays (or tensors, or lists) by name, of the shapes that the layer has. They are
            converted to the dtypes that the layer has.

        Raises
        ------
        ValueError
            If names are missing or unexpected, or entries have the wrong shape or are no numbers.
            The message lists all of them, and nothing is changed.
        """
        own = self._held()
        faults = [f"missing: {name}" for name in own if name not in state]
        faults += [f"unexpected: {name}" for name in state if name not in own]
        loaded = {name: _loadable(state[name]) for name in own if name in state}
        for name, array in loaded.items():
            if array is None:
                faults.append(f"no numbers: {name} is {type(state[name]).__name__}")
            elif array.shape != own[name].shape:
                faults.append(
                    f"wrong shape: {name} must have {own[name].shape}; received {array.shape}"
                )
            elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                faults.append(f"wrong dtype: {name} is {array.dtype}, not {own[name].dtype}")
            elif isinstance(held := own[name], np.ndarray) and not held.flags.writeable:
                faults.append(f"read-only: {name} of the layer cannot be written into")
        if faults:
            raise ValueError("the state does not fit the layer:\n  " + "\n  ".join(faults))
        # What could still fail, fails here: a conversion that overflows or finds no memory.
        converted = {n: a.astype(own[n].dtype) for n, a in loaded.items() if a is not None}
        for name, array in converted.items():
            held = own[name]
            if isinstance(held, Tensor) and not held.data.flags.writeable:  # once made by an op
                held.data = array
            else:
                plain(held)[...] = array

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and in all layers inside; return self.

        Parameters
        ----------
        mode
            False for evaluation mode.
        """
        for _, layer in self.layers_within():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and in all layers inside; return self."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def astype(self, dtype: npt.DTypeLike) -> Self:
        """Convert parameters and floating state to a float dtype, in place; return self.

        Parameters
        ----------
        dtype
            Such as ``numpy.float32``.
        """
        if np.dtype(dtype).kind != "f":
            raise TypeError(f"layers hold floats; received dtype {np.dtype(dtype)}")
        _convert(self, np.dtype(dtype), {})
        return self

    @recursive_repr("...")
    def __repr__(self) -> str:
        lines = []
        for name, child in self._children():
            text = repr(child) if isinstance(child, Layer) else _function_name(child)
            lines.append(f"({name}): {text}".replace("\n", "\n  "))
        count = sum(parameter.size for parameter in self.parameters())
        comment = f"  # {count:,} parameter{'s' * (count != 1)}" if count else ""
        arguments = self._arguments()
        head = f"{type(self).__name__}({arguments}" + "," * bool(arguments and lines)
        return "\n  ".join([head, *lines]) + ("\n)" if lines else ")") + comment

    def _attributes(self) -> Iterable[tuple[Any, Any]]:
        """Return name and value of what the layer holds; `Sequential` leaves out one level."""
        return vars(self).items()

    def _children(self) -> Iterator[tuple[str, Any]]:
        """Yield the layers directly inside, also through lists, tuples and dicts."""
        seen = {id(self)}
        for key, value in self._attributes():
            for name, inner in _named(value, str(key), seen, into_layers=False):
                if isinstance(inner, Layer):
                    yield name, inner

    def _held(self) -> dict[str, Tensor | Array]:
        """Return all parameters and state by name."""
        held: dict[str, Tensor | Array] = {}
        for name, value in _named(self, "", set()):
            if isinstance(value, Layer):
                continue
            if name in held:
                raise ValueError(f"two tensors of the layer are both called {name}; rename one")
            held[name] = value
        return held

    def _arguments(self) -> str:
        """Write the constructor's arguments from the attributes of the same names."""
        written = []
        for name, parameter in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name, parameter.default)
            if isinstance(value, Tensor):
                value = True  # such as bias=True
            elif value is None and isinstance(parameter.default, bool):
                value = False
            if not isinstance(value, (bool, int, float, str, tuple, type(None))):
                continue
            if parameter.default is parameter.empty:
                written.append(repr(value))
            elif value != parameter.default:
                written.append(f"{name}={value!r}")
        return ", ".join(written)


def check_layer(model: Any, order: str = "make a layer of it") -> None:
    """Raise unless a model is a layer; `order` is the remedy for what cannot be called, either."""
    if isinstance(model, Layer):
        return
    if isinstance(model, type):
        received = f"the class {model.__name__}: make an instance of it"
    elif callable(model):
        received = f"{type(model).__name__}: put a function into Sequential(function)"
    else:
        received = f"{type(model).__name__}: {order}"
    raise TypeError(f"model must be a layer; received {received}")


@contextmanager
def in_mode(model: Any, training: bool) -> Iterator[None]:
    """Set a layer and all inside to a mode, and each back to its own at the end.

    A `model` that is a function only has none.
    """
    layers = _layers(model)
    before = [layer.training for layer in layers]
    try:
        for layer in layers:
            layer.training = training
        yield
    finally:
        for layer, mode in zip(layers, before):
            layer.training = mode


@contextmanager
def unchanged(model: Any) -> Iterator[None]:
    """Put back at the end the arrays that a layer and all inside hold, as they were.

    Both those written into and those for which an attribute got another. A `model` that is a
    function only has none.
    """
    layers = _layers(model)
    held = [x for x in model._held().values() if isinstance(x, np.ndarray)] if layers else []
    before = [(x, x.copy()) for x in held if x.flags.writeable]
    kinds = (np.ndarray, Tensor)
    attributes = [
        {n: x for n, x in vars(layer).items() if isinstance(x, kinds)} for layer in layers
    ]
    try:
        yield
    finally:
        for array, values in before:
            array[...] = values
        for layer, arrays in zip(layers, attributes):
            vars(layer).update(arrays)


def _layers(model: Any) -> list[Layer]:
    return [layer for _, layer in model.layers_within()] if isinstance(model, Layer) else []


def parameter(values: Any, dtype: npt.DTypeLike | None) -> Tensor:
    """Make a tensor that training changes: float64 unless `dtype` says otherwise."""
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise TypeError(f"dtype must be one of floats, such as numpy.float32; received {dtype}")
    return Tensor(values, requires_grad=True, dtype=dtype or np.float64)


def _as_input(x: Any) -> Any:
    """Make a tensor of an array or a list of numbers; all else passes as it is."""
    is_numbers = isinstance(x, np.ndarray | np.generic) or (
        isinstance(x, list) and not any(isinstance(item, Tensor) for item in x)
    )
    return as_tensor(x) if is_numbers else x


def contents(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return name and value of all that a layer, dict, list or tuple holds."""
    if isinstance(value, Layer):
        return value._attributes()
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


def _named(
    value: Any, name: str, seen: set[int], into_layers: bool = True
) -> Iterator[tuple[str, Any]]:
    """Yield every layer, leaf tensor and numeric array in `value`, once, with its dotted name."""
    if isinstance(value, (set, frozenset)) and any(isinstance(x, (Layer, Tensor)) for x in value):
        raise TypeError(f"{name} is a set, which has no order; hold layers and tensors in a list")
    if not isinstance(value, (Layer, Tensor, np.ndarray, dict, list, tuple)) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        if value.is_leaf:
            yield name, value
        return
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "fiub":
            yield name, value
        return
    if isinstance(value, Layer):
        yield name, value
        if not into_layers:
            return
    for key, child in contents(value):
        yield from _named(child, f"{name}.{key}" if name else str(key), seen, into_layers)


def _function_name(function: Any) -> str:
    """Name a function among layers; a partial one by what it applies and its settings."""
    if not isinstance(function, partial):
        return getattr(function, "__name__", "?")
    applied = next((x for x in function.args if callable(x)), function.func)
    settings = ", ".join(f"{name}={value!r}" for name, value in function.keywords.items())
    return f"{_function_name(applied)}({settings})"


def _convert(value: Any, dtype: np.dtype[Any], done: dict[int, tuple[Any, Any]]) -> Any:
    """Convert the floats in `value` in place where that can be; return what shall stand for it.

    `done` has, by identity, what was met before and what stands for it, so that sharing remains.
    """
    if id(value) in done:
        return done[id(value)][1]
    made = value
    done[id(value)] = value, made
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        made = value.astype(dtype)
    elif isinstance(value, Tensor) and value.is_leaf and value.dtype.kind == "f":
        value._convert(dtype)
    elif isinstance(value, tuple):
        items = [_convert(item, dtype, done) for item in value]
        if any(new is not old for new, old in zip(items, value)):
            made = type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    elif isinstance(value, (list, dict, Layer)):
        holder = vars(value) if isinstance(value, Layer) else value
        for key, item in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            holder[key] = _convert(item, dtype, done)
    done[id(value)] = value, made
    return made


def _loadable(value: Any) -> Array | None:
    """Return `value` as an array of numbers, or None if it is none."""
    try:
        return as_array(plain(value))
    except (TypeError, ValueError):
        return None
