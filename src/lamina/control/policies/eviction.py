"""Make room for one more automatic snapshot of a disk."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, func, or_, select

from lamina.control.policies.errors import AutomaticQuotaError
from lamina.control.policies.retention import Candidate, plan_eviction
from lamina.control.scope import Scope
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.holds import is_kept
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.failures import Refusal
from lamina.ids import DiskId, SnapshotId


def make_room(scope: Scope, disk_id: DiskId) -> tuple[SnapshotId, ...]:
    """Delete automatic snapshots of a disk that may go, failed ones and then the earliest, until one more fits.

    Returns:
        Those that went.

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
    return scope.session.scalar(select(func.count()).where(*_counts(scope, disk_id))) or 0


def _list_candidates(scope: Scope, disk_id: DiskId) -> list[Candidate]:
    stays = or_(is_kept(scope.clock.now()), SnapshotRecord.state == SnapshotState.PROGRESSING)
    rows = scope.session.execute(
        select(SnapshotRecord.id, SnapshotRecord.created_at, stays, SnapshotRecord.state).where(
            *_counts(scope, disk_id)
        )
    )
    return [
        Candidate(
            id=snapshot_id,
            kind=SnapshotKind.AUTO,
            created_at=created_at,
            is_held=is_held,
            is_failed=state is SnapshotState.FAILED,
        )
        for snapshot_id, created_at, is_held, state in rows
    ]


def _counts(scope: Scope, disk_id: DiskId) -> tuple[ColumnElement[bool], ...]:
    """Conditions for the automatic snapshots of the disk. Copies in other regions count there."""
    return (
        SnapshotRecord.account_id == scope.account_id,
        SnapshotRecord.region_id == scope.region_id,
        SnapshotRecord.disk_id == disk_id,
        SnapshotRecord.kind == SnapshotKind.AUTO,
        SnapshotRecord.state != SnapshotState.DELETING,
    )
