"""Change an automatic snapshot policy."""

from dataclasses import dataclass

from lamina.control.policies.queries import get_policy
from lamina.control.policies.records import PolicyRecord
from lamina.control.policies.retention import Retention
from lamina.control.policies.schedule import Timetable, find_next_point, open_zone
from lamina.control.policies.set_copies import NOTHING_SAID, CopyWish, set_copies
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.ids import PolicyId


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanges:
    """What changes; None leaves it as it is.

    Attributes:
        hours: 0 to 23.
        weekdays: 1 (Monday) to 7.
        retention: of later snapshots; those that exist keep theirs.
        copies: what is said of copies.
    """

    name: str | None = None
    hours: tuple[int, ...] | None = None
    weekdays: tuple[int, ...] | None = None
    retention: Retention | None = None
    copies: CopyWish = NOTHING_SAID


def modify_policy(scope: Scope, policy_id: PolicyId, changes: PolicyChanges) -> PolicyRecord:
    """Change a policy; it counts at once for all disks that it is applied to.

    Raises:
        PolicyNotFoundError: the account has no such policy in the region.
        CopyTargetMissingError and further: its snapshots cannot be copied so; see `set_copies`.
        Fault: the region's time zone is unknown here.
    """
    policy = get_policy(scope, policy_id)
    if changes.name is not None:
        policy.name = changes.name
    if changes.retention is not None:
        policy.retention_days = changes.retention.days
    set_copies(scope, policy, changes.copies)
    if changes.hours is not None or changes.weekdays is not None:
        old = policy.timetable
        _change_timetable(
            scope, policy, Timetable.of(changes.hours or old.hours, changes.weekdays or old.weekdays)
        )
    scope.session.flush()
    return policy


def _change_timetable(scope: Scope, policy: PolicyRecord, timetable: Timetable) -> None:
    now = scope.clock.now()
    policy.timetable = timetable
    if policy.next_run_at <= now:
        return  # a point is due that nobody has looked at yet: whoever does goes by the new timetable
    zone = open_zone(get_region(scope.session, scope.region_id).time_zone)
    policy.next_run_at = find_next_point(timetable, zone, now, policy.settled_until)
    policy.planned_at = now
