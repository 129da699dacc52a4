"""What a capture reads from."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from lamina.blockio.extents import Extent


class BlockSource(Protocol):
    """A disk, frozen at one point in time.

    Guarantees: the bytes do not change while the source is open; `read_into` and `list_extents` may be called
    from any number of threads; bytes outside every data extent read as zero.
    """

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes; any number, also one that is no multiple of a block."""
        ...

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)` exactly, in order, without gaps or overlaps.

        Costs metadata only: no data is read. An implementation that cannot tell answers one `DATA` extent.
        """
        ...

    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None:
        """Fill every buffer, one after the other, from `offset` on; bytes past the disk's end become zero.

        Raises:
            Fault: the disk could not be read there; the message names the byte range.
        """
        ...


class OpenSource(BlockSource, Protocol):
    """A source that holds something open."""

    def close(self) -> None:
        """Release it; twice does no harm."""
        ...
