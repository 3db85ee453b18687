"""Archives: the native file format, an .npz whose header says what it holds.

An archive is a zip of uncompressed ``.npy`` members, which `numpy.load` reads, behind a header in
JSON; it ends with a checksum of all that stands before. Nothing is pickled. Whatever a file says of
itself is compared with its size before memory is taken, so a hostile one gets an exception.
"""

import errno
import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from math import prod
from typing import IO, Any

import numpy as np

from ..ops.common import Array
from .files import replacing

HEADER = "micrograd_np.json"
FORMAT = {"format": "micrograd_np", "version": 1}
CHECKSUM = b"micrograd_np sha256 "
LEVELS = 100  # how deep parts may be nested; reading and writing recurse
_HEX = 64
_PLAIN = re.compile(r"[\w.-]{1,200}(?<!\.npy)", re.ASCII)
_DTYPE = r"[<>|][fiub]\d{1,2}"
_NPY = re.compile(
    rf"{{'descr': '({_DTYPE})', 'fortran_order': False, 'shape': \(([\d, ]*)\), }} *\n", re.ASCII
)
_MAGIC = b"\x93NUMPY\x01\x00"
_CHUNK = 2**20


class CheckpointError(ValueError):
    """A file that holds no model that could be loaded, or not this one; the message says why."""


def write_archive(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], parts: Mapping[str, Any]
) -> None:
    """Write named arrays, and other parts that are made of arrays, numbers, strings and None.

    At every moment `path` is the old file or the new one, whole. The same content gives the same
    bytes.

    Parameters
    ----------
    path
        The file.
    arrays
        Arrays of floats, integers or booleans by any names.
    parts
        By any names: None, booleans, numbers, strings, arrays, and lists, tuples and dicts of these
        with strings as keys, which come back as they were.

    Raises
    ------
    TypeError
        If a part holds something else; the message says where.
    ValueError
        If parts are nested too deep, or hold an integer of thousands of digits.
    OSError
        If the file cannot be written.
    """
    members: dict[str, Array] = {}

    def add(array: Array, name: str = "") -> str:
        free = _PLAIN.fullmatch(name) and f"{name}.npy" not in members
        member = f"{name}.npy" if free else f"#{len(members)}.npy"
        members[member] = array
        return member

    for name in (*arrays, *parts):
        if not isinstance(name, str):
            raise TypeError(f"names must be strings; received {name!r}")
    model = [(name, add(_numbers(array, name), name)) for name, array in arrays.items()]
    tree = {name: _encoded(part, name, add) for name, part in parts.items()}
    # As it is, even if it is half a surrogate pair: what JSON writes for two halves is one letter.
    header = json.dumps({**FORMAT, "model": model, "parts": tree}, ensure_ascii=False)
    with replacing(path) as file:
        _write_zip(file, header.encode("utf-8", "surrogatepass"), members)
        size = file.seek(0, os.SEEK_END)
        digest = _digest(file, size - _HEX)
        file.seek(size - _HEX)
        file.write(digest)


def _write_zip(file: IO[bytes], header: bytes, members: Mapping[str, Array]) -> None:
    """Write header and members, and at the end zeros where the checksum will stand."""
    archive = zipfile.ZipFile(file, "w")
    try:
        archive.writestr(zipfile.ZipInfo(HEADER), header)
        for name, array in members.items():
            # A ZipInfo made by hand has no time.
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                _write_array(member, array)
        archive.comment = CHECKSUM + b"0" * _HEX
        archive.close()
    except BaseException:
        archive.fp = None  # else it would try to go on, and hide a Ctrl-C behind its own exception
        raise


