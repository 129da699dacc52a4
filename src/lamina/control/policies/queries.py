"""Looking policies up, the disks that they are applied to, and what they did."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, func, select

from lamina.control.accounts.records import AccountRecord
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.policies.errors import PolicyNotFoundError
from lamina.control.policies.records import PolicyRecord, RunRecord
from lamina.control.policies.schedule import iterate_points, open_zone
from lamina.control.policies.states import PolicyStatus
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.control.tags.queries import has_tags, list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import DiskId, PolicyId


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFilter:
    """Which policies of the scope's account and region are wanted; what is None does not matter.

    Attributes:
        tags: key to value; None as a value matches any.
    """

    policy_id: PolicyId | None = None
    name: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """A policy with what is kept elsewhere about it.

    Attributes:
        disk_count: how many disks it is applied to.
    """

    policy: PolicyRecord
    status: PolicyStatus
    disk_count: int
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which disks with a policy, or which records of runs, are wanted; what is None does not matter."""

    policy_id: PolicyId | None = None
    disk_id: DiskId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """The next runs for one disk.

    Attributes:
        next_runs: instants, ascending; none while the account is suspended or the disk does not allow it.
    """

    disk: DiskRecord
    policy: PolicyRecord
    next_runs: tuple[datetime, ...]


def get_policy(scope: Scope, policy_id: PolicyId) -> PolicyRecord:
    """One policy of the account in the region; a writing transaction keeps others from changing it.

    Raises:
        PolicyNotFoundError: there is none.
    """
    policy = scope.session.scalars(
        select(PolicyRecord).where(
            PolicyRecord.id == policy_id,
            PolicyRecord.account_id == scope.account_id,
            PolicyRecord.region_id == scope.region_id,
        )
    ).one_or_none()
    if policy is None:
        raise PolicyNotFoundError(policy_id)
    return policy


def list_policies(scope: Scope, wanted: PolicyFilter, part: Slice) -> Page[PolicyView]:
    """The policies of the account in the region that match, newest first."""
    plain = ((PolicyRecord.id, wanted.policy_id), (PolicyRecord.name, wanted.name))
    query = select(PolicyRecord).where(
        PolicyRecord.account_id == scope.account_id,
        PolicyRecord.region_id == scope.region_id,
        *(column == value for column, value in plain if value is not None),
        *has_tags(ResourceType.POLICY, PolicyRecord.id, wanted.tags),
    )
    order = AgeOrder(created_at=PolicyRecord.created_at, id=PolicyRecord.id)
    policies, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=_view(scope, policies),
        total_count=total,
        next_key=PageKey(created_at=policies[-1].created_at, id=policies[-1].id) if has_more else None,
    )


def list_covered_disks(scope: Scope, wanted: Coverage, part: Slice) -> Page[DiskRecord]:
    """The disks of the account in the region that have a policy, newest first."""
    query = select(DiskRecord).where(
        DiskRecord.account_id == scope.account_id,
        DiskRecord.region_id == scope.region_id,
        DiskRecord.state != DiskState.DELETING,
        DiskRecord.policy_id.is_not(None),
        *_match(wanted, DiskRecord.policy_id == wanted.policy_id, DiskRecord.id == wanted.disk_id),
    )
    order = AgeOrder(created_at=DiskRecord.created_at, id=DiskRecord.id)
    disks, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(disks),
        total_count=total,
        next_key=PageKey(created_at=disks[-1].created_at, id=disks[-1].id) if has_more else None,
    )


def list_runs(scope: Scope, wanted: Coverage, part: Slice) -> Page[RunRecord]:
    """What became of the points of the account's policies in the region, latest point first."""
    query = select(RunRecord).where(
        RunRecord.account_id == scope.account_id,
        RunRecord.region_id == scope.region_id,
        *_match(wanted, RunRecord.policy_id == wanted.policy_id, RunRecord.disk_id == wanted.disk_id),
    )
    order = AgeOrder(created_at=RunRecord.point, id=RunRecord.id)
    runs, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(runs),
        total_count=total,
        next_key=PageKey(created_at=runs[-1].point, id=runs[-1].id) if has_more else None,
    )


def list_calendar(scope: Scope, wanted: Coverage, part: Slice, run_count: int) -> Page[CalendarEntry]:
    """The next runs of the account's disks in the region that have a policy; the newest disk first."""
    page = list_covered_disks(scope, wanted, part)
    policies = _list_by_id(scope, {disk.policy_id for disk in page.items if disk.policy_id is not None})
    runs: dict[PolicyId, tuple[datetime, ...]] = {}
    if not is_suspended(scope):
        zone = open_zone(get_region(scope.session, scope.region_id).time_zone)
        for policy in policies.values():
            # its cursor may stand at a point that is due at this moment: that one comes first
            later = iterate_points(policy.timetable, zone, max(policy.next_run_at, scope.clock.now()))
            runs[policy.id] = (policy.next_run_at, *islice(later, run_count - 1))
    entries = [
        CalendarEntry(
            disk=disk,
            policy=policies[disk.policy_id],
            next_runs=runs.get(disk.policy_id, ()) if disk.enable_auto_snapshot else (),
        )
        for disk in page.items
        if disk.policy_id is not None
    ]
    return Page(items=tuple(entries), total_count=page.total_count, next_key=page.next_key)


def is_suspended(scope: Scope) -> bool:
    """Whether the account may not make snapshots."""
    standing = scope.session.scalar(
        select(AccountRecord.standing).where(AccountRecord.id == scope.account_id)
    )
    return standing is not None and standing.is_suspended


def covers(policy_id: PolicyId, point: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions for the disks that a point of a policy is about: it was applied to them by then, and counts."""
    return (
        DiskRecord.policy_id == policy_id,
        DiskRecord.enable_auto_snapshot.is_(True),
        DiskRecord.policy_applied_at <= point,
        DiskRecord.state != DiskState.DELETING,
    )


def _match(wanted: Coverage, *conditions: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    given = (wanted.policy_id, wanted.disk_id)
    return [condition for value, condition in zip(given, conditions, strict=True) if value is not None]


def _view(scope: Scope, policies: Sequence[PolicyRecord]) -> tuple[PolicyView, ...]:
    ids = [policy.id for policy in policies]
    tags = list_tags(scope.session, ResourceType.POLICY, ids)
    counts = _count_disks(scope, ids)
    status = PolicyStatus.EXPIRE if is_suspended(scope) else PolicyStatus.NORMAL
    return tuple(
        PolicyView(policy=policy, status=status, disk_count=counts.get(policy.id, 0), tags=tags[policy.id])
        for policy in policies
    )


def _count_disks(scope: Scope, policy_ids: Collection[PolicyId]) -> dict[PolicyId, int]:
    rows = scope.session.execute(
        select(DiskRecord.policy_id, func.count())
        .where(DiskRecord.policy_id.in_(policy_ids), DiskRecord.state != DiskState.DELETING)
        .group_by(DiskRecord.policy_id)
    )
    return {policy_id: count for policy_id, count in rows if policy_id is not None}


def _list_by_id(scope: Scope, policy_ids: Collection[PolicyId]) -> dict[PolicyId, PolicyRecord]:
    rows = scope.session.scalars(
        select(PolicyRecord).where(
            PolicyRecord.id.in_(policy_ids), PolicyRecord.account_id == scope.account_id
        )
    )
    return {policy.id: policy for policy in rows}
