"""The task that makes the data of a snapshot.

    freeze   take the point in time; on a file system with reflink it is a clone that stays
    copy     capture it into the account's repository; the manifest, written last, is the commit
    tidy     drop the clones of earlier captures: the next one compares with this one

Undoing removes the manifest, if it came to that, and the clone. What the copy uploaded is found by a sweep.
The point in time is named by the snapshot's id, so that a repeated attempt finds the one it took before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.blockio.file_volume import FrozenVolume, forget, freeze, list_frozen
from lamina.control.disks.records import DiskRecord
from lamina.control.installation import Installation
from lamina.control.snapshots.annotations import annotate
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import drop_snapshot, remove_data, start_removal
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.manifest import Manifest
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.failures import Fault
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Failure, Outcome
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.progress import Progress

_COPY: Final = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureArguments:
    """Which snapshot, and of which disk."""

    account_id: AccountId
    region_id: RegionId
    disk_id: DiskId
    snapshot_id: SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parent:
    """The snapshot that the new one is compared with."""

    snapshot_id: SnapshotId
    tracking: str | None


def _freeze(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    _take(plant, task, since=None).close()


def _thaw(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    forget(plant.volumes.frozen_folder(task.disk_id), task.snapshot_id)


def _copy(plant: Installation, task: CaptureArguments, context: StepContext) -> None:
    repository = plant.repositories.ensure(task.account_id, task.region_id)
    manifest = find_manifest(repository, task.snapshot_id)  # of an attempt that was killed behind the commit
    if manifest is None:
        _capture(plant, repository, task, context)
        manifest = repository.read_manifest(task.snapshot_id)
    context.save(measure(manifest, task.snapshot_id))


def _uncopy(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    remove_data(plant, task.account_id, task.region_id, task.snapshot_id)


def _tidy(plant: Installation, task: CaptureArguments, _context: StepContext) -> None:
    folder = plant.volumes.frozen_folder(task.disk_id)
    for token in list_frozen(folder):
        if token != task.snapshot_id:
            forget(folder, token)


def _settle(plant: Installation, session: Session, task: CaptureArguments, outcome: Outcome) -> None:
    snapshot = session.get(SnapshotRecord, task.snapshot_id)
    if snapshot is None:
        return
    if outcome.failure is None:
        copied = outcome.checkpoints.load(_COPY, Copied)
        assert copied is not None, "the copy saves its outcome"
        settle_success(session, plant.clock, snapshot, copied)
    else:
        settle_failure(session, plant.clock, snapshot, outcome.failure)


CAPTURE_SNAPSHOT: Final = TaskKind(
    name="capture-snapshot",
    arguments=CaptureArguments,
    lane=COPY,
    steps=(
        Step(name="freeze", run=_freeze, undo=_thaw),
        Step(name=_COPY, run=_copy, undo=_uncopy),
        Step(name="tidy", run=_tidy),
    ),
    settle=_settle,
)


def _take(plant: Installation, task: CaptureArguments, *, since: str | None) -> FrozenVolume:
    """The point in time of the disk, at a moment when no request of ours is half way through."""
    with plant.volumes.exclusive(task.disk_id):
        return freeze(
            plant.volumes.raw_path(task.disk_id),
            plant.volumes.frozen_folder(task.disk_id),
            task.snapshot_id,
            since,
        )


def _capture(
    plant: Installation, repository: Repository, task: CaptureArguments, context: StepContext
) -> None:
    parent, name, annotations = _read_rows(plant, task)
    progress = Progress()

    def read() -> tuple[int, int]:
        reading = progress.read()
        return reading.done_bytes, reading.known_bytes

    with (
        _take(plant, task, since=parent.tracking if parent is not None else None) as frozen,
        context.following(read, progress.cancel),
    ):
        request = CaptureRequest(
            snapshot_id=task.snapshot_id,
            name=name,
            parent=parent.snapshot_id if parent is not None else None,
            hint=_hint(parent, frozen),
            tracking=frozen.token,
            annotations=annotations,
            workers=plant.settings.workers,
            zstd_level=plant.settings.zstd_level,
        )
        try:
            capture(repository, frozen.source, request, progress)
        except SnapshotNotFoundError as error:
            # deleted since we chose it; the next attempt chooses another one
            raise Fault(f"the snapshot to compare with was deleted: {error}", retryable=True) from error
        finally:
            context.check()  # a cancelled pipeline stopped for one of three reasons: say which


def _read_rows(plant: Installation, task: CaptureArguments) -> tuple[_Parent | None, str, dict[str, str]]:
    with plant.database.reading() as session:
        snapshot = session.get(SnapshotRecord, task.snapshot_id)
        disk = session.get(DiskRecord, task.disk_id)
        assert snapshot is not None, "a snapshot's row outlives its task"
        assert disk is not None, "a disk is not deleted while it is captured"
        tags = list_tags(session, ResourceType.SNAPSHOT, [snapshot.id])[snapshot.id]
        parent = _choose_parent(session, task, list_frozen(plant.volumes.frozen_folder(task.disk_id)))
        chosen = None if parent is None else _Parent(snapshot_id=parent.id, tracking=parent.tracking)
        return chosen, snapshot.name or "", annotate(snapshot, disk, tags)


def _choose_parent(session: Session, task: CaptureArguments, tokens: Sequence[str]) -> SnapshotRecord | None:
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
        )
        .order_by(has_clone.desc(), SnapshotRecord.created_at.desc(), SnapshotRecord.id.desc())
        .limit(1)
    ).one_or_none()


def _hint(parent: _Parent | None, frozen: FrozenVolume) -> ChangeHint | None:
    if parent is None or parent.tracking is None or frozen.changed is None:
        return None
    return ChangeHint(relative_to=parent.tracking, extents=frozen.changed)
