"""Files that are replaced as a whole: at every moment the old one is there or the new one."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a file to write; when the block ends without an exception it becomes `path`.

    It is on the disk before it takes the place of the old one, whose permissions it gets. After an
    exception, or if the process is killed, the old file stands as it was.

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written to, the disk is full, or `path` is a
        folder or something else that is no file.
    """
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    permissions = _permissions(target)
    hidden = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(4)}.tmp")
    descriptor, unnamed = _open(folder, hidden)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, permissions)
            os.fsync(descriptor)
            if unnamed:
                _name(descriptor, hidden)
        os.replace(hidden, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(hidden)
        raise
    _sync_folder(folder)


def _permissions(target: str) -> int:
    """Return the permissions that a new file shall have; raise if there can be no file."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{target} is a folder; add the name of a file")
    if not stat.S_ISREG(mode):
        raise OSError(f"{target} is no regular file and cannot be replaced")
    return stat.S_IMODE(mode)


def _open(folder: str, hidden: str) -> tuple[int, bool]:
    """Open a file that has no name yet, where the system can do that, or one of a hidden name.

    A file without a name vanishes with the process, so a killed one leaves nothing behind.
    """
    if hasattr(os, "O_TMPFILE") and os.path.exists("/proc/self/fd"):
        with suppress(OSError):  # not every file system has them
            return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), True
    return os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), False


def _name(descriptor: int, hidden: str) -> None:
    """Give an unnamed file a name."""
    # Without a folder's descriptor Python would not follow the link that stands for the file.
    folder = os.open(os.path.dirname(hidden), os.O_RDONLY)
    try:
        os.link(f"/proc/self/fd/{descriptor}", hidden, src_dir_fd=folder, follow_symlinks=True)
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
