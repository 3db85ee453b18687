"""Files in the format of the safetensors library, with PyTorch's names and layouts.

The format has no checksum: a damaged header is found, a flipped bit in the numbers is not.
"""

import os
from typing import Any

import numpy as np

from ..extras import extra
from ..layers.layer import Layer
from .archive import CheckpointError
from .files import replacing
from .pytorch import from_torch_state_dict, to_torch_state_dict


def write_safetensors(path: str | os.PathLike[str], model: Layer) -> None:
    """Write a model's parameters and state for ``torch_module.load_state_dict(load_file(path))``.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    TypeError
        If the format does not know a dtype.
    OSError
        If the file cannot be written.
    """
    library = _library()
    arrays = {}
    for name, array in to_torch_state_dict(model).items():
        if array.dtype.kind == "f" and array.dtype.itemsize > 8:
            raise TypeError(f".safetensors has no {array.dtype}, the dtype of {name}; use .npz")
        # The library writes memory as it lies: anything but C order would be garbled.
        arrays[name] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
    with replacing(path) as file:
        file.write(library.save(arrays, metadata={"format": "pt"}))


def read_safetensors(path: str | os.PathLike[str], model: Layer) -> None:
    """Fill a model from a file that `write_safetensors` or PyTorch wrote.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    CheckpointError
        If the file is broken or does not fit the model, which is not changed.
    OSError
        If the file cannot be read.
    """
    library = _library()
    with open(path, "rb") as file:
        content = file.read()
    try:
        state = library.load(content)
    except MemoryError:
        raise
    except Exception as error:  # the library has its own kinds, and others for what NumPy lacks
        raise CheckpointError(f"{os.fspath(path)} is no .safetensors file: {error}") from error
    try:
        from_torch_state_dict(model, state)
    except ValueError as error:
        raise CheckpointError(f"{os.fspath(path)} does not fit: {error}") from error


def _library() -> Any:
    return extra("safetensors.numpy", "safetensors", "a .safetensors file")
