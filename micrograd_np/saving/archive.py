"""Archives: the native file format, an .npz whose header says what it holds.

An archive is a zip of uncompressed ``.npy`` members, which `numpy.load` reads, behind a header in
JSON; it ends with a checksum of all that stands before. Nothing is pickled. Whatever a file says of
itself is compared with its size before memory is taken, so a hostile one gets an exception.
"""

import hashlib
import json
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from math import prod
from typing import IO, Any

import numpy as np

from ..ops.common import Array
from .files import replacing

HEADER = "micrograd_np.json"
FORMAT = {"format": "micrograd_np", "version": 1}
CHECKSUM = b"micrograd_np sha256 "
_HEX = 64
_PLAIN = re.compile(r"[\w.-]{1,200}", re.ASCII)
_CHUNK = 2**20


class CheckpointError(ValueError):
    """A file that holds no model that could be loaded, or not this one; the message says why."""


def write_archive(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], parts: Mapping[str, Any]
) -> None:
    """Write named arrays, and other parts that are made of arrays, numbers, strings and None.

    Raises
    ------
    TypeError
        If a part holds something else; the message says where.
    OSError
        If the file cannot be written.
    """
    members: dict[str, Array] = {}

    def add(array: Array, name: str = "") -> str:
        free = _PLAIN.fullmatch(name) and f"{name}.npy" not in members
        member = f"{name}.npy" if free else f"#{len(members)}.npy"
        members[member] = array
        return member

    model = [(name, add(_numbers(array, name), name)) for name, array in arrays.items()]
    tree = {name: _encoded(part, name, add) for name, part in parts.items()}
    header = json.dumps({**FORMAT, "model": model, "parts": tree}).encode()
    with replacing(path) as file:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(_member(HEADER), header)
            for name, array in members.items():
                with archive.open(_member(name), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            archive.comment = CHECKSUM + b"0" * _HEX
        size = file.seek(0, os.SEEK_END)
        digest = _digest(file, size - _HEX)
        file.seek(size - _HEX)
        file.write(digest)


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the other parts of a file that `write_archive` wrote.

    Raises
    ------
    CheckpointError
        If the file is broken or was not written by it.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _read(file)
        except CheckpointError as error:
            raise CheckpointError(f"{os.fspath(path)}: {error}") from error
        except (
            ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, RecursionError,
            NotImplementedError, RuntimeError, OverflowError, OSError, struct.error,
            zipfile.BadZipFile,
        ) as error:  # fmt: skip
            raise CheckpointError(f"{os.fspath(path)}: the content is broken: {error}") from error


def _read(file: IO[bytes]) -> tuple[dict[str, Array], dict[str, Any]]:
    size = _checked_size(file)
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        sizes = sum(info.file_size for info in members.values())
        plain = all(
            info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
            for info in members.values()
        )
        if not plain or sizes > size or len(members) < len(archive.infolist()):
            raise CheckpointError(
                "its members are compressed, overlap, or are larger than the file"
            )
        header = json.loads(archive.read(HEADER))
        if header.get("format") != FORMAT["format"]:
            raise CheckpointError("the header is of another format")
        if header["version"] != FORMAT["version"]:
            raise CheckpointError(
                f"it has version {header['version']!r} of the format, and this micrograd_np knows "
                f"version {FORMAT['version']}; install the micrograd_np that wrote it"
            )
        wanted = members.keys() - {HEADER}

        def take(name: str) -> Array:
            wanted.remove(name)  # each only once
            with archive.open(name) as member:
                return _array(member, members[name].file_size)

        model = {str(name): take(member) for name, member in header["model"]}
        parts = {str(name): _decoded(part, take) for name, part in header["parts"].items()}
        if wanted:
            raise CheckpointError(f"it has members that its header does not name: {sorted(wanted)}")
        return model, parts


def _checked_size(file: IO[bytes]) -> int:
    """Return the size of a file whose checksum is right; raise if it is not."""
    size = file.seek(0, os.SEEK_END)
    end = len(CHECKSUM) + _HEX
    file.seek(max(size - end, 0))
    last = file.read()
    file.seek(0)
    first = file.read(4)
    if not last.startswith(CHECKSUM) or len(last) < end:
        raise CheckpointError(_foreign(size, first))
    if _digest(file, size - _HEX) != last[-_HEX:]:
        raise CheckpointError("the checksum is wrong: some bytes have changed since it was written")
    file.seek(0)
    return size


def _foreign(size: int, first: bytes) -> str:
    if not size:
        return "the file is empty"
    if first == b"PK\x03\x04":
        return (
            "it is cut short, or was not written by micrograd_np.save (a file of numpy.savez is "
            "loaded by model.load_state_dict(numpy.load(path)))"
        )
    return "it is cut short at its beginning, or was not written by micrograd_np.save"


def _digest(file: IO[bytes], size: int) -> bytes:
    """Return the checksum of the first `size` bytes."""
    checksum = hashlib.sha256()
    file.seek(0)
    while size > 0:
        chunk = file.read(min(_CHUNK, size))
        if not chunk:
            raise CheckpointError("the file ends while it is read")
        checksum.update(chunk)
        size -= len(chunk)
    return checksum.hexdigest().encode()


def _array(member: IO[bytes], size: int) -> Array:
    """Read an array from a member of so many bytes."""
    version = np.lib.format.read_magic(member)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0
    }[version]  # fmt: skip
    shape, is_fortran, dtype = read_header(member)
    if dtype.kind not in "fiub" or any(length < 0 for length in shape):
        raise CheckpointError(f"an array has the dtype {dtype} and the shape {shape}")
    if prod(shape) * dtype.itemsize != size - member.tell():
        raise CheckpointError(f"an array of shape {shape} and {dtype} does not have {size} bytes")
    array: Array = np.empty(shape[::-1] if is_fortran else shape, dtype)
    view = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    done = 0
    while done < len(view):
        count = member.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]
        if not count:
            raise CheckpointError("an array is cut short")
        done += count
    member.read(1)  # the end, where zipfile compares its own checksum
    return np.ascontiguousarray(array.T) if is_fortran and array.ndim > 1 else array


# The parts as JSON: what JSON knows stands for itself, all else is a list that begins with its kind


def _encoded(value: Any, place: str, add: Any) -> Any:
    if value is None or value.__class__ in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        kind = "array" if isinstance(value, np.ndarray) else "number"
        return [kind, add(_numbers(np.asarray(value), place))]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, *(_encoded(item, f"{place}[{i}]", add) for i, item in enumerate(value))]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _encoded(item, f"{place}[{key!r}]", add) for key, item in value.items()}
    raise TypeError(
        "what is saved must be made of numbers, strings, None, arrays, lists, tuples and dicts "
        f"with strings as keys; {place} is {type(value).__name__}"
    )


def _decoded(value: Any, take: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decoded(item, take) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    kind, *items = value
    if kind in ("array", "number"):
        array = take(*items)
        return array if kind == "array" else array[()]
    return {"list": list, "tuple": tuple}[kind](_decoded(item, take) for item in items)


def _numbers(array: Array, name: str) -> Array:
    if array.dtype.kind not in "fiub":
        raise TypeError(f"arrays to be saved hold numbers; {name} has dtype {array.dtype}")
    return array


def _member(name: str) -> zipfile.ZipInfo:
    """Describe a member without a time, so that the same content gives the same file."""
    return zipfile.ZipInfo(name)
