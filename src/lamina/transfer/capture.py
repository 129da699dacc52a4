"""Capture: disk to repository. The story of one snapshot's data, from the session to the commit."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Final

from lamina.blockio.extents import Extent, ExtentKind
from lamina.blockio.source import BlockSource
from lamina.engine.blockmap.build import RootBuilder
from lamina.engine.blockmap.page import EMPTY_LEAF, Leaf, PageRef
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import Visit, list_leaf_refs
from lamina.engine.condemned import Condemned, list_condemned
from lamina.engine.format import (
    BLOCK_BYTES,
    BRANCH_LEAVES,
    DEFAULT_DOMAIN,
    KIND_DATA_PACK,
    KIND_MAP_PACK,
    SessionId,
)
from lamina.engine.manifest import CaptureMode, Manifest, is_snapshot_id
from lamina.engine.packs.writer import PackWriter, Uploads
from lamina.engine.pages import MapWriter
from lamina.engine.repository import Repository
from lamina.engine.seal.compression import Compressor
from lamina.engine.sessions import SessionKind
from lamina.failures import Corruption, Fault, Refusal
from lamina.ids import SnapshotId, mint_snapshot_id
from lamina.transfer.distrust import NO_DISTRUST, Distrust
from lamina.transfer.known_blocks import KnownBlocks
from lamina.transfer.leaf_capture import LeafCapture, LeafOutcome
from lamina.transfer.plan import LeafJob, Look, align_hint, plan_hint, plan_leaf, plan_scan
from lamina.transfer.progress import Progress
from lamina.transfer.samples import find_lie
from lamina.units import count_steps

_JOBS_AT_ONCE: Final = 64
_JOBS_AHEAD_PER_WORKER: Final = 3
SAMPLE_BLOCKS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeHint:
    """What somebody says changed since an earlier snapshot.

    Attributes:
        relative_to: the `tracking` identity of the instant that the hint starts from.
        extents: everything that may have changed since; order and alignment do not matter.
    """

    relative_to: str
    extents: tuple[Extent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRequest:
    """What to capture, and how.

    Attributes:
        snapshot_id: the id of the new snapshot; a fresh one by default.
        name: a name for people.
        parent: the snapshot to compare with; its unchanged blocks and pages are used again.
        hint: what changed since the parent; without it the disk is scanned.
        tracking: identity of the captured instant, for the next hint.
        annotations: facts to keep in the manifest.
        workers: threads that read, hash and compress.
        zstd_level: 1 (fast) to 19 (small).
        sample_blocks: how many blocks outside the hint are checked against the parent; 0 trusts the hint.
    """

    snapshot_id: SnapshotId = field(default_factory=mint_snapshot_id)
    name: str = ""
    parent: SnapshotId | None = None
    hint: ChangeHint | None = None
    tracking: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    zstd_level: int = 1
    sample_blocks: int = SAMPLE_BLOCKS


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureResult:
    """What a capture did.

    Attributes:
        snapshot_id: the new snapshot.
        size_bytes: size of the disk.
        used_bytes: bytes of all blocks that hold data.
        read_bytes: bytes read from the disk.
        changed_bytes: bytes found to differ from the parent.
        new_bytes: bytes that had to be stored, before compression.
        stored_bytes: bytes of the packs that were written.
        mode: how it was found out what changed.
        hint_refused: why a hint was not used; None when it was, or there was none.
        hint_lied: whether a block outside the hint had changed: an alarm about whoever made the hint.
        healed_leaves: leaves of the parent that are damaged in the repository and were captured anew.
    """

    snapshot_id: SnapshotId
    size_bytes: int
    used_bytes: int
    read_bytes: int
    changed_bytes: int
    new_bytes: int
    stored_bytes: int
    mode: CaptureMode
    hint_refused: str | None
    hint_lied: bool
    healed_leaves: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the capture goes about it, once the hint was weighed."""

    mode: CaptureMode
    changed: list[Extent]
    refused: str | None = None
    lied: bool = False


