"""Copy what a policy made to the other region that it names, once it is accomplished."""

from dataclasses import replace

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.policies.copy_rule import CopyRule
from lamina.control.policies.eviction import make_room
from lamina.control.policies.queries import is_suspended
from lamina.control.policies.records import RunRecord
from lamina.control.scope import Scope
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.queries import get_snapshot
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.failures import Refusal
from lamina.ids import RunId, SnapshotId


def copy_automatic_snapshots(plant: Installation) -> None:
    """Start the copies of automatic snapshots that are accomplished; note why one cannot be copied.

    A copy is an automatic snapshot of its own: it has its own retention, and the quota counts in its region.
    """
    with plant.database.reading() as session:
        ready = session.execute(
            select(RunRecord.point, RunRecord.id, RunRecord.account_id)
            .outerjoin(SnapshotRecord, SnapshotRecord.id == RunRecord.snapshot_id)
            .where(
                RunRecord.copy_region_id.is_not(None),
                or_(SnapshotRecord.id.is_(None), SnapshotRecord.state != SnapshotState.PROGRESSING),
            )
        ).all()  # not in their order: SQLite would walk through all runs to have it
    for _, run_id, account_id in sorted(ready):
        with plant.database.transaction(of=account_id) as session:
            _start_copy(plant, session, run_id)


def _start_copy(plant: Installation, session: Session, run_id: RunId) -> None:
    run = session.get(RunRecord, run_id)
    if run is None or run.copy_rule is None:
        return  # somebody was faster
    rule, run.copy_rule = run.copy_rule, None
    if is_suspended(plant.scope(session, run.account_id, run.region_id)):
        run.reason = "it was not copied: the account is suspended for overdue payments"
        return
    try:
        with session.begin_nested():
            run.copy_id = _copy(plant.scope(session, run.account_id, run.region_id), run, rule)
    except Refusal as refusal:
        run.reason = f"it was not copied: {refusal}"


def _copy(scope: Scope, run: RunRecord, rule: CopyRule) -> SnapshotId:
    assert run.snapshot_id is not None, "only what was started is copied"
    assert run.disk_id is not None, "only disks have snapshots"
    source = get_snapshot(scope, run.snapshot_id)
    make_room(replace(scope, region_id=rule.region_id), run.disk_id)
    new = NewCopy(
        snapshot_id=source.id,
        region_id=rule.region_id,
        name=source.name,
        retention_days=rule.retention_days,
        encryption=rule.encryption,
        kind=SnapshotKind.AUTO,
    )
    return copy_snapshot(scope, new).id
