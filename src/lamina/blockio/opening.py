"""Opening disks: which paths count as one, and how large they are."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from lamina.blockio import kernel
from lamina.failures import Refusal

_ADVICE: Final = {
    errno.EBUSY: "the device is mounted or claimed by another program; unmount or detach it first",
    errno.ENOENT: "there is no such file or device",
    errno.EEXIST: "there is a file already; choose another name, or ask for it to be replaced",
    errno.EACCES: "permission denied; run as a user that may use it",
    errno.EPERM: "permission denied; run as a user that may use it",
    errno.EROFS: "it lies on a read-only file system",
    errno.EISDIR: "it is a directory; name a file or a block device",
    errno.ETXTBSY: "it is in use; close what uses it first",
}


class DiskUnavailableError(Refusal):
    """The path is no disk that can be used: missing, a directory, not permitted, or in use."""


def unavailable(path: Path, error: OSError) -> DiskUnavailableError:
    """The refusal for a path that could not be opened."""
    advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
    return DiskUnavailableError(f"cannot open {path}: {advice}")


def open_disk(path: Path, flags: int, *, exclusive: bool) -> int:
    """Open an existing regular file or block device.

    Args:
        path: what to open.
        flags: `os.O_RDONLY` or `os.O_RDWR`.
        exclusive: refuse a block device that is mounted or claimed; O_EXCL means that for devices, open(2).

    Returns:
        The descriptor; the caller closes it.

    Raises:
        DiskUnavailableError: it cannot be opened, or is no disk.
    """
    try:
        # looked at before it is opened, since opening a pipe would wait for its other end
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
            raise DiskUnavailableError(f"cannot open {path}: it is neither a regular file nor a block device")
        fd = os.open(path, flags | (os.O_EXCL if exclusive and stat.S_ISBLK(mode) else 0))
    except OSError as error:
        raise unavailable(path, error) from error
    if flags & os.O_RDWR and stat.S_ISBLK(mode) and kernel.is_read_only_device(fd):
        os.close(fd)
        raise DiskUnavailableError(f"cannot open {path}: the device is read-only")
    return fd


def measure_disk(fd: int) -> int:
    """The size of an open file or block device, in bytes."""
    status = os.fstat(fd)
    return kernel.block_device_bytes(fd) if stat.S_ISBLK(status.st_mode) else status.st_size


def fsync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
