"""Compaction: copy the live records of sparse packs together, so that a sweep can remove the packs."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from lamina.engine import manifest as manifests
from lamina.engine.blockmap.build import RootBuilder, write_leaf
from lamina.engine.blockmap.page import Entry, Leaf, PageRef, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import Visit, walk_leaves
from lamina.engine.condemned import list_condemned
from lamina.engine.format import (
    DATA_FOLDER,
    DEFAULT_DOMAIN,
    KIND_DATA_PACK,
    KIND_MANIFEST,
    KIND_MAP_PACK,
    Location,
    PackId,
    SessionId,
    data_pack_key,
)
from lamina.engine.maintenance.mark import ManifestVanishedError, Marks
from lamina.engine.manifest import Manifest, SnapshotFolder
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.packs.reader import Wanted
from lamina.engine.packs.writer import PackWriter, Unsealed, Uploads
from lamina.engine.pages import MapWriter
from lamina.engine.repository import Repository
from lamina.engine.seal.compression import Compressor
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption

# Half empty: rewriting a pack costs at most as much as it frees.
SPARSE_BELOW: Final = 0.5
# What one run moves at the most, so that it ends in bounded time and memory (2 GiB of packs, about 64,000 records).
PACKS_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionReport:
    """What a compaction did.

    Attributes:
        sparse_packs: packs whose live records were copied out; a later sweep removes them.
        sparse_bytes: their size.
        moved_bytes: bytes of the records that were copied.
        rewritten_snapshots: snapshots that got a new manifest.
        skipped: why nothing was done; None when something was, or there was nothing to do.
    """

    sparse_packs: int = 0
    sparse_bytes: int = 0
    moved_bytes: int = 0
    rewritten_snapshots: int = 0
    skipped: str | None = None


def compact(
    repository: Repository, *, sparse_below: float = SPARSE_BELOW, level: int = 1
) -> CompactionReport:
    """Move the live records of the sparsest packs together. Safe beside everything else (docs/format.md §5).

    Args:
        repository: the repository.
        sparse_below: packs with a smaller share of live bytes are sparse.
        level: zstd level for the moved records.

    Raises:
        Fault: the store failed; snapshots that got a new manifest have it, the others keep theirs.
        Corruption: a record that must move is damaged; `verify` tells whose it is.
    """
    with repository.session(SessionKind.COMPACTION, "") as session:
        folders = [folder for folder in repository.list_folders() if folder.is_visible]
        sparse, skipped = _find_sparse(repository, sparse_below)
        if not sparse:
            return CompactionReport(skipped=skipped)
        with ExitStack() as stack:
            uploads = Uploads(repository.store, lambda _: None)
            stack.callback(uploads.close)
            move = _Move(repository, sparse.keys(), session.session_id, uploads, level)
            moved = [(folder, *move.rewrite(folder)) for folder in folders]
            move.finish()
            uploads.wait()
            uploads.confirm()
        rewritten = 0
        for folder, old, root in moved:
            if old is not None and root is not None:
                _supersede(repository, folder, old, root, session.session_id)
                rewritten += 1
    return CompactionReport(
        sparse_packs=len(sparse),
        sparse_bytes=sum(sparse.values()),
        moved_bytes=move.moved_bytes,
        rewritten_snapshots=rewritten,
    )


def _find_sparse(repository: Repository, sparse_below: float) -> tuple[dict[PackId, int], str | None]:
    """The sparsest packs with their sizes, or why none can be named."""
    sizes = {info.key: info.size_bytes for info in repository.store.list(DATA_FOLDER)}
    damaged = list_condemned(repository.store, repository.cipher).damaged_packs(KIND_DATA_PACK)
    with Marks(repository, with_records=True) as marks:
        try:
            for folder in repository.list_folders():
                for key in folder.bodies:
                    marks.reach_manifest(key)
        except ManifestVanishedError:
            return {}, "a sweep is removing manifests at this moment: try again"
        if marks.damage:
            return {}, f"the repository is damaged, and what is damaged must not be moved: {marks.damage[0]}"
        shares = []
        for pack, live in marks.list_live_bytes():
            size = sizes.get(data_pack_key(pack), 0)
            if size and live / size < sparse_below and pack not in damaged:
                shares.append((live / size, pack, size))
    return {pack: size for _, pack, size in sorted(shares)[:PACKS_AT_ONCE]}, None


class _Move:
    """Copies records out of sparse packs, and pages that point to them. Every record and page moves once."""

    def __init__(
        self,
        repository: Repository,
        sparse: Iterable[PackId],
        session: SessionId,
        uploads: Uploads,
        level: int,
    ) -> None:
        keys = repository.master.domain_keys(DEFAULT_DOMAIN)
        self._repository = repository
        self._sparse = frozenset(sparse)
        self._compressor = Compressor(level)
        self._data_packs = PackWriter(KIND_DATA_PACK, bytes.fromhex(session), keys, uploads)
        self._map_packs = PackWriter(KIND_MAP_PACK, bytes.fromhex(session), keys, uploads)
        self._pages = MapWriter(self._map_packs, self._compressor)
        self._records: dict[Location, Location] = {}
        self._leaves: dict[Location, PageRef] = {}
        self.moved_bytes = 0

    def rewrite(self, folder: SnapshotFolder) -> tuple[Manifest | None, Root | None]:
        """The snapshot's manifest, and its new root if it refers to a sparse pack."""
        try:
            old = self._repository.read_body(folder.bodies[-1])
        except ObjectMissingError:
            return None, None
        if old is None:
            return None, None
        builder = RootBuilder(
            old.root, old.size_bytes, self._repository.identity, self._pages, self._repository.pages
        )
        touched = False
        for visit in walk_leaves(old.root, self._repository.pages):
            moved = self._move_leaf(visit)
            if moved is not None:
                builder.set_leaf(visit.first_leaf, moved)
                touched = True
        return old, builder.finish() if touched else None

    def finish(self) -> None:
        """Close the open packs."""
        self._data_packs.finish()
        self._map_packs.finish()

    def _move_leaf(self, visit: Visit) -> PageRef | None:
        if isinstance(visit.leaf, Corruption):
            raise visit.leaf
        if visit.ref is None or not any(entry.location.pack in self._sparse for entry in visit.leaf.stored):
            return None
        if visit.ref.location not in self._leaves:
            places = self._move_records(visit.leaf.stored)
            leaf = Leaf(tuple(_moved(entry, places) for entry in visit.leaf.entries))
            ref = write_leaf(leaf, self._repository.identity, self._pages)
            if ref is None or ref.page_id != visit.ref.page_id:
                raise Corruption("a leaf changed its contents while it was moved; nothing was committed")
            self._leaves[visit.ref.location] = ref
        return self._leaves[visit.ref.location]

    def _move_records(self, stored: Iterable[Stored]) -> Mapping[Location, Location]:
        wanted = [
            Wanted(*entry)
            for entry in stored
            if entry.location.pack in self._sparse and entry.location not in self._records
        ]
        for item, content in zip(wanted, self._repository.blocks.read(wanted), strict=True):
            if isinstance(content, Corruption):
                raise content
            if item.location not in self._records:
                record = Unsealed(item.identity, *self._compressor.compress(content))
                (self._records[item.location],) = self._data_packs.append([record])
                self.moved_bytes += item.location.length
        return self._records


def _moved(entry: Entry, places: Mapping[Location, Location]) -> Entry:
    if isinstance(entry, Stored) and entry.location in places:
        return Stored(entry.block_id, places[entry.location])
    return entry


def _supersede(
    repository: Repository, folder: SnapshotFolder, old: Manifest, root: Root, session: SessionId
) -> None:
    if root.content_id(repository.identity).hex() != old.content_id:
        raise Corruption(f"snapshot {old.snapshot_id} would change its contents: its old manifest stays")
    key = manifests.next_body_key(folder, session)
    body = manifests.encode(replace(old, root=root))
    repository.store.put(key, repository.cipher.seal(KIND_MANIFEST, key, body))
