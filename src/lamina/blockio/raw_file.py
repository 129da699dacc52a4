"""Raw disks: sparse files and block devices, read and written in place."""

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lamina.blockio import kernel
from lamina.blockio.extents import Extent
from lamina.blockio.file_extents import FileExtents
from lamina.blockio.opening import (
    DiskUnavailableError,
    fsync_directory,
    measure_disk,
    open_disk,
    unavailable,
)
from lamina.blockio.vectored import disk_fault, read_fully, write_fully, write_zeros
from lamina.failures import Refusal
from lamina.units import KIB, round_down, round_up

_UNSUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY})


class TargetTooSmallError(Refusal):
    """The target cannot hold what is to be written; it was not touched."""


class RawFileSource:
    """A regular file or block device as a `BlockSource`.

    Whether its bytes stand still is the caller's business: `file_volume` makes points in time.
    A block device is one data extent; a file's holes come from SEEK_DATA and SEEK_HOLE (lseek(2)).
    """

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        """Open a disk for reading.

        Args:
            path: a regular file or a block device.
            exclusive: refuse a block device that is mounted or otherwise claimed (O_EXCL).

        Raises:
            DiskUnavailableError: it cannot be opened, or is no disk.
        """
        self._path = path
        self._fd = open_disk(path, os.O_RDONLY, exclusive=exclusive)
        self._size_bytes = measure_disk(self._fd)
        self._extents = FileExtents(self._fd, str(path), self._size_bytes)

    @property
    def size_bytes(self) -> int:
        """The size in bytes when the disk was opened."""
        return self._size_bytes

    def fileno(self) -> int:
        """The open file descriptor; it stays the source's own."""
        return self._fd

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)`; what lies past the end is a hole."""
        return self._extents.list(offset, length)

    def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> None:
        """Fill every buffer from `offset` on; bytes past the end become zero.

        Raises:
            Fault: the disk could not be read there, or became shorter than it was.
        """
        read_fully(self._fd, str(self._path), offset, buffers, self._size_bytes)

    def close(self) -> None:
        """Release the descriptor; twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RawFileTarget:
    """A regular file or block device as a `BlockTarget`."""

    def __init__(self, path: Path, fd: int, *, is_blank: bool, is_new: bool) -> None:
        """Take over an open descriptor; use `create` or `open`."""
        self._path = path
        self._fd = fd
        self._is_blank = is_blank
        self._size_bytes = measure_disk(fd)
        self._extents = FileExtents(fd, str(path), self._size_bytes)
        self._is_device = stat.S_ISBLK(os.fstat(fd).st_mode)
        self._step = kernel.block_device_step(fd) if self._is_device else 1
        self._directory_is_stale = is_new
        self._lock = threading.Lock()

    @classmethod
    def create(cls, path: Path, size_bytes: int, *, replace: bool = False) -> Self:
        """Make a sparse file of `size_bytes`; its name is durable after the first `flush`.

        Args:
            path: where; its directory must exist.
            size_bytes: how large.
            replace: empty a regular file that is already there, instead of refusing.

        Raises:
            DiskUnavailableError: something is there already, or the place cannot be written.
            Fault: the file system cannot hold a file of that size.
        """
        if size_bytes < 0:
            raise Refusal(f"cannot create {path}: a disk of {size_bytes} bytes makes no sense")
        fd, is_new = _open_or_create(path, replace=replace)
        try:
            os.ftruncate(fd, size_bytes)  # first, so that an impossible size leaves an old file as it was
            os.ftruncate(fd, 0)
            os.ftruncate(fd, size_bytes)
        except OSError as error:
            os.close(fd)
            if is_new:
                path.unlink(missing_ok=True)
            raise disk_fault("allocate", str(path), 0, size_bytes, error) from error
        return cls(path, fd, is_blank=True, is_new=is_new)

    @classmethod
    def open(cls, path: Path, *, needed_bytes: int = 0) -> Self:
        """Open an existing file or block device for writing; its size stays as it is.

        Args:
            path: a regular file or a block device that nobody has mounted or claimed.
            needed_bytes: how much it must be able to hold.

        Raises:
            DiskUnavailableError: it cannot be opened, is no disk, or is a device in use.
            TargetTooSmallError: it is smaller than `needed_bytes`.
        """
        target = cls(path, open_disk(path, os.O_RDWR, exclusive=True), is_blank=False, is_new=False)
        if target.size_bytes < needed_bytes:
            target.close()
            raise TargetTooSmallError(
                f"{path} holds {target.size_bytes} bytes but {needed_bytes} are needed; use a larger target"
            )
        return target

    @property
    def size_bytes(self) -> int:
        """The size of the target in bytes."""
        return self._size_bytes

    @property
    def is_blank(self) -> bool:
        """Whether this object made the file, or emptied it, and so knows that it reads as zero.

        It stays true while the target is written: it speaks of what was never written.
        """
        return self._is_blank

    @property
    def can_punch(self) -> bool:
        """Whether `punch` is a matter of metadata; false for block devices, which differ too much."""
        if self._is_device:
            return False
        try:
            # behind the end there is nothing to lose, and the answer is the same
            kernel.punch_hole(self._fd, round_up(self._size_bytes, 4 * KIB), 4 * KIB)
        except OSError:
            return False
        return True

    def fileno(self) -> int:
        """The open file descriptor; it stays the target's own."""
        return self._fd

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)` at this moment."""
        return self._extents.list(offset, length)

    def read_into(self, offset: int, buffers: Sequence[bytearray | memoryview]) -> None:
        """Fill every buffer from `offset` on; bytes past the end become zero.

        Raises:
            Fault: the disk could not be read there.
        """
        read_fully(self._fd, str(self._path), offset, buffers, self._size_bytes)

    def write(self, offset: int, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write the buffers one after the other from `offset` on.

        Raises:
            Fault: the disk refused; some of the bytes may have been written.
        """
        assert offset + sum(map(len, buffers)) <= self._size_bytes, "write past the end of the target"
        write_fully(self._fd, str(self._path), offset, buffers)

    def punch(self, offset: int, length: int) -> None:
        """Make the range read as zero and, where the file system or device can, occupy no space.

        Raises:
            Fault: the disk refused.
        """
        self._clear(kernel.punch_hole, "punch", offset, length)

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zero and stay allocated.

        Raises:
            Fault: the disk refused.
        """
        self._clear(kernel.zero_range, "zero", offset, length)

    def flush(self) -> None:
        """Make everything written so far durable, and the name of a new file too.

        Raises:
            Fault: the disk refused. After that nothing is known about earlier writes (fsync(2)): write again.
        """
        try:
            os.fdatasync(self._fd)
            with self._lock:
                if self._directory_is_stale:
                    fsync_directory(self._path.parent)
                    self._directory_is_stale = False
        except OSError as error:
            raise disk_fault("flush", str(self._path), 0, self._size_bytes, error) from error

    def close(self) -> None:
        """Release the descriptor without flushing; twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _clear(self, call: Callable[[int, int, int], None], action: str, offset: int, length: int) -> None:
        """Clear a range by `call`, and by plain zeros where that does not reach: the edges of device sectors."""
        assert offset + length <= self._size_bytes, f"{action} past the end of the target"
        name = str(self._path)
        start, end = round_up(offset, self._step), round_down(offset + length, self._step)
        if start >= end:
            write_zeros(self._fd, name, offset, length)
            return
        write_zeros(self._fd, name, offset, start - offset)
        write_zeros(self._fd, name, end, offset + length - end)
        try:
            call(self._fd, start, end - start)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise disk_fault(action, name, start, end - start, error) from error
            self._clear_without(action, start, end - start)
        self._extents.forget()

    def _clear_without(self, action: str, offset: int, length: int) -> None:
        """Clear whole sectors where the file system or device has no such call."""
        name = str(self._path)
        if not self._is_device:
            write_zeros(self._fd, name, offset, length)
            return
        try:
            kernel.zero_out_device(self._fd, offset, length)
        except OSError as error:
            raise disk_fault(action, name, offset, length, error) from error


def _open_or_create(path: Path, *, replace: bool) -> tuple[int, bool]:
    """A descriptor of a regular file, and whether the file is new."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), True
    except FileExistsError as error:
        if not replace:
            raise unavailable(path, error) from error
    except OSError as error:
        raise unavailable(path, error) from error
    if not path.is_file():
        raise DiskUnavailableError(
            f"{path} is not a regular file; write to it in place instead of replacing it"
        )
    return open_disk(path, os.O_RDWR, exclusive=True), False
