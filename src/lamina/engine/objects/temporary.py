"""Temporary files of a directory store: written whole, synced, and never left behind for long.

A writer holds `flock` on its file for as long as the file has a temporary name. Whoever can take that lock
knows that the writer is dead, so leftovers are removed without asking how old they are or whose they were.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lamina.engine.objects.file_system import FOLDER_MODE

_FILE_MODE: Final = 0o600


@contextmanager
def written_file(folder: Path, data: memoryview) -> Iterator[Path]:
    """A new file in `folder` that holds `data`, on stable storage; yields its path.

    The caller moves or links it to where it belongs. On the way out the temporary name is removed if it is
    still there, so neither a full disk nor any other failure leaves litter.

    Args:
        folder: where temporary files live; made if missing, on the file system of their destination.
        data: flat bytes, handed to the kernel without a copy.

    Raises:
        OSError: whatever the file system answered.
    """
    path, descriptor = _create_locked(folder)
    try:
        _write_all(descriptor, data)
        # fdatasync covers the length; the time stamps, which it leaves out, do not matter.
        os.fdatasync(descriptor)
        yield path
    finally:
        # What cannot be removed now is left to the next sweep; it must not turn a success into a failure.
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def sweep_leftovers(folder: Path) -> int:
    """Remove the temporary files of dead writers; the number removed.

    Safe beside living writers in any process: their files are locked. Does what it can: a folder that is
    missing, read-only or somebody else's is left as it is.
    """
    try:
        paths = list(folder.iterdir())
    except OSError:
        return 0
    return sum(_remove_if_abandoned(path) for path in paths)


def _create_locked(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / secrets.token_hex(16)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        except FileNotFoundError:
            with suppress(FileExistsError):
                folder.mkdir(FOLDER_MODE)  # its parent is the store's root: if that is gone, this says so
            continue
        # Without locks (some network and FUSE file systems) nothing is ever swept: litter, but no harm.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # a sweep came between the two calls and took the file for abandoned


def _write_all(descriptor: int, data: memoryview) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])


def _remove_if_abandoned(path: Path) -> bool:
    try:
        # Opened for writing since NFS grants an exclusive lock to writers only (flock(2)).
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()  # names are never used twice, so this cannot be a newer writer's file
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