@dataclass(slots=True)
class _Tally:
    read_blocks: int = 0
    changed_blocks: int = 0
    new_blocks: int = 0
    healed_leaves: int = 0

    def add(self, outcome: LeafOutcome) -> None:
        self.read_blocks += outcome.read_blocks
        self.changed_blocks += outcome.changed_blocks
        self.new_blocks += outcome.new_blocks


def capture(
    repository: Repository, source: BlockSource, request: CaptureRequest, progress: Progress
) -> CaptureResult:
    """Take a snapshot of a frozen disk.

    The snapshot exists when this returns, and not before: whatever stops it earlier leaves packs that the next
    capture uses again or a sweep removes.

    Raises:
        SnapshotNotFoundError: the parent does not exist.
        SnapshotExistsError: the id is taken, or a sweep gave this capture up as dead.
        Fault: the disk could not be read, or the store failed or did not keep what it was given.
        Cancelled: the progress was cancelled.
    """
    if not is_snapshot_id(request.snapshot_id):
        raise Refusal(
            f"{request.snapshot_id!r} cannot name a snapshot: use lower-case letters, digits and '-'"
        )
    created_at = repository.clock.now()
    with repository.session(SessionKind.CAPTURE, request.snapshot_id) as session:
        condemned = list_condemned(repository.store, repository.cipher)
        distrust = Distrust.of(condemned)
        parent = repository.read_manifest(request.parent) if request.parent is not None else None
        if parent is not None and distrust.has_branch(parent.root):
            parent = None  # none of its map can be used; its blocks are found again by their ids
        plan = _weigh_hint(repository, source, request, parent)
        run = _Run(repository, source, request, progress, session.session_id)
        root = run.capture(plan, parent, condemned)
        manifest = Manifest(
            snapshot_id=request.snapshot_id,
            name=request.name,
            created_at=created_at,
            root=root,
            content_id=root.content_id(repository.identity).hex(),
            parent=parent.snapshot_id if parent is not None else None,
            changed_bytes=run.tally.changed_blocks * BLOCK_BYTES,
            stored_bytes=run.stored_bytes,
            mode=plan.mode,
            tracking=request.tracking,
            session=session.session_id,
            domain=DEFAULT_DOMAIN,
            annotations=request.annotations,
            clear_of=distrust.lists,
        )
        progress.check()
        try:
            repository.commit(manifest)
        except Fault:
            session.leave_unsettled()
            raise
    return _sum_up(manifest, plan, run.tally)


def _sum_up(manifest: Manifest, plan: _Plan, tally: _Tally) -> CaptureResult:
    return CaptureResult(
        snapshot_id=manifest.snapshot_id,
        size_bytes=manifest.size_bytes,
        used_bytes=manifest.used_bytes,
        read_bytes=tally.read_blocks * BLOCK_BYTES,
        changed_bytes=manifest.changed_bytes,
        new_bytes=tally.new_blocks * BLOCK_BYTES,
        stored_bytes=manifest.stored_bytes,
        mode=plan.mode,
        hint_refused=plan.refused,
        hint_lied=plan.lied,
        healed_leaves=tally.healed_leaves,
    )


def _weigh_hint(
    repository: Repository, source: BlockSource, request: CaptureRequest, parent: Manifest | None
) -> _Plan:
    hint = request.hint
    if parent is None:
        refused = "there is no parent that it could be relative to" if hint is not None else None
        return _Plan(CaptureMode.FULL, [], refused)
    if hint is None:
        return _Plan(CaptureMode.SCAN, [])
    if not hint.relative_to or hint.relative_to != parent.tracking:
        refused = f"it is relative to {hint.relative_to!r}, and the parent was taken at {parent.tracking!r}"
        return _Plan(CaptureMode.SCAN, [], refused)
    if source.size_bytes < parent.size_bytes:
        return _Plan(CaptureMode.SCAN, [], "the disk is smaller than its parent")
    extents = list(hint.extents)
    if source.size_bytes > parent.size_bytes:
        extents.append(Extent(parent.size_bytes, source.size_bytes - parent.size_bytes))
    changed = align_hint(extents, source.size_bytes)
    try:
        lie = find_lie(repository, source, parent.root, changed, request.sample_blocks)
    except Corruption as damage:  # no fault of the hint, but what cannot be compared cannot be trusted
        return _Plan(CaptureMode.SCAN, [], f"the parent is damaged where it was compared: {damage}")
    if lie is not None:
        return _Plan(
            CaptureMode.SCAN, [], f"the block at byte {lie * BLOCK_BYTES} changed and is not in it", lied=True
        )
    return _Plan(CaptureMode.HINT, changed)


