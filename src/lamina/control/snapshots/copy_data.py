"""Copying a snapshot's data: what the copies of snapshots and of images share.

The blocks are read and authenticated from the one repository and captured into the other, which has keys and ids of
its own. Blocks that the other one has are not stored again, so an interrupted copy goes on where it stopped. When an
earlier snapshot of the disk was copied there before, only what differs from it is read; when the very same one was, or
when both are in one repository, nothing is read but a manifest.
"""

from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, aliased

from lamina.control.installation import Installation
from lamina.control.snapshots.annotations import annotate_copy
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.settle import find_manifest
from lamina.control.snapshots.states import SnapshotState
from lamina.control.snapshots.stored import ensure_repository, find_repository
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.manifest import Manifest
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Corruption, Fault
from lamina.ids import AccountId, KeyId, RegionId, SnapshotId
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.duplicate import DuplicateRequest, duplicate
from lamina.transfer.progress import Progress
from lamina.transfer.snapshot_source import SnapshotSource


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotCopy:
    """Which snapshot, and which one becomes its copy; an argument of tasks.

    Attributes:
        account_id: whose copy it is.
        region_id: where the copy is.
        snapshot_id: the copy; its row is there.
        source_account_id: whose the original is.
        source_region_id: where it is.
        source_id: the original.
        key_id: what the copy is encrypted with.
        source_key_id: what the original is encrypted with.
    """

    account_id: AccountId
    region_id: RegionId
    snapshot_id: SnapshotId
    source_account_id: AccountId
    source_region_id: RegionId
    source_id: SnapshotId
    key_id: KeyId | None = None
    source_key_id: KeyId | None = None

    @property
    def is_in_place(self) -> bool:
        """Whether both are in one repository."""
        target = (self.account_id, self.region_id, self.key_id)
        return target == (self.source_account_id, self.source_region_id, self.source_key_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """A snapshot of the disk that both repositories have.

    Attributes:
        source_id: where the original is.
        copy_id: where the copy is.
    """

    source_id: SnapshotId
    copy_id: SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """How a copy is made.

    Attributes:
        origin: the repository of the original.
        target: the repository of the copy.
        base: what to compare with; the original itself where the target has its content already.
        name: the copy's name; may be empty.
        annotations: for its manifest.
    """

    origin: Repository
    target: Repository
    base: _Base | None
    name: str
    annotations: dict[str, str]


def copy_data(plant: Installation, copy: SnapshotCopy, progress: Progress) -> Manifest:
    """Have the copy's data in its repository; it is not made again if an earlier attempt got as far as the commit.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the key of the original or of the copy cannot be used now.
        Corruption: the original's data is lost or damaged.
        Fault: a store failed.
        Cancelled: the progress was cancelled.
    """
    target = ensure_repository(plant, copy.snapshot_id)
    manifest = find_manifest(target, copy.snapshot_id)
    if manifest is not None:
        return manifest
    progress.check()
    plan = _make_plan(plant, copy, target)
    try:
        if plan.base is not None and plan.base.source_id == copy.source_id:
            return _duplicate(plan, plan.base, copy)
        _capture(plant, plan, copy, progress)
    except SnapshotNotFoundError as error:
        # deleted since we chose it; the next attempt chooses another one
        raise Fault(f"the snapshot to compare with was deleted: {error}", retryable=True) from error
    return target.read_manifest(copy.snapshot_id)


def _make_plan(plant: Installation, copy: SnapshotCopy, target: Repository) -> _Plan:
    origin, original = _open_original(plant, copy)
    with plant.database.reading() as session:
        row = session.get(SnapshotRecord, copy.snapshot_id)
        assert row is not None, "a snapshot's row outlives its task"
        tags = list_tags(session, ResourceType.SNAPSHOT, [row.id])[row.id]
        return _Plan(
            origin=origin,
            target=target,
            base=_Base(source_id=copy.source_id, copy_id=copy.source_id)
            if copy.is_in_place
            else _find_base(session, copy),
            name=row.name or "",
            annotations=annotate_copy(row, original.annotations, tags),
        )


def _open_original(plant: Installation, copy: SnapshotCopy) -> tuple[Repository, Manifest]:
    origin = find_repository(plant, copy.source_id)
    try:
        if origin is not None:
            return origin, origin.read_manifest(copy.source_id)
    except SnapshotNotFoundError as error:
        raise Corruption(f"the data of snapshot {copy.source_id} is gone from its repository") from error
    raise Corruption(
        f"the data of snapshot {copy.source_id} is gone: region {copy.source_region_id} has no repository"
    )


def _find_base(session: Session, copy: SnapshotCopy) -> _Base | None:
    """The latest snapshot of the chain, up to the one to copy, that was copied to the region already."""
    earlier, known, original = aliased(SnapshotRecord), aliased(SnapshotRecord), aliased(SnapshotRecord)
    query = (
        select(earlier.id, known.id)
        .join(known, known.source_snapshot_id == earlier.id)
        .join(original, original.disk_id == earlier.disk_id)
        .where(
            original.id == copy.source_id,
            earlier.account_id == copy.source_account_id,
            earlier.region_id == copy.source_region_id,
            earlier.state == SnapshotState.ACCOMPLISHED,
            earlier.is_data_missing.is_(False),
            earlier.key_id.is_not_distinct_from(copy.source_key_id),
            or_(earlier.created_at < original.created_at, earlier.id == original.id),
            known.account_id == copy.account_id,
            known.region_id == copy.region_id,
            known.state == SnapshotState.ACCOMPLISHED,
            known.is_data_missing.is_(False),
            known.key_id.is_not_distinct_from(copy.key_id),
        )
        .order_by(earlier.created_at.desc(), known.id)
        .limit(1)
    )
    found = session.execute(query).one_or_none()
    return _Base(source_id=found[0], copy_id=found[1]) if found is not None else None


def _duplicate(plan: _Plan, base: _Base, copy: SnapshotCopy) -> Manifest:
    request = DuplicateRequest(
        original=base.copy_id,
        snapshot_id=copy.snapshot_id,
        name=plan.name,
        tracking=copy.source_id,
        annotations=plan.annotations,
    )
    return duplicate(plan.target, request)


def _capture(plant: Installation, plan: _Plan, copy: SnapshotCopy, progress: Progress) -> None:
    base = plan.base
    with SnapshotSource(plan.origin, copy.source_id, since=base.source_id if base else None) as source:
        request = CaptureRequest(
            snapshot_id=copy.snapshot_id,
            name=plan.name,
            parent=base.copy_id if base else None,
            hint=ChangeHint(relative_to=base.source_id, extents=source.list_changed()) if base else None,
            tracking=copy.source_id,
            annotations=plan.annotations,
            workers=plant.settings.workers,
            zstd_level=plant.settings.zstd_level,
        )
        capture(plan.target, source, request, progress)
