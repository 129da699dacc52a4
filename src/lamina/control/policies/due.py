"""Find the policies whose time has come, and write down what happens: the step from the clock to durable tasks.

The cursor of a policy moves in the transaction that records its points and enqueues the task of the one that runs.
A crash in between changes nothing; two processes that look at once wait for one another, and the second one finds
the cursor moved.
"""

import logging
from datetime import datetime
from typing import Final

from sqlalchemy import func, or_, select

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.policies.queries import is_suspended
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.policies.run import RUN_POLICY, RunArguments, find_policy_run, name_run
from lamina.control.policies.schedule import PointPlan, open_zone, plan_points
from lamina.control.policies.states import RunOutcome
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.failures import Fault
from lamina.ids import PolicyId, mint_run_id
from lamina.tasks.queue import enqueue
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)


def run_due_policies(plant: Installation) -> None:
    """Start the runs of all policies that are due. A policy that fails is logged; the others run."""
    now = plant.clock.now()
    with plant.database.reading() as session:
        due = session.scalars(
            select(PolicyRecord.id)
            .where(or_(PolicyRecord.next_run_at <= now, PolicyRecord.planned_at > now))
            .order_by(PolicyRecord.next_run_at, PolicyRecord.id)
        ).all()
    for policy_id in due:
        try:
            _advance(plant, policy_id, now)
        except Fault as failure:
            log_failure(_LOGGER, "a policy could not be run", failure, policy_id=policy_id)


def _advance(plant: Installation, policy_id: PolicyId, now: datetime) -> None:
    with plant.database.reading() as session:
        seen = session.get(PolicyRecord, policy_id)
        if seen is None:
            return
        zone = open_zone(get_region(session, seen.region_id).time_zone)
    plan = plan_points(seen.timetable, zone, seen.cursor, now)
    with plant.database.transaction(of=seen.account_id) as session:
        policy = session.get(PolicyRecord, policy_id)
        if policy is None or (policy.cursor, policy.timetable) != (seen.cursor, seen.timetable):
            return  # somebody was faster, or the policy was changed; the next look sees it
        policy.next_run_at, policy.planned_at = plan.next_run_at, now
        _record(plant.scope(session, policy.account_id, policy.region_id), policy_id, plan)
    if plan.missed:
        facts = {"policy_id": policy_id, "first": plan.missed[0], "count": len(plan.missed)}
        log(_LOGGER, logging.WARNING, "points of a policy were missed", **facts)


def _record(scope: Scope, policy_id: PolicyId, plan: PointPlan) -> None:
    """Write down the points; those before the policy had a disk meant nothing to anybody."""
    first = scope.session.scalar(
        select(func.min(DiskRecord.policy_applied_at)).where(
            DiskRecord.policy_id == policy_id, DiskRecord.state != DiskState.DELETING
        )
    )
    if first is None:
        return
    for point in plan.missed:
        if point >= first:
            _write(scope, policy_id, point, RunOutcome.MISSED)
    if plan.run is None or plan.run < first:
        return
    outcome = RunOutcome.SUSPENDED if is_suspended(scope) else RunOutcome.RUNNING
    is_new = _write(scope, policy_id, plan.run, outcome)
    if is_new and outcome is RunOutcome.RUNNING:
        arguments = RunArguments(
            account_id=scope.account_id, region_id=scope.region_id, policy_id=policy_id, point=plan.run
        )
        enqueue(scope.session, scope.clock, RUN_POLICY, arguments, key=name_run(policy_id, plan.run))


def _write(scope: Scope, policy_id: PolicyId, point: datetime, outcome: RunOutcome) -> bool:
    """Record a point, unless it was dealt with before: the clock was set back, and it came again."""
    known = find_policy_run(scope.session, policy_id, point)
    if known is not None:
        may_change = known.outcome is RunOutcome.MISSED and outcome is not RunOutcome.MISSED
        if may_change:
            known.move_to(outcome)
            known.recorded_at = scope.clock.now()
        return may_change
    scope.session.add(
        RunRecord(
            id=mint_run_id(),
            account_id=scope.account_id,
            region_id=scope.region_id,
            policy_id=policy_id,
            point=point,
            outcome=outcome,
            recorded_at=scope.clock.now(),
        )
    )
    return True
