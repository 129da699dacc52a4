"""The task that carries out one point of a policy: it starts a snapshot of every disk that has the policy.

The disks are taken in batches, each in a short transaction of its own, so that others can write in between. What
became of a disk is recorded in the transaction that starts its snapshot, and a disk with a record for the point is
not taken again: the task may be interrupted anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from lamina.control.disks.records import DiskRecord
from lamina.control.installation import Installation
from lamina.control.policies.eviction import make_room
from lamina.control.policies.queries import covers, is_suspended
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.policies.schedule import open_zone
from lamina.control.policies.states import RunOutcome
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.states import SnapshotKind
from lamina.failures import Refusal
from lamina.ids import AccountId, DiskId, PolicyId, RegionId, mint_run_id
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import BULK, Step, TaskKind

# Other writers wait for a batch to end, so its time is limited, not only its size: a snapshot takes 5 ms to start on
# two free cores, and five times as long on busy ones. In the breath between two batches those who came meanwhile have
# their turn, and calls that only look have the processor; it is as long as the batch took with its waiting, so that
# the busier the others are, the more it leaves to them. For 10,000 disks all this takes minutes, and their copies take
# hours.
_BATCH: Final = 8
_BATCH_SECONDS: Final = 0.02
_BREATH_SECONDS: Final = 0.02
_BREATH_MAX_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunArguments:
    """Which point of which policy."""

    account_id: AccountId
    region_id: RegionId
    policy_id: PolicyId
    point: datetime


def name_run(policy_id: PolicyId, point: datetime) -> str:
    """The key of the task for a point."""
    return f"{policy_id}@{point.isoformat()}"


def find_policy_run(session: Session, policy_id: PolicyId, point: datetime) -> RunRecord | None:
    """The policy's own record of a point."""
    return session.scalars(
        select(RunRecord).where(
            RunRecord.policy_id == policy_id, RunRecord.point == point, RunRecord.disk_id.is_(None)
        )
    ).one_or_none()


def _start_all(plant: Installation, task: RunArguments, context: StepContext) -> None:
    after = DiskId("")
    while True:
        context.check()
        began = plant.clock.monotonic()
        with context.transaction(of=task.account_id) as session:
            last = _start_batch(plant.scope(session, task.account_id, task.region_id), task, after)
        if last is None:
            return
        after = last
        took = plant.clock.monotonic() - began
        context.signals.stopping.wait(min(max(took, _BREATH_SECONDS), _BREATH_MAX_SECONDS))


def _choose_disks(session: Session, task: RunArguments, after: DiskId) -> Sequence[DiskId]:
    """The next disks without a record for the point."""
    is_recorded = exists().where(RunRecord.disk_id == DiskRecord.id, RunRecord.point == task.point)
    return session.scalars(
        select(DiskRecord.id)
        .where(*covers(task.policy_id, task.point), DiskRecord.id > after, ~is_recorded)
        .order_by(DiskRecord.id)
        .limit(_BATCH)
    ).all()


def _start_batch(scope: Scope, task: RunArguments, after: DiskId) -> DiskId | None:
    """Start the next snapshots; answers the last disk that was looked at, or None if there are no more."""
    policy = scope.session.get(PolicyRecord, task.policy_id)
    if policy is None:
        return None  # deleted since; it has no disks any more
    zone = open_zone(get_region(scope.session, task.region_id).time_zone)
    name = f"auto2.0_{task.point.astimezone(zone):%Y%m%d}_{policy.id}"
    end = scope.clock.monotonic() + _BATCH_SECONDS
    last = None
    for disk_id in _choose_disks(scope.session, task, after):
        new = NewSnapshot(
            disk_id=disk_id, name=name, retention_days=policy.retention_days, kind=SnapshotKind.AUTO
        )
        run = _start_one(scope, task, new)
        if run.snapshot_id is not None and policy.copies:
            run.copy_rule = policy.copy_rule
        scope.session.add(run)
        last = disk_id
        if scope.clock.monotonic() >= end:
            break
    scope.session.flush()
    return last


def _start_one(scope: Scope, task: RunArguments, new: NewSnapshot) -> RunRecord:
    run = RunRecord(
        id=mint_run_id(),
        account_id=task.account_id,
        region_id=task.region_id,
        policy_id=task.policy_id,
        disk_id=new.disk_id,
        point=task.point,
        recorded_at=scope.clock.now(),
    )
    if is_suspended(scope):  # since the run began
        run.outcome, run.reason = RunOutcome.SKIPPED, "the account is suspended for overdue payments"
        return run
    try:
        with scope.session.begin_nested():  # nothing is evicted for a snapshot that then cannot be started
            make_room(scope, new.disk_id)
            run.snapshot_id = create_snapshot(scope, new).id
            run.outcome = RunOutcome.STARTED
    except Refusal as refusal:
        run.outcome, run.reason = RunOutcome.SKIPPED, str(refusal)
    return run


def _settle(_plant: Installation, session: Session, task: RunArguments, outcome: Outcome) -> None:
    run = find_policy_run(session, task.policy_id, task.point)
    if run is None:
        return
    if outcome.failure is None:
        run.move_to(RunOutcome.FINISHED)
    else:
        run.move_to(RunOutcome.FAILED)
        run.reason = outcome.failure.told


RUN_POLICY: Final = TaskKind(
    name="run-policy",
    arguments=RunArguments,
    lane=BULK,
    # no undo: a snapshot that was started is worth keeping, whatever became of the others
    steps=(Step(name="start", run=_start_all),),
    settle=_settle,
)
