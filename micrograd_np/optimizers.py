"""Optimizers: rules that change parameters along their gradients, one step at a time."""

import inspect
from collections.abc import Iterable, Mapping
from copy import copy
from math import isfinite
from types import SimpleNamespace
from typing import Any

import numpy as np

from .ops.common import Array, number


class Optimizer:
    """Base class of optimizers: a subclass writes `update`, the rule for one parameter.

    Settings that it adds to the constructor are to be kept as attributes of the same names, where
    `state_dict` finds them.

    Parameters
    ----------
    parameters
        Leaf tensors that require a gradient, each once; as from ``layer.parameters()``.
    lr
        Learning rate, at least 0. Also an attribute, which can be set between steps.

    Raises
    ------
    ValueError
        If there are no parameters, one comes twice, is no leaf or requires no gradient, or `lr`
        is negative or not finite.
    TypeError
        If a parameter is not a tensor.

    Examples
    --------
    >>> import micrograd_np as mg
    >>> class SignDescent(mg.Optimizer):
    ...     def update(self, parameter, g, state):
    ...         parameter -= self.lr * np.sign(g)
    >>> weight = mg.Tensor([2.0, -3.0], requires_grad=True)
    >>> optimizer = SignDescent([weight], lr=0.5)
    >>> (weight * weight).sum().backward()
    >>> optimizer.step()
    >>> weight
    Tensor([ 1.5, -2.5], requires_grad=True)
    """

    def __init__(self, parameters: Iterable[Any], lr: float) -> None:
        self.parameters = _checked(parameters)
        self.state: list[dict[str, Any]] = [{} for _ in self.parameters]
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = at_least_zero("lr", lr)

    def update(self, parameter: Array, g: Array, state: dict[str, Any]) -> None:
        """Change one parameter in place.

        Parameters
        ----------
        parameter
            The values, to be written into.
        g
            Their gradient, of the same shape; not to be written into.
        state
            What the rule remembers of this parameter, arrays of its shape and Python numbers: an
            empty dict before the first step. Only what is in here is saved.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def step(self) -> None:
        """Change every parameter that has a gradient."""
        for parameter, state in zip(self.parameters, self.state):
            g = parameter.grad
            if g is not None:
                self.update(parameter.data, g, state)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return the settings, and under "state" copies of what is remembered per parameter."""
        state = [{key: copy(value) for key, value in own.items()} for own in self.state]
        return {**self._settings(), "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises
        ------
        ValueError
            If it is of an optimizer with other settings or of other parameters. Nothing is
            changed then.
        """
        own = self._settings()
        if own.keys() | {"state"} != state.keys():
            raise ValueError(
                f"the state must have the keys {sorted(own)} and 'state'; received {sorted(state)}"
            )
        if len(state["state"]) != len(self.parameters):
            raise ValueError(
                f"the state is of {len(state['state'])} parameters, not of {len(self.parameters)}"
            )
        loaded = [
            {key: _fitting(key, value, i, parameter) for key, value in entry.items()}
            for i, (entry, parameter) in enumerate(zip(state["state"], self.parameters))
        ]
        # The constructor knows which settings are right; a stand-in spares it the parameters.
        stand_in = SimpleNamespace(requires_grad=True, is_leaf=True)
        checked = type(self)([stand_in], **{name: state[name] for name in own})
        for name in own:
            setattr(self, name, getattr(checked, name))
        self.state = loaded

    def _settings(self) -> dict[str, Any]:
        """Return the constructor's arguments, which are kept as attributes of the same names."""
        names = list(inspect.signature(type(self)).parameters)[1:]
        return {name: getattr(self, name) for name in names}


class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if asked.

    .. math::
        g &\leftarrow g + weight\_decay \cdot parameter \\
        v &\leftarrow momentum \cdot v + g \qquad (v = g \text{ in the first step}) \\
        parameter &\leftarrow parameter - lr \cdot v

    or with `nesterov` :math:`parameter \leftarrow parameter - lr (g + momentum \cdot v)`.

    Parameters
    ----------
    parameters
        Leaf tensors that require a gradient, each once; as from ``layer.parameters()``.
    lr
        Learning rate, at least 0.
    momentum
        Share of the last velocity v that is kept, at least 0 and below 1.
    nesterov
        Whether to look ahead by one step of the velocity; needs momentum.
    weight_decay
        Factor of the parameter that is added to its gradient, at least 0.

    Raises
    ------
    ValueError
        If a number is out of its range, or the parameters do not fit (see `Optimizer`).

    References
    ----------
    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum in deep
    learning" (2013), in PyTorch's form.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float,
        momentum: float = 0,
        nesterov: bool = False,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(parameters, lr)
        self.momentum = at_least_zero("momentum", momentum)
        if momentum >= 1:
            raise ValueError(f"momentum must be below 1; received {momentum}")
        if nesterov and not momentum:
            raise ValueError("nesterov needs momentum; pass for instance momentum=0.9")
        self.nesterov = nesterov
        self.weight_decay = at_least_zero("weight_decay", weight_decay)

    def update(self, parameter: Array, g: Array, state: dict[str, Any]) -> None:
        if self.weight_decay:
            g = g + number(self.weight_decay, g.dtype) * parameter
        if self.momentum:
            if "velocity" not in state:
                state["velocity"] = g.copy()
            else:
                state["velocity"] *= number(self.momentum, g.dtype)
                state["velocity"] += g
            if self.nesterov:
                g = g + number(self.momentum, g.dtype) * state["velocity"]
            else:
                g = state["velocity"]
        parameter -= g * number(self._lr, g.dtype)


def at_least_zero(name: str, value: float) -> float:
    """Return `value` if it is a finite number from 0 upwards; ValueError otherwise."""
    if not (isfinite(value) and value >= 0):
        raise ValueError(f"{name} must be a finite number, at least 0; received {value}")
    return float(value)


def _fitting(key: str, value: Any, i: int, parameter: Any) -> Any:
    """Return a copy of one thing remembered: a Python number, or an array like the parameter."""
    if isinstance(value, (bool, int, float)):
        return value
    array = np.asarray(value)
    if array.shape != parameter.shape or array.dtype.kind not in "fiub":
        raise ValueError(
            f"{key} of parameter {i} must be numbers of shape {parameter.shape}; received "
            f"{type(value).__name__} of shape {array.shape} and dtype {array.dtype}"
        )
    return array.astype(parameter.dtype)


def _checked(parameters: Iterable[Any]) -> list[Any]:
    """Return the parameters as a list of distinct leaf tensors that require a gradient."""
    if hasattr(parameters, "requires_grad"):
        raise TypeError("parameters must be a list of tensors; received one tensor: write [tensor]")
    found = list(parameters)
    if not found:
        raise ValueError(
            "an optimizer needs at least one parameter; received none (a generator gives its "
            "items only once)"
        )
    for i, parameter in enumerate(found):
        if not hasattr(parameter, "requires_grad"):
            raise TypeError(f"parameters must be tensors; number {i} is {type(parameter).__name__}")
        if not parameter.is_leaf:
            raise ValueError(f"parameter {i} is the value of an op; pass the tensors it came from")
        if not parameter.requires_grad:
            raise ValueError(f"parameter {i} requires no gradient, so no step could change it")
    if len({id(parameter) for parameter in found}) < len(found):
        raise ValueError("a parameter was passed twice; pass each once")
    return found
