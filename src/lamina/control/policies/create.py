"""Create an automatic snapshot policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import func, select

from lamina.control.policies.errors import PolicyQuotaError, TargetRegionError
from lamina.control.policies.records import PolicyRecord
from lamina.control.policies.schedule import Timetable, find_next_point, open_zone
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.regions.queries import get_region
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import CopyNotOfferedError
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import RegionId, mint_policy_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRule:
    """Where copies of a policy's snapshots go.

    Attributes:
        region_id: another region than the policy's.
        retention_days: how long the copies are kept; None is for ever.
    """

    region_id: RegionId
    retention_days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPolicy:
    """A policy to be. The name was checked by whoever asks.

    Attributes:
        timetable: when it runs.
        retention_days: how long its snapshots are kept; None is for ever.
        copy_rule: where copies go, if anywhere.
        tags: key to value.
    """

    timetable: Timetable
    retention_days: int | None
    name: str | None = None
    copy_rule: CopyRule | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def create_policy(scope: Scope, new: NewPolicy) -> PolicyRecord:
    """Add a policy that is applied to no disk yet.

    Raises:
        PolicyQuotaError: the account has as many in the region as it may have.
        CopyNotOfferedError: the installation does not offer copies.
        TargetRegionError: copies cannot go there.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
        Fault: the region's time zone is unknown here.
    """
    _check_quota(scope)
    if new.copy_rule is not None:
        check_target(scope, new.copy_rule.region_id)
    now = scope.clock.now()
    zone = open_zone(get_region(scope.session, scope.region_id).time_zone)
    policy = PolicyRecord(
        id=mint_policy_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        name=new.name,
        timetable=new.timetable,
        retention_days=new.retention_days,
        copies=new.copy_rule is not None,
        copy_region_id=new.copy_rule.region_id if new.copy_rule else None,
        copy_retention_days=new.copy_rule.retention_days if new.copy_rule else None,
        created_at=now,
        next_run_at=find_next_point(new.timetable, zone, now),
        planned_at=now,
    )
    scope.session.add(policy)
    scope.session.flush()
    put_tags(scope, ResourceType.POLICY, policy, new.tags)
    return policy


def check_target(scope: Scope, region_id: RegionId) -> None:
    """Let only a region pass that copies can go to.

    Raises:
        CopyNotOfferedError: the installation does not offer copies.
        TargetRegionError: it is the policy's own, or there is none of that name.
    """
    if not scope.limits.may_copy_snapshots:
        raise CopyNotOfferedError
    if region_id == scope.region_id:
        raise TargetRegionError(region_id, "that is the policy's own region; choose another one")
    try:
        get_region(scope.session, region_id)
    except RegionNotFoundError as error:
        raise TargetRegionError(region_id, str(error)) from error


def _check_quota(scope: Scope) -> None:
    maximum = scope.limits.policies_per_region
    count = scope.session.scalar(
        select(func.count()).where(
            PolicyRecord.account_id == scope.account_id, PolicyRecord.region_id == scope.region_id
        )
    )
    if (count or 0) >= maximum:
        raise PolicyQuotaError(scope.region_id, maximum)
