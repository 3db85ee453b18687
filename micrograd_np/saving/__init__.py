"""Saving: models and unfinished runs as files, and models for other frameworks."""

from .archive import CheckpointError
from .checkpoint import load, save
from .onnx_file import export_onnx
from .pytorch import from_torch_state_dict, to_torch_state_dict

__all__ = [
    "CheckpointError", "export_onnx", "from_torch_state_dict", "load", "save",
    "to_torch_state_dict",
]  # fmt: skip
