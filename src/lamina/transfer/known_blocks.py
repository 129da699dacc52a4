"""What a running capture knows to be in the repository: its own new blocks, and the local index."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from lamina.engine.condemned import Condemned
from lamina.engine.dedup import BlockIndexCache
from lamina.engine.format import DATA_FOLDER, KIND_DATA_PACK, BlockId, Location, PackId, parse_pack_key
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.packs.footer import FooterRow
from lamina.engine.packs.writer import PackWriter, Unsealed, WrittenPack
from lamina.engine.repository import Repository
from lamina.failures import Corruption
from lamina.units import MIB

# What learning about the repository may cost, so that a small capture stays small: a listing of 1,000 packs, and
# a footer per MiB that may have to be stored.
_PACKS_PER_LISTING: Final = 1000
_BYTES_PER_LISTING: Final = 256 * MIB
_BYTES_PER_FOOTER: Final = MIB
_FOOTERS_ALWAYS: Final = 64
_FOOTER_THREADS: Final = 8


class KnownBlocks:
    """Finds blocks that need not be stored again. Thread-safe.

    The store is asked nothing before the first block is looked up: a capture without changes costs no request here.
    It must be made after the session was published (docs/format.md §5, rule 1).
    """

    def __init__(self, repository: Repository, condemned: Condemned, expected_bytes: int) -> None:
        """Look nothing up yet.

        Args:
            repository: the repository.
            condemned: what was condemned when the session had been published.
            expected_bytes: how much the capture may have to store; it bounds what may be spent on learning.
        """
        self._repository = repository
        self._condemned = condemned.packs(KIND_DATA_PACK)
        self._expected_bytes = expected_bytes
        self._index: BlockIndexCache | None = None
        self._learn_lock = threading.Lock()
        # Blocks in packs that are not stored yet; their packs' rows go to the index when they are.
        self._own: dict[BlockId, Location] = {}
        self._own_lock = threading.Lock()

    def find(self, block_ids: Sequence[BlockId]) -> dict[BlockId, Location]:
        """Where those of the blocks lie that need not be stored."""
        with self._own_lock:
            found = {block_id: self._own[block_id] for block_id in block_ids if block_id in self._own}
        missing = [block_id for block_id in block_ids if block_id not in found] if found else block_ids
        return found | self._learned().find(missing)

    def add(self, records: Sequence[Unsealed], packs: PackWriter) -> dict[BlockId, Location]:
        """Store records and remember them."""
        if not records:
            return {}
        locations = packs.append(records)
        places = {
            BlockId(record.identity): location for record, location in zip(records, locations, strict=True)
        }
        with self._own_lock:
            self._own.update(places)
        return places

    def on_stored(self, written: WrittenPack) -> None:
        """A pack of this session is in the store: the index takes over its blocks."""
        if written.kind != KIND_DATA_PACK:
            return
        self._learned().record(written.pack, written.rows)
        with self._own_lock:
            for row in written.rows:
                place = self._own.get(BlockId(row.identity))
                if place is not None and place.pack == written.pack:
                    del self._own[BlockId(row.identity)]

    def close(self) -> None:
        """Close the index."""
        if self._index is not None:
            self._index.close()

    def _learned(self) -> BlockIndexCache:
        with self._learn_lock:
            if self._index is None:
                self._index = self._repository.open_index()
                self._learn(self._index)
            return self._index

    def _learn(self, index: BlockIndexCache) -> None:
        most = _PACKS_PER_LISTING * (1 + self._expected_bytes // _BYTES_PER_LISTING)
        listing = (parse_pack_key(info.key) for info in self._repository.store.list(DATA_FOLDER))
        seen = [named[1] for named in islice(listing, most) if named is not None]
        if len(seen) < most:
            index.forget_all_but(seen)
        unknown = index.allow(pack for pack in seen if pack not in self._condemned)
        affordable = _FOOTERS_ALWAYS + self._expected_bytes // _BYTES_PER_FOOTER
        self._read_footers(index, unknown[:affordable])

    def _read_footers(self, index: BlockIndexCache, packs: Sequence[PackId]) -> None:
        if not packs:
            return
        with ThreadPoolExecutor(_FOOTER_THREADS, thread_name_prefix="footer") as executor:
            for pack, rows in zip(packs, executor.map(self._read_footer, packs), strict=True):
                index.record(pack, rows)

    def _read_footer(self, pack: PackId) -> list[FooterRow]:
        try:
            return self._repository.blocks.read_footer(pack)[0]
        except (ObjectMissingError, Corruption):
            return []  # no help in deduplication; `verify` is who raises the alarm about it
