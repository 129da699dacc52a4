"""Capturing one leaf: read, drop zeros, hash, deduplicate, compress, seal."""

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from lamina.blockio.source import BlockSource
from lamina.engine.blockmap.build import PageSink, write_leaf
from lamina.engine.blockmap.page import Entry, Leaf, PageRef, Stored, Written
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS, BlockId
from lamina.engine.packs.writer import PackWriter, Unsealed
from lamina.engine.seal.compression import Compressor
from lamina.engine.seal.hashing import ZERO_BLOCK, Identity
from lamina.transfer.known_blocks import KnownBlocks
from lamina.transfer.plan import LeafJob, Look
from lamina.transfer.progress import Progress

# 1 MiB: large enough that the system call costs nothing, small enough to stay in a core's cache.
_READ_BLOCKS: Final = 16


class LeafOutcome(NamedTuple):
    """What became of a leaf: its new reference, and how many of its blocks were read, changed and newly stored."""

    leaf_index: int
    ref: PageRef | None
    read_blocks: int
    changed_blocks: int
    new_blocks: int


class _Fresh(NamedTuple):
    """A block that the parent does not have at this place."""

    within: int
    block_id: BlockId
    block: bytearray


class LeafCapture:
    """Captures leaves of one disk into one session's packs. Thread-safe; each thread reads into its own buffers."""

    def __init__(
        self,
        source: BlockSource,
        identity: Identity,
        known: KnownBlocks,
        packs: PackWriter,
        pages: PageSink,
        *,
        compressor: Compressor,
        progress: Progress,
    ) -> None:
        self._source = source
        self._identity = identity
        self._known = known
        self._packs = packs
        self._pages = pages
        self._compressor = compressor
        self._progress = progress
        self._buffers = threading.local()

    def capture(self, job: LeafJob, parent_ref: PageRef | None, parent: Leaf) -> LeafOutcome:
        """Bring one leaf up to date; the parent's page is used again when nothing in it changed.

        Raises:
            Fault: the disk could not be read, or the store failed.
            Cancelled: the progress was cancelled.
        """
        entries: list[Entry] = [
            _unread(look, old) for look, old in zip(job.looks, parent.entries, strict=True)
        ]
        read_blocks = new_blocks = 0
        for first, count in job.list_reads(_READ_BLOCKS):
            self._progress.check()
            fresh = self._read_run(job.leaf_index * LEAF_BLOCKS, first, count, parent, entries)
            new_blocks += self._keep(fresh, entries)
            read_blocks += count
            self._progress.advance(count * BLOCK_BYTES)
        changed = sum(map(_differs, entries, parent.entries))
        if not changed:
            return LeafOutcome(job.leaf_index, parent_ref, read_blocks, 0, new_blocks)
        ref = write_leaf(Leaf(tuple(entries)), self._identity, self._pages)
        return LeafOutcome(job.leaf_index, ref, read_blocks, changed, new_blocks)

    def _read_run(
        self, leaf_block: int, first: int, count: int, parent: Leaf, entries: list[Entry]
    ) -> list[_Fresh]:
        buffers = self._lend_buffers()[:count]
        self._source.read_into((leaf_block + first) * BLOCK_BYTES, buffers)
        fresh = []
        for within, block in enumerate(buffers, first):
            if block == ZERO_BLOCK:
                entries[within] = Written.ZERO
                continue
            block_id = self._identity.block(block)
            old = parent.entries[within]
            if type(old) is Stored and old.block_id == block_id:
                entries[within] = old
            else:
                fresh.append(_Fresh(within, block_id, block))
        return fresh

    def _keep(self, fresh: Sequence[_Fresh], entries: list[Entry]) -> int:
        """Find a place for every block: an old one where the repository has it, else a new one."""
        if not fresh:
            return 0
        places = self._known.find([item.block_id for item in fresh])
        missing = {item.block_id: item.block for item in fresh if item.block_id not in places}
        if missing:
            records = [
                Unsealed(block_id, *self._compressor.compress(block)) for block_id, block in missing.items()
            ]
            places |= self._known.add(records, self._packs)
        for item in fresh:
            entries[item.within] = Stored(item.block_id, places[item.block_id])
        return len(missing)

    def _lend_buffers(self) -> list[bytearray]:
        buffers: list[bytearray] | None = getattr(self._buffers, "blocks", None)
        if buffers is None:
            buffers = self._buffers.blocks = [bytearray(BLOCK_BYTES) for _ in range(_READ_BLOCKS)]
        return buffers


def _unread(look: int, old: Entry) -> Entry:
    if look == Look.KEEP:
        return old
    return Written.ZERO if look == Look.ZERO else None


def _differs(new: Entry, old: Entry) -> bool:
    if new is old:
        return False
    if isinstance(new, Stored) and isinstance(old, Stored):
        return new.block_id != old.block_id
    return True
