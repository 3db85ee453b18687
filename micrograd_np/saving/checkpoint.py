"""Checkpoints: files that hold a model and, for a run that is to go on, all that belongs to it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..layers.layer import Layer, check_layer
from .archive import CheckpointError, read_archive, write_archive
from .tensors_file import read_safetensors, write_safetensors

_OF_TORCH = (".pt", ".pth", ".bin")


def save(path: str | os.PathLike[str], model: Layer, **parts: Any) -> None:
    """Write a model's parameters and state to a file, and with them what a run needs to go on.

    At every moment, even if the process is killed or the disk is full, `path` is the old file or
    the new one, whole.

    Parameters
    ----------
    path
        A name that ends in ``.npz``, the native format; or in ``.safetensors`` for parameters and
        state in PyTorch's names and layout (needs the extra ``safetensors``).
    model
        The layer.
    **parts
        What else to save, by names of your choice (``.npz`` only): objects with a `state_dict`,
        such as an optimizer; random generators (``numpy.random.Generator``, ``RandomState``, or
        the module ``numpy.random`` for the global state); arrays, numbers, strings, None, and
        lists, tuples and dicts of these.

    Raises
    ------
    ValueError
        If the name ends in something else, or parts cannot go into such a file.
    TypeError
        If a part holds something that cannot be saved.
    OSError
        If the file cannot be written: the folder is missing, the disk is full, ...

    Examples
    --------
    >>> import tempfile
    >>> import micrograd_np as mg
    >>> model = mg.Sequential(mg.Linear(3, 1), mg.Sigmoid())
    >>> optimizer = mg.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     mg.save(f"{folder}/model.npz", model, optimizer=optimizer, epoch=3)
    ...     mg.load(f"{folder}/model.npz", model, optimizer=optimizer)
    {'epoch': 3}
    """
    if _checked_suffix(path, model) == ".safetensors":
        if parts:
            raise ValueError(f"a .safetensors file holds a model alone, not {sorted(parts)}")
        write_safetensors(path, model)
    else:
        write_archive(path, model.state_dict(), {name: state_of(p) for name, p in parts.items()})


def load(path: str | os.PathLike[str], model: Layer, **parts: Any) -> dict[str, Any]:
    """Fill a model, and other objects, from a file that `save` wrote.

    Nothing in the file is ever executed, and unless all of it fits nothing is changed.

    Parameters
    ----------
    path
        The file, ``.npz`` or ``.safetensors``.
    model
        A layer of the same names and shapes.
    **parts
        The objects to fill, under the names that they were saved under: those with a
        `load_state_dict`, and random generators.

    Returns
    -------
    dict
        All other parts of the file, as they were saved.

    Raises
    ------
    CheckpointError
        If the file is broken or is none of ours, lacks one of the parts, or does not fit the
        model or a part.
    OSError
        If the file cannot be read.
    """
    if _checked_suffix(path, model) == ".safetensors":
        if parts:
            raise ValueError(f"a .safetensors file holds a model alone, not {sorted(parts)}")
        read_safetensors(path, model)
        return {}
    arrays, saved = read_archive(path)
    if missing := sorted(parts.keys() - saved.keys()):
        remedy = ": resume needs a file that Checkpoint wrote" if "run" in missing else ""
        what = f"{os.fspath(path)} has no {missing}; it has {sorted(saved)}{remedy}"
        raise CheckpointError(what)
    for name, part in parts.items():
        if not any(hasattr(part, way) for way in ("load_state_dict", "set_state", "bit_generator")):
            raise TypeError(
                f"{name} must be a random generator or have load_state_dict to be filled; received "
                f"{type(part).__name__}: leave it out, load returns it"
            )
    before = [(target, state_of(target)) for target in (model, *parts.values())]
    try:
        fill(model, arrays)
        for name, part in parts.items():
            fill(part, saved.pop(name))
    except BaseException as error:
        for target, state in before:
            fill(target, state)
        if isinstance(error, ValueError | TypeError | KeyError | IndexError | AttributeError):
            raise CheckpointError(f"{os.fspath(path)} does not fit: {error}") from error
        raise
    return saved


def state_of(part: Any) -> Any:
    """Return what is saved of an object: its state, or itself if it is plain data."""
    if hasattr(part, "state_dict"):
        return part.state_dict()
    if hasattr(part, "set_state"):  # a RandomState, or numpy.random
        return part.get_state(legacy=False)
    if hasattr(part, "bit_generator"):  # a Generator
        return part.bit_generator.state
    return part


def fill(part: Any, state: Any) -> None:
    """Give an object the state that `state_of` returned."""
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    elif hasattr(part, "set_state"):
        _check_kind("MT19937", state)
        part.set_state(state)
    else:
        _check_kind(type(part.bit_generator).__name__, state)
        part.bit_generator.state = state


def _check_kind(kind: str, state: Any) -> None:
    if not isinstance(state, Mapping) or state.get("bit_generator") != kind:
        found = state.get("bit_generator") if isinstance(state, Mapping) else type(state).__name__
        raise ValueError(f"the state is of a random generator {found}, not {kind}")


def _checked_suffix(path: str | os.PathLike[str], model: Layer) -> str:
    """Return how the name of a file ends, if it is one, for a model that is one."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(
            "path must be the name of a file and come before the model; received "
            f"{type(path).__name__}"
        )
    check_layer(model, "the path comes first, then the model")
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors"):
        of_torch = "; for PyTorch's files see from_torch_state_dict" * (suffix in _OF_TORCH)
        raise ValueError(
            f"the name must end in .npz (or .safetensors); received {os.fspath(path)!r}{of_torch}"
        )
    return suffix
