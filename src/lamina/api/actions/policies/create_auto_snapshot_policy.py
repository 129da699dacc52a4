"""CreateAutoSnapshotPolicy."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
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
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.keys.errors import KeyNotEnabledError, KeyNotFoundError, KeyWithoutEncryptionError
from lamina.control.policies.create import NewPolicy, create_policy
from lamina.control.policies.errors import CopyTargetMissingError, PolicyQuotaError, TargetRegionError
from lamina.control.policies.schedule import Timetable
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import CopyNotOfferedError
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import PolicyId, RegionId

_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")
_BY_DISK: Final = "AssociatedWithDisk"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAutoSnapshotPolicyRequest:
    """Parameters; hours and weekdays are those of the region's time zone, 1 is Monday, -1 days are for ever."""

    region_id: RegionId = param(wire="regionId")  # noqa: RUF009 - a field, as `field()` is
    time_points: tuple[str, ...] = param(
        wire="timePoints", form="json", choices=HOURS, at_most=24, malformed=BAD_POLICY
    )
    repeat_weekdays: tuple[str, ...] = param(
        wire="repeatWeekdays", form="json", choices=WEEKDAYS, at_most=7, malformed=BAD_POLICY
    )
    retention_days: int = param(wire="retentionDays", between=(-1, MAX_RETENTION_DAYS), malformed=BAD_POLICY)
    auto_snapshot_policy_name: str | None = param(
        default=None,
        wire="autoSnapshotPolicyName",
        check=rules.check_name,
        malformed=Code(400, "InvalidSnapshotPolicyName.Malformed"),
    )
    enable_cross_region_copy: bool = False
    target_copy_regions: tuple[str, ...] | None = param(default=None, form="json", malformed=BAD_TARGET)
    copied_snapshots_retention_days: int | None = param(
        default=None, between=(-1, MAX_RETENTION_DAYS), malformed=BAD_COPY_RETENTION
    )
    copy_encryption_configuration: CopyEncryption | None = None
    association_type: str = param(
        default=_BY_DISK, choices=(_BY_DISK, "AssociatedWithInstanceTag"), malformed=BAD_POLICY
    )
    target_tags: tuple[TargetTag, ...] = ()
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    resource_group_id: str | None = None
    storage_location_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateAutoSnapshotPolicyAnswer:
    """The policy, which is applied to no disk yet."""

    auto_snapshot_policy_id: PolicyId


@action(
    kind=Kind.WRITES,
    raises=(
        PolicyQuotaError,
        CopyTargetMissingError,
        TargetRegionError,
        KeyWithoutEncryptionError,
        KeyNotEnabledError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
    ),
    answers=(SUSPENDED, BAD_POLICY, _NO_GROUP, DUPLICATE_TAG),
    errors={
        CopyNotOfferedError: NO_COPIES,
        KeyNotFoundError: Code(403, "InvalidOperation.KMSKeyIdNotFound"),
    },
    not_offered={
        "a policy is made without disks": ("DiskCategory.OperationNotSupported",),
        "the service is never inactive for an account": ("InvalidAccountStatus.SnapshotServiceUnavailable",),
        EXACT_KEY_CODES: (
            "InvalidParam.EncryptedMismatch",
            "InvalidParameter.KmsNotEnabled",
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
    },
)
def create_auto_snapshot_policy(
    call: Call, scope: Scope, request: CreateAutoSnapshotPolicyRequest
) -> CreateAutoSnapshotPolicyAnswer:
    """Create an automatic snapshot policy; ApplyAutoSnapshotPolicy applies it to disks."""
    _refuse_what_is_not_offered(request)
    call.require_snapshot_service()
    policy = create_policy(
        scope,
        NewPolicy(
            timetable=Timetable.of(
                read_numbers(request.time_points, "timePoints"),
                read_numbers(request.repeat_weekdays, "repeatWeekdays"),
            ),
            retention_days=read_retention(request.retention_days).days,
            name=request.auto_snapshot_policy_name,
            copies=read_copies(request),
            tags=read_tags(request.tag),
        ),
    )
    return CreateAutoSnapshotPolicyAnswer(auto_snapshot_policy_id=policy.id)


def _refuse_what_is_not_offered(request: CreateAutoSnapshotPolicyRequest) -> None:
    by_tag = request.association_type != _BY_DISK or bool(request.target_tags)
    refusals = (
        (by_tag, BAD_POLICY, "policies for tags of instances are not offered; apply the policy to disks"),
        (
            request.storage_location_arn is not None,
            BAD_POLICY,
            "StorageLocationArn is not offered; a region has one object store",
        ),
        (
            request.resource_group_id is not None,
            _NO_GROUP,
            f"there is no resource group {request.resource_group_id}",
        ),
    )
    for is_asked, code, message in refusals:
        if is_asked:
            raise ApiError(code, message)
