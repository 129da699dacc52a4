"""System calls of a directory store, and what their errors mean to a person."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from lamina.failures import Fault
from lamina.units import MIB

FOLDER_MODE: Final = 0o700
_COMPARE_BYTES: Final = MIB

# What a person has to change before the same call can succeed. Anything else may pass by itself.
_LASTING: Final = {
    errno.ENOSPC: "free some space on its file system",
    errno.EDQUOT: "raise the quota or free some space",
    errno.EFBIG: "raise the limit on the size of files",
    errno.EACCES: "give this user access to it",
    errno.EPERM: "give this user access to it",
    errno.EROFS: "mount its file system for writing",
    errno.ENOTDIR: "remove the file that stands where a folder belongs",
    errno.EISDIR: "remove the folder that stands where an object belongs",
    errno.ELOOP: "remove the symbolic link that stands where an object belongs",
    errno.ENAMETOOLONG: "use a file system with names of 255 bytes, or a shorter path",
    errno.ENODEV: "connect the disk again",
    errno.ENXIO: "connect the disk again",
}


def explain(verb: str, path: Path, error: OSError) -> Fault:
    """A fault that says what could not be done with `path`, why, and what to do."""
    advice = _LASTING.get(error.errno or 0)
    return Fault(
        f"cannot {verb} {path}: {error.strerror or error}; {advice or 'check the disk, then try again'}",
        retryable=advice is None,
    )


def open_file(path: Path, folder: int | None = None) -> int:
    """A descriptor for reading; neither follows a link nor waits for the writer of a pipe."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """A descriptor of a folder, to sync it or to name files in it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_folders(folders: Sequence[Path]) -> None:
    """Make the missing ones of these folders, which stand from the innermost to the outermost; not synced."""
    for folder in reversed(folders):
        # FileNotFoundError: a racing delete removed the folder above; the caller comes again.
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir(FOLDER_MODE)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    with open_folder(path) as descriptor:
        os.fsync(descriptor)


def read_at(descriptor: int, offset: int, length: int) -> bytes:
    """Up to `length` bytes from `offset`; one system call and no copy unless the kernel stops half-way."""
    if length <= 0:
        return b""
    data = os.pread(descriptor, length, offset)
    if len(data) == length:
        return data
    pieces = [data]
    while data and (length := length - len(data)) > 0:
        offset += len(data)
        data = os.pread(descriptor, length, offset)
        pieces.append(data)
    return b"".join(pieces)


def file_holds(name: str, folder: int, data: memoryview) -> bool:
    """Whether the file has exactly these bytes; FileNotFoundError when it was deleted meanwhile."""
    descriptor = open_file(Path(name), folder)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if status.st_size != len(data):
            return False
        return all(
            read_at(descriptor, start, _COMPARE_BYTES) == data[start : start + _COMPARE_BYTES]
            for start in range(0, len(data), _COMPARE_BYTES)
        )
    finally:
        os.close(descriptor)
