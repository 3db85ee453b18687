"""Files: what is saved comes back, and what breaks says so and breaks nothing else."""

import hashlib
import io
import json
import os
import pickle
import random
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micrograd_np import Tensor
from micrograd_np.saving.archive import CheckpointError, read_archive, write_archive

ARRAYS = {"0.weight": np.arange(6.0).reshape(2, 3), "0.bias": np.zeros(3, np.float32)}
PARTS: dict[str, Any] = {"epoch": 3, "order": np.arange(4), "lr": [0.1, (None, True)]}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray | np.generic):
        alike = type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape
        return bool(alike and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    return type(a) is type(b) and repr(a) == repr(b)


class StrangeType:
    """A type that another library registered with NumPy, which alone could not read it."""

    kind = "f"
    isbuiltin = 2


class Strange(np.ndarray[Any, Any]):
    """An array of it."""

    dtype = StrangeType()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.fixture
def written(path: Path) -> bytes:
    write_archive(path, ARRAYS, PARTS)
    return path.read_bytes()


# What is saved comes back


@pytest.mark.parametrize(
    "name", ["weight", "", "file", "a/b", "../x", "/etc/x", "\0", "ä€", "\ud800", "\ud83d\ude00",
             "\N{GRINNING FACE}", "\x7f\n\r", "x" * 70_000, "#1", "#0.npy", "micrograd_np.json",
             "allow_pickle", "a.npy", " ", "CON", "."],
)  # fmt: skip
def test_any_name_survives(path: Path, name: str) -> None:
    arrays = {name: np.arange(2.0), "other": np.ones(1), name + "!": np.zeros((0, 2))}
    write_archive(path, arrays, {name: {name: 1}})
    found, parts = read_archive(path)
    assert same(found, arrays)
    assert parts == {name: {name: 1}}


numbers = st.one_of(
    st.integers(-(2**130), 2**130), st.floats(), st.booleans(), st.none(),
    st.text(st.characters(exclude_categories=())),
    st.sampled_from([
        np.float32(0.1), np.float64("nan"), np.int8(-3), np.bool_(True), np.array(2.5),
        np.zeros((0, 3)), np.arange(6).reshape(2, 3)[:, ::-2], np.asfortranarray(np.eye(3, 2)),
        np.array([np.nan, -0.0, np.inf], np.float16), np.arange(3, dtype=">f8"),
        np.array([True, False]), np.array(7, np.uint64), np.ones(2, np.longdouble),
        np.longdouble(1) / 3, np.float16(-0.0), np.uint64(2**64 - 1), np.broadcast_to(2.0, (2, 2)),
    ]),
)  # fmt: skip
trees = st.recursive(
    numbers,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(tree=st.dictionaries(st.text(max_size=5), trees, max_size=3))
def test_any_parts_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("tree") / "x.npz"
    write_archive(path, {}, tree)
    found = read_archive(path)[1]
    assert same(found, tree)


def packed() -> Any:
    """Return an array whose entries do not lie where the machine likes them."""
    return np.zeros(3, [("a", "i1"), ("b", "f8")])["b"]


LAYOUTS = {
    "no axis": np.array(3.0), "no rows": np.zeros((0, 4)), "no columns": np.zeros((4, 0)),
    "turned": np.arange(6.0).reshape(2, 3).T, "backwards": np.arange(8.0)[::-2],
    "repeated": np.broadcast_to(np.float32(2), (3, 2)), "bools": np.array([True, False]),
    "big-endian": np.arange(3, dtype=">i4"), "not aligned": packed(), "matrix": np.eye(2).view(
        np.matrix), "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "many axes": np.ones((1,) * 31), "large": np.arange(300_000.0).reshape(500, 600).T[:, ::-1],
    "half": np.array([np.nan, -0.0, np.inf, 6e-8], np.float16),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_every_layout_come_back_as_arrays_of_their_own(path: Path, layout: str) -> None:
    array = LAYOUTS[layout]
    array.setflags(write=False)
    write_archive(path, {"x": array}, {"y": [array]})
    arrays, parts = read_archive(path)
    for found in (arrays["x"], parts["y"][0]):
        assert same(found, np.array(array))
        assert found.dtype.byteorder == array.dtype.byteorder
        assert found.flags.c_contiguous
        assert found.flags.owndata
        assert found.flags.writeable
        assert found.flags.aligned


def test_a_memory_mapped_array_is_written_and_left_alone(path: Path) -> None:
    mapped = np.memmap(path.with_suffix(".raw"), np.float32, "w+", shape=(300, 5))
    mapped[:] = 2
    write_archive(path, {"x": mapped[::2]}, {})
    assert same(read_archive(path)[0]["x"], np.full((150, 5), 2, np.float32))
    assert (mapped == 2).all()


def test_one_array_is_one_copy_in_memory(path: Path) -> None:
    arrays = {f"{i}": np.zeros((700, 1000)).T for i in range(3)}
    tracemalloc.start()
    try:
        write_archive(path, arrays, {})
        writing = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        read_archive(path)
        reading = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert writing < 5_000_000
    assert reading < 3 * 5_600_000 + 5_000_000


def test_files_are_read_by_any_kind_of_path(path: Path, written: bytes, monkeypatch: Any) -> None:
    monkeypatch.chdir(path.parent)
    for place in (path, str(path), path.name):
        assert list(read_archive(place)[0]) == list(ARRAYS)


def test_numpy_reads_the_arrays_by_their_names(path: Path, written: bytes) -> None:
    with np.load(path, allow_pickle=False) as loaded:
        assert loaded.files == ["micrograd_np.json", "0.weight", "0.bias", "#2"]
        for name, array in ARRAYS.items():
            assert same(loaded[name], array)
        assert loaded["micrograd_np.json"].startswith(b'{"format": "micrograd_np", "version": 1')


def test_numpy_mistakes_no_name_for_another(path: Path) -> None:
    write_archive(path, {"a": np.zeros(1), "a.npy": np.ones(1), "#0": np.ones(2)}, {})
    with np.load(path, allow_pickle=False) as loaded:
        assert loaded["a"] == 0
        assert "a.npy" not in loaded.files


def test_the_same_content_gives_the_same_bytes(path: Path, written: bytes) -> None:
    write_archive(path, ARRAYS, PARTS)
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1: 2}, "a is dict"), ([1, {"b": object()}], r"a\[1\]\['b'\] is object"),
        (1j, "a is complex"), (np.array("text"), "a has dtype <U4"), (b"", "a is bytes"),
        (np.array([object()]), "a has dtype object"), ({1}, "a is set"),
        (np.ma.masked_array([1.0], [True]), "fill the gaps of a by .filled"),
        (np.str_("x"), "a has dtype <U1"), (np.datetime64("2020-01-01"), "a has dtype datetime"),
        ((1, [Tensor(2.0)]), r"a\[1\]\[0\] is Tensor"), (range(3), "a is range"),
        (np.zeros(1).view(Strange), "a has dtype <.*StrangeType"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(
    path: Path, written: bytes, value: Any, place: str
) -> None:
    with pytest.raises(TypeError, match=place):
        write_archive(path, {}, {"a": value})
    wrong: Any
    for wrong, fault in ((np.array([None]), "x has dtype object"), ([1], "x is list")):
        with pytest.raises(TypeError, match=fault):
            write_archive(path, {"x": wrong}, {})
    for wrong in (1, None, b"x"):
        with pytest.raises(TypeError, match="names must be strings; received"):
            write_archive(path, {wrong: np.zeros(1)}, {})
        with pytest.raises(TypeError, match="names must be strings; received"):
            write_archive(path, {}, {wrong: 1})
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]


def test_parts_are_nested_as_deep_as_can_be_read_and_not_deeper(path: Path) -> None:
    for wrap in (lambda x: [x], lambda x: (x,), lambda x: {"a": x}):
        part: Any = 1
        for _ in range(100):
            part = wrap(part)
        write_archive(path, {}, {"a": part})
        assert same(read_archive(path)[1], {"a": part})
        with pytest.raises(ValueError, match=r"at most 100 deep and not hold themselves; a\["):
            write_archive(path, {}, {"a": wrap(part)})
    itself: list[Any] = []
    itself.append(itself)
    with pytest.raises(ValueError, match="not hold themselves"):
        write_archive(path, {}, {"a": itself})
    with pytest.raises(ValueError, match="digits"):
        write_archive(path, {}, {"a": 10**5000})
    assert same(read_archive(path)[1], {"a": part})


# Broken files


def test_truncation_at_every_byte_is_found(path: Path, written: bytes) -> None:
    for size in range(len(written)):
        path.write_bytes(written[:size])
        with pytest.raises(CheckpointError, match=r"model\.npz: (it is cut|the file is empty)"):
            read_archive(path)
    path.write_bytes(written + b"\0")
    with pytest.raises(CheckpointError):
        read_archive(path)


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_a_flip_of_any_byte_is_found(path: Path, written: bytes, flip: int) -> None:
    for i in range(len(written)):
        broken = bytearray(written)
        broken[i] ^= flip
        path.write_bytes(broken)
        with pytest.raises(CheckpointError):
            read_archive(path)


def sealed(members: dict[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    """Make an archive of any members, with the right checksum, as an attacker can."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.comment = b"micrograd_np sha256 " + b"0" * 64
    content = file.getvalue()[:-64]
    return content + hashlib.sha256(content).hexdigest().encode()


def resealed(content: bytes) -> bytes:
    return content[:-64] + hashlib.sha256(content[:-64]).hexdigest().encode()


def npy(header: str, data: bytes = b"", magic: bytes = b"\x93NUMPY\x01\x00") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return magic + len(text).to_bytes(2, "little") + text + data


def headed(header: Any, **members: bytes) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return sealed({"micrograd_np.json": content, **{f"{n}.npy": m for n, m in members.items()}})


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


HEAD: dict[str, Any] = {"format": "micrograd_np", "version": 1, "parts": {}}
NOTHING = {**HEAD, "model": []}
W = {**HEAD, "model": [["w", "w.npy"]]}
F8 = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }"
ONES = npy(F8 % ("<f8", "2,"), bytes(16))


def foreign() -> dict[str, tuple[bytes, str]]:
    """Files that other programs make, and what is said of them."""
    plain, one, zipped, torch = (io.BytesIO() for _ in range(4))
    np.savez(plain, w=np.ones(2))
    np.save(one, np.ones(2))
    for file, name in ((zipped, "a.txt"), (torch, "model/data.pkl")):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(name, pickle.dumps([Bomb()]))
    own = "was not written by micrograd_np.save"
    seal = b"micrograd_np sha256 "
    return {
        "empty": (b"", "the file is empty"),
        "one byte": (b"P", "cut short"),
        "random": (random.Random(0).randbytes(5000), own),
        "pickle": (pickle.dumps([Bomb()]), own),
        "text": (b"0.weight = 3", own),
        "npy": (one.getvalue(), own),
        "npz": (plain.getvalue(), own + r".*model.load_state_dict\(numpy.load\(path\)\)"),
        "npz cut short": (plain.getvalue()[:-7], "cut short or changed"),
        "pytorch": (torch.getvalue(), own + " but by torch.save; .*from_torch_state_dict"),
        "zip": (zipped.getvalue(), own + "$"),
        "only a seal": (seal + hashlib.sha256(seal).hexdigest().encode(), "not a zip"),
        "other format": (headed({**W, "format": "x"}, w=ONES), own),
        "newer": (headed({**W, "version": 2}, w=ONES), "version 2 .* knows version 1; install"),
    }


def hostile() -> dict[str, tuple[bytes, str]]:
    """Files with a right checksum that were made to do harm, and what is said of them."""
    start = json.dumps(NOTHING).encode()[:-2]
    no_array = "the member 'w.npy' is no array of numbers"
    too_large = "does not have [0-9]+ bytes"
    nothing = "stands for nothing"

    def array(dtype: str, shape: str, data: bytes = bytes(16)) -> bytes:
        return headed(W, w=npy(F8 % (dtype, shape), data))

    def holding(part: Any) -> bytes:
        return headed({**NOTHING, "parts": {"a": part}})

    fortran = npy((F8 % ("<f8", "2,")).replace("False", "True"), bytes(16))
    bomb = {"micrograd_np.json": json.dumps(W).encode(), "w.npy": bytes(10**7)}
    long = b"\x93NUMPY\x02\x00" + (10**6).to_bytes(4, "little") + b" " * 10**6
    return {
        "no header": (sealed({"w.npy": ONES}), "'micrograd_np.json' is missing"),
        "no json": (headed(b"\xff{"), "broken"),
        "a list": (headed([]), "was not written by"),
        "no version": (headed({"format": "micrograd_np"}), "broken: KeyError: 'version'"),
        "no model": (headed(HEAD), "broken"),
        "no parts": (headed({k: v for k, v in W.items() if k != "parts"}, w=ONES), "broken"),
        "model of numbers": (headed({**HEAD, "model": [1]}), "broken"),
        "parts in a list": (headed({**W, "parts": []}, w=ONES), "broken"),
        "deep": (headed(start + b"[" * 100_000 + b"]" * 100_000 + b"}"), "broken"),
        "deep lists": (headed(start + b'"a":' + b'["list",' * 900 + b"1" + b"]" * 900 + b"}}"),
                       "broken"),
        "huge number": (headed(start + b'"a":' + b"9" * 10_000 + b"}}"), "broken"),
        "unknown kind": (holding(["x"]), nothing),
        "empty list": (holding([]), nothing),
        "array of no name": (holding(["array"]), nothing),
        "array of two names": (holding(["array", "w.npy", "w.npy"]), nothing),
        "array of lists": (holding(["array", ["w.npy"]]), nothing),
        "scalar of objects": (holding(["scalar", "|O", "00" * 8]), nothing),
        "scalar without digits": (holding(["scalar", "<f8", ""]), "broken"),
        "scalar cut short": (holding(["scalar", "<f8", "00"]), "broken"),
        "scalar of letters": (holding(["scalar", "<f8", "xy" * 8]), "broken"),
        "scalar of no type": (holding(["scalar", "<f77", "00" * 8]), "broken"),
        "objects": (array("|O", "1,", pickle.dumps([Bomb()])), no_array),
        "text": (array("<U4", "1,"), no_array),
        "no such type": (array("<f7", "2,", bytes(14)), "broken"),
        "structured": (headed(W, w=npy(
            "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,), }", bytes(16))),
            no_array),
        "fortran": (headed(W, w=fortran), no_array),
        "compressed": (sealed(bomb, zipfile.ZIP_DEFLATED), "compressed"),
        "10**12 elements": (array("<f8", "1000000000000,"), too_large),
        "overflow": (array("<f8", "4294967296, 4294967296", b""), too_large),
        "no rows of too many": (array("<f8", f"0, {10**30}", b""), "broken"),
        "digits": (array("<f8", "9" * 5000 + ","), "broken"),
        "70 axes": (array("<f8", "1, " * 70, bytes(8)), "broken"),
        "negative": (array("<f8", "-2,"), no_array),
        "words": (array("<f8", "2 1,"), "broken"),
        "too long": (array("<f8", "2,", bytes(17)), too_large),
        "too short": (array("<f8", "2,", bytes(15)), too_large),
        "no npy": (headed(W, w=b""), no_array),
        "npy cut short": (headed(W, w=ONES[:20]), no_array),
        "magic": (headed(W, w=b"\x93NUMPX" + ONES[6:]), no_array),
        "npy version": (headed(W, w=b"\x93NUMPY\x09\x00" + ONES[8:]), no_array),
        "code": (headed(W, w=npy("__import__('os').mkdir('executed')")), no_array),
        "big header": (headed(W, w=long), no_array),
        "missing member": (headed(W), "'w.npy' is missing"),
        "header as array": (headed({**HEAD, "model": [["w", "micrograd_np.json"]]}), "missing"),
        "extra member": (headed(W, w=ONES, v=ONES), "does not name: .'v.npy'"),
        "member twice": (headed({**W, "model": [["a", "w.npy"], ["b", "w.npy"]]}, w=ONES),
                         "named twice"),
        "two of one name": (headed(W, w=ONES, v=ONES).replace(b"v.npy", b"w.npy"), "same name"),
        "encrypted": (with_bytes(headed(W, w=ONES), b"PK\x01\x02", 8, b"\x01"), "broken"),
        "larger than the file": (with_bytes(headed(W, w=ONES), b"PK\x01\x02", 20,
                                            b"\xff\xff\xff\x0f" * 2), "larger than the file"),
        "before the file": (with_bytes(headed(W, w=ONES), b"PK\x05\x06", 16,
                                       b"\xff\xff\xff\x0f"), "broken"),
        "directory before the file": (with_bytes(headed(W, w=ONES), b"PK\x05\x06", 12,
                                                 b"\xff\xff\xff\x0f"), "broken"),
    }  # fmt: skip


def with_bytes(content: bytes, where: bytes, offset: int, new: bytes) -> bytes:
    """Put other bytes behind the last place where some bytes stand."""
    start = content.rindex(where) + offset
    return content[:start] + new + content[start + len(new) :]


FOREIGN, HOSTILE = foreign(), hostile()


@pytest.mark.parametrize("case", FOREIGN | HOSTILE)
def test_foreign_and_hostile_files_are_refused_cheaply(
    path: Path, case: str, monkeypatch: Any
) -> None:
    monkeypatch.chdir(path.parent)
    content, message = (FOREIGN | HOSTILE)[case]
    path.write_bytes(resealed(content) if case in HOSTILE else content)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=f"(?s){message}") as caught:
            read_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert peak < 1_500_000 + 4 * len(content)
    assert os.listdir() == [path.name]


def test_names_in_a_zip_that_lie_about_sizes_are_refused(path: Path, written: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        info = archive.getinfo("0.weight.npy")
    size = info.file_size.to_bytes(4, "little")
    lying = written.replace(size, (10**9).to_bytes(4, "little"))
    assert lying != written
    path.write_bytes(resealed(lying))
    with pytest.raises(CheckpointError):
        read_archive(path)


def test_random_damage_with_a_right_checksum_never_does_worse_than_raise(
    path: Path, written: bytes
) -> None:
    source = random.Random(0)
    refused = 0
    for _ in range(1000):
        broken = bytearray(written)
        for _ in range(source.randint(1, 4)):
            broken[source.randrange(len(broken) - 84)] = source.randrange(256)
        path.write_bytes(resealed(bytes(broken)))
        try:
            arrays, _ = read_archive(path)
        except CheckpointError:
            refused += 1
        else:
            assert sum(array.nbytes for array in arrays.values()) < 1000
    assert refused > 500


def test_what_is_no_file_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError):
        read_archive(tmp_path)


@pytest.mark.parametrize("error", [OSError(5, "broken disk"), MemoryError(), KeyboardInterrupt()])
def test_bad_luck_while_reading_is_not_called_a_fault_of_the_file(
    path: Path, written: bytes, monkeypatch: Any, error: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(np, "empty", fail)
    with pytest.raises(type(error)) as caught:
        read_archive(path)
    assert caught.value is error


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(
    path: Path, monkeypatch: Any
) -> None:
    write_archive(path, {"x": np.zeros(500_000)}, {})
    sha256 = hashlib.sha256

    def shorten() -> Any:
        os.truncate(path, 10)
        return sha256()

    monkeypatch.setattr(hashlib, "sha256", shorten)
    with pytest.raises(CheckpointError, match="became shorter"):
        read_archive(path)


def test_an_exception_while_writing_is_the_one_that_is_seen(
    path: Path, written: bytes, monkeypatch: Any
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    for place, name in ((np.lib.format, "write_array_header_1_0"), (zipfile, "_ZipWriteFile")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                write_archive(path, ARRAYS, {})
        assert path.read_bytes() == written
        assert os.listdir(path.parent) == [path.name]


# Little memory

READER = """
import resource, sys
import numpy as np
import micrograd_np as mg
from micrograd_np.saving.archive import write_archive
model = mg.Linear(2000, 4000)
mg.save(sys.argv[1], model)
before = model.weight.data.copy()
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000,) * 2)
try:
    mg.load(sys.argv[1], model)
except MemoryError:
    print("MemoryError", np.array_equal(before, model.weight.data))
"""


def test_too_little_memory_leaves_the_model_as_it_was(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "MemoryError True\n"
