"""Capturing one leaf: read, drop zeros, hash, deduplicate, compress, seal."""

import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

from lamina.blockio.source import BlockSource
from lamina.engine.blockmap.build import PageSink, write_leaf
from lamina.engine.blockmap.page import Entry, Leaf, PageRef, Stored, Written
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS, BlockId, PackId
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


class _News(NamedTuple):
    """What a leaf brings that the repository does not have: records, and the blocks that wait for their places."""

    records: dict[BlockId, Unsealed]
    blocks: dict[int, BlockId]


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
        distrusted: frozenset[PackId] = frozenset(),
    ) -> None:
        """Prepare; what the parent has in `distrusted` packs is stored anew, also when it did not change."""
        self._source = source
        self._identity = identity
        self._known = known
        self._packs = packs
        self._pages = pages
        self._compressor = compressor
        self._progress = progress
        self._distrusted = distrusted
        self._buffers = threading.local()

    def capture(self, job: LeafJob, parent_ref: PageRef | None, parent: Leaf) -> LeafOutcome:
        """Bring one leaf up to date; the parent's page is used again when nothing in it changed or moved.

        Without a reference to that page a new one is written in any case.

        Raises:
            Fault: the disk could not be read, or the store failed.
            Cancelled: the progress was cancelled.
        """
        entries: list[Entry] = [
            _unread(look, old) for look, old in zip(job.looks, parent.entries, strict=True)
        ]
        news = _News({}, {})
        for first, count in job.list_reads(_READ_BLOCKS):
            self._progress.check()
            fresh = self._read_run(job.leaf_index * LEAF_BLOCKS, first, count, parent, entries)
            self._keep(fresh, entries, news)
            self._progress.advance(count * BLOCK_BYTES)
        # All at once, so that the records of a leaf lie side by side and a restore reads them in one request.
        places = self._known.add(list(news.records.values()), self._packs)
        for within, block_id in news.blocks.items():
            entries[within] = Stored(block_id, places[block_id])
        changed = sum(map(_differs, entries, parent.entries))
        if not changed and parent_ref is not None and entries == list(parent.entries):
            return LeafOutcome(job.leaf_index, parent_ref, job.read_blocks, 0, 0)
        ref = write_leaf(Leaf(tuple(entries)), self._identity, self._pages)
        return LeafOutcome(job.leaf_index, ref, job.read_blocks, changed, len(news.records))

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
            if self._is_kept(old, block_id):
                entries[within] = old
            else:
                fresh.append(_Fresh(within, block_id, block))
        return fresh

    def _is_kept(self, old: Entry, block_id: BlockId) -> bool:
        """Whether the parent has the same block at the same place, where it can be relied on."""
        if type(old) is not Stored or old.block_id != block_id:
            return False
        return old.location.pack not in self._distrusted

    def _keep(self, fresh: Sequence[_Fresh], entries: list[Entry], news: "_News") -> None:
        """Use an old place for every block that the repository has; compress the others."""
        if not fresh:
            return
        places = self._known.find([item.block_id for item in fresh])
        for item in fresh:
            place = places.get(item.block_id)
            if place is not None:
                entries[item.within] = Stored(item.block_id, place)
                continue
            news.blocks[item.within] = item.block_id
            if item.block_id not in news.records:
                encoding, payload = self._compressor.compress(item.block)
                # The buffer is read into again before the record is sealed.
                kept = bytes(payload) if payload is item.block else payload
                news.records[item.block_id] = Unsealed(item.block_id, encoding, kept)

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
