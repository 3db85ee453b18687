"""Weights as PyTorch names and lays them out: the only difference is that `Linear` is turned."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..layers.layer import Layer, check_layer, contents
from ..layers.linear import Linear
from ..layers.sequential import Sequential
from ..operations import plain
from ..ops.common import Array
from ..tensor import Tensor


def to_torch_state_dict(model: Layer) -> dict[str, Array]:
    """Return a model's parameters and state as a PyTorch module of the same layers has them.

    The module takes them by ``module.load_state_dict({name: torch.from_numpy(array) for name, array
    in state.items()})``. What two layers share stands under both names. A `Residual` has the names
    of a Sequential, and what a layer of your own holds is laid out as it is.

    Parameters
    ----------
    model
        The layer.

    Returns
    -------
    dict
        Copies by dotted name, in C order and native byte order; weights of `Linear` have the shape
        (out, in).

    Raises
    ------
    ValueError
        If two tensors have the same name.
    """
    state = {}
    for name, (held, turned) in _all_names(model).items():
        array = plain(held).T if turned else plain(held)
        state[name] = np.array(array, array.dtype.newbyteorder("="), order="C")
    return state


def from_torch_state_dict(model: Layer, state: Mapping[str, Any]) -> None:
    """Fill a model with the state of a PyTorch module of the same layers.

    Parameters
    ----------
    model
        The layer; mind that `Linear` and convolutions have a bias only with ``bias=True``.
    state
        PyTorch tensors or arrays by name, as from ``module.state_dict()``.

    Raises
    ------
    ValueError
        If names are missing or unexpected, shapes do not fit, or two names of one parameter have
        different values. The message lists all of it, and nothing is changed.
    """
    check_layer(model, "the model comes first, then the state")
    if not isinstance(state, Mapping):
        raise TypeError(
            "state must be a dict of PyTorch tensors or arrays by name; received "
            f"{type(state).__name__}: pass module.state_dict()"
        )
    left = dict(state)
    names: dict[int, str] = {}  # the first name of each tensor
    loaded: dict[str, Array] = {}
    differing = []
    for name, (held, turned) in _all_names(model).items():
        first = names.setdefault(id(held), name)
        if name in left:
            value = _array(left.pop(name))
            value = value.T if turned else value
            if first in loaded and not np.array_equal(loaded[first], value, equal_nan=True):
                differing.append(f"{name} and {first}")
            loaded[first] = value
    if differing:
        raise ValueError(f"the model shares what differs in the state: {', '.join(differing)}")
    try:
        model.load_state_dict(loaded | left)
    except ValueError as error:
        raise ValueError(f"{error}{_hint(model, state, left)}") from error


def _hint(model: Layer, state: Mapping[str, Any], unexpected: Mapping[str, Any]) -> str:
    """Say what is usually behind such names."""
    beginnings = {name.partition(".")[0] for name in state}
    rests = {name.partition(".")[2] for name in state}
    if len(beginnings) == 1 and rests <= _all_names(model).keys():
        return f"\n  (leave out {beginnings.pop() + '.'!r}, with which all names begin)"
    if any("bias" in name for name in unexpected):
        return "\n  (a layer has a bias if it was made with bias=True)"
    return ""


def _all_names(model: Layer) -> dict[str, tuple[Tensor | Array, bool]]:
    """Return by name all that a model holds, and whether PyTorch has it the other way round.

    The names are those of `state_dict`, but what is held twice has two.
    """
    found: dict[str, tuple[Tensor | Array, bool]] = {}

    def walk(value: Any, name: str, above: tuple[int, ...], turned: bool) -> None:
        if isinstance(value, Tensor | np.ndarray):
            if value.dtype.kind in "fiub" and (isinstance(value, np.ndarray) or value.is_leaf):
                if name in found:
                    raise ValueError(f"two tensors of the layer are both called {name}; rename one")
                found[name] = value, turned
        elif id(value) not in above:
            for key, child in contents(value):
                if key == "layers" and isinstance(value, Sequential):
                    continue  # their names are their numbers
                place = f"{name}.{key}" if name else str(key)
                is_weight = isinstance(value, Linear) and key == "weight"
                walk(child, place, (*above, id(value)), is_weight)

    walk(model, "", (), False)
    return found


def _array(value: Any) -> Array:
    """Return a PyTorch tensor, of whatever device and kind, or an array as an array."""
    if hasattr(value, "cpu"):
        value = value.detach().cpu()
        try:
            value = value.numpy()
        except TypeError:  # bfloat16 and other short floats that NumPy does not have
            value = value.float().numpy()
    return np.asarray(plain(value))
