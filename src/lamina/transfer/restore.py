"""Restore: repository to disk. Parallel, sparse, authenticated, and honest about damage."""

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final, NamedTuple

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.target import BlockTarget
from lamina.engine.blockmap.page import EMPTY_LEAF, Entry, Stored, Written
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import Visit, walk_leaves
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS, LEAF_SPAN_BYTES
from lamina.engine.manifest import Manifest
from lamina.engine.packs.reader import Wanted
from lamina.engine.repository import Repository
from lamina.engine.seal.hashing import ZERO_BLOCK
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption, Refusal
from lamina.ids import SnapshotId
from lamina.transfer.progress import Progress
from lamina.units import count_steps

_JOBS_AHEAD_PER_WORKER: Final = 3
_COMPARE_BLOCKS: Final = 16


class TargetTooSmallError(Refusal):
    """The target has less room than the disk needs."""


class DamagedSnapshotError(Corruption):
    """Some bytes of a snapshot cannot be read back.

    Attributes:
        snapshot_id: the snapshot.
        ranges: the byte ranges that are bad, in order.
        reasons: what is wrong, one line per damaged object or place.
    """

    def __init__(self, snapshot_id: SnapshotId, ranges: Sequence[Extent], reasons: Sequence[str]) -> None:
        listed = ", ".join(f"{item.offset}-{item.end - 1}" for item in ranges[:8])
        more = f" and {len(ranges) - 8} more ranges" if len(ranges) > 8 else ""  # noqa: PLR2004 - a line's worth
        super().__init__(
            f"snapshot {snapshot_id} is damaged at bytes {listed}{more}: {'; '.join(reasons[:3])}"
        )
        self.snapshot_id = snapshot_id
        self.ranges = tuple(ranges)
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """How to restore.

    Attributes:
        workers: threads that fetch, open and write.
        best_effort: write what is good although something is damaged; the outcome is still a failure.
        keep_zeros: blocks that were written with zeros become allocated zeros instead of holes.
    """

    workers: int = 2
    best_effort: bool = False
    keep_zeros: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreResult:
    """What a restore did.

    Attributes:
        snapshot_id: the snapshot.
        size_bytes: the size of the disk.
        written_bytes: bytes written to the target.
        kept_bytes: bytes that the target held already.
    """

    snapshot_id: SnapshotId
    size_bytes: int
    written_bytes: int
    kept_bytes: int


class _Damage(NamedTuple):
    first_block: int
    block_count: int
    reason: str


class _Group(NamedTuple):
    entries: list[tuple[int, Entry]]
    reads: bool  # the target may hold something else than zeros there


@dataclass(slots=True)
class _Outcome:
    written_bytes: int = 0
    kept_bytes: int = 0
    damage: list[_Damage] = field(default_factory=list)


def restore(
    repository: Repository,
    snapshot_id: SnapshotId,
    target: BlockTarget,
    request: RestoreRequest | None = None,
    progress: Progress | None = None,
) -> RestoreResult:
    """Make a target hold the bytes of a snapshot, and be durable.

    A blank target gets data only. Any other target is compared block by block, and only what differs is fetched and
    written; its holes are not read. Bytes of the target past the snapshot's size are left alone.

    Raises:
        SnapshotNotFoundError: no such snapshot.
        TargetTooSmallError: the target is smaller than the disk; nothing was written.
        DamagedSnapshotError: bytes of the snapshot are lost or damaged. Without `best_effort` nothing more was written
            after the first damage was seen; with it everything else was. The damaged ranges were not touched.
        Fault: the store or the target failed.
        Cancelled: the progress was cancelled; the target is half restored.
    """
    request, progress = request or RestoreRequest(), progress or Progress()
    with repository.session(SessionKind.READ, snapshot_id):
        # Not the quick way: the manifest that it finds may be superseded, and its packs go before this ends.
        manifest = repository.read_manifest(snapshot_id)
        if target.size_bytes < manifest.size_bytes:
            raise TargetTooSmallError(
                f"the target has {target.size_bytes} bytes and snapshot {snapshot_id} needs {manifest.size_bytes}:"
                " use a larger target"
            )
        total = _restore_leaves(repository, manifest, target, request, progress)
        target.flush()
    if total.damage:
        raise _as_error(manifest, total.damage)
    return RestoreResult(
        snapshot_id=snapshot_id,
        size_bytes=manifest.size_bytes,
        written_bytes=total.written_bytes,
        kept_bytes=total.kept_bytes,
    )


