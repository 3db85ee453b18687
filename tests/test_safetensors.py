"""Files of the safetensors library: what is written it reads, and what breaks says so."""

import json
import os
import pickle
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

import micrograd_np as mg
from tests.test_archive import LAYOUTS, Bomb, same
from tests.test_fit import network, weights
from tests.test_pytorch import Held, deserialize


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


@pytest.fixture
def written(path: Path) -> bytes:
    mg.save(path, network())
    return path.read_bytes()


def with_header(header: Any, data: bytes = b"") -> bytes:
    """Make a file of any header, by the format's own description."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: str, shape: list[int], end: int, start: int = 0) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


# What is written


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_every_layout_are_written_and_read(path: Path, layout: str) -> None:
    array = np.array(LAYOUTS[layout], order="C")
    native = array.astype(array.dtype.newbyteorder("="))
    mg.save(path, Held(x=LAYOUTS[layout]))
    assert same(safetensors.numpy.load_file(path), {"x": native})
    other = Held(x=np.full_like(array, 1))
    mg.load(path, other)
    assert same(other.state_dict()["x"], array)


CODES = {"float": "F", "int": "I", "uint": "U"}
DTYPES = ["bool", *(f"{kind}{bits}" for kind in CODES for bits in (8, 16, 32, 64)
                    if (kind, bits) != ("float", 8))]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_every_dtype_are_written_and_read(path: Path, dtype: str) -> None:
    array = np.array([[0, 1, -1], [3, 4, 100]]).astype(dtype)
    kind, bits = re.fullmatch(r"([a-z]+)(\d*)", dtype).groups()  # type: ignore[union-attr]
    mg.save(path, Held(x=array))
    [(_, kept)] = deserialize(path.read_bytes())
    assert kept["dtype"] == ("BOOL" if kind == "bool" else CODES[kind] + bits)
    assert kept["data"] == array.astype(array.dtype.newbyteorder("<")).tobytes()
    for wanted in (dtype, "float64"):
        other = Held(x=np.zeros((2, 3), wanted))
        mg.load(path, other)
        assert same(other.state_dict(), {"x": array.astype(wanted)})


def test_short_floats_of_other_programs_are_read_or_named(path: Path) -> None:
    bits = np.array([0x3F80, 0xC000, 0x4049, 0xFF80, 0x0001], "<u2")
    model = Held(x=np.zeros((5, 1)))
    path.write_bytes(with_header({"x": entry("BF16", [5, 1], 10)}, bits.tobytes()))
    mg.load(path, model)
    assert model.state_dict()["x"].tolist() == [[1], [-2], [3.140625], [-np.inf], [2.0**-133]]
    path.write_bytes(with_header({"x": entry("F8_E4M3", [5], 5)}, bytes(5)))
    with pytest.raises(mg.CheckpointError, match=r"NumPy has no F8_E4M3, the dtype of x$"):
        mg.load(path, model)


@pytest.mark.parametrize(
    "name", ["weight", "", "file", "a/b", "../x", "\0", "ä€", "\N{GRINNING FACE}", "\x7f\n\r\"\\",
             "x" * 70_000, "tensors", "filename", "metadata", "__metadata", "0"],
)  # fmt: skip
def test_any_name_survives(path: Path, name: str) -> None:
    arrays = {name: np.arange(2.0), "other": np.ones(1), name + "!": np.zeros((0, 2))}
    mg.save(path, Held(**arrays))
    found = safetensors.numpy.load_file(path)
    assert same({n: found.pop(n) for n in arrays}, arrays)
    assert not found
    other = Held(**{n: np.full_like(a, 7) for n, a in arrays.items()})
    mg.load(path, other)
    assert same(other.state_dict(), arrays)


@pytest.mark.parametrize(
    ("held", "kind", "message"),
    [
        ({"__metadata__": np.ones(1)}, ValueError, "has its own __metadata__; rename yours or"),
        ({"\ud800": np.ones(1)}, ValueError, "surrogates not allowed"),
        ({"x": np.ones(1, np.longdouble)}, TypeError, "no float128, the dtype of x; use .npz"),
    ],
)
def test_what_the_format_has_not_is_told_and_the_old_file_stays(
    path: Path, written: bytes, held: dict[str, Any], kind: Any, message: str
) -> None:
    with pytest.raises(kind, match=message.replace("float128", str(np.dtype(np.longdouble)))):
        mg.save(path, Held(**held))
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]


def test_a_file_is_replaced_as_a_whole(path: Path, written: bytes, monkeypatch: Any) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for place, name in ((safetensors.numpy, "save"), (os, "fsync"), (os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                mg.save(path, network(seed=1))
        assert path.read_bytes() == written
        assert os.listdir(path.parent) == [path.name]
    before = path.stat().st_ino
    mg.save(path, network(seed=1))
    assert path.stat().st_ino != before
    assert len(path.read_bytes()) == len(written)


def test_the_file_says_that_its_layout_is_pytorchs(path: Path, written: bytes) -> None:
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}
        assert set(file.keys()) == {"0.weight", "0.bias", "3.weight"}
        assert file.get_tensor("0.weight").shape == (5, 3)


def test_without_the_library_the_extra_is_named(path: Path, monkeypatch: Any) -> None:
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (mg.save, mg.load):
        with pytest.raises(ImportError, match=r"pip install 'micrograd_np\[safetensors\]'"):
            call(path, network())
    assert os.listdir(path.parent) == []


# What is broken


def refused(path: Path, content: bytes, message: str = "") -> str:
    """Check that a file is refused and changes nothing; return what is said of it."""
    path.write_bytes(content)
    model = network(seed=1)
    before = weights(model)
    with pytest.raises(mg.CheckpointError, match=f"(?s){message}") as caught:
        mg.load(path, model)
    assert weights(model) == before
    assert str(caught.value).startswith(f"{path} ")
    return str(caught.value)


def test_truncation_at_every_byte_is_found(path: Path, written: bytes) -> None:
    for size in range(len(written)):
        refused(path, written[:size], "is no readable .safetensors file: ")
    refused(path, written + b"\0", "is no readable .safetensors file: ")


@pytest.mark.parametrize("flip", [1, 2, 4, 8, 16, 32, 64, 128, 255])
def test_a_flip_of_any_byte_of_the_header_is_found(path: Path, written: bytes, flip: int) -> None:
    metadata = written.index(b'{"__metadata__":{"format":"pt"}') + len('{"__metadata__":{"')
    harmless = range(metadata, metadata + len('format":"pt'))
    for i in range(8 + int.from_bytes(written[:8], "little")):
        if i not in harmless:
            refused(path, written[:i] + bytes([written[i] ^ flip]) + written[i + 1 :])


def test_a_flip_in_the_numbers_is_not_found_as_the_module_says(path: Path, written: bytes) -> None:
    flipped, model = bytearray(written), network(seed=1)
    flipped[-1] ^= 0x80
    path.write_bytes(flipped)
    mg.load(path, model)
    before, after = (w[-1] for w in ([*map(bytes, weights(m))] for m in (network(), model)))
    assert before != after
    said = sys.modules["micrograd_np.saving.tensors_file"].__doc__
    assert said is not None
    assert "a flipped bit in the numbers is not" in said


HUGE = 10**12
NO_FILE = "is no readable .safetensors file: "
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", NO_FILE),
    "random": (random.Random(0).randbytes(5000), NO_FILE),
    "pickle": (pickle.dumps([Bomb()]), NO_FILE),
    "zip, as of torch.save": (b"PK\x03\x04" + bytes(500), NO_FILE),
    "no header": (bytes(8), NO_FILE),
    "long header": (HUGE.to_bytes(8, "little") + b"{}", NO_FILE),
    "longest header": (b"\xff" * 8 + b"{}", NO_FILE),
    "a list": (with_header([]), NO_FILE),
    "no json": (with_header(b"\xff{"), NO_FILE),
    "deep json": (with_header(b'{"x":' + b"[" * 100_000), NO_FILE),
    "code": (with_header(b"__import__('os').mkdir('executed')"), NO_FILE),
    "many numbers": (with_header({"x": entry("F64", [HUGE], 8 * HUGE)}), NO_FILE),
    "many numbers in few bytes": (with_header({"x": entry("F64", [HUGE], 8)}, bytes(8)), NO_FILE),
    "overflow": (with_header({"x": entry("F64", [2**32, 2**32], 0)}), NO_FILE),
    "none of too many": (with_header({"x": entry("F64", [0, 2**62, 2**62], 0)}), NO_FILE),
    "none of many": (with_header({"x": entry("F64", [0, HUGE], 0)}), "unexpected: x"),
    "too many axes": (with_header({"x": entry("U8", [1] * 70, 1)}, b"\0"), NO_FILE),
    "negative": (with_header({"x": entry("F64", [-1], 8)}, bytes(8)), NO_FILE),
    "overlap": (
        with_header({"x": entry("U8", [8], 8), "y": entry("U8", [7], 8, 1)}, bytes(8)), NO_FILE),
    "no such dtype": (with_header({"x": entry("O8", [1], 8)}, bytes(8)), NO_FILE),
    "nothing": (with_header({}), "does not fit: .*missing: 0.weight"),
    "another model": (
        with_header({"x": entry("U8", [1], 1)}, b"\0"),
        r"does not fit: the state does not fit the layer:\n.*missing: 3.weight\n.*unexpected: x$",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_foreign_and_hostile_files_are_refused(path: Path, case: str, monkeypatch: Any) -> None:
    monkeypatch.chdir(path.parent)
    refused(path, *BROKEN[case])
    assert os.listdir() == [path.name]


LITTLE_MEMORY = """
import pathlib, resource, sys
import micrograd_np as mg
model = mg.Linear(3, 2)
mg.save(sys.argv[1] + "/first.safetensors", model)
mg.load(sys.argv[1] + "/first.safetensors", model)
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 30_000_000,) * 2)
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        mg.load(path, model)
    except mg.CheckpointError:
        print("refused")
    else:
        print("loaded", path.name)
