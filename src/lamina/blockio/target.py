"""What a restore writes to."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from lamina.blockio.extents import Extent


class BlockTarget(Protocol):
    """A disk that is being written.

    Guarantees: writes of disjoint ranges may run in any number of threads and in any order; what `flush`
    returned for survives a power cut. Methods raise `Fault` with the byte range when the disk refuses.
    """

    @property
    def size_bytes(self) -> int:
        """The size of the target in bytes."""
        ...

    @property
    def is_blank(self) -> bool:
        """Whether the target is known to read as zero everywhere, so that zeros need not be written."""
        ...

    def list_extents(self, offset: int, length: int) -> Iterator[Extent]:
        """The extents that cover `[offset, offset + length)` at this moment; a hole reads as zero.

        Costs metadata only: no data is read. An implementation that cannot tell answers one `DATA` extent.
        """
        ...

    def read_into(self, offset: int, buffers: Sequence[bytearray]) -> None:
        """Fill every buffer from `offset` on; bytes past the end become zero."""
        ...

    def write(self, offset: int, buffers: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write the buffers one after the other from `offset` on; the caller stays within the size."""
        ...

    def punch(self, offset: int, length: int) -> None:
        """Make the range read as zero and, where the target can, occupy no space."""
        ...

    def zero(self, offset: int, length: int) -> None:
        """Make the range read as zero and stay allocated."""
        ...

    def flush(self) -> None:
        """Make everything written so far durable."""
        ...
