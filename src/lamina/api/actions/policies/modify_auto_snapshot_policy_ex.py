"""ModifyAutoSnapshotPolicyEx."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.policy import (
    BAD_COPY_RETENTION,
    BAD_POLICY,
    BAD_TARGET,
    HOURS,
    MAX_RETENTION_DAYS,
    NO_COPIES,
    PLAIN_COPIES,
    WEEKDAYS,
    CopyEncryption,
    CopyWish,
    TargetTag,
    read_copies,
    read_numbers,
    read_retention,
)
from lamina.api.spec import Kind, action
from lamina.control.policies.errors import PolicyNotFoundError, TargetRegionError
from lamina.control.policies.modify import PolicyChanges, modify_policy
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import CopyNotOfferedError
from lamina.ids import PolicyId, RegionId

_NOT_BY_TAG: Final = Code(403, "InvalidOperation.PolicyTypeUnsupported")
_NO_KEY: Final = Code(403, "InvalidParameter.KMSKeyId.CMKNotEnabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyAutoSnapshotPolicyExRequest:
    """Parameters; what is absent stays as it is."""

    region_id: RegionId = param(wire="regionId")  # noqa: RUF009 - a field, as `field()` is
    auto_snapshot_policy_id: PolicyId = param(wire="autoSnapshotPolicyId")  # noqa: RUF009 - the same
    auto_snapshot_policy_name: str | None = param(
        default=None, wire="autoSnapshotPolicyName", check=rules.check_name, malformed=BAD_POLICY
    )
    time_points: tuple[str, ...] | None = param(
        default=None, wire="timePoints", form="json", choices=HOURS, at_most=24, malformed=BAD_POLICY
    )
    repeat_weekdays: tuple[str, ...] | None = param(
        default=None, wire="repeatWeekdays", form="json", choices=WEEKDAYS, at_most=7, malformed=BAD_POLICY
    )
    retention_days: int | None = param(
        # the pages of this action allow one day more than those of CreateAutoSnapshotPolicy
        default=None,
        wire="retentionDays",
        between=(-1, MAX_RETENTION_DAYS + 1),
        malformed=BAD_POLICY,
    )
    enable_cross_region_copy: bool | None = None
    target_copy_regions: tuple[str, ...] | None = param(default=None, form="json", malformed=BAD_TARGET)
    copied_snapshots_retention_days: int | None = param(
        default=None, between=(-1, MAX_RETENTION_DAYS), malformed=BAD_COPY_RETENTION
    )
    copy_encryption_configuration: CopyEncryption = PLAIN_COPIES
    target_tags: tuple[TargetTag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyAutoSnapshotPolicyExAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(PolicyNotFoundError, TargetRegionError),
    answers=(BAD_POLICY, _NOT_BY_TAG, _NO_KEY),
    errors={CopyNotOfferedError: NO_COPIES},
    resource="auto_snapshot_policy_id",
    not_offered={
        "copies with keys of the account are not there yet": (
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "InvalidParameter.KMSKeyId.NotFound",
        ),
    },
)
def modify_auto_snapshot_policy_ex(
    _call: Call, scope: Scope, request: ModifyAutoSnapshotPolicyExRequest
) -> ModifyAutoSnapshotPolicyExAnswer:
    """Change a policy at once for all its disks; a changed retention counts for later snapshots only."""
    if request.target_tags:
        raise ApiError(
            _NOT_BY_TAG, "the policy is applied to disks; TargetTags are for policies of instances"
        )
    if request.copy_encryption_configuration.encrypted:
        raise ApiError(_NO_KEY, "copies with a key of their own are not offered yet")
    hours, days, retention = request.time_points, request.repeat_weekdays, request.retention_days
    modify_policy(
        scope,
        request.auto_snapshot_policy_id,
        PolicyChanges(
            name=request.auto_snapshot_policy_name,
            hours=None if hours is None else read_numbers(hours, "timePoints"),
            weekdays=None if days is None else read_numbers(days, "repeatWeekdays"),
            retention=None if retention is None else read_retention(retention),
            copies=read_copies(
                CopyWish(
                    is_enabled=request.enable_cross_region_copy,
                    regions=request.target_copy_regions,
                    retention_days=request.copied_snapshots_retention_days,
                )
            ),
        ),
    )
    return ModifyAutoSnapshotPolicyExAnswer()
