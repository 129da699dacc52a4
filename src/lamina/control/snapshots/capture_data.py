"""Copying a frozen disk into the account's repository: what the captures of one disk and of a group share."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.blockio.file_volume import FrozenVolume, forget, list_frozen
from lamina.control.disks.records import DiskRecord
from lamina.control.installation import Installation
from lamina.control.snapshots.annotations import annotate
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.snapshots.stored import ensure_repository
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.repository import SnapshotNotFoundError
from lamina.failures import Fault
from lamina.ids import AccountId, DiskId, KeyId, RegionId, SnapshotId
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureArguments:
    """Which snapshot, and of which disk."""

    account_id: AccountId
    region_id: RegionId
    disk_id: DiskId
    snapshot_id: SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePlan:
    """What the rows say about a capture.

    Attributes:
        parent: the snapshot that the new one is compared with.
        parent_tracking: the freeze that the parent was copied from.
        name: the snapshot's name; may be empty.
        annotations: for the manifest.
    """

    parent: SnapshotId | None
    parent_tracking: str | None
    name: str
    annotations: dict[str, str]


def plan_capture(plant: Installation, task: CaptureArguments) -> CapturePlan:
    """Read what the capture of a snapshot needs to know."""
    tokens = list_frozen(plant.volumes.frozen_folder(task.disk_id))
    with plant.database.reading() as session:
        snapshot = session.get(SnapshotRecord, task.snapshot_id)
        disk = session.get(DiskRecord, task.disk_id)
        assert snapshot is not None, "a snapshot's row outlives its task"
        assert disk is not None, "a disk is not deleted while it is captured"
        tags = list_tags(session, ResourceType.SNAPSHOT, [snapshot.id])[snapshot.id]
        parent = _choose_parent(session, task, snapshot.key_id, tokens)
        return CapturePlan(
            parent=None if parent is None else parent.id,
            parent_tracking=None if parent is None else parent.tracking,
            name=snapshot.name or "",
            annotations=annotate(snapshot, disk, tags),
        )


def capture_frozen(
    plant: Installation,
    task: CaptureArguments,
    plan: CapturePlan,
    frozen: FrozenVolume,
    progress: Progress,
) -> None:
    """Copy a frozen disk; the snapshot exists in the repository when this returns.

    Raises:
        KeyNotEnabledError, KeyDestroyedError: the disk's key cannot be used now.
        Fault: the disk or the store failed.
        Cancelled: the progress was cancelled.
    """
    request = CaptureRequest(
        snapshot_id=task.snapshot_id,
        name=plan.name,
        parent=plan.parent,
        hint=_hint(plan, frozen),
        tracking=frozen.token,
        annotations=plan.annotations,
        workers=plant.settings.workers,
        zstd_level=plant.settings.zstd_level,
    )
    repository = ensure_repository(plant, task.snapshot_id)
    try:
        capture(repository, frozen.source, request, progress)
    except SnapshotNotFoundError as error:
        # deleted since we chose it; the next attempt chooses another one
        raise Fault(f"the snapshot to compare with was deleted: {error}", retryable=True) from error


def forget_other_clones(plant: Installation, task: CaptureArguments) -> None:
    """Drop the clones of earlier captures of the disk: the next capture compares with this one.

    Raises:
        Fault: the file system refused.
    """
    folder = plant.volumes.frozen_folder(task.disk_id)
    for token in list_frozen(folder):
        if token != task.snapshot_id:
            forget(folder, token)


def _choose_parent(
    session: Session, task: CaptureArguments, key_id: KeyId | None, tokens: Sequence[str]
) -> SnapshotRecord | None:
    """The snapshot whose clone is still there, so that what changed since is known; or else the latest one.

    Not simply the latest one: after the clock was set back that is another one for a while.
    """
    has_clone = SnapshotRecord.tracking.in_(tokens)
    return session.scalars(
        select(SnapshotRecord)
        .where(
            SnapshotRecord.disk_id == task.disk_id,
            SnapshotRecord.account_id == task.account_id,
            SnapshotRecord.region_id == task.region_id,
            SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
            SnapshotRecord.is_data_missing.is_(False),
            SnapshotRecord.key_id.is_not_distinct_from(key_id),  # a copy that came back may have another one
        )
        .order_by(has_clone.desc(), SnapshotRecord.created_at.desc(), SnapshotRecord.id.desc())
        .limit(1)
    ).one_or_none()


def _hint(plan: CapturePlan, frozen: FrozenVolume) -> ChangeHint | None:
    if plan.parent_tracking is None or frozen.changed is None:
        return None
    return ChangeHint(relative_to=plan.parent_tracking, extents=frozen.changed)
