"""The plan for an account that pays nothing: what goes, when and why, and why the rest stays. Pure.

In the first days only snapshots go whose own retention ends. At the purge everything else goes, manual and automatic
alike, and all policies; but never what disks or images were made from, and nothing before its lock ends. What is held
or locked goes when it no longer is, as long as nothing is paid.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from lamina.control.metering.records import FOREVER
from lamina.control.payments.course import Course
from lamina.ids import PolicyId, RegionId, SnapshotId


class Cause(Enum):
    """Why something goes, or stays."""

    RETENTION = "its retention ends"
    PURGE = "payments are overdue for too long"
    USED = "it is in use"
    LOCKED = "it is locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFacts:
    """What decides about a snapshot.

    Attributes:
        expires_at: the end of its retention; None is never.
        is_unfinished: it is being created.
        disks: that were made from it and are there.
        images: the same.
        locked_until: the end of its lock; None if it has none. `FOREVER` is a lock that has not begun to count.
    """

    id: SnapshotId
    region_id: RegionId
    name: str | None
    expires_at: datetime | None
    is_unfinished: bool
    disks: tuple[str, ...]
    images: tuple[str, ...]
    locked_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFacts:
    """What there is to know about a policy: it goes with the purge."""

    id: PolicyId
    region_id: RegionId
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What becomes of one snapshot or policy.

    Attributes:
        snapshot_id: of a snapshot.
        policy_id: of a policy.
        goes_at: when it goes; None if it stays.
        cause: why it goes then, or why it stays.
        detail: the same, in words and with names.
    """

    region_id: RegionId
    name: str | None
    goes_at: datetime | None
    cause: Cause
    detail: str
    snapshot_id: SnapshotId | None = None
    policy_id: PolicyId | None = None

    @property
    def id(self) -> str:
        """Of the snapshot or policy."""
        found = self.snapshot_id or self.policy_id
        assert found is not None, "it is about one of them"
        return found


def plan_arrears(
    course: Course, snapshots: Iterable[SnapshotFacts], policies: Iterable[PolicyFacts]
) -> tuple[Departure, ...]:
    """What becomes of an account's snapshots and policies if nothing is paid: what goes first, then what stays.

    Args:
        course: when what happens to the account.
        snapshots: its snapshots, of all regions.
        policies: its policies.
    """
    planned = [*_plan_snapshots(course, snapshots), *_plan_policies(course, policies)]
    return tuple(sorted(planned, key=lambda each: (each.goes_at is None, each.goes_at or FOREVER, each.id)))


def list_due(plan: Iterable[Departure], now: datetime) -> tuple[Departure, ...]:
    """What goes now, in the order of the plan."""
    return tuple(each for each in plan if each.goes_at is not None and each.goes_at <= now)


def _plan_snapshots(course: Course, snapshots: Iterable[SnapshotFacts]) -> Iterator[Departure]:
    for each in snapshots:
        goes_at, cause, detail = _decide(course, each)
        yield Departure(
            snapshot_id=each.id,
            region_id=each.region_id,
            name=each.name,
            goes_at=goes_at,
            cause=cause,
            detail=detail,
        )


def _plan_policies(course: Course, policies: Iterable[PolicyFacts]) -> Iterator[Departure]:
    for each in policies:
        yield Departure(
            policy_id=each.id,
            region_id=each.region_id,
            name=each.name,
            goes_at=course.purging_at,
            cause=Cause.PURGE,
            detail=_tell_purge(course),
        )


def _decide(course: Course, snapshot: SnapshotFacts) -> tuple[datetime | None, Cause, str]:
    if snapshot.images:
        return None, Cause.USED, f"images use it: {', '.join(snapshot.images)}"
    if snapshot.disks:
        return None, Cause.USED, f"disks were made from it: {', '.join(snapshot.disks)}"
    expires_at = None if snapshot.is_unfinished else snapshot.expires_at
    if expires_at is not None and expires_at <= course.purging_at:
        goes_at, cause, detail = expires_at, Cause.RETENTION, f"its retention ends at {_show(expires_at)}"
    else:
        goes_at, cause, detail = course.purging_at, Cause.PURGE, _tell_purge(course)
    if snapshot.locked_until is None or snapshot.locked_until <= goes_at:
        return goes_at, cause, detail
    if snapshot.locked_until == FOREVER:
        return None, Cause.LOCKED, "it is locked, and the lock has not begun to count"
    return snapshot.locked_until, cause, f"{detail}; it is locked until {_show(snapshot.locked_until)}"


def _tell_purge(course: Course) -> str:
    return f"payments are overdue since {_show(course.overdue_at)}"


def _show(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