def _restore_leaves(
    repository: Repository,
    manifest: Manifest,
    target: BlockTarget,
    request: RestoreRequest,
    progress: Progress,
) -> _Outcome:
    total = _Outcome()
    progress.expect(manifest.used_bytes if target.is_blank else manifest.size_bytes)
    worker = _LeafRestore(repository, manifest.size_bytes, target, request, progress)
    visits = _visits(manifest.root, repository, target)
    running: deque[Future[_Outcome]] = deque()
    reached = 0  # up to where the leaves of a target that is not blank were visited or passed over
    with ThreadPoolExecutor(request.workers, thread_name_prefix="restore") as executor:
        try:
            for visit in visits:
                if not target.is_blank:
                    _pass_over(reached, visit.first_leaf * LEAF_SPAN_BYTES, total, progress)
                    reached = min(
                        (visit.first_leaf + visit.leaf_count) * LEAF_SPAN_BYTES, manifest.size_bytes
                    )
                running.append(executor.submit(worker.restore, visit))
                if len(running) >= request.workers * _JOBS_AHEAD_PER_WORKER:
                    _add(total, running.popleft().result())
                if total.damage and not request.best_effort:
                    break
            while running:
                _add(total, running.popleft().result())
            if not (target.is_blank or total.damage):
                _pass_over(reached, manifest.size_bytes, total, progress)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
    return total


def _visits(root: Root, repository: Repository, target: BlockTarget) -> Iterator[Visit]:
    """The leaves to restore, in order: those with written blocks, and those where the target may hold something."""
    end = count_steps(root.size_bytes, LEAF_SPAN_BYTES)
    done = 0
    for visit in walk_leaves(root, repository.pages, 0, end):
        yield from _list_occupied(target, done, visit.first_leaf)
        yield visit
        done = visit.first_leaf + visit.leaf_count
    yield from _list_occupied(target, done, end)


