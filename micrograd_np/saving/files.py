"""Files that are replaced as a whole: at every moment the old one is there or the new one."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a file to write; when the block ends without an exception it becomes `path`.

    It is on the disk before it takes the place of the old one, whose permissions it gets. After an
    exception, or if the process is killed, the old file stands as it was. Of a link, the file that
    it points to is replaced.

    Parameters
    ----------
    path
        The name of the file, in a folder that exists.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written to, the disk is full, or `path` is a
        folder, a file that may not be written or something else that is no file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/notes.txt") as file:
    ...         _ = file.write(b"whole")
    ...     with open(f"{folder}/notes.txt") as file:
    ...         file.read()
    'whole'
    """
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    hidden = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
    try:
        permissions = _permissions(target)
        try:
            file, unnamed = _open(folder, hidden, 0o666 if permissions is None else permissions)
            with file:
                yield file
                file.flush()
                if permissions is not None:
                    os.chmod(file.fileno() if os.chmod in os.supports_fd else hidden, permissions)
                os.fsync(file.fileno())
                if unnamed:
                    _name(file, hidden)
            os.replace(hidden, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(hidden)
            raise
    except OSError as error:
        own = error.filename is None or {error.filename, error.filename2} & {folder, hidden}
        if error.errno is None or not own:
            raise
        raise OSError(error.errno, error.strerror, target) from error  # whose name says more
    _sync_folder(folder)


def _permissions(target: str) -> int | None:
    """Return the permissions of the file, or None if there is none; raise if there can be none."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{target} is a folder; add the name of a file")
    if not stat.S_ISREG(mode):
        raise OSError(f"{target} is no regular file and cannot be replaced")
    os.close(os.open(target, os.O_WRONLY))  # a file that is read-only is meant to stay
    return stat.S_IMODE(mode)


def _open(folder: str, hidden: str, permissions: int) -> tuple[IO[bytes], bool]:
    """Open a file that has no name yet, where the system can do that, or one of a hidden name.

    A file without a name vanishes with the process, so a killed one leaves nothing behind.
    """
    if hasattr(os, "O_TMPFILE") and os.path.exists("/proc/self/fd"):
        with suppress(OSError):  # not every file system has them
            descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR, permissions)
            return open(descriptor, "w+b"), True
    opener = partial(os.open, mode=permissions)
    return open(hidden, "x+b", opener=opener), False


def _name(file: IO[bytes], hidden: str) -> None:
    """Give an unnamed file a name."""
    # Without a folder's descriptor Python would not follow the link that stands for the file.
    folder = os.open(os.path.dirname(hidden), os.O_RDONLY)
    try:
        source = f"/proc/self/fd/{file.fileno()}"
        os.link(source, hidden, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _sync_folder(folder: str) -> None:
    """Bring the new name to the disk, where folders can be synced."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
