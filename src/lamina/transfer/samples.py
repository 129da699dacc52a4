"""Whether a change hint tells the truth: blocks outside it are compared with the parent, drawn at random."""

import secrets
from bisect import bisect_right

from lamina.blockio.extents import Extent
from lamina.blockio.source import BlockSource
from lamina.engine.blockmap.page import Leaf, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import find_leaf
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS
from lamina.engine.repository import Repository
from lamina.engine.seal.hashing import ZERO_BLOCK
from lamina.units import BlockIndex, count_steps


def find_lie(
    repository: Repository, source: BlockSource, parent: Root, changed: list[Extent], count: int
) -> BlockIndex | None:
    """A block outside the hint that differs from the parent, among `count` drawn at random; None if all are alike.

    They are drawn from one leaf, so that the check costs two requests, on a disk of any size.

    Args:
        repository: has the parent.
        source: the disk.
        parent: the root of the parent's block map.
        changed: the hint: aligned to blocks, in order, without overlaps.
        count: how many blocks are compared; 0 trusts the hint.

    Raises:
        Corruption: that leaf of the parent is damaged.
        Fault: the disk could not be read.
    """
    blocks = count_steps(source.size_bytes, BLOCK_BYTES)
    if count == 0 or blocks == 0:
        return None
    leaf_index = secrets.randbelow(count_steps(blocks, LEAF_BLOCKS))
    leaf = find_leaf(parent, repository.pages, leaf_index)
    first = leaf_index * LEAF_BLOCKS
    inside = [BlockIndex(block) for block in range(first, min(first + LEAF_BLOCKS, blocks))]
    outside = [block for block in inside if not _covers(changed, block)]
    buffer = bytearray(BLOCK_BYTES)
    for block in secrets.SystemRandom().sample(outside, min(count, len(outside))):
        if not _is_as_before(repository, source, leaf, block, buffer):
            return block
    return None


def _is_as_before(
    repository: Repository, source: BlockSource, leaf: Leaf, block: BlockIndex, buffer: bytearray
) -> bool:
    source.read_into(block * BLOCK_BYTES, [buffer])
    entry = leaf.entries[block % LEAF_BLOCKS]
    if isinstance(entry, Stored):
        return repository.identity.block(buffer) == entry.block_id
    return buffer == ZERO_BLOCK


def _covers(changed: list[Extent], block: BlockIndex) -> bool:
    offset = block * BLOCK_BYTES
    at = bisect_right(
        changed, offset, key=lambda extent: extent.end
    )  # the first that ends behind the block's start
    return at < len(changed) and changed[at].offset <= offset
