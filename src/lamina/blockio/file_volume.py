"""The point in time of a raw disk without QEMU.

A regular file on a file system with reflink (xfs, btrfs) is cloned in one instant while it stays in use, and
what changed is the difference of two clones' extent maps. Elsewhere the file must stand still while it is
read, and a lease watches over that. A block device is taken by reference, claimed for us alone.
Why so, and what was rejected: docs/decisions/004-point-in-time-of-raw-files.md.
"""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lamina.blockio import kernel
from lamina.blockio.extent_map import find_changed, read_extent_map
from lamina.blockio.extents import Extent
from lamina.blockio.opening import fsync_directory, open_disk
from lamina.blockio.raw_file import RawFileSource
from lamina.blockio.source import OpenSource
from lamina.blockio.still_file import StillFileSource, VolumeInUseError
from lamina.blockio.vectored import system_fault
from lamina.blockio.writers import list_writers
from lamina.failures import Refusal

_FROZEN: Final = ".frozen"
_UNFINISHED: Final = ".part"
_TOKEN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

# What FICLONE answers where it cannot work at all, ioctl_ficlone(2); EXDEV: two file systems
_NO_REFLINK: Final = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenVolume:
    """A disk at one point in time, until it is closed.

    Attributes:
        source: its bytes.
        token: the name that the point in time goes by.
        changed: what may differ from the frozen volume that `since` named, as normal extents: `DATA` where
            there are bytes to read, `HOLE` where the disk became zero. None: unknown, compare everything.
    """

    source: OpenSource
    token: str
    changed: tuple[Extent, ...] | None

    def close(self) -> None:
        """Stop reading. A clone stays in its folder until `forget`, as the base of the next difference."""
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def freeze(disk: Path, folder: Path, token: str, since: str | None) -> FrozenVolume:
    """Take the point in time of a disk, or find the one already taken under this token.

    Args:
        disk: a regular file or a block device.
        folder: where clones are kept, one folder per disk; on the disk's own file system.
        token: the name of the point in time; asking twice gives the same bytes where there is reflink.
        since: the token of an earlier point in time of this disk, to learn what changed.

    Raises:
        VolumeInUseError: the disk is open for writing and cannot be cloned.
        DiskUnavailableError: the disk cannot be opened, or is a device that is mounted.
        Refusal: the token is malformed, or the disk cannot be held still here.
        Fault: the disk or the file system failed; a full one is retryable.
    """
    _check_token(token)
    if disk.is_block_device():
        return FrozenVolume(source=_claim_device(disk), token=token, changed=None)
    without_reflink = _ensure_clone(disk, folder, token)
    if without_reflink is not None:
        return FrozenVolume(source=StillFileSource(disk, reason=without_reflink), token=token, changed=None)
    source = RawFileSource(_clone_path(folder, token))
    try:
        changed = None if since is None else _find_changed_since(folder, since, source)
    except BaseException:
        source.close()
        raise
    return FrozenVolume(source=source, token=token, changed=changed)


def forget(folder: Path, token: str) -> None:
    """Drop a point in time; its storage is free once nobody reads it. Dropping it twice does no harm.

    Raises:
        Refusal: the token is malformed.
        Fault: the file system refused.
    """
    _check_token(token)
    path = _clone_path(folder, token)
    try:
        path.unlink()
        fsync_directory(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise system_fault(f"cannot delete {path}", error) from error


def list_frozen(folder: Path) -> tuple[str, ...]:
    """The tokens of the clones in a folder, in alphabetical order; none if there is no folder."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name.removesuffix(_FROZEN) for path in folder.glob(f"*{_FROZEN}")))


def _check_token(token: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise Refusal(
            f"{token!r} cannot name a point in time; use 1 to 200 letters, digits, dots, dashes or "
            "underscores, the first one a letter or digit"
        )


def _clone_path(folder: Path, token: str) -> Path:
    return folder / f"{token}{_FROZEN}"


def _claim_device(disk: Path) -> RawFileSource:
    """A block device that nobody else claims. O_EXCL keeps mounts away, not programs that open it plainly."""
    source = RawFileSource(disk, exclusive=True)
    writers = list_writers(disk)
    if writers:
        source.close()
        raise VolumeInUseError(disk, writers, "block devices have no reflink")
    return source


def _ensure_clone(disk: Path, folder: Path, token: str) -> str | None:
    """Make the clone unless it is there; None, or the reason why there is no reflink.

    The clone gets its name only when it is complete and durable, so that a name is a promise. Because of the
    folder's lock, every unfinished clone that is found is the remains of a process that died.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            for remains in folder.glob(f"*{_UNFINISHED}"):
                remains.unlink()
            path = _clone_path(folder, token)
            if path.exists():
                return None
            unfinished = folder / f"{token}{_UNFINISHED}"
            try:
                without_reflink = _clone_durably(disk, unfinished)
                if without_reflink is None:
                    unfinished.rename(path)
                    fsync_directory(folder)
                return without_reflink
            finally:
                unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise system_fault(f"cannot freeze {disk} in {folder}", error) from error


def _clone_durably(disk: Path, clone: Path) -> str | None:
    """Clone to a new name and wait for the medium; None, or the reason why there is no reflink."""
    disk_fd = open_disk(disk, os.O_RDONLY, exclusive=False)
    try:
        # dirty pages are written while writers still run, so that they wait for the clone alone
        os.fdatasync(disk_fd)
        clone_fd = os.open(clone, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o400)
        try:
            kernel.copy_no_cow_flag(disk_fd, clone_fd)
            reason = _clone_or_explain(disk_fd, clone_fd)
            os.fsync(clone_fd)
        finally:
            os.close(clone_fd)
    finally:
        os.close(disk_fd)
    return reason


def _clone_or_explain(disk_fd: int, clone_fd: int) -> str | None:
    try:
        kernel.clone_file(disk_fd, clone_fd)
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
        return f"it cannot be cloned into the folder of its frozen copies ({error.strerror})"
    return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time makes clones in a folder; the kernel frees the lock of one that dies."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _find_changed_since(folder: Path, since: str, new: RawFileSource) -> tuple[Extent, ...] | None:
    """The difference to an earlier clone; None if that is gone or the file system has no extent maps."""
    _check_token(since)
    path = _clone_path(folder, since)
    if not path.exists():
        return None
    try:
        with RawFileSource(path) as old:
            old_map = read_extent_map(old.fileno(), old.size_bytes)
        return find_changed(old_map, read_extent_map(new.fileno(), new.size_bytes))
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return None
        raise system_fault(f"cannot read the extent map of {path} or its successor", error) from error
