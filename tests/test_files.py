"""Files that are replaced as a whole: whatever happens, the old one stands or the new one."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from micrograd_np.saving.archive import read_archive, write_archive
from micrograd_np.saving.files import replacing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


@pytest.fixture(params=["unnamed", "named", "named without /proc"])
def way(request: Any, monkeypatch: Any) -> str:
    """Every way to write a file that is not there yet."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif request.param != "unnamed":
        exists = os.path.exists
        monkeypatch.setattr(os.path, "exists", lambda p: p != "/proc/self/fd" and exists(p))
    return str(request.param)


def can_be_unnamed(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_TMPFILE | os.O_RDWR))
    except (OSError, AttributeError):
        return False
    return True


def run(script: str, *arguments: object) -> str:
    """Run a script of its own, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (0, -9), done.stderr
    return done.stdout


# Exceptions


def test_a_file_is_replaced_as_a_whole(path: Path, way: str) -> None:
    for content in (b"old", b"new"):
        with replacing(path) as file:
            file.write(b"...")
            file.seek(0)
            file.write(content)
            file.flush()
            file.seek(0)
            assert file.read() == content
            assert path.read_bytes() == b"old" if content == b"new" else not path.exists()
            hidden = [name for name in os.listdir(path.parent) if name != path.name]
            assert len(hidden) == (way != "unnamed" or not can_be_unnamed(path.parent))
        assert path.read_bytes() == content
        assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, OSError("mine"), SystemExit])
@pytest.mark.usefixtures("way")
def test_an_exception_leaves_the_old_file_and_nothing_else(path: Path, error: Any) -> None:
    path.write_bytes(b"old")
    with pytest.raises(type(error) if isinstance(error, OSError) else error) as caught:
        fail_half_way(path, error)
    assert str(caught.value) == str(error if isinstance(error, OSError) else "")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_an_error_about_another_file_keeps_its_name(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="another"), replacing(path) as file:
        file.write(Path("another").read_bytes())
    assert os.listdir(path.parent) == []


def fail_half_way(path: Path, error: type[BaseException]) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise error


@pytest.mark.parametrize("step", ["fsync", "link", "chmod", "replace"])
@pytest.mark.usefixtures("way")
def test_a_failure_at_the_last_moment_leaves_the_old_file(
    path: Path, monkeypatch: Any, step: str
) -> None:
    path.write_bytes(b"old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(5, "broken disk")

    if step == "link" and not (hasattr(os, "O_TMPFILE") and os.path.exists("/proc/self/fd")):
        step = "replace"  # nothing is linked
    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(OSError, match=f"broken disk: '{path}'"):
            write_archive(path, {"x": np.zeros(3)}, {})
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


def test_the_file_and_then_its_folder_are_on_the_disk(path: Path, monkeypatch: Any) -> None:
    steps = []
    fsync, replace = os.fsync, os.replace

    def note(descriptor: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_name(old: str, new: str) -> None:
        steps.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(os, "replace", note_name)
    with replacing(path) as file:
        file.write(b"x")
    assert steps == ["file", "rename", "folder"]


def interrupted(path: Path, moment: int) -> int:
    """Write an archive but press Ctrl-C at a moment; return how many moments there were."""
    moments = 0

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal moments
        if event == "line" and not inside_del(frame):  # which no exception leaves
            moments += 1
            if moments == moment:
                raise KeyboardInterrupt
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        write_archive(path, {"x": np.ones(3), "y": np.arange(6.0)[::2]}, {"z": [np.arange(2)]})
    finally:
        sys.settrace(before)
    return moments


def inside_del(frame: FrameType | None) -> bool:
    while frame and frame.f_code.co_name != "__del__":
        frame = frame.f_back
    return frame is not None


# A ZipFile that could not even be made complains when it goes.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("way")
def test_ctrl_c_at_any_moment_leaves_the_old_file_or_the_new_one(path: Path) -> None:
    moments = interrupted(path, -1)
    assert moments > 500
    for moment in range(1, moments - 20, 9):
        write_archive(path, {"x": np.zeros(3)}, {})
        with pytest.raises(KeyboardInterrupt):
            interrupted(path, moment)
        assert list(read_archive(path)[0]) in (["x"], ["x", "y"])
        assert os.listdir(path.parent) == [path.name]


# The end of the process, the disk and the memory

SAVER = """
import json, os, random, signal, sys, time
import numpy as np
from micrograd_np.saving.archive import read_archive, write_archive
path, times = sys.argv[1], int(sys.argv[2])
if len(sys.argv) > 3:
    del os.O_TMPFILE
contents = [{"x": np.full(100_000, i)} for i in range(2)]
write_archive(path, contents[0], {})
source, found = random.Random(times), []
for _ in range(times):
    child = os.fork()
    while not child:
        for content in reversed(contents):
            write_archive(path, content, {})
    time.sleep(source.uniform(0.0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    x = read_archive(path)[0]["x"]
    assert (x == x[0]).all() and x.shape == (100_000,)
    found.append(int(x[0]))
print(json.dumps(found))
"""


@pytest.mark.parametrize("way", [[], ["named"]])
def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(
    path: Path, way: list[str]
) -> None:
    found = json.loads(run(SAVER, path, 50, *way))
    assert len(found) == 50
    assert set(found) == {0, 1}
    hidden = [name for name in os.listdir(path.parent) if name != path.name]
    assert all(name.startswith(".") and name.endswith(".tmp") for name in hidden)


KILLED = """
import os, sys
from micrograd_np.saving.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half" * 100_000)
    os.kill(os.getpid(), 9)
"""


def test_a_process_killed_while_it_writes_leaves_no_litter(path: Path) -> None:
    path.write_bytes(b"old")
    run(KILLED, path)
    assert path.read_bytes() == b"old"
    assert (os.listdir(path.parent) == [path.name]) == can_be_unnamed(path.parent)


FULL = """
import os, resource, signal, sys
import numpy as np
from micrograd_np.saving.archive import write_archive
if len(sys.argv) > 3:
    del os.O_TMPFILE
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
content = {f"{i}": np.zeros(20_000) for i in range(5)}
write_archive(sys.argv[1] + "2", content, {})
size = os.path.getsize(sys.argv[1] + "2")
os.unlink(sys.argv[1] + "2")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(size * float(sys.argv[2])),) * 2)
try:
    write_archive(sys.argv[1], content, {})
