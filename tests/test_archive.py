"""Files: what is saved comes back, and what breaks says so and breaks nothing else."""

import hashlib
import io
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from micrograd_np.saving.archive import CheckpointError, read_archive, write_archive
from micrograd_np.saving.files import replacing

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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.fixture
def written(path: Path) -> bytes:
    write_archive(path, ARRAYS, PARTS)
    return path.read_bytes()


# What is saved comes back


@pytest.mark.parametrize(
    "name", ["weight", "", "file", "a/b", "../x", "/etc/x", "\0", "ä€", "\ud800", "x" * 70_000,
             "#1", "#0.npy", "micrograd_np.json", "allow_pickle", "a.npy", " ", "CON", "."],
)  # fmt: skip
def test_any_name_survives(path: Path, name: str) -> None:
    arrays = {name: np.arange(2.0), "other": np.ones(1), name + "!": np.zeros((0, 2))}
    write_archive(path, arrays, {name: {name: 1}})
    found, parts = read_archive(path)
    assert same(found, arrays)
    assert parts == {name: {name: 1}}


numbers = st.one_of(
    st.integers(-(2**130), 2**130), st.floats(), st.booleans(), st.none(), st.text(),
    st.sampled_from([
        np.float32(0.1), np.float64("nan"), np.int8(-3), np.bool_(True), np.array(2.5),
        np.zeros((0, 3)), np.arange(6).reshape(2, 3)[:, ::-2], np.asfortranarray(np.eye(3, 2)),
        np.array([np.nan, -0.0, np.inf], np.float16), np.arange(3, dtype=">f8"),
        np.array([True, False]), np.array(7, np.uint64), np.ones(2, np.longdouble),
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


@pytest.mark.parametrize(
    "array",
    [
        np.array(3.0), np.zeros((0, 4)), np.arange(6.0).reshape(2, 3).T, np.arange(8.0)[::-2],
        np.broadcast_to(np.float32(2), (3, 2)), np.arange(3, dtype=">i4"), np.array([True]),
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    ],
)  # fmt: skip
def test_arrays_of_every_layout_come_back_as_arrays_of_their_own(path: Path, array: Any) -> None:
    write_archive(path, {"x": array}, {})
    found = read_archive(path)[0]["x"]
    assert same(found, np.array(array))
    assert found.flags.c_contiguous
    assert found.flags.owndata or found.base is None or found.base.flags.owndata
    assert found.flags.writeable
    assert found.flags.aligned


def test_numpy_reads_the_arrays_by_their_names(path: Path, written: bytes) -> None:
    with np.load(path, allow_pickle=False) as loaded:
        assert same(loaded["0.weight"], ARRAYS["0.weight"])
        assert loaded["micrograd_np.json"].startswith(b'{"format": "micrograd_np", "version": 1')


def test_the_same_content_gives_the_same_bytes(path: Path, written: bytes) -> None:
    write_archive(path, ARRAYS, PARTS)
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({1: 2}, "a is dict"), ([1, {"b": object()}], r"a\[1\]\['b'\] is object"),
        (1j, "a is complex"), (np.array("text"), "a has dtype <U4"), (b"", "a is bytes"),
        (np.array([object()]), "a has dtype object"), ({1}, "a is set"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_named_and_the_old_file_stays(
    path: Path, written: bytes, value: Any, place: str
) -> None:
    with pytest.raises(TypeError, match=place):
        write_archive(path, {}, {"a": value})
    with pytest.raises(TypeError, match="x has dtype object"):
        write_archive(path, {"x": np.array([None])}, {})
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]


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
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/executed",)


HEAD: dict[str, Any] = {"format": "micrograd_np", "version": 1, "parts": {}}
W = {**HEAD, "model": [["w", "w.npy"]]}
F8 = "{'descr': '<f8', 'fortran_order': False, 'shape': %s}"


def hostile() -> dict[str, tuple[bytes, str]]:
    ones = npy(F8 % "(2,)", bytes(16))
    pickled = pickle.dumps([Bomb()])
    objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", pickled)
    plain = io.BytesIO()
    np.savez(plain, w=np.ones(2))
    compressed = sealed({"micrograd_np.json": json.dumps(W).encode(), "w.npy": bytes(10**7)},
                        zipfile.ZIP_DEFLATED)  # fmt: skip
    deep = b'{"format": "micrograd_np", "version": 1, "model": [], "parts": '
    return {
        "empty": (b"", "is empty"),
        "random": (random.Random(0).randbytes(5000), "was not written by"),
        "pickle": (pickled, "was not written by"),
        "numpy": (plain.getvalue(), r"loaded by model.load_state_dict\(numpy.load\(path\)\)"),
        "only a seal": (b"micrograd_np sha256 " + hashlib.sha256(
            b"micrograd_np sha256 ").hexdigest().encode(), "broken"),
        "no header": (sealed({"w.npy": ones}), "broken"),
        "other format": (headed({**W, "format": "x"}, w=ones), "another format"),
        "newer": (headed({**W, "version": 2}, w=ones), "version 2 .* knows version 1"),
        "no json": (headed(b"\xff{"), "broken"),
        "a list": (headed([]), "broken"),
        "deep": (headed(deep + b"[" * 100_000 + b"]" * 100_000 + b"}"), "broken"),
        "huge number": (headed(deep + b"9" * 10_000 + b"}"), "broken"),
        "unknown kind": (headed({**HEAD, "model": [], "parts": {"a": ["x"]}}), "broken"),
        "objects": (headed(W, w=objects), "dtype object"),
        "compressed": (compressed, "compressed"),
        "10**12 elements": (headed(W, w=npy(F8 % "(1000000000000,)", bytes(16))), "does not have"),
        "overflow": (headed(W, w=npy(F8 % "(4294967296, 4294967296)", b"")), "does not have"),
        "negative": (headed(W, w=npy(F8 % "(-2,)", bytes(16))), r"shape \(-2,\)"),
        "two negatives": (headed(W, w=npy(F8 % "(-1, -2)", bytes(16))), "shape"),
        "too long": (headed(W, w=npy(F8 % "(2,)", bytes(17))), "does not have"),
        "structured": (headed(W, w=npy(
            "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}", bytes(16))),
            "dtype"),
        "magic": (headed(W, w=npy(F8 % "(2,)", bytes(16), b"\x93NUMPX\x01\x00")), "broken"),
        "npy version": (headed(W, w=npy(F8 % "(2,)", bytes(16), b"\x93NUMPY\x09\x00")), "broken"),
        "code": (headed(W, w=npy("__import__('os').system('touch /tmp/executed')")), "broken"),
        "big header": (headed(W, w=b"\x93NUMPY\x02\x00" + (10**6).to_bytes(4, "little")
                              + b" " * 10**6), "broken"),
        "missing member": (headed(W), "broken"),
        "extra member": (headed(W, w=ones, v=ones), "does not name"),
        "member twice": (headed({**W, "model": [["a", "w.npy"], ["b", "w.npy"]]}, w=ones),
                         "broken"),
    }  # fmt: skip


@pytest.mark.parametrize("case", hostile())
def test_foreign_and_hostile_files_are_refused_cheaply(path: Path, case: str) -> None:
    content, message = hostile()[case]
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=message) as caught:
            read_archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{path}: ")
    assert peak < 8_000_000 + 2 * len(content)
    assert not os.path.exists("/tmp/executed")


def test_names_in_a_zip_that_lie_about_sizes_are_refused(path: Path, written: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        info = archive.getinfo("0.weight.npy")
    size = info.file_size.to_bytes(4, "little")
    lying = written.replace(size, (10**9).to_bytes(4, "little"))
    assert lying != written
    path.write_bytes(resealed(lying))
    with pytest.raises(CheckpointError):
        read_archive(path)


@pytest.mark.parametrize("seed", range(300))
def test_random_damage_with_a_right_checksum_never_does_worse_than_raise(
    path: Path, written: bytes, seed: int
) -> None:
    source = random.Random(seed)
    broken = bytearray(written)
    for _ in range(source.randint(1, 4)):
        broken[source.randrange(len(broken) - 84)] = source.randrange(256)
    path.write_bytes(resealed(bytes(broken)))
    try:
        arrays, _ = read_archive(path)
    except CheckpointError:
        return
    assert sum(array.nbytes for array in arrays.values()) < 1000


def test_what_is_no_file_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / "none.npz")
    with pytest.raises(IsADirectoryError):
        read_archive(tmp_path)


# Bad luck while writing


@pytest.fixture(params=["unnamed", "named"])
def way(request: Any, monkeypatch: Any) -> None:
    """Both ways to write a file that is not there yet."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")


@pytest.mark.usefixtures("way")
def test_a_file_is_replaced_as_a_whole_or_not_at_all(path: Path) -> None:
    for content in (b"old", b"new"):
        with replacing(path) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() == b"old"
        assert path.read_bytes() == content
    for error in (KeyboardInterrupt, MemoryError, OSError):
        with pytest.raises(error):
            fail_half_way(path, error)
        assert path.read_bytes() == b"new"
        assert os.listdir(path.parent) == [path.name]


def fail_half_way(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.usefixtures("way")
def test_an_interruption_at_the_last_moment_leaves_nothing(path: Path, monkeypatch: Any) -> None:
    for step in ("fsync", "replace"):

        def interrupt(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(os, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_archive(path, ARRAYS, {})
        monkeypatch.undo()
        assert os.listdir(path.parent) == []


@pytest.mark.usefixtures("way")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "model.npz", tmp_path / "link.npz"
    mask = os.umask(0o027)
    try:
        write_archive(path, {}, {})
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    link.symlink_to(path)
    write_archive(link, ARRAYS, {})
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert same(read_archive(path)[0], ARRAYS)


def test_places_where_no_file_can_be_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    for place, kind in (
        (tmp_path, IsADirectoryError), (tmp_path / "none" / "x", FileNotFoundError),
        (tmp_path / "pipe", OSError), (tmp_path / "file" / "x", NotADirectoryError),
        (Path("/dev/null"), OSError), (Path("/proc/x.npz"), OSError),
    ):  # fmt: skip
        with pytest.raises(kind, match=place.name):
            write_archive(place, ARRAYS, {})


SAVER = """
import sys
import numpy as np
from micrograd_np.saving.archive import write_archive
arrays = [{"x": np.full(200_000, float(i))} for i in range(2)]
print("ready", flush=True)
while True:
    for content in arrays:
        write_archive(sys.argv[1], content, {})
"""


def test_a_killed_process_leaves_the_old_file_or_the_new_one(path: Path) -> None:
    source = random.Random(0)
    for _ in range(25):
        process = subprocess.Popen(
            [sys.executable, "-c", SAVER, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(source.uniform(0.005, 0.04))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        if path.exists():
            (x,) = read_archive(path)[0].values()
            assert len(set(x.tolist())) == 1
    assert [name for name in os.listdir(path.parent) if name != path.name] == []


LIMITED = """
import resource, sys
import numpy as np
from micrograd_np.saving.archive import write_archive
array = np.zeros(4_000_000)
resource.setrlimit(getattr(resource, sys.argv[2]), (int(sys.argv[3]),) * 2)
try:
    write_archive(sys.argv[1], {"x": array}, {})
except OSError as error:
    print(error.strerror)
"""


def test_a_full_disk_leaves_the_old_file_and_says_so(path: Path, written: bytes) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import signal; signal.signal(25, signal.SIG_IGN)\n" + LIMITED,
         str(path), "RLIMIT_FSIZE", "1000000"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "File too large\n"
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]


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
