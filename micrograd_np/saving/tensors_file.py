"""Files in the format of the safetensors library, with PyTorch's names and layouts.

The format has no checksum: a damaged header is found, a flipped bit in the numbers is not.
"""

import os
from typing import Any

import numpy as np

from ..extras import extra
from ..layers.layer import Layer
from ..ops.common import Array
from .archive import CheckpointError
from .files import replacing
from .pytorch import from_torch_state_dict, to_torch_state_dict

_FOR = ("safetensors", "a .safetensors file")
_DTYPES = {
    "BOOL": "?", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "I8": "i1", "I16": "<i2",
    "I32": "<i4", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


def write_safetensors(path: str | os.PathLike[str], model: Layer) -> None:
    """Write a model's parameters and state for ``torch_module.load_state_dict(load_file(path))``.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    TypeError
        If the format does not have a dtype.
    ValueError
        If it does not have a name: ``__metadata__``, or half a surrogate pair.
    OSError
        If the file cannot be written.
    """
    library = extra("safetensors.numpy", *_FOR)
    arrays = to_torch_state_dict(model)  # in C order: the library writes memory as it lies
    for name, array in arrays.items():
        if name == "__metadata__":
            raise ValueError(f".safetensors has its own {name}; rename yours or use .npz")
        if array.dtype.itemsize > 8:
            raise TypeError(f".safetensors has no {array.dtype}, the dtype of {name}; use .npz")
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
    library = extra("safetensors", *_FOR)
    with open(path, "rb") as file:
        content = file.read()
    try:
        state = {name: _array(name, kept) for name, kept in library.deserialize(content)}
    except MemoryError:
        raise
    except Exception as error:  # the library has its own kinds
        what = f"{os.fspath(path)} is no readable .safetensors file: {error}"
        raise CheckpointError(what) from error
    try:
        from_torch_state_dict(model, state)
    except ValueError as error:
        raise CheckpointError(f"{os.fspath(path)} does not fit: {error}") from error


def _array(name: str, kept: dict[str, Any]) -> Array:
    dtype, data, shape = kept["dtype"], kept["data"], kept["shape"]
    if dtype == "BF16":  # the upper half of a float32
        upper = np.frombuffer(data, "<u2").astype(np.uint32)
        return (upper << 16).view(np.float32).reshape(shape)
    if dtype not in _DTYPES:
        raise ValueError(f"NumPy has no {dtype}, the dtype of {name}")
    return np.frombuffer(data, _DTYPES[dtype]).reshape(shape)
