"""What a capture has to look at: one job per leaf of the block map, in order, planned at metadata speed."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from typing import Final

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.source import BlockSource
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS, LEAF_SPAN_BYTES
from lamina.units import round_down, round_up


class Look(IntEnum):
    """What to do about a block. Where several extents touch one block, the highest number wins."""

    KEEP = 0  # outside a change hint: as in the parent
    HOLE = 1  # never written: known without reading
    ZERO = 2  # written zeros: known without reading
    READ = 3


_LOOK_OF: Final = {ExtentKind.HOLE: Look.HOLE, ExtentKind.ZERO: Look.ZERO, ExtentKind.DATA: Look.READ}


@dataclass(frozen=True, slots=True)
class LeafJob:
    """What to look at in one leaf.

    Attributes:
        leaf_index: which leaf.
        looks: one `Look` per block.
    """

    leaf_index: int
    looks: bytes

    @property
    def read_blocks(self) -> int:
        """How many blocks must be read."""
        return self.looks.count(Look.READ)

    def list_reads(self, most: int) -> Iterator[tuple[int, int]]:
        """Runs of at most `most` blocks to read: the first block within the leaf, and how many."""
        at = self.looks.find(Look.READ)
        while at >= 0:
            end = at
            while end < len(self.looks) and end - at < most and self.looks[end] == Look.READ:
                end += 1
            yield at, end - at
            at = self.looks.find(Look.READ, end)


def plan_scan(source: BlockSource, parent_leaves: Iterable[int]) -> Iterator[LeafJob]:
    """Jobs for a whole disk. Leaves that only the parent has become jobs of holes."""
    extents = source.list_extents(0, source.size_bytes)
    found = _jobs(extents, Look.HOLE, skip_holes=True)
    return _add_jobs(found, parent_leaves, Look.HOLE)


def plan_hint(
    source: BlockSource, changed: Iterable[Extent], spoiled_leaves: Iterable[int] = ()
) -> Iterator[LeafJob]:
    """Jobs for the extents of a hint, which are in order, aligned to blocks, disjoint, and within the disk.

    The spoiled leaves of the parent, in order, have a job too: one that keeps everything.
    """
    extents = (extent for change in changed for extent in source.list_extents(change.offset, change.length))
    return _add_jobs(_jobs(extents, Look.KEEP, skip_holes=False), spoiled_leaves, Look.KEEP)


def plan_leaf(source: BlockSource, leaf_index: int) -> LeafJob:
    """The job that looks at everything in one leaf."""
    start = leaf_index * LEAF_SPAN_BYTES
    length = min(LEAF_SPAN_BYTES, source.size_bytes - start)
    whole = LeafJob(leaf_index, bytes([Look.HOLE]) * LEAF_BLOCKS)
    return next(_jobs(source.list_extents(start, length), Look.HOLE, skip_holes=True), whole)


def align_hint(changed: Iterable[Extent], size_bytes: int) -> list[Extent]:
    """The extents grown to whole blocks, clipped to the disk, merged and in order."""
    aligned: list[Extent] = []
    for extent in sorted(changed, key=lambda item: item.offset):
        start = round_down(extent.offset, BLOCK_BYTES)
        end = min(round_up(extent.end, BLOCK_BYTES), size_bytes)
        if start >= end:
            continue
        if aligned and start <= aligned[-1].end:
            start, end = aligned[-1].offset, max(end, aligned[-1].end)
            aligned.pop()
        aligned.append(Extent(start, end - start))
    return aligned


def _add_jobs(found: Iterator[LeafJob], leaves: Iterable[int], look: Look) -> Iterator[LeafJob]:
    """Add a job with one look for every leaf that has none."""
    others = (LeafJob(index, bytes([look]) * LEAF_BLOCKS) for index in leaves)
    merged = heapq.merge(found, others, key=lambda job: job.leaf_index)
    for _, group in groupby(merged, key=lambda job: job.leaf_index):
        # The merge is stable: of two jobs for one leaf, the one with the source's extents comes first.
        yield next(group)


def _jobs(extents: Iterable[Extent], ground: Look, *, skip_holes: bool) -> Iterator[LeafJob]:
    looks = bytearray()
    index = -1
    for extent in extents:
        if skip_holes and extent.kind is ExtentKind.HOLE:
            continue
        first, end = extent.offset // BLOCK_BYTES, -(-extent.end // BLOCK_BYTES)
        while first < end:
            leaf_index, within = divmod(first, LEAF_BLOCKS)
            if leaf_index != index:
                if index >= 0:
                    yield LeafJob(index, bytes(looks))
                index, looks = leaf_index, bytearray([ground]) * LEAF_BLOCKS
            count = min(LEAF_BLOCKS - within, end - first)
            _raise_to(looks, within, count, _LOOK_OF[extent.kind])
            first += count
    if index >= 0:
        yield LeafJob(index, bytes(looks))


def _raise_to(looks: bytearray, start: int, count: int, look: Look) -> None:
    if look is Look.READ:
        looks[start : start + count] = bytes([look]) * count
        return
    for at in range(start, start + count):
        looks[at] = max(looks[at], look)
