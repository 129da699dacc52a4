"""DescribeAutoSnapshotPolicyCalendar: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.policies.queries import CalendarEntry, Coverage, list_calendar
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyCalendarRequest:
    """Parameters; both filters must match. `RunCount` is how many runs are shown for each disk."""

    region_id: RegionId
    auto_snapshot_policy_id: PolicyId | None = None
    disk_id: DiskId | None = None
    run_count: int = param(default=5, between=(1, 100))
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarShape:
    """The next runs for one disk; none while the account is suspended."""

    disk_id: DiskId
    disk_name: str
    auto_snapshot_policy_id: PolicyId
    auto_snapshot_policy_name: str
    next_run_times: tuple[datetime, ...] = param(wire="NextRunTimes/NextRunTime")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyCalendarAnswer:
    """One page of disks, newest first."""

    calendars: tuple[CalendarShape, ...] = param(wire="Calendars/Calendar")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_auto_snapshot_policy_calendar(
    call: Call, scope: Scope, request: DescribeAutoSnapshotPolicyCalendarRequest
) -> DescribeAutoSnapshotPolicyCalendarAnswer:
    """List the disks that have a policy, with their next automatic snapshots."""
    pager = call.pager()
    wanted = pager.read(request)
    of = Coverage(policy_id=request.auto_snapshot_policy_id, disk_id=request.disk_id)
    page = list_calendar(scope, of, wanted, request.run_count)
    return DescribeAutoSnapshotPolicyCalendarAnswer(
        calendars=tuple(_show(entry) for entry in page.items),
        total_count=page.total_count,
        next_token=pager.describe(request, wanted, page).next_token,
    )


def _show(entry: CalendarEntry) -> CalendarShape:
    return CalendarShape(
        disk_id=entry.disk.id,
        disk_name=entry.disk.name or "",
        auto_snapshot_policy_id=entry.policy.id,
        auto_snapshot_policy_name=entry.policy.name or "",
        next_run_times=entry.next_runs,
    )
