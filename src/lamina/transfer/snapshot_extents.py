"""What snapshots hold and how they differ, as extents of the disk, from their block maps alone."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from lamina.blockio.extents import Extent, ExtentKind
from lamina.engine.blockmap.diff import diff
from lamina.engine.blockmap.page import Entry, Leaf, PageRef, Written
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import PageSource
from lamina.engine.format import (
    BLOCK_BYTES,
    BRANCH_LEAVES,
    BRANCH_SPAN_BYTES,
    LEAF_BLOCKS,
    LEAF_SPAN_BYTES,
)
from lamina.failures import Corruption
from lamina.units import count_steps

# Leaves that were written together lie side by side: 64 of them are one request of about 350 KiB.
_LEAVES_AT_ONCE: Final = 64

_LeafRef = tuple[int, PageRef]


def list_written(root: Root, pages: PageSource, offset: int, end: int) -> Iterator[Extent]:
    """What the snapshot says about `[offset, end)`: extents of every kind, without gaps, not joined.

    Where counts tell that a page is all data or all zeros, it is not read; where nothing was written, there
    is none. So an empty disk of any size costs nothing.

    Raises:
        Corruption: a page that is needed is missing or damaged; what came before it is right.
    """
    return _fill_gaps(_list_pages(root, pages, offset, end), offset, end)


def list_changed(before: Root, after: Root, pages: PageSource, offset: int, end: int) -> Iterator[Extent]:
    """Where two snapshots differ in `[offset, end)`: changed blocks as `DATA`, the rest as `HOLE`, not joined.

    Raises:
        Corruption: a page that is needed is missing or damaged; what came before it is right.
    """
    first, last = offset // LEAF_SPAN_BYTES, count_steps(end, LEAF_SPAN_BYTES)
    changes = diff(before, after, pages, first, last)
    changed = (Extent(change.block * BLOCK_BYTES, BLOCK_BYTES) for change in changes)
    return _fill_gaps(changed, offset, end)


def _fill_gaps(extents: Iterator[Extent], offset: int, end: int) -> Iterator[Extent]:
    """The extents cut to `[offset, end)`, with holes between them."""
    for extent in extents:
        start, stop = max(extent.offset, offset), min(extent.end, end)
        if start >= stop:
            continue
        if start > offset:
            yield Extent(offset, start - offset, ExtentKind.HOLE)
        yield Extent(start, stop - start, extent.kind)
        offset = stop
    if offset < end:
        yield Extent(offset, end - offset, ExtentKind.HOLE)


def _list_pages(root: Root, pages: PageSource, offset: int, end: int) -> Iterator[Extent]:
    for index, ref in root.branches.items():
        start = index * BRANCH_SPAN_BYTES
        if start >= end or start + BRANCH_SPAN_BYTES <= offset:
            continue
        kind = _find_kind(ref, BRANCH_LEAVES * LEAF_BLOCKS)
        if kind is not None:
            yield Extent(start, BRANCH_SPAN_BYTES, kind)
            continue
        first, last = offset // LEAF_SPAN_BYTES, count_steps(end, LEAF_SPAN_BYTES)
        base = index * BRANCH_LEAVES
        leaves = pages.read_branch(ref).leaves.items()
        inside = ((base + within, leaf) for within, leaf in leaves if first <= base + within < last)
        while batch := list(islice(inside, _LEAVES_AT_ONCE)):
            yield from _list_batch(batch, pages)


def _list_batch(batch: Sequence[_LeafRef], pages: PageSource) -> Iterator[Extent]:
    mixed = [ref for _, ref in batch if _find_kind(ref, LEAF_BLOCKS) is None]
    leaves = iter(pages.read_leaves(mixed) if mixed else ())
    for index, ref in batch:
        start = index * LEAF_SPAN_BYTES
        kind = _find_kind(ref, LEAF_BLOCKS)
        if kind is not None:
            yield Extent(start, LEAF_SPAN_BYTES, kind)
            continue
        leaf = next(leaves)
        if isinstance(leaf, Corruption):
            raise leaf
        yield from _list_leaf(start, leaf)


def _list_leaf(start: int, leaf: Leaf) -> Iterator[Extent]:
    for offset, entry in enumerate(leaf.entries):
        yield Extent(start + offset * BLOCK_BYTES, BLOCK_BYTES, _kind_of(entry))


def _find_kind(ref: PageRef, blocks: int) -> ExtentKind | None:
    """What all blocks below a page are, if its counts tell."""
    if ref.data_blocks == blocks:
        return ExtentKind.DATA
    return ExtentKind.ZERO if ref.zero_blocks == blocks else None


def _kind_of(entry: Entry) -> ExtentKind:
    if entry is None:
        return ExtentKind.HOLE
    return ExtentKind.ZERO if entry is Written.ZERO else ExtentKind.DATA
