"""A raw file or block device behind the NBD server, read and written in place."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from lamina.blockio.extents import ExtentKind
from lamina.blockio.nbd.constants import BASE_ALLOCATION, AllocationFlag
from lamina.blockio.nbd.export import StatusRun
from lamina.blockio.raw_file import RawFileSource, RawFileTarget
from lamina.failures import Refusal

_FLAGS: Final = {
    ExtentKind.DATA: AllocationFlag(0),
    ExtentKind.ZERO: AllocationFlag.ZERO,
    ExtentKind.HOLE: AllocationFlag.HOLE | AllocationFlag.ZERO,
}


class RawFileExport:
    """A raw disk as an `NbdExport`.

    Attributes:
        name: the export's name; empty for the default export.
        description: a line for people.
        size_bytes: the size of the disk.
        is_read_only: whether writes are refused.
        has_fast_zero: whether the file system can punch holes.
        contexts: `base:allocation`, from the holes of the file.
    """

    contexts: Sequence[str] = (BASE_ALLOCATION,)

    def __init__(
        self, path: Path, *, name: str = "", description: str | None = None, is_read_only: bool = False
    ) -> None:
        """Open the disk.

        Args:
            path: a regular file or a block device.
            name: the export's name.
            description: a line for people; the file's name by default.
            is_read_only: open it for reading only.

        Raises:
            DiskUnavailableError: it cannot be opened, or is no disk.
        """
        self._target = None if is_read_only else RawFileTarget.open(path)
        self._disk = self._target or RawFileSource(path)
        self.name = name
        self.description = path.name if description is None else description
        self.size_bytes = self._disk.size_bytes
        self.is_read_only = is_read_only
        self.has_fast_zero = self._target is not None and self._target.can_punch

    def read(self, offset: int, length: int) -> memoryview:
        """Exactly `length` bytes.

        Raises:
            Fault: the disk could not be read there.
        """
        buffer = bytearray(length)
        self._disk.read_into(offset, [buffer])
        return memoryview(buffer)

    def write(self, offset: int, data: memoryview) -> None:
        """Write; durable only after `flush`.

        Raises:
            Fault: the disk refused.
        """
        self._writable.write(offset, [data])

    def zero(self, offset: int, length: int, *, may_punch: bool) -> None:
        """Make a range read as zero, as a hole if `may_punch` allows.

        Raises:
            Fault: the disk refused.
        """
        if may_punch:
            self._writable.punch(offset, length)
        else:
            self._writable.zero(offset, length)

    def trim(self, offset: int, length: int) -> None:
        """Give the space of a range back; it reads as zero afterwards.

        Raises:
            Fault: the disk refused.
        """
        self._writable.punch(offset, length)

    def flush(self) -> None:
        """Make every completed write durable.

        Raises:
            Fault: the disk refused.
        """
        if self._target is not None:
            self._target.flush()

    def prefetch(self, offset: int, length: int) -> None:
        """Ask the kernel to read ahead; it may decline."""
        with contextlib.suppress(OSError):
            os.posix_fadvise(self._disk.fileno(), offset, length, os.POSIX_FADV_WILLNEED)

    def block_status(self, context: str, offset: int, length: int) -> Iterator[StatusRun]:
        """The allocation of a range.

        Raises:
            Refusal: the context is not `base:allocation`.
            Fault: the file system could not tell.
        """
        if context != BASE_ALLOCATION:
            raise Refusal(f"there is no metadata context {context!r} on a raw disk")
        return (
            StatusRun(extent.length, _FLAGS[extent.kind])
            for extent in self._disk.list_extents(offset, length)
        )

    def close(self) -> None:
        """Release the disk, without flushing; twice does no harm."""
        self._disk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _writable(self) -> RawFileTarget:
        assert self._target is not None, "a write to a read-only export"
        return self._target
