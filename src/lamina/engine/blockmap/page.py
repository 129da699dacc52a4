"""Pages of the block map: leaves and branches, their bytes and their ids (docs/format.md §3.5, §3.6)."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from struct import Struct
from typing import Final, NamedTuple

from lamina.engine.format import (
    BRANCH_LEAVES,
    BRANCH_TAG,
    ID_BYTES,
    LEAF_BLOCKS,
    LEAF_TAG,
    PAGE_HEADER,
    PAGE_PACK,
    BlockId,
    Location,
    PackId,
    PageId,
)
from lamina.engine.seal.hashing import Identity
from lamina.failures import Corruption

PAGE_BYTES_MAX: Final = 256 * 1024


class Written(Enum):
    """A block that was written and is all zero. Nothing is stored for it."""

    ZERO = "zero"


class Stored(NamedTuple):
    """A block whose bytes are in the repository."""

    block_id: BlockId
    location: Location


Entry = Stored | Written | None
"""What a leaf says about a block; None is a block that was never written."""


class PageRef(NamedTuple):
    """A page, from above: its id, where it lies, and how many written blocks are below it."""

    page_id: PageId
    location: Location
    data_blocks: int
    zero_blocks: int


@dataclass(frozen=True)
class Leaf:
    """The 128 blocks of 8 MiB of a disk.

    Attributes:
        entries: one entry per block.
    """

    entries: tuple[Entry, ...]

    @cached_property
    def stored(self) -> tuple[Stored, ...]:
        """The blocks that have bytes, in order."""
        return tuple(entry for entry in self.entries if type(entry) is Stored)

    @property
    def data_blocks(self) -> int:
        """How many blocks have bytes."""
        return len(self.stored)

    @property
    def zero_blocks(self) -> int:
        """How many blocks were written with zeros only."""
        return self.entries.count(Written.ZERO)

    def page_id(self, identity: Identity) -> PageId:
        """The id of what this leaf says about content."""
        data_bits, zero_bits = self._bits()
        return identity.leaf(data_bits, zero_bits, [entry.block_id for entry in self.stored])

    def encode(self) -> bytes:
        """The page's bytes."""
        data_bits, zero_bits = self._bits()
        packs, places = _encode_places([entry.location for entry in self.stored])
        ids = b"".join([entry.block_id for entry in self.stored])
        return (
            PAGE_HEADER.pack(LEAF_TAG, 0, len(packs)) + data_bits + zero_bits + b"".join(packs) + ids + places
        )

    @classmethod
    def decode(cls, data: bytes) -> "Leaf":
        """A leaf from its bytes.

        Raises:
            Corruption: they are not those of a leaf.
        """
        try:
            return cls(_decode_leaf(data))
        except (struct.error, IndexError, ValueError) as error:
            raise Corruption(f"a leaf of the block map is malformed: {error}") from error

    def _bits(self) -> tuple[bytes, bytes]:
        data = zero = 0
        for index, entry in enumerate(self.entries):
            if entry is Written.ZERO:
                zero |= 1 << index
            elif entry is not None:
                data |= 1 << index
        return data.to_bytes(LEAF_BLOCKS // 8, "little"), zero.to_bytes(LEAF_BLOCKS // 8, "little")


EMPTY_LEAF: Final = Leaf((None,) * LEAF_BLOCKS)


@dataclass(frozen=True)
class Branch:
    """Up to 4,096 leaves: 32 GiB of a disk.

    Attributes:
        leaves: the leaves that have any written block, by their index within the branch, in order.
    """

    leaves: Mapping[int, PageRef]

    @property
    def data_blocks(self) -> int:
        """How many blocks below have bytes."""
        return sum(ref.data_blocks for ref in self.leaves.values())

    @property
    def zero_blocks(self) -> int:
        """How many blocks below were written with zeros only."""
        return sum(ref.zero_blocks for ref in self.leaves.values())

    def page_id(self, identity: Identity) -> PageId:
        """The id of what this branch says about content."""
        return identity.branch(self._bits(), [ref.page_id for ref in self.leaves.values()])

    def encode(self) -> bytes:
        """The page's bytes."""
        refs = list(self.leaves.values())
        packs, places = _encode_places([ref.location for ref in refs])
        counts = Struct(f"<{len(refs)}H{len(refs)}H").pack(
            *[ref.data_blocks for ref in refs], *[ref.zero_blocks for ref in refs]
        )
        head = PAGE_HEADER.pack(BRANCH_TAG, 0, len(packs)) + self._bits() + b"".join(packs)
        return head + b"".join([ref.page_id for ref in refs]) + places + counts

    @classmethod
    def decode(cls, data: bytes) -> "Branch":
        """A branch from its bytes.

        Raises:
            Corruption: they are not those of a branch.
        """
        try:
            return cls(_decode_branch(data))
        except (struct.error, IndexError, ValueError) as error:
            raise Corruption(f"a branch of the block map is malformed: {error}") from error

    def _bits(self) -> bytes:
        bits = 0
        for index in self.leaves:
            bits |= 1 << index
        return bits.to_bytes(BRANCH_LEAVES // 8, "little")


def _encode_places(locations: Sequence[Location]) -> tuple[list[bytes], bytes]:
    packs: dict[PackId, int] = {}
    indexes = [packs.setdefault(location.pack, len(packs)) for location in locations]
    count = len(locations)
    columns = Struct(f"<{count}H{count}I{count}I").pack(
        *indexes, *[location.offset for location in locations], *[location.length for location in locations]
    )
    return [PAGE_PACK.pack(*pack) for pack in packs], columns


class _PageBytes:
    """A cursor over a page: takes exact slices, and makes sure that nothing is left."""

    def __init__(self, data: bytes, tag: int) -> None:
        found, flags, self._packs = PAGE_HEADER.unpack_from(data)
        if found != tag or flags != 0:
            raise ValueError("wrong tag")
        self._data = data
        self._at = PAGE_HEADER.size

    def take(self, length: int) -> bytes:
        """The next bytes."""
        piece = self._data[self._at : self._at + length]
        if len(piece) != length:
            raise ValueError("cut short")
        self._at += length
        return piece

    def take_packs(self) -> list[PackId]:
        """The pack table."""
        return [PackId(*row) for row in PAGE_PACK.iter_unpack(self.take(self._packs * PAGE_PACK.size))]

    def take_ids(self, count: int) -> list[bytes]:
        """As many ids."""
        data = self.take(count * ID_BYTES)
        return [data[at : at + ID_BYTES] for at in range(0, len(data), ID_BYTES)]

    def take_columns(self, form: str) -> tuple[int, ...]:
        """Numbers of the given struct form."""
        columns = Struct(form)
        return columns.unpack(self.take(columns.size))

    def take_places(self, packs: Sequence[PackId], count: int) -> list[Location]:
        """As many locations."""
        numbers = self.take_columns(f"<{count}H{count}I{count}I")
        return [
            Location(packs[pack], offset, length)
            for pack, offset, length in zip(
                numbers[:count], numbers[count : 2 * count], numbers[2 * count :], strict=True
            )
        ]

    def finish(self) -> None:
        """Nothing may be left."""
        if self._at != len(self._data):
            raise ValueError("trailing bytes")


def _decode_leaf(data: bytes) -> tuple[Entry, ...]:
    page = _PageBytes(data, LEAF_TAG)
    data_bits = int.from_bytes(page.take(LEAF_BLOCKS // 8), "little")
    zero_bits = int.from_bytes(page.take(LEAF_BLOCKS // 8), "little")
    if data_bits & zero_bits:
        raise ValueError("a block is both data and zero")
    packs = page.take_packs()
    count = data_bits.bit_count()
    ids = page.take_ids(count)
    locations = page.take_places(packs, count)
    page.finish()
    entries: list[Entry] = [None] * LEAF_BLOCKS
    for position, index in enumerate(_set_bits(data_bits)):
        entries[index] = Stored(BlockId(ids[position]), locations[position])
    for index in _set_bits(zero_bits):
        entries[index] = Written.ZERO
    return tuple(entries)


def _decode_branch(data: bytes) -> dict[int, PageRef]:
    page = _PageBytes(data, BRANCH_TAG)
    present = int.from_bytes(page.take(BRANCH_LEAVES // 8), "little")
    packs = page.take_packs()
    count = present.bit_count()
    ids = page.take_ids(count)
    locations = page.take_places(packs, count)
    counts = page.take_columns(f"<{count}H{count}H")
    page.finish()
    return {
        index: PageRef(PageId(ids[at]), locations[at], counts[at], counts[count + at])
        for at, index in enumerate(_set_bits(present))
    }


def _set_bits(bits: int) -> Iterable[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low
