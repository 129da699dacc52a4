"""Archive a snapshot: it is kept for long, and counted apart.

Archiving is bookkeeping. The data stays where it is and as readable as before: a block may belong to archived and
standard snapshots at once, and moving it to slower storage would make the standard ones wait. The task makes sure that
the data is there before the snapshot is called an archive.

    standard -> archiving -> archive          archiving -> standard, when the data is not there
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.installation import Installation
from lamina.control.scope import Scope
from lamina.control.shown_tasks.show import show_task
from lamina.control.shown_tasks.states import TaskAction
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.changes import mark_changed
from lamina.control.snapshots.errors import (
    ArchivingQuotaError,
    EncryptedArchiveError,
    RetentionBelowLockError,
    RetentionDecreaseError,
    SnapshotAgeError,
    SnapshotArchivedError,
    SnapshotUnfinishedError,
)
from lamina.control.snapshots.queries import get_snapshot
from lamina.control.snapshots.records import LockRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotState
from lamina.control.snapshots.stored import find_repository
from lamina.engine.repository import SnapshotNotFoundError
from lamina.failures import Corruption
from lamina.ids import AccountId, RegionId, SnapshotId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind

MIN_AGE: Final = timedelta(days=14)
AT_ONCE_MAX: Final = 10
"""Snapshots of one disk that are archived at one time (ECS, Archive snapshots)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveArguments:
    """Which snapshot."""

    account_id: AccountId
    region_id: RegionId
    snapshot_id: SnapshotId


def archive_snapshot(scope: Scope, snapshot_id: SnapshotId, retention_days: int | None) -> TaskId:
    """Start archiving; answers the task.

    Args:
        scope: the caller.
        snapshot_id: a standard snapshot, at least 14 days old.
        retention_days: from its creation on, how long it is kept from now; None is for ever.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot.
        SnapshotUnfinishedError: it is not accomplished.
        EncryptedArchiveError: it is encrypted.
        SnapshotArchivedError: it is archived, or being archived.
        SnapshotAgeError: it is too young.
        RetentionDecreaseError: it would be kept shorter than it is now.
        RetentionBelowLockError: its lock lasts longer.
        ArchivingQuotaError: too many snapshots of its disk are being archived.
    """
    snapshot = get_snapshot(scope, snapshot_id)
    if snapshot.state is not SnapshotState.ACCOMPLISHED:
        raise SnapshotUnfinishedError(snapshot.id, snapshot.state)
    if snapshot.key_id is not None:
        raise EncryptedArchiveError(snapshot.id)
    if snapshot.category is not SnapshotCategory.STANDARD:
        raise SnapshotArchivedError(snapshot.id)
    if scope.clock.now() - snapshot.created_at < MIN_AGE:
        raise SnapshotAgeError(snapshot.id, MIN_AGE.days)
    _set_retention(scope, snapshot, retention_days)
    if _count_archiving(scope, snapshot) >= AT_ONCE_MAX:
        raise ArchivingQuotaError(snapshot.disk_id, AT_ONCE_MAX)
    snapshot.move_to_category(SnapshotCategory.ARCHIVING)
    mark_changed(scope.session, snapshot.id)
    task_id = start_archiving(scope.session, scope.clock, snapshot)
    show_task(
        scope,
        task_id,
        TaskAction.ARCHIVE_SNAPSHOT,
        resource_id=snapshot.id,
        region_id=snapshot.region_id,
    )
    return task_id


def start_archiving(session: Session, clock: Clock, snapshot: SnapshotRecord) -> TaskId:
    """Have a snapshot of the category `archiving` archived."""
    arguments = ArchiveArguments(
        account_id=snapshot.account_id, region_id=snapshot.region_id, snapshot_id=snapshot.id
    )
    snapshot.task_id = enqueue(session, clock, ARCHIVE_SNAPSHOT, arguments, key=snapshot.id)
    return snapshot.task_id


def _set_retention(scope: Scope, snapshot: SnapshotRecord, retention_days: int | None) -> None:
    if retention_days is None:
        snapshot.retention_days = snapshot.expires_at = None
        return
    if snapshot.retention_days is not None and retention_days < snapshot.retention_days:
        raise RetentionDecreaseError(snapshot.id, snapshot.retention_days, retention_days)
    expires_at = snapshot.created_at + timedelta(days=retention_days)
    lock = scope.session.get(LockRecord, snapshot.id)
    if lock is not None and lock.expires_at is not None and lock.expires_at > expires_at:
        raise RetentionBelowLockError(snapshot.id, retention_days)
    snapshot.retention_days, snapshot.expires_at = retention_days, expires_at


def _count_archiving(scope: Scope, snapshot: SnapshotRecord) -> int:
    query = select(func.count()).where(
        SnapshotRecord.account_id == scope.account_id,
        SnapshotRecord.disk_id == snapshot.disk_id,
        SnapshotRecord.category == SnapshotCategory.ARCHIVING,
    )
    return scope.session.scalar(query) or 0


def _look(plant: Installation, task: ArchiveArguments, _context: StepContext) -> None:
    repository = find_repository(plant, task.snapshot_id)
    try:
        if repository is not None:
            repository.read_manifest(task.snapshot_id)
            return
    except SnapshotNotFoundError as error:
        raise Corruption(f"the data of snapshot {task.snapshot_id} is gone from its repository") from error
    raise Corruption(
        f"the data of snapshot {task.snapshot_id} is gone: region {task.region_id} has no repository"
    )


def _settle(plant: Installation, session: Session, task: ArchiveArguments, outcome: Outcome) -> None:
    snapshot = session.get(SnapshotRecord, task.snapshot_id)
    if snapshot is None or snapshot.category is not SnapshotCategory.ARCHIVING:
        return
    is_archived = outcome.failure is None
    snapshot.move_to_category(SnapshotCategory.ARCHIVE if is_archived else SnapshotCategory.STANDARD)
    snapshot.modified_at = plant.clock.now()
    mark_changed(session, snapshot.id)
    sum_up_chain(session, snapshot, plant.clock.now())


ARCHIVE_SNAPSHOT: Final = TaskKind(
    name="archive-snapshot",
    arguments=ArchiveArguments,
    lane=QUICK,
    steps=(Step(name="look", run=_look),),
    settle=_settle,
)
