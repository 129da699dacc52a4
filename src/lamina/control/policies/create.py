"""Create an automatic snapshot policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from lamina.control.policies.errors import PolicyQuotaError
from lamina.control.policies.records import PolicyRecord
from lamina.control.policies.schedule import Timetable, find_next_point, open_zone
from lamina.control.policies.set_copies import NOTHING_SAID, CopyWish, set_copies
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import mint_policy_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy:
    """A policy to be. The name was checked by whoever asks.

    Attributes:
        timetable: when it runs.
        retention_days: how long its snapshots are kept; None is for ever.
        copies: whether copies are made, and where they go; by default there are none.
        tags: key to value.
    """

    timetable: Timetable
    retention_days: int | None
    name: str | None = None
    copies: CopyWish = NOTHING_SAID
    tags: Mapping[str, str] = field(default_factory=dict)


def create_policy(scope: Scope, new: NewPolicy) -> PolicyRecord:
    """Add a policy that is applied to no disk yet.

    Raises:
        PolicyQuotaError: the account has as many in the region as it may have.
        CopyTargetMissingError and further: its snapshots cannot be copied so; see `set_copies`.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
        Fault: the region's time zone is unknown here.
    """
    _check_quota(scope)
    now = scope.clock.now()
    zone = open_zone(get_region(scope.session, scope.region_id).time_zone)
    policy = PolicyRecord(
        id=mint_policy_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        name=new.name,
        timetable=new.timetable,
        retention_days=new.retention_days,
        copies=False,
        created_at=now,
        next_run_at=find_next_point(new.timetable, zone, now),
        planned_at=now,
    )
    set_copies(scope, policy, new.copies)
    scope.session.add(policy)
    scope.session.flush()
    put_tags(scope, ResourceType.POLICY, policy, new.tags)
    return policy


def _check_quota(scope: Scope) -> None:
    maximum = scope.limits.policies_per_region
    count = scope.session.scalar(
        select(func.count()).where(
            PolicyRecord.account_id == scope.account_id, PolicyRecord.region_id == scope.region_id
        )
    )
    if (count or 0) >= maximum:
        raise PolicyQuotaError(scope.region_id, maximum)
