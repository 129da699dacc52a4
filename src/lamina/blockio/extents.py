"""Extents: runs of a disk, `[offset, offset + length)`, all of one kind, and their algebra.

The functions take and give lists that are *normal*: in order, disjoint, and joined where two of a kind touch.
`normalise` makes such a list from any other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from operator import attrgetter
from typing import Annotated, Final

import msgspec

from lamina.failures import Refusal
from lamina.units import round_down, round_up

_MAX_OFFSET: Final = 2**63 - 1  # off_t


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


class BadExtentListError(Refusal):
    """A list of extents from outside is not what its format says; the message names the entry."""


def merge_extents(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Join neighbours of one kind; the list must be in order and disjoint."""
    pending: Extent | None = None
    for extent in extents:
        if pending is None:
            pending = extent
        elif extent.kind is pending.kind and extent.offset == pending.end:
            pending = Extent(pending.offset, pending.length + extent.length, pending.kind)
        else:
            yield pending
            pending = extent
    if pending is not None:
        yield pending


def normalise(extents: Iterable[Extent]) -> tuple[Extent, ...]:
    """The same coverage, in order, disjoint and joined.

    Where extents overlap the more cautious kind wins: data before zero before hole.
    """
    by_kind: dict[ExtentKind, list[Extent]] = {kind: [] for kind in ExtentKind}
    for extent in extents:
        if extent.length > 0:
            by_kind[extent.kind].append(extent)
    data = _join_overlaps(by_kind[ExtentKind.DATA])
    zero = tuple(subtract(_join_overlaps(by_kind[ExtentKind.ZERO]), data))
    written = _join_overlaps([*data, *zero])
    hole = subtract(_join_overlaps(by_kind[ExtentKind.HOLE]), written)
    return tuple(merge_extents(sorted(chain(data, zero, hole), key=attrgetter("offset"))))


def clip(extents: Iterable[Extent], offset: int, length: int) -> Iterator[Extent]:
    """The parts of the extents that lie in `[offset, offset + length)`."""
    end = offset + length
    for extent in extents:
        first, last = max(extent.offset, offset), min(extent.end, end)
        if first < last:
            yield Extent(first, last - first, extent.kind)


def subtract(extents: Iterable[Extent], removed: Sequence[Extent]) -> Iterator[Extent]:
    """The parts of the extents that no removed extent covers, whatever its kind."""
    index = 0
    for extent in extents:
        position = extent.offset
        while index < len(removed) and removed[index].end <= position:
            index += 1
        ahead = index
        while ahead < len(removed) and removed[ahead].offset < extent.end:
            if removed[ahead].offset > position:
                yield Extent(position, removed[ahead].offset - position, extent.kind)
            position = max(position, removed[ahead].end)
            ahead += 1
        if position < extent.end:
            yield Extent(position, extent.end - position, extent.kind)


def unite(first: Iterable[Extent], second: Iterable[Extent]) -> tuple[Extent, ...]:
    """What either list covers; where both do, the more cautious kind wins."""
    return normalise(chain(first, second))


def align_outwards(extents: Iterable[Extent], block_bytes: int, size_bytes: int) -> tuple[Extent, ...]:
    """Grow a list to whole blocks of a disk of `size_bytes`, whose last block may be short.

    A block is a hole if holes cover all of it, zero if zeros and holes cover all of it, and data otherwise:
    nothing is known about the bytes of a block that the list does not mention.
    """
    inside = normalise(clip(extents, 0, size_bytes))
    data = [extent for extent in inside if extent.kind is ExtentKind.DATA]
    quiet = [Extent(e.offset, e.length, ExtentKind.ZERO) for e in inside if e.kind is not ExtentKind.DATA]
    whole_quiet = _whole_blocks(merge_extents(quiet), block_bytes, size_bytes)
    holes = (extent for extent in inside if extent.kind is ExtentKind.HOLE)
    whole_holes = _whole_blocks(holes, block_bytes, size_bytes)
    loud = [*data, *subtract(quiet, whole_quiet)]
    grown = (_grow(extent, block_bytes, size_bytes) for extent in loud)
    return normalise(chain(grown, subtract(whole_quiet, whole_holes), whole_holes))


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    offset: Annotated[int, msgspec.Meta(ge=0, le=_MAX_OFFSET)]
    length: Annotated[int, msgspec.Meta(ge=0, le=_MAX_OFFSET)]
    zero: bool


def parse_extents(document: bytes | str) -> tuple[Extent, ...]:
    """Read an EXTENTS.json document: `[{"offset": 0, "length": 65536, "zero": false}, …]`, numbers in bytes.

    Entries may overlap and come in any order; the answer is normal. An entry of length 0 says nothing.

    Raises:
        BadExtentListError: anything else.
    """
    try:
        entries = msgspec.json.decode(document, type=list[_Entry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadExtentListError(
            f"the list of extents cannot be used: {error}; "
            'each entry must be {"offset": bytes, "length": bytes, "zero": true or false}'
        ) from error
    for index, entry in enumerate(entries):
        if entry.offset + entry.length > _MAX_OFFSET:
            raise BadExtentListError(
                f"the list of extents cannot be used: entry {index} ends past 2^63 - 1 "
                f"(offset {entry.offset}, length {entry.length})"
            )
    return normalise(
        Extent(entry.offset, entry.length, ExtentKind.ZERO if entry.zero else ExtentKind.DATA)
        for entry in entries
    )


def format_extents(extents: Iterable[Extent]) -> bytes:
    """Write an EXTENTS.json document; holes are told as zero."""
    return msgspec.json.encode(
        [
            _Entry(offset=extent.offset, length=extent.length, zero=extent.kind is not ExtentKind.DATA)
            for extent in extents
        ]
    )


def _join_overlaps(extents: list[Extent]) -> tuple[Extent, ...]:
    """Extents of any kinds, in any order, as disjoint runs of the first one's kind."""
    runs: list[Extent] = []
    for extent in sorted(extents, key=attrgetter("offset")):
        if runs and extent.offset <= runs[-1].end:
            last = runs[-1]
            runs[-1] = Extent(last.offset, max(last.end, extent.end) - last.offset, last.kind)
        else:
            runs.append(extent)
    return tuple(runs)


def _whole_blocks(extents: Iterable[Extent], block_bytes: int, size_bytes: int) -> tuple[Extent, ...]:
    """The blocks that each extent covers alone; the disk's last block counts up to the disk's end."""
    shrunk = (
        (
            round_up(extent.offset, block_bytes),
            extent.end if extent.end == size_bytes else round_down(extent.end, block_bytes),
            extent.kind,
        )
        for extent in extents
    )
    return tuple(Extent(first, last - first, kind) for first, last, kind in shrunk if first < last)


def _grow(extent: Extent, block_bytes: int, size_bytes: int) -> Extent:
    first = round_down(extent.offset, block_bytes)
    last = min(round_up(extent.end, block_bytes), size_bytes)
    return Extent(first, last - first, ExtentKind.DATA)
