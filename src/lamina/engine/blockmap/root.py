"""The root of a block map: the branches of one disk, kept in the manifest (docs/format.md §3.5)."""

from collections.abc import Mapping
from dataclasses import dataclass

from lamina.engine.blockmap.page import PageRef
from lamina.engine.format import ROOT_COUNT, ROOT_ROW, Location, PackId, PageId
from lamina.engine.seal.hashing import Identity
from lamina.failures import Corruption


@dataclass(frozen=True)
class Root:
    """All branches of a disk.

    Attributes:
        size_bytes: the size of the disk in bytes.
        branches: the branches that have any written block, by index, in order.
    """

    size_bytes: int
    branches: Mapping[int, PageRef]

    @property
    def data_blocks(self) -> int:
        """How many blocks of the disk have bytes: its used capacity in blocks."""
        return sum(ref.data_blocks for ref in self.branches.values())

    @property
    def zero_blocks(self) -> int:
        """How many blocks of the disk were written with zeros only."""
        return sum(ref.zero_blocks for ref in self.branches.values())

    def content_id(self, identity: Identity) -> PageId:
        """Equal for disks with equal size, bytes and holes."""
        return identity.content(
            self.size_bytes, [(index, ref.page_id) for index, ref in self.branches.items()]
        )

    def encode(self) -> bytes:
        """The root table of a manifest."""
        rows = [
            ROOT_ROW.pack(index, page_id, *location.pack, location.offset, location.length, data, zero)
            for index, (page_id, location, data, zero) in self.branches.items()
        ]
        return ROOT_COUNT.pack(len(rows)) + b"".join(rows)

    @classmethod
    def decode(cls, size_bytes: int, data: bytes) -> "Root":
        """A root from its table.

        Raises:
            Corruption: the bytes are not those of a root table.
        """
        if len(data) < ROOT_COUNT.size:
            raise Corruption("a root table is cut short")
        (count,) = ROOT_COUNT.unpack_from(data)
        if len(data) != ROOT_COUNT.size + count * ROOT_ROW.size:
            raise Corruption("a root table has the wrong length")
        branches = {}
        last = -1
        for row in ROOT_ROW.iter_unpack(data[ROOT_COUNT.size :]):
            index, page_id, session, number, offset, length, data_blocks, zero_blocks = row
            if index <= last:
                raise Corruption("a root table is not in order")
            last = index
            location = Location(PackId(session, number), offset, length)
            branches[index] = PageRef(PageId(page_id), location, data_blocks, zero_blocks)
        return cls(size_bytes, branches)
