"""Stream: a snapshot from its first byte to its last, for pipes. Fetched ahead, written in order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from lamina.blockio.extents import Extent
from lamina.engine.blockmap.page import Stored
from lamina.engine.blockmap.walk import Visit, walk_leaves
from lamina.engine.format import BLOCK_BYTES, LEAF_SPAN_BYTES
from lamina.engine.manifest import Manifest
from lamina.engine.packs.reader import Wanted
from lamina.engine.repository import Repository
from lamina.engine.seal.hashing import ZERO_BLOCK
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption
from lamina.ids import SnapshotId
from lamina.transfer.progress import Progress
from lamina.transfer.restore import DamagedSnapshotError, RestoreRequest, RestoreResult
from lamina.units import MIB, count_steps

# A leaf in memory is 8 MiB: with eight workers and this, 128 MiB at the most.
_LEAVES_AHEAD_PER_WORKER: Final = 2
_ZEROS: Final = bytes(MIB)

Write = Callable[[bytes | memoryview], None]
_Piece = bytes | Corruption


def stream(
    repository: Repository,
    snapshot_id: SnapshotId,
    write: Write,
    request: RestoreRequest | None = None,
    progress: Progress | None = None,
) -> RestoreResult:
    """Hand every byte of a snapshot to `write`, in order; holes and written zeros are zeros.

    Memory is bounded: a few leaves for each worker, whatever the size of the disk.

    Raises:
        SnapshotNotFoundError: no such snapshot.
        DamagedSnapshotError: bytes of the snapshot are lost or damaged. Without `best_effort` nothing was written
            from the first of them on; with it zeros stand in their place, and all of them are named.
        Fault: the store or `write` failed.
        Cancelled: the progress was cancelled; the stream is incomplete.
    """
    request, progress = request or RestoreRequest(), progress or Progress()
    with repository.session(SessionKind.READ, snapshot_id):
        manifest = repository.read_manifest_quickly(snapshot_id)
        progress.expect(manifest.size_bytes)
        out = _Out(manifest, write, request, progress)
        for visit, pieces in _fetch_in_order(repository, manifest, request.workers):
            out.write_leaf(visit, pieces)
        out.finish()
    return RestoreResult(
        snapshot_id=snapshot_id,
        size_bytes=manifest.size_bytes,
        written_bytes=manifest.size_bytes,
        kept_bytes=0,
    )


def _fetch_in_order(
    repository: Repository, manifest: Manifest, workers: int
) -> Iterator[tuple[Visit, Sequence[_Piece]]]:
    """The written leaves in order, each with its blocks, or with nothing if its page is damaged."""
    end = count_steps(manifest.size_bytes, LEAF_SPAN_BYTES)
    running: deque[tuple[Visit, Future[list[_Piece]]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="stream") as executor:
        try:
            for visit in walk_leaves(manifest.root, repository.pages, 0, end):
                running.append((visit, executor.submit(_fetch, repository, visit)))
                if len(running) >= workers * _LEAVES_AHEAD_PER_WORKER:
                    first, pieces = running.popleft()
                    yield first, pieces.result()
            while running:
                first, pieces = running.popleft()
                yield first, pieces.result()
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _fetch(repository: Repository, visit: Visit) -> list[_Piece]:
    if isinstance(visit.leaf, Corruption):
        return []
    contents = iter(repository.blocks.read([Wanted(*entry) for entry in visit.leaf.stored]))
    return [
        _check_length(next(contents)) if isinstance(entry, Stored) else ZERO_BLOCK
        for entry in visit.leaf.entries
    ]


def _check_length(content: _Piece) -> _Piece:
    if isinstance(content, bytes) and len(content) != BLOCK_BYTES:
        return Corruption(f"a record holds {len(content)} bytes instead of a block of {BLOCK_BYTES}")
    return content


class _Out:
    """The way out: keeps the position, fills gaps, and collects damage."""

    def __init__(self, manifest: Manifest, write: Write, request: RestoreRequest, progress: Progress) -> None:
        self._manifest = manifest
        self._write = write
        self._is_best_effort = request.best_effort
        self._progress = progress
        self._position = 0
        self._bad: list[Extent] = []
        self._reasons: dict[str, None] = {}

    def write_leaf(self, visit: Visit, pieces: Sequence[_Piece]) -> None:
        """Write up to the end of a leaf."""
        self._progress.check()
        start = visit.first_leaf * LEAF_SPAN_BYTES
        self._fill(start)
        if isinstance(visit.leaf, Corruption):
            self._note(start, visit.leaf_count * LEAF_SPAN_BYTES, visit.leaf)
            self._fill(start + visit.leaf_count * LEAF_SPAN_BYTES)
        for piece in pieces:
            if isinstance(piece, Corruption):
                self._note(self._position, BLOCK_BYTES, piece)
            self._put(ZERO_BLOCK if isinstance(piece, Corruption) else piece)

    def finish(self) -> None:
        """Write up to the end of the disk, and raise if anything was damaged."""
        self._fill(self._manifest.size_bytes)
        if self._bad:
            self._raise()

    def _fill(self, end: int) -> None:
        end = min(end, self._manifest.size_bytes)
        while self._position < end:
            self._progress.check()
            self._put(memoryview(_ZEROS)[: end - self._position])

    def _put(self, data: bytes | memoryview) -> None:
        data = memoryview(data)[: max(0, self._manifest.size_bytes - self._position)]
        if data:
            self._write(data)
            self._position += len(data)
            self._progress.advance(len(data))

    def _note(self, offset: int, length: int, damage: Corruption) -> None:
        end = min(offset + length, self._manifest.size_bytes)
        if self._bad and self._bad[-1].end == offset:
            offset = self._bad.pop().offset
        self._bad.append(Extent(offset, end - offset))
        self._reasons[str(damage)] = None
        if not self._is_best_effort:
            self._raise()

    def _raise(self) -> None:
        raise DamagedSnapshotError(self._manifest.snapshot_id, self._bad, list(self._reasons))
