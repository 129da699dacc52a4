"""Make room for one more automatic snapshot of a disk."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import func, or_, select

from lamina.control.policies.errors import AutomaticQuotaError
from lamina.control.policies.retention import Candidate, plan_eviction
from lamina.control.scope import Scope
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.records import HoldRecord, LockRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.failures import Refusal
from lamina.ids import DiskId, SnapshotId


def make_room(scope: Scope, disk_id: DiskId) -> tuple[SnapshotId, ...]:
    """Delete the earliest automatic snapshots of a disk that may go, until one more fits; answers which.

    Raises:
        AutomaticQuotaError: too few may go. Nothing was deleted.
    """
    maximum = scope.limits.automatic_snapshots_per_disk
    if _count(scope, disk_id) < maximum:
        return ()
    candidates = _list_candidates(scope, disk_id)
    while True:
        plan = plan_eviction(candidates, maximum)
        if not plan.has_room:
            raise AutomaticQuotaError(disk_id, maximum)
        stays = _delete_all(scope, plan.evict)
        if stays is None:
            return plan.evict
        candidates = [replace(each, is_held=each.is_held or each.id == stays) for each in candidates]


def _delete_all(scope: Scope, snapshot_ids: Sequence[SnapshotId]) -> SnapshotId | None:
    """Delete all of them or none; answers the first one that may not go after all."""
    try:
        with scope.session.begin_nested():
            for snapshot_id in snapshot_ids:
                current = snapshot_id
                delete_snapshot(scope, snapshot_id)
    except Refusal:
        return current
    return None


def _count(scope: Scope, disk_id: DiskId) -> int:
    query = select(func.count()).where(
        SnapshotRecord.account_id == scope.account_id,
        SnapshotRecord.disk_id == disk_id,
        SnapshotRecord.kind == SnapshotKind.AUTO,
        SnapshotRecord.state != SnapshotState.DELETING,
    )
    return scope.session.scalar(query) or 0


def _list_candidates(scope: Scope, disk_id: DiskId) -> list[Candidate]:
    is_used = select(HoldRecord.snapshot_id).where(HoldRecord.snapshot_id == SnapshotRecord.id).exists()
    is_locked = (
        select(LockRecord.snapshot_id)
        .where(
            LockRecord.snapshot_id == SnapshotRecord.id,
            or_(LockRecord.expires_at.is_(None), LockRecord.expires_at > scope.clock.now()),
        )
        .exists()
    )
    is_unfinished = SnapshotRecord.state == SnapshotState.PROGRESSING
    rows = scope.session.execute(
        select(SnapshotRecord.id, SnapshotRecord.created_at, or_(is_used, is_locked, is_unfinished)).where(
            SnapshotRecord.account_id == scope.account_id,
            SnapshotRecord.disk_id == disk_id,
            SnapshotRecord.kind == SnapshotKind.AUTO,
            SnapshotRecord.state != SnapshotState.DELETING,
        )
    )
    return [
        Candidate(id=snapshot_id, kind=SnapshotKind.AUTO, created_at=created_at, is_held=is_held)
        for snapshot_id, created_at, is_held in rows
    ]
