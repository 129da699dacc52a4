"""ModifyAutoSnapshotPolicyEx."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES
from lamina.api.shapes.policy import (
    BAD_COPY_RETENTION,
    BAD_POLICY,
    BAD_TARGET,
    HOURS,
    MAX_RETENTION_DAYS,
    NO_COPIES,
    WEEKDAYS,
    CopyEncryption,
    TargetTag,
    read_copies,
    read_numbers,
    read_retention,
)
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotEnabledError, KeyNotFoundError, KeyWithoutEncryptionError
from lamina.control.policies.errors import CopyTargetMissingError, PolicyNotFoundError, TargetRegionError
from lamina.control.policies.modify import PolicyChanges, modify_policy
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import CopyNotOfferedError
from lamina.ids import PolicyId, RegionId

_NOT_BY_TAG: Final = Code(403, "InvalidOperation.PolicyTypeUnsupported")


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
    copy_encryption_configuration: CopyEncryption | None = None
    target_tags: tuple[TargetTag, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyAutoSnapshotPolicyExAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        PolicyNotFoundError,
        CopyTargetMissingError,
        TargetRegionError,
        KeyNotFoundError,
        KeyNotEnabledError,
    ),
    answers=(BAD_POLICY, _NOT_BY_TAG),
    errors={CopyNotOfferedError: NO_COPIES, KeyWithoutEncryptionError: BAD_POLICY},
    resource="auto_snapshot_policy_id",
    not_offered={
        EXACT_KEY_CODES: ("InvalidParameter.KMSKeyId.KMSUnauthorized",),
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
    hours, days, retention = request.time_points, request.repeat_weekdays, request.retention_days
    modify_policy(
        scope,
        request.auto_snapshot_policy_id,
        PolicyChanges(
            name=request.auto_snapshot_policy_name,
            hours=None if hours is None else read_numbers(hours, "timePoints"),
            weekdays=None if days is None else read_numbers(days, "repeatWeekdays"),
            retention=None if retention is None else read_retention(retention),
            copies=read_copies(request),
        ),
    )
    return ModifyAutoSnapshotPolicyExAnswer()