except OSError as error:
    print(error)
"""


@pytest.mark.parametrize("way", [[], ["named"]])
@pytest.mark.parametrize("room", [0, 0.0001, 0.4, 0.9995, 0.999999])
def test_a_full_disk_leaves_the_old_file_and_says_so(
    path: Path, room: float, way: list[str]
) -> None:
    path.write_bytes(b"old")
    assert run(FULL, path, room, *way) == f"[Errno 27] File too large: '{path}'\n"
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


LITTLE_MEMORY = """
import resource, sys
from micrograd_np.saving.archive import write_archive
parts = {"losses": [0.1] * 5_000_000}
used = int(open("/proc/self/statm").read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (used + 20_000_000,) * 2)
try:
    write_archive(sys.argv[1], {}, parts)
except MemoryError:
    print("MemoryError")
"""


def test_too_little_memory_leaves_the_old_file(path: Path) -> None:
    path.write_bytes(b"old")
    assert run(LITTLE_MEMORY, path) == "MemoryError\n"
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == [path.name]


# Names, links, permissions

NOBODY = """
import os, shutil, tempfile
import numpy as np
from micrograd_np.saving.archive import read_archive, write_archive
with tempfile.TemporaryDirectory() as folder:  # so that all that is needed is imported
    write_archive(folder + "/model.npz", {"x": np.zeros(3)}, {})
    read_archive(folder + "/model.npz")
if os.getuid() == 0:
    os.setuid(65534)  # root may write everywhere
folder = tempfile.mkdtemp()
file, locked = folder + "/model.npz", folder + "/locked"
os.mkdir(locked, 0o555)
for name in (file, folder + "/secret"):
    write_archive(name, {"x": np.zeros(3)}, {})
os.chmod(file, 0o444)
os.chmod(folder + "/secret", 0)
for what in (lambda: write_archive(locked + "/model.npz", {}, {}),
             lambda: write_archive(file, {}, {}), lambda: read_archive(folder + "/secret")):
    try:
        what()
    except PermissionError as error:
        print(os.path.relpath(error.filename, folder))
print(len(read_archive(file)[0]), os.listdir(locked), len(os.listdir(folder)))
shutil.rmtree(folder)
"""


def test_what_may_not_be_written_is_not_and_is_named() -> None:
    printed = run(NOBODY).splitlines()
    assert printed == ["locked/model.npz", "model.npz", "secret", "1 [] 3"]


@pytest.mark.usefixtures("way")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link, new = tmp_path / "model.npz", tmp_path / "link.npz", tmp_path / "new.npz"
    mask = os.umask(0o027)
    try:
        write_archive(path, {}, {})
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o606)
        link.symlink_to(path.name)
        write_archive(link, {"x": np.ones(2)}, {})
    finally:
        os.umask(mask)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o606
    assert list(read_archive(path)[0]) == ["x"]
    link.unlink()
    link.symlink_to(new)  # which is not there yet
    write_archive(link, {}, {})
    assert link.is_symlink()
    assert new.is_file()


def test_a_secret_file_is_secret_while_it_is_written(path: Path, monkeypatch: Any) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path.write_bytes(b"")
    path.chmod(0o600)
    with replacing(path):
        for name in os.listdir(path.parent):
            assert (path.parent / name).stat().st_mode & 0o777 == 0o600


def test_places_where_no_file_can_be_are_named_before_anything_is_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(os.listdir(tmp_path))
    for place, kind in (
        (tmp_path, IsADirectoryError), (tmp_path / "none" / "x.npz", FileNotFoundError),
        (tmp_path / "pipe", OSError), (tmp_path / "file" / "x.npz", NotADirectoryError),
        (tmp_path / "loop", OSError), (tmp_path / ("x" * 256), OSError),
        (Path("/dev/null"), OSError), (Path("/proc/x.npz"), OSError),
    ):  # fmt: skip
        entered = False
        with pytest.raises(kind, match=str(place)), replacing(place):
            entered = True
        assert not entered
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.usefixtures("way")
def test_names_may_be_as_long_as_the_system_allows_and_relative(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x" * 255, "\N{GRINNING FACE}" * 63, "-", "a b\n"):
        with replacing(name) as file:
            file.write(b"x")
        assert (tmp_path / name).read_bytes() == b"x"


@pytest.mark.usefixtures("way")
def test_threads_save_at_the_same_time(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    failed = []

    def save(number: int) -> None:
        try:
            for round in range(10):
                content = {"x": np.full(1000, 100 * number + round)}
                write_archive(tmp_path / f"{number}.npz", content, {})
                write_archive(tmp_path / "all.npz", content, {})
                read_archive(tmp_path / "all.npz")
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(os.listdir(tmp_path)) == [*(f"{i}.npz" for i in range(8)), "all.npz"]
    for i in range(8):
        assert read_archive(tmp_path / f"{i}.npz")[0]["x"][0] == 100 * i + 9
        assert (tmp_path / f"{i}.npz").stat().st_mode & 0o777 == 0o666 & ~mask
    assert os.umask(mask) == mask
