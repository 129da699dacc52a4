"""A raw file that stands still because nobody may open it for writing while it is read: a read lease."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lamina.blockio import kernel
from lamina.blockio.extents import Extent
from lamina.blockio.raw_file import RawFileSource
from lamina.blockio.writers import Writer, list_writers
from lamina.failures import Fault, Refusal


class VolumeInUseError(Refusal):
    """A disk is open for writing, and its file system has no reflink to make a point in time of it.

    Attributes:
        disk: which disk.
        writers: who has it open, as far as we may see; possibly nobody.
    """

    def __init__(self, disk: Path, writers: tuple[Writer, ...], reason: str) -> None:
        names = ", ".join(map(str, writers)) or "a program that we may not see"
        super().__init__(
            f"{disk} is open for writing by {names}, and {reason}; "
            "close it first, or keep the disk and its frozen copies on one xfs or btrfs file system"
        )
        self.disk = disk
        self.writers = writers


class StillFileSource:
    """A file as a `BlockSource` under a read lease (fcntl(2), F_SETLEASE).

    The lease is granted only while nobody has the file open for writing, memory maps included. Who opens or
    cuts it later waits in the kernel until the lease is given back, at most /proc/sys/fs/lease-break-time
    (45 s); so bytes read before a successful check of the lease are those of the point in time. The check
    follows every read. Size and modification time are compared too, for file systems shared with other hosts,
    whose openers this kernel does not see.
    """

    def __init__(self, path: Path, *, reason: str) -> None:
        """Take the lease.

        Args:
            path: a regular file.
            reason: why there is no better way than this, for the refusal.

        Raises:
            VolumeInUseError: somebody has the file open for writing.
            Refusal: the lease cannot be had at all here.
            DiskUnavailableError: it cannot be opened.
        """
        self._path = path
        self._source = RawFileSource(path)
        try:
            kernel.take_read_lease(self._source.fileno())
        except BlockingIOError as error:
            self._source.close()
            raise VolumeInUseError(path, list_writers(path), reason) from error
        except OSError as error:
            self._source.close()
            raise Refusal(
                f"{path} cannot be held still: {reason}, and no lease can be taken on it ({error.strerror}); "
                "run as the file's owner, or keep the disk on an xfs or btrfs file system"
            ) from error
        # the size is the one from before the lease: if it changed in between, no read will pass
        self._fingerprint = (self._source.size_bytes, os.fstat(self._source.fileno()).st_mtime_ns)

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes."""
        return self._source.size_bytes

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover the range.

        Raises:
            Fault: somebody opened the disk for writing since; nothing was answered.
        """
        extents = list(self._source.list_extents(offset, length))
        self._ensure_still()
        return iter(extents)

    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None:
        """Fill every buffer from `offset` on.

        Raises:
            Fault: the disk could not be read, or somebody opened it for writing since; in that case the
                buffers hold nothing of use.
        """
        self._source.read_into(offset, buffers)
        self._ensure_still()

    def close(self) -> None:
        """Give the lease back; twice does no harm."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ensure_still(self) -> None:
        fd = self._source.fileno()
        status = os.fstat(fd)
        if kernel.holds_read_lease(fd) and (status.st_size, status.st_mtime_ns) == self._fingerprint:
            return
        kernel.release_lease(fd)  # the writer waits for this; the next check fails as well
        raise Fault(
            f"{self._path} was opened for writing while it was read; what was read is no point in time. "
            "Take the snapshot again when nobody writes to the disk, or keep it on xfs or btrfs",
            retryable=True,
        )