def read_archive(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and the other parts of a file that `write_archive` wrote.

    Parameters
    ----------
    path
        The file. It may be broken or hostile: nothing in it is executed, and reading takes memory
        in proportion to the size of the file, whatever it says of itself.

    Returns
    -------
    tuple
        Arrays by name, and parts by name; all arrays can be written to and share no memory.

    Raises
    ------
    CheckpointError
        If the file is broken or was not written by `write_archive`.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        try:
            return _read(file)
        except MemoryError:
            raise
        except Exception as error:  # zipfile, json and NumPy have many kinds for broken content
            # A seek to before the beginning is the fault of the content, too.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise
            known = isinstance(error, CheckpointError)
            what = error if known else f"the content is broken: {type(error).__name__}: {error}"
            raise CheckpointError(f"{os.fsdecode(path)}: {what}") from error


def _read(file: IO[bytes]) -> tuple[dict[str, Array], dict[str, Any]]:
    size = _checked_size(file)
    with zipfile.ZipFile(file) as archive:
        members = _checked_members(archive, size)
        header = _checked_header(archive)

        def take(name: str) -> Array:
            if name not in members:
                raise CheckpointError(f"the member {name!r} is missing, or named twice")
            info = members.pop(name)
            with archive.open(info) as member:
                return _read_array(member, info)

        model = {name: take(member) for name, member in header["model"]}
        parts = {name: _decoded(part, take) for name, part in header["parts"].items()}
    if members:
        raise CheckpointError(f"it has members that its header does not name: {sorted(members)}")
    return model, parts


def _checked_size(file: IO[bytes]) -> int:
    """Return the size of a file whose checksum is right; raise if it is not."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        raise CheckpointError("the file is empty")
    end = len(CHECKSUM) + _HEX
    file.seek(max(size - end, 0))
    last = file.read()
    if len(last) < end or not last.startswith(CHECKSUM):
        raise CheckpointError(_foreign(file))
    if _digest(file, size - _HEX) != last[-_HEX:]:
        raise CheckpointError("the checksum is wrong: some bytes have changed since it was written")
    return size


def _foreign(file: IO[bytes]) -> str:
    """Say what a file is that does not end as an archive does."""
    foreign = "it was not written by micrograd_np.save"
    file.seek(0)
    first = file.read(4)
    if first.startswith(b"\x80"):
        return f"{foreign}; it may be a pickle, which can run any program when it is unpickled"
    if not b"PK\x03\x04".startswith(first):
        return f"{foreign}, or its beginning is lost"
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except Exception:  # whatever zipfile says of broken content
        return "it is cut short or changed"
    if HEADER in names:
        return "it is cut short or changed at its end"
    if any(name.endswith("data.pkl") for name in names):
        return (
            f"{foreign} but by torch.save; read it with torch.load and fill the model by "
            "micrograd_np.from_torch_state_dict(model, state)"
        )
    if all(name.endswith(".npy") for name in names):
        return (
            f"{foreign}; a file of numpy.savez is loaded by model.load_state_dict(numpy.load(path))"
        )
    return foreign


def _digest(file: IO[bytes], size: int) -> bytes:
    """Return the checksum of the first `size` bytes."""
    checksum = hashlib.sha256()
    file.seek(0)
    while size > 0:
        chunk = file.read(min(_CHUNK, size))
        if not chunk:
            raise CheckpointError("the file became shorter while it was read")
        checksum.update(chunk)
        size -= len(chunk)
    return checksum.hexdigest().encode()


def _checked_members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members but the header, if together they are no larger than the file."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    stored = all(
        info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        for info in infos
    )
    if not stored or len(members) < len(infos) or sum(info.file_size for info in infos) > size:
        raise CheckpointError(
            "its members are compressed, are larger than the file, or have the same name"
        )
    if members.pop(HEADER, None) is None:
        raise CheckpointError(f"the member {HEADER!r} is missing")
    return members


def _checked_header(archive: zipfile.ZipFile) -> dict[str, Any]:
    """Return the header if it is of a known version."""
    header = json.loads(archive.read(HEADER).decode("utf-8", "surrogatepass"))
    if not isinstance(header, dict) or header.get("format") != FORMAT["format"]:
        raise CheckpointError("it was not written by micrograd_np.save")
    if header["version"] != FORMAT["version"]:
        raise CheckpointError(
            f"it has version {header['version']!r} of the format, and this micrograd_np knows "
            f"version {FORMAT['version']}; install the micrograd_np that wrote it"
        )
    return header


# Arrays as .npy members, always in C order


def _write_array(member: IO[bytes], array: Array) -> None:
    """Write what `numpy.save` writes, in pieces, of an array of any layout."""
    described = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(member, described)
    pieces = np.nditer(
        array, ["external_loop", "buffered", "zerosize_ok"],
        order="C", buffersize=max(_CHUNK // array.itemsize, 1),
    )  # fmt: skip
    for piece in pieces:
        member.write(np.ascontiguousarray(piece).view(np.uint8).data)


def _read_array(member: IO[bytes], info: zipfile.ZipInfo) -> Array:
    """Read an array whose member is known to be no larger than the file."""
    name = info.filename
    start = member.read(10)
    length = int.from_bytes(start[8:], "little")
    match = _NPY.fullmatch(member.read(length).decode("latin-1"))
    if not start.startswith(_MAGIC) or match is None:
        raise CheckpointError(f"the member {name!r} is no array of numbers")
    dtype = np.dtype(match[1])
    shape = tuple(int(text) for text in match[2].split(",") if text.strip())
    left = info.file_size - len(start) - length
    if prod(shape) * dtype.itemsize != left:
        raise CheckpointError(f"the array {name!r} of {dtype} {shape} does not have {left} bytes")
    array: Array = np.empty(shape, dtype)
    view = array.reshape(-1).view(np.uint8).data
    for done in range(0, len(view), _CHUNK):
        member.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]
    return array


# The parts as JSON: what JSON knows stands for itself, all else is a list that begins with its kind


def _encoded(value: Any, place: str, add: Callable[[Array], str], levels: int = LEVELS) -> Any:
    if value is None or value.__class__ in (bool, int, float, str):
        return value
    if not levels:
        raise ValueError(
            f"parts must be nested at most {LEVELS} deep and not hold themselves; {place} is deeper"
        )
    if isinstance(value, np.ndarray):
        return ["array", add(_numbers(value, place))]
    if isinstance(value, np.generic):
        return ["scalar", _numbers(value, place).dtype.str, value.tobytes().hex()]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        items = enumerate(value)
        return [kind, *(_encoded(item, f"{place}[{i}]", add, levels - 1) for i, item in items)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {
            key: _encoded(item, f"{place}[{key!r}]", add, levels - 1) for key, item in value.items()
        }
    raise TypeError(
        "what is saved must be made of numbers, strings, None, arrays, lists, tuples and dicts "
        f"with strings as keys; {place} is {type(value).__name__}"
    )


def _decoded(value: Any, take: Callable[[str], Array]) -> Any:
    match value:
        case dict():
            return {key: _decoded(item, take) for key, item in value.items()}
        case ["list" | "tuple" as kind, *items]:
            decoded = (_decoded(item, take) for item in items)
            return list(decoded) if kind == "list" else tuple(decoded)
        case ["array", str(name)]:
            return take(name)
        case ["scalar", str(dtype), str(digits)] if re.fullmatch(_DTYPE, dtype):
            return np.frombuffer(bytes.fromhex(digits), dtype, 1)[0]
        case None | bool() | int() | float() | str():
            return value
    raise CheckpointError(f"the header holds {str(value)[:80]}, which stands for nothing")


def _numbers(array: Any, place: str) -> Any:
    """Return an array or scalar of numbers as NumPy itself defines them; raise if it is none."""
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"masked arrays are not saved; fill the gaps of {place} by .filled(value)")
    dtype = getattr(array, "dtype", None)
    if dtype is None or dtype.kind not in "fiub" or dtype.isbuiltin == 2:
        what = f"is {type(array).__name__}" if dtype is None else f"has dtype {dtype}"
        raise TypeError(f"arrays to be saved hold numbers; {place} {what}")
    return array
