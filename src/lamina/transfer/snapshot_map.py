"""The block map of an open snapshot: found page by page, and found again when a compaction moved it."""

import threading
from typing import Final

from lamina.blockio.extents import Extent
from lamina.engine.blockmap.page import EMPTY_LEAF, Entry, Leaf
from lamina.engine.blockmap.walk import find_leaf, list_leaf_refs
from lamina.engine.format import BRANCH_LEAVES, LEAF_BLOCKS, LEAF_SPAN_BYTES
from lamina.engine.manifest import Manifest
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Corruption, Fault
from lamina.ids import SnapshotId
from lamina.transfer.restore import DamagedSnapshotError

# Pages are read by whoever comes first; 64 locks keep apart nearly all who want different pages.
_TURNS: Final = 64
# 16 leaves are 128 MiB of a disk and about 90 KiB of a map pack: one request for a stream, instead of 16.
_LEAVES_AHEAD: Final = 16
# Damage that stays must not cost a listing for every read of it.
_FOLLOW_AGAIN_SECONDS: Final = 60.0


class SnapshotMap:
    """What a snapshot says about its blocks. Thread-safe; opening it costs one read of the store.

    Every page is read once, however many threads need it at the same moment.

    Attributes:
        manifest: the snapshot's manifest; replaced by `follow`.
    """

    def __init__(self, repository: Repository, snapshot_id: SnapshotId) -> None:
        """Open the map.

        Raises:
            SnapshotNotFoundError: there is no such snapshot.
            Corruption: its manifest is damaged.
        """
        self._repository = repository
        self._turns = tuple(threading.Lock() for _ in range(_TURNS))
        self._follow_lock = threading.Lock()
        self._followed_at: float | None = None
        self.manifest = repository.read_manifest_quickly(snapshot_id)

    def list_entries(self, first_block: int, count: int) -> list[Entry]:
        """What the map says about each of `count` blocks.

        Raises:
            DamagedSnapshotError: a page on the way is missing or damaged; the ranges are those of the leaf.
        """
        entries: list[Entry] = []
        end = first_block + count
        while first_block < end:
            leaf_index, within = divmod(first_block, LEAF_BLOCKS)
            stop = min(LEAF_BLOCKS, within + end - first_block)
            entries += self._get_leaf(leaf_index).entries[within:stop]
            first_block += stop - within
        return entries

    def warm(self, first_block: int, count: int) -> None:
        """Read the leaves of these blocks and their neighbours, a group in one request.

        Raises:
            Corruption: a page on the way is missing or damaged.
        """
        first = first_block // LEAF_BLOCKS // _LEAVES_AHEAD * _LEAVES_AHEAD
        end = (first_block + count - 1) // LEAF_BLOCKS + 1
        for start in range(first, end, _LEAVES_AHEAD):
            self._warm_group(start)

    def follow(self, seen: Manifest) -> bool:
        """Look for a later manifest after something of `seen` could not be read.

        A compaction moves blocks and writes a manifest with their new places; the contents stay the same.

        Returns:
            Whether there is another manifest than `seen` now, so that trying again makes sense.

        Raises:
            Fault: the snapshot was deleted meanwhile, or the store failed.
            Corruption: the later manifest is damaged, or tells of other contents.
        """
        with self._follow_lock:
            if self.manifest is not seen:
                return True
            now = self._repository.clock.monotonic()
            if self._followed_at is not None and now - self._followed_at < _FOLLOW_AGAIN_SECONDS:
                return False
            self._followed_at = now
            latest = self._read_latest(seen)
            if latest.root == seen.root:
                return False
            self.manifest = latest
            return True

    def _read_latest(self, seen: Manifest) -> Manifest:
        snapshot_id = seen.snapshot_id
        try:
            latest = self._repository.read_manifest(snapshot_id)
        except SnapshotNotFoundError as error:
            raise Fault(f"snapshot {snapshot_id} was deleted while it was open", retryable=False) from error
        if latest.content_id != seen.content_id:
            raise Corruption(f"the manifests of snapshot {snapshot_id} tell of different contents")
        return latest

    def _get_leaf(self, leaf_index: int) -> Leaf:
        try:
            return self._read_leaf(leaf_index)
        except Corruption as damage:
            start = leaf_index * LEAF_SPAN_BYTES
            length = min(LEAF_SPAN_BYTES, self.manifest.size_bytes - start)
            bad = [Extent(start, length)]
            raise DamagedSnapshotError(self.manifest.snapshot_id, bad, [str(damage)]) from damage

    def _read_leaf(self, leaf_index: int) -> Leaf:
        root, pages = self.manifest.root, self._repository.pages
        branch_index = leaf_index // BRANCH_LEAVES
        branch_ref = root.branches.get(branch_index)
        if branch_ref is None:
            return EMPTY_LEAF
        with self._turns[branch_index % _TURNS]:
            pages.read_branch(branch_ref)
        with self._turns[leaf_index % _TURNS]:
            return find_leaf(root, pages, leaf_index)

    def _warm_group(self, first_leaf: int) -> None:
        self._read_leaf(first_leaf)  # takes the branch's turn: a cold one is read once
        pages = self._repository.pages
        group = list_leaf_refs(self.manifest.root, pages, first_leaf, first_leaf + _LEAVES_AHEAD)
        pages.read_leaves([item[1] for item in group if isinstance(item, tuple)])