"""


def test_hostile_files_are_refused_in_little_memory(tmp_path: Path) -> None:
    for i, (content, _) in enumerate(BROKEN.values()):
        (tmp_path / f"{i:02}.safetensors").write_bytes(content)
    command = [sys.executable, "-c", LITTLE_MEMORY, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout == "refused\n" * len(BROKEN) + "loaded first.safetensors\n"


def test_random_damage_never_does_worse_than_raise(path: Path, written: bytes) -> None:
    source, model, found = random.Random(0), network(), 0
    header = 8 + int.from_bytes(written[:8], "little")
    for _ in range(500):
        broken = bytearray(written)
        for _ in range(source.randint(1, 4)):
            broken[source.randrange(header)] = source.randrange(256)
        path.write_bytes(broken)
        try:
            mg.load(path, model)
        except mg.CheckpointError:
            found += 1
    assert found > 400


def test_what_is_no_file_keeps_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(FileNotFoundError):
        mg.load(tmp_path / "none.safetensors", network())
    with pytest.raises(IsADirectoryError):
        mg.load(tmp_path / "folder.safetensors", network())
    with pytest.raises(FileNotFoundError):
        mg.save(tmp_path / "none" / "model.safetensors", network())


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_bad_luck_while_reading_is_not_called_a_fault_of_the_file(
    path: Path, written: bytes, monkeypatch: Any, error: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(np, "frombuffer", fail)
    with pytest.raises(type(error)) as caught:
        mg.load(path, network())
    assert caught.value is error
