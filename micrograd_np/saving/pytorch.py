"""Weights as PyTorch names and lays them out: the only difference is that `Linear` is turned."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..layers.layer import Layer, contents
from ..layers.linear import Linear
from ..layers.sequential import Sequential
from ..operations import plain
from ..ops.common import Array
from ..tensor import Tensor


def to_torch_state_dict(model: Layer) -> dict[str, Array]:
    """Return a model's parameters and state as a PyTorch module of the same layers has them.

    The module takes them by ``module.load_state_dict({name: torch.from_numpy(array) for name, array
    in state.items()})``. What two layers share stands under both names.

    Parameters
    ----------
    model
        The layer.

    Returns
    -------
    dict
        Copies by dotted name; weights of `Linear` have the shape (out, in).
    """
    return {
        name: np.array(plain(held).T if turned else plain(held), order="C")
        for name, held, turned in _all_names(model)
    }


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
    left = dict(state)
    names: dict[int, str] = {}  # the first name of each tensor
    loaded: dict[str, Array] = {}
    differing = []
    for name, held, turned in _all_names(model):
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
        hint = "\n  (a layer has a bias if it was made with bias=True)"
        raise ValueError(str(error) + hint * any("bias" in name for name in left)) from error


def _all_names(model: Layer) -> Iterator[tuple[str, Tensor | Array, bool]]:
    """Yield every name of all that a model holds, and whether PyTorch has it the other way round.

    The names are those of `state_dict`, but what is held twice has two.
    """

    def walk(value: Any, name: str, above: tuple[int, ...], turned: bool) -> Any:
        if isinstance(value, Tensor | np.ndarray):
            if value.dtype.kind in "fiub" and (isinstance(value, np.ndarray) or value.is_leaf):
                yield name, value, turned
        elif id(value) not in above:
            for key, child in contents(value):
                if key == "layers" and isinstance(value, Sequential):
                    continue  # their names are their numbers
                place = f"{name}.{key}" if name else str(key)
                is_weight = isinstance(value, Linear) and key == "weight"
                yield from walk(child, place, (*above, id(value)), is_weight)

    return walk(model, "", (), False)  # type: ignore[no-any-return]


def _array(value: Any) -> Array:
    """Return a PyTorch tensor, of whatever device and kind, or an array as an array."""
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # which NumPy does not know
            value = value.float()
        value = value.numpy()
    return np.asarray(plain(value))