class _Run:
    """The data part of one capture: leaves in, root out.

    Attributes:
        tally: what was read, changed and new.
        stored_bytes: bytes of the packs that the store holds for it.
    """

    def __init__(
        self,
        repository: Repository,
        source: BlockSource,
        request: CaptureRequest,
        progress: Progress,
        session: SessionId,
    ) -> None:
        self._repository = repository
        self._source = source
        self._request = request
        self._progress = progress
        self._session = session
        self._distrust = NO_DISTRUST
        self.tally = _Tally()
        self.stored_bytes = 0

    def capture(self, plan: _Plan, parent: Manifest | None, condemned: Condemned) -> Root:
        """Capture every job of the plan and make the new root; all packs are stored when this returns."""
        distrust = Distrust.of(condemned)
        if parent is not None and distrust.concerns(parent):
            self._distrust = distrust
        expected = _count_blocks(self._list_data(plan)) * BLOCK_BYTES
        self._progress.expect(expected)
        with ExitStack() as stack:
            known = KnownBlocks(self._repository, condemned, expected)
            stack.callback(known.close)
            uploads = Uploads(self._repository.store, known.on_stored)
            stack.callback(uploads.close)
            root = self._build(plan, parent.root if parent is not None else None, known, uploads)
            uploads.wait()
            self.stored_bytes = uploads.confirm()
        return root

    def _build(self, plan: _Plan, parent: Root | None, known: KnownBlocks, uploads: Uploads) -> Root:
        repository = self._repository
        keys = repository.master.domain_keys(DEFAULT_DOMAIN)
        session = bytes.fromhex(self._session)
        data_packs = PackWriter(KIND_DATA_PACK, session, keys, uploads)
        map_packs = PackWriter(KIND_MAP_PACK, session, keys, uploads)
        compressor = Compressor(self._request.zstd_level)
        pages = MapWriter(map_packs, compressor)
        leaves = LeafCapture(
            self._source,
            repository.identity,
            known,
            data_packs,
            pages,
            compressor=compressor,
            progress=self._progress,
            distrusted=self._distrust.data,
        )
        builder = RootBuilder(parent, self._source.size_bytes, repository.identity, pages, repository.pages)
        for outcome in self._outcomes(leaves, self._list_jobs(plan, parent), parent):
            self.tally.add(outcome)
            builder.set_leaf(outcome.leaf_index, outcome.ref)
        root = builder.finish()
        data_packs.finish()
        map_packs.finish()
        return root

    def _list_data(self, plan: _Plan) -> Iterator[Extent]:
        ranges = plan.changed if plan.mode is CaptureMode.HINT else [Extent(0, self._source.size_bytes)]
        for item in ranges:
            extents = self._source.list_extents(item.offset, item.length) if item.length else ()
            yield from (extent for extent in extents if extent.kind is ExtentKind.DATA)

    def _list_jobs(self, plan: _Plan, parent: Root | None) -> Iterator[LeafJob]:
        if plan.mode is CaptureMode.HINT:
            return plan_hint(self._source, plan.changed, self._list_spoiled(parent))
        return plan_scan(self._source, _leaf_indexes(parent, self._repository))

    def _list_spoiled(self, parent: Root | None) -> Iterator[int]:
        if parent is None or not self._distrust.lists:
            return
        try:
            yield from self._distrust.list_leaves(parent, self._repository.pages)
        except Corruption as damage:
            raise self._refuse_parent(damage) from damage

    def _outcomes(
        self, leaves: LeafCapture, jobs: Iterator[LeafJob], parent: Root | None
    ) -> Iterator[LeafOutcome]:
        """Run the jobs on all workers; outcomes come in the order of the jobs, a few jobs ahead of the reader."""
        running: deque[Future[LeafOutcome]] = deque()
        ahead = self._request.workers * _JOBS_AHEAD_PER_WORKER
        with ThreadPoolExecutor(self._request.workers, thread_name_prefix="capture") as executor:
            try:
                while batch := list(islice(jobs, _JOBS_AT_ONCE)):
                    for job, ref, leaf in self._with_parents(batch, parent):
                        running.append(executor.submit(leaves.capture, job, ref, leaf))
                        if len(running) >= ahead:
                            yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                executor.shutdown(wait=True, cancel_futures=True)

    def _with_parents(
        self, batch: list[LeafJob], parent: Root | None
    ) -> Iterable[tuple[LeafJob, PageRef | None, Leaf]]:
        """Each job with the parent's leaf; the pages of a batch are read together."""
        if parent is None:
            return [(job, None, EMPTY_LEAF) for job in batch]
        refs = self._find_refs(batch, parent)
        wanted = [ref for ref in refs if ref is not None]
        read = dict(zip(wanted, self._repository.pages.read_leaves(wanted), strict=True))
        paired: list[tuple[LeafJob, PageRef | None, Leaf]] = []
        for job, ref in zip(batch, refs, strict=True):
            leaf = EMPTY_LEAF if ref is None else read[ref]
            if isinstance(leaf, Corruption):
                paired.append(self._heal(job))
                continue
            kept = None if ref is None or self._distrust.spoils(ref) else ref
            paired.append((self._distrust.look_again(job, leaf, self._source), kept, leaf))
        return paired

    def _find_refs(self, batch: list[LeafJob], parent: Root) -> list[PageRef | None]:
        refs: dict[int, PageRef] = {}
        # One branch at a time: those between two jobs that lie far apart are not read.
        for _, group in groupby([job.leaf_index for job in batch], key=lambda index: index // BRANCH_LEAVES):
            indexes = list(group)
            for item in list_leaf_refs(parent, self._repository.pages, indexes[0], indexes[-1] + 1):
                if isinstance(item, Visit):
                    raise self._refuse_parent(item.leaf)
                refs[item[0]] = item[1]
        return [refs.get(job.leaf_index) for job in batch]

    def _refuse_parent(self, damage: object) -> Corruption:
        return Corruption(
            f"the parent {self._request.parent} is damaged: {damage}; capture without a parent, or from another one"
        )

    def _heal(self, job: LeafJob) -> tuple[LeafJob, None, Leaf]:
        """The parent's leaf is damaged: look at everything in it, as if there were no parent here."""
        self.tally.healed_leaves += 1
        if Look.KEEP in job.looks:
            job = plan_leaf(self._source, job.leaf_index)
        return job, None, EMPTY_LEAF


def _count_blocks(extents: Iterable[Extent]) -> int:
    """How many blocks the extents touch; they are in order, and two may share a block."""
    count = behind = 0
    for extent in extents:
        end = count_steps(extent.end, BLOCK_BYTES)
        count += max(0, end - max(behind, extent.offset // BLOCK_BYTES))
        behind = max(behind, end)
    return count


def _leaf_indexes(parent: Root | None, repository: Repository) -> Iterator[int]:
    if parent is None:
        return
    for item in list_leaf_refs(parent, repository.pages, 0, max(parent.branches, default=-1) + 1 << 12):
        if isinstance(item, Visit):
            raise Corruption(f"the parent is damaged: {item.leaf}; capture without a parent")
        yield item[0]
