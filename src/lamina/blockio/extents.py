"""Extents: runs of a disk, `[offset, offset + length)`, all of one kind."""

from dataclasses import dataclass
from enum import Enum


class ExtentKind(Enum):
    """What a run of a disk holds."""

    DATA = "data"  # written, and not known to be zero
    ZERO = "zero"  # written, and known to be all zero
    HOLE = "hole"  # never written (or discarded since); reads as zero


@dataclass(frozen=True, slots=True)
class Extent:
    """One run of a disk.

    Attributes:
        offset: where it starts, in bytes.
        length: how long it is, in bytes; above zero.
        kind: what it holds.
    """

    offset: int
    length: int
    kind: ExtentKind = ExtentKind.DATA

    @property
    def end(self) -> int:
        """The first byte behind the extent."""
        return self.offset + self.length