def _list_occupied(target: BlockTarget, first: int, end: int) -> Iterator[Visit]:
    """The leaves from `first` to `end` that the snapshot does not have and the target may."""
    if target.is_blank or first >= end:
        return
    start = first * LEAF_SPAN_BYTES
    length = min(end * LEAF_SPAN_BYTES, target.size_bytes) - start
    for extent in target.list_extents(start, length):
        if extent.kind is ExtentKind.HOLE:
            continue
        behind = count_steps(extent.end, LEAF_SPAN_BYTES)
        for index in range(max(first, extent.offset // LEAF_SPAN_BYTES), behind):
            yield Visit(index, 1, None, EMPTY_LEAF)
        first = max(first, behind)


def _pass_over(start: int, end: int, total: _Outcome, progress: Progress) -> None:
    total.kept_bytes += end - start
    progress.advance(end - start)


def _add(total: _Outcome, outcome: _Outcome) -> None:
    total.written_bytes += outcome.written_bytes
    total.kept_bytes += outcome.kept_bytes
    total.damage.extend(outcome.damage)


def _as_error(manifest: Manifest, damage: Sequence[_Damage]) -> DamagedSnapshotError:
    ranges: list[Extent] = []
    for item in sorted(damage):
        start = item.first_block * BLOCK_BYTES
        end = min(start + item.block_count * BLOCK_BYTES, manifest.size_bytes)
        if ranges and ranges[-1].end == start:
            ranges[-1] = Extent(ranges[-1].offset, end - ranges[-1].offset)
        else:
            ranges.append(Extent(start, end - start))
    reasons = list(dict.fromkeys(item.reason for item in damage))
    return DamagedSnapshotError(manifest.snapshot_id, ranges, reasons)


class _LeafRestore:
    """Restores leaves of one snapshot to one target. Thread-safe."""

    def __init__(
        self,
        repository: Repository,
        size_bytes: int,
        target: BlockTarget,
        request: RestoreRequest,
        progress: Progress,
    ) -> None:
        self._repository = repository
        self._size_bytes = size_bytes
        self._target = target
        self._request = request
        self._progress = progress
        self._stopped = threading.Event()  # damage was seen, and there is no best effort to go on with

    def restore(self, visit: Visit) -> _Outcome:
        """Bring one leaf's range of the target to the snapshot's contents."""
        self._progress.check()
        outcome = _Outcome()
        if self._stopped.is_set():
            return outcome
        if isinstance(visit.leaf, Corruption):
            first, count = visit.first_leaf * LEAF_BLOCKS, visit.leaf_count * LEAF_BLOCKS
            self._note(_Damage(first, count, str(visit.leaf)), outcome)
            return outcome
        first = visit.first_leaf * LEAF_BLOCKS
        count = min(LEAF_BLOCKS, count_steps(self._size_bytes, BLOCK_BYTES) - first)
        entries = list(enumerate(visit.leaf.entries[:count], first))
        if not self._target.is_blank:
            entries = self._list_differing(entries, outcome)
        self._write_data([(block, entry) for block, entry in entries if isinstance(entry, Stored)], outcome)
        if self._stopped.is_set():
            return outcome
        for block, run in _runs([block for block, entry in entries if entry is None]):
            if not self._target.is_blank:
                self._target.punch(*self._range(block, run))
        for block, run in _runs([block for block, entry in entries if entry is Written.ZERO]):
            self._write_zeros(block, run)
        if not self._target.is_blank:
            self._progress.advance(self._range(first, count)[1])
        return outcome

    def _list_differing(self, entries: list[tuple[int, Entry]], outcome: _Outcome) -> list[tuple[int, Entry]]:
        differing = []
        for group in self._list_groups(entries):
            for (block, entry), found in self._read(group):
                if self._holds(found, entry, block):
                    outcome.kept_bytes += self._range(block, 1)[1]
                else:
                    differing.append((block, entry))
        return differing

    def _list_groups(self, entries: list[tuple[int, Entry]]) -> Iterator[_Group]:
        """A leaf's blocks, which follow each other, in groups that are holes of the target or are read at once."""
        first = entries[0][0]
        offset, length = self._range(first, len(entries))
        is_data = bytearray(len(entries))
        for extent in self._target.list_extents(offset, length):
            if extent.kind is not ExtentKind.HOLE:
                start, end = extent.offset // BLOCK_BYTES, count_steps(extent.end, BLOCK_BYTES)
                is_data[start - first : end - first] = b"\1" * (end - start)
        for reads, run in groupby(entries, key=lambda entry: bool(is_data[entry[0] - first])):
            blocks = list(run)
            for at in range(0, len(blocks), _COMPARE_BLOCKS):
                yield _Group(blocks[at : at + _COMPARE_BLOCKS], reads)

    def _read(self, group: _Group) -> Iterable[tuple[tuple[int, Entry], bytearray]]:
        buffers = [bytearray(BLOCK_BYTES) for _ in group.entries]
        if group.reads:
            self._target.read_into(group.entries[0][0] * BLOCK_BYTES, buffers)
        return zip(group.entries, buffers, strict=True)

    def _holds(self, found: bytearray, entry: Entry, block: int) -> bool:
        tail = self._size_bytes - block * BLOCK_BYTES
        if tail < BLOCK_BYTES:  # what a larger target holds past the disk's end is not part of the block
            found[tail:] = bytes(BLOCK_BYTES - tail)
        if isinstance(entry, Stored):
            return self._repository.identity.block(found) == entry.block_id
        if entry is Written.ZERO and self._request.keep_zeros:
            return False  # what reads as zero may be a hole
        return found == ZERO_BLOCK

    def _write_data(self, wanted: Sequence[tuple[int, Stored]], outcome: _Outcome) -> None:
        contents = self._repository.blocks.read([Wanted(*entry) for _, entry in wanted])
        good: list[tuple[int, bytes]] = []
        for (block, _), content in zip(wanted, contents, strict=True):
            if isinstance(content, Corruption):
                self._note(_Damage(block, 1, str(content)), outcome)
            elif len(content) != BLOCK_BYTES:
                self._note(_Damage(block, 1, "a record has the wrong length"), outcome)
            else:
                good.append((block, content))
        if self._stopped.is_set():
            return
        at = 0
        for block, run in _runs([block for block, _ in good]):
            buffers: list[bytes | memoryview] = [content for _, content in good[at : at + run]]
            at += run
            offset, length = self._range(block, run)
            if length < run * BLOCK_BYTES:
                buffers[-1] = memoryview(buffers[-1])[: length - (run - 1) * BLOCK_BYTES]
            self._target.write(offset, buffers)
            outcome.written_bytes += length
            if self._target.is_blank:
                self._progress.advance(length)

    def _note(self, damage: _Damage, outcome: _Outcome) -> None:
        outcome.damage.append(damage)
        if not self._request.best_effort:
            self._stopped.set()

    def _write_zeros(self, block: int, run: int) -> None:
        if self._request.keep_zeros:
            self._target.zero(*self._range(block, run))
        elif not self._target.is_blank:
            self._target.punch(*self._range(block, run))

    def _range(self, block: int, count: int) -> tuple[int, int]:
        offset = block * BLOCK_BYTES
        return offset, min(count * BLOCK_BYTES, self._size_bytes - offset)


def _runs(blocks: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First block and count of every run of consecutive blocks."""
    start = 0
    for at in range(1, len(blocks) + 1):
        if at == len(blocks) or blocks[at] != blocks[at - 1] + 1:
            yield blocks[start], at - start
            start = at
