"""The files of a directory of buckets: made whole, shared instead of copied where that can be, listed in order."""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lamina.blockio import kernel
from lamina.engine.objects.file_system import FOLDER_MODE, sync_folder
from lamina.units import MIB

_FILE_MODE: Final = 0o600
_COPY_BYTES: Final = 4 * MIB


@contextmanager
def new_file(folder: Path) -> Iterator[tuple[Path, int]]:
    """A new file under a temporary name in `folder`; its path and a descriptor for writing.

    The caller moves it to where it belongs; on the way out the temporary name is removed if it is still there. The
    lock says that its writer lives, see `lamina.engine.objects.temporary.sweep_leftovers`.
    """
    path, fd = _create_locked(folder)
    try:
        yield path, fd
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(fd)


def _create_locked(folder: Path) -> tuple[Path, int]:
    while True:
        path = folder / secrets.token_hex(16)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        lock(fd)
        if os.fstat(fd).st_nlink:
            return path, fd
        os.close(fd)  # a sweep came between the two calls and took the file for abandoned


@contextmanager
def linked_file(folder: Path, source: Path, source_fd: int) -> Iterator[Path | None]:
    """A second name in `folder` for a file, or None where there cannot be one."""
    path = folder / secrets.token_hex(16)
    lock(source_fd)
    try:
        os.link(source, path, follow_symlinks=False)
    except OSError as error:
        # another file system, one without hard links, too many of them, or a file of another user
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        yield None
        return
    try:
        yield path
    finally:
        # rename(2) of one name of a file onto another name of the same file does nothing and removes nothing
        with suppress(OSError):
            path.unlink()


def lock(fd: int) -> None:
    """Say that the writer of a file lives; where there are no locks, leftovers are never swept."""
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX)


def copy_sparse(source: int, target: int) -> None:
    """Copy a whole file into an empty one: by sharing its blocks where that can be, and without its holes."""
    size = os.fstat(source).st_size
    try:
        kernel.clone_file(source, target)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY):
            raise
    else:
        return
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no more data: the rest is a hole
                raise
            return
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(source, min(_COPY_BYTES, end - at), at)
            if not data:
                return  # cut off meanwhile
            write_all(target, memoryview(data), at)
            at += len(data)


def write_all(fd: int, data: memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)


def move_durably(path: Path, target: Path, top: Path) -> None:
    """Give a synced file its name below `top`, with the folders that it needs, so that it survives a power cut.

    Raises:
        FileNotFoundError: there is no `top`.
        OSError: whatever else the file system answered.
    """
    folders = [parent for parent in target.parents if parent.is_relative_to(top) and parent != top]
    while True:
        for folder in reversed(folders):
            with suppress(FileExistsError, FileNotFoundError):
                folder.mkdir(FOLDER_MODE)
        try:
            path.rename(target)
            break
        except FileNotFoundError:
            # somebody deleted the last object beside it, and its folder went with it
            top.stat()
            path.stat()
    for folder in (*folders, top):
        with suppress(FileNotFoundError):
            sync_folder(folder)


def remove_durably(target: Path, top: Path) -> None:
    """Remove a file and the folders that are empty without it, below `top`; one that is not there is removed."""
    target.unlink(missing_ok=True)
    folder = target.parent
    with suppress(OSError):  # not empty, or gone
        while folder != top:
            folder.rmdir()
            folder = folder.parent
    while True:
        try:
            sync_folder(folder)
        except FileNotFoundError:  # another thread removed it meanwhile
            if folder == top:
                raise
            folder = folder.parent
        else:
            return


def walk(top: str, prefix: str, after: str, base: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Keys and facts of the regular files below `top`, in the order of the keys' bytes.

    Only folders that can hold keys which begin with `prefix` and come after `after` are looked into.

    Args:
        top: the folder of the objects.
        prefix: what keys begin with.
        after: the key that they come after.
        base: the part of the keys that leads to the folder which is looked into now; ends with a slash.
    """
    found = []
    with suppress(FileNotFoundError), os.scandir(os.path.join(top, base)) as entries:  # noqa: PTH118 - a million times
        for entry in entries:
            key = base + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder and _may_hold(key + "/", prefix, after):
                found.append((key + "/", entry))
            elif not is_folder and key.startswith(prefix) and order(key) > order(after):
                found.append((key, entry))
    for key, entry in sorted(found, key=lambda each: order(each[0])):
        if key.endswith("/"):
            yield from walk(top, prefix, after, key)
        elif entry.is_file(follow_symlinks=False):
            with suppress(FileNotFoundError):
                yield key, entry.stat(follow_symlinks=False)


def order(key: str) -> bytes:
    """What keys are sorted by."""
    return key.encode(errors="surrogateescape")


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    is_below = folder.startswith(prefix) or prefix.startswith(folder)
    return is_below and (order(folder) > order(after) or after.startswith(folder))
