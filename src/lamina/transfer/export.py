"""Export: a snapshot as a read-only NBD disk. Lazy, cached, and honest about damage."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from lamina.blockio.extents import Extent, ExtentKind, merge_extents
from lamina.blockio.nbd.constants import BASE_ALLOCATION, AllocationFlag
from lamina.blockio.nbd.export import StatusRun
from lamina.engine.blockmap.page import Entry, Stored
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.repository import Repository
from lamina.engine.seal.hashing import ZERO_BLOCK
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption, Refusal
from lamina.ids import SnapshotId
from lamina.telemetry import get_logger, log
from lamina.transfer.block_cache import BlockCache
from lamina.transfer.read_ahead import BackgroundReader, StreamDetector
from lamina.transfer.restore import DamagedSnapshotError
from lamina.transfer.snapshot_extents import list_changed, list_written
from lamina.transfer.snapshot_map import SnapshotMap
from lamina.units import MIB, count_steps

_LOGGER: Final = get_logger(__name__)

CACHE_BYTES: Final = 64 * MIB
CHANGED_SINCE: Final = "lamina:changed-since:"
"""The metadata context of what changed, with the id of the earlier snapshot behind it."""

# A record as large as a block makes this one store request: see RecordReader.
_WINDOW_BYTES_MAX: Final = 8 * MIB
_WINDOWS_IN_CACHE: Final = 8

_ALLOCATION_FLAGS: Final[Mapping[ExtentKind, int]] = {
    ExtentKind.DATA: 0,
    ExtentKind.ZERO: AllocationFlag.ZERO,
    ExtentKind.HOLE: AllocationFlag.HOLE | AllocationFlag.ZERO,
}
_CHANGE_FLAGS: Final[Mapping[ExtentKind, int]] = {ExtentKind.DATA: 1, ExtentKind.HOLE: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """How to export.

    Attributes:
        name: the export's name at the NBD server; empty for the default export.
        changed_since: also offer the context that tells what differs from this earlier snapshot.
        cache_bytes: how many bytes of opened blocks are kept; an eighth of it is the most that is read ahead.
    """

    name: str = ""
    changed_since: SnapshotId | None = None
    cache_bytes: int = CACHE_BYTES


class SnapshotExport:
    """A snapshot as an `NbdExport`: read-only, and nothing is read before it is asked for.

    A session of kind READ is published for as long as the export is open, so that no sweep removes what it
    reads. A cold read of one block on a fresh host costs four reads of the store: manifest, branch, leaf, block.
    """

    def __init__(
        self, repository: Repository, snapshot_id: SnapshotId, request: ExportRequest | None = None
    ) -> None:
        """Open a snapshot: one read of the store, and one for `changed_since`.

        Raises:
            SnapshotNotFoundError: there is no such snapshot.
            Corruption: its manifest is damaged.
        """
        self._request = request = request or ExportRequest()
        self._repository = repository
        with ExitStack() as stack:
            stack.enter_context(repository.session(SessionKind.READ, snapshot_id))
            self._map = SnapshotMap(repository, snapshot_id)
            since = request.changed_since
            self._since = SnapshotMap(repository, since) if since is not None else None
            self._cache = BlockCache(request.cache_bytes, repository.blocks.read)
            self._background = BackgroundReader(self._fetch_ahead)
            stack.callback(self._background.close)
            self._open = stack.pop_all()
        window = min(_WINDOW_BYTES_MAX, request.cache_bytes // _WINDOWS_IN_CACHE)
        self._streams = StreamDetector(self.size_bytes, window)

    def close(self) -> None:
        """End the session; twice does no harm."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The export's name."""
        return self._request.name

    @property
    def description(self) -> str:
        """Which snapshot of which disk this is."""
        manifest = self._map.manifest
        taken = manifest.created_at.isoformat(timespec="seconds")
        of = f" of {manifest.name}" if manifest.name else ""
        return f"snapshot {manifest.snapshot_id}{of}, {taken}"

    @property
    def size_bytes(self) -> int:
        """The size of the disk in bytes; no multiple of anything."""
        return self._map.manifest.size_bytes

    @property
    def is_read_only(self) -> bool:
        """Always: snapshots do not change."""
        return True

    @property
    def has_fast_zero(self) -> bool:
        """Nothing is written, so nothing is fast."""
        return False

    @property
    def contexts(self) -> Sequence[str]:
        """`base:allocation`, and what changed if that was asked for."""
        since = self._request.changed_since
        return (BASE_ALLOCATION,) if since is None else (BASE_ALLOCATION, CHANGED_SINCE + since)

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """Exactly `length` bytes.

        Raises:
            DamagedSnapshotError: some of the bytes are lost or damaged; the message names snapshot, bytes and object.
            Fault: the store failed, or the snapshot was deleted and swept.
        """
        ahead = self._streams.observe(offset, length)
        if ahead is not None:
            self._background.submit(ahead)
        seen = self._map.manifest
        try:
            return self._read(offset, length)
        except Corruption:
            if not self._map.follow(seen):
                raise
        return self._read(offset, length)

    def prefetch(self, offset: int, length: int) -> None:
        """Fetch a range in the background, as far as half of the cache holds it."""
        end = min(offset + length, offset + self._request.cache_bytes // 2)
        for start in range(offset, end, _WINDOW_BYTES_MAX):
            self._background.submit(Extent(start, min(_WINDOW_BYTES_MAX, end - start)))

    def block_status(self, context: str, offset: int, length: int) -> Iterator[StatusRun]:
        """The runs of `[offset, offset + length)` in one context, joined where neighbours agree. Reads pages only.

        Raises:
            Refusal: the context is not one of `contexts`.
            Fault: the store failed.
        """
        if context not in self.contexts:
            raise Refusal(f"this export has no metadata context {context!r}")
        flags = _ALLOCATION_FLAGS if context == BASE_ALLOCATION else _CHANGE_FLAGS
        extents = merge_extents(self._list_extents(context, offset, offset + length))
        return (StatusRun(extent.length, flags[extent.kind]) for extent in extents)

    def flush(self) -> None:
        """Nothing was written, so everything is durable."""

    def write(self, offset: int, data: memoryview) -> None:
        """Refused."""
        raise self._read_only(offset, len(data))

    def zero(self, offset: int, length: int, *, may_punch: bool) -> None:  # noqa: ARG002 - the contract's signature
        """Refused."""
        raise self._read_only(offset, length)

    def trim(self, offset: int, length: int) -> None:
        """Refused."""
        raise self._read_only(offset, length)

    def _read_only(self, offset: int, length: int) -> Refusal:
        return Refusal(
            f"bytes {offset}-{offset + length - 1} cannot be changed: a snapshot is read-only; write to an overlay"
        )

    def _read(self, offset: int, length: int) -> bytes | memoryview:
        if length == 0:
            return b""
        first = offset // BLOCK_BYTES
        count = count_steps(offset + length, BLOCK_BYTES) - first
        entries = self._map.list_entries(first, count)
        if not any(isinstance(entry, Stored) for entry in entries):
            return bytes(length)
        pieces = self._load(first, entries)
        pieces[-1] = pieces[-1][: offset + length - (first + count - 1) * BLOCK_BYTES]
        pieces[0] = pieces[0][offset - first * BLOCK_BYTES :]
        return pieces[0] if count == 1 else b"".join(pieces)

    def _load(self, first: int, entries: Sequence[Entry]) -> list[memoryview]:
        """The whole blocks behind the entries, the first of which is at `first`."""
        contents = self._cache.load([entry for entry in entries if isinstance(entry, Stored)])
        pieces: list[memoryview] = []
        bad: list[Extent] = []
        reasons: dict[str, None] = {}
        for block, entry in enumerate(entries, first):
            content = contents[entry.block_id] if isinstance(entry, Stored) else ZERO_BLOCK
            if isinstance(content, Corruption):
                bad.append(self._extent_of(block))
                reasons[str(content)] = None
            else:
                pieces.append(memoryview(content))
        if bad:
            raise self._damaged(bad, list(reasons))
        return pieces

    def _fetch_ahead(self, extent: Extent) -> None:
        first = extent.offset // BLOCK_BYTES
        count = count_steps(extent.end, BLOCK_BYTES) - first
        self._map.warm(first, count)
        entries = self._map.list_entries(first, count)
        self._cache.load([entry for entry in entries if isinstance(entry, Stored)])

    def _list_extents(self, context: str, offset: int, end: int) -> Iterator[Extent]:
        """The extents of `[offset, end)` in a context, not joined.

        Where a page cannot be read, the rest of the request counts as data, or as changed: too much is safe,
        and reading it gives the error that is due.
        """
        after = self._map.manifest
        before = self._since.manifest if self._since is not None and context != BASE_ALLOCATION else None
        pages = self._repository.pages
        try:
            if before is None:
                found = list_written(after.root, pages, offset, end)
            else:
                found = list_changed(before.root, after.root, pages, offset, end)
            for extent in found:
                yield extent
                offset = extent.end
        except Corruption as damage:
            is_moved = self._map.follow(after)
            if self._since is not None and before is not None:
                is_moved = self._since.follow(before) or is_moved
            if is_moved:
                yield from self._list_extents(context, offset, end)
                return
            self._warn(damage)
            yield Extent(offset, end - offset)

    def _extent_of(self, block: int) -> Extent:
        offset = block * BLOCK_BYTES
        return Extent(offset, min(BLOCK_BYTES, self.size_bytes - offset))

    def _damaged(self, ranges: Sequence[Extent], reasons: Sequence[str]) -> DamagedSnapshotError:
        return DamagedSnapshotError(self._map.manifest.snapshot_id, ranges, reasons)

    def _warn(self, damage: Corruption) -> None:
        log(
            _LOGGER,
            logging.CRITICAL,
            "the block map of a served snapshot is damaged",
            snapshot=self._map.manifest.snapshot_id,
            message=str(damage),
        )
