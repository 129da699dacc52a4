"""CreateSnapshotGroup."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNeverUsedError,
    DiskNotFoundError,
    DiskStateError,
    NeverAttachedError,
)
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import (
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    GroupCapacityError,
    GroupSizeError,
    GroupWithoutDisksError,
    GroupZoneError,
    SnapshotInProgressError,
    SnapshotQuotaError,
)
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import DiskId, InstanceId, RegionId, SnapshotGroupId
from lamina.tasks.errors import TaskBusyError

_MAX_INSTANT_DAYS: Final = 65_535
_BOTH: Final = Code(400, "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict")
_NO_INSTANCE: Final = Code(400, "MissingParamter.InstanceId")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")
_NO_LOCATION: Final = Code(403, "InvalidParameter.UnauthorizedStorageLocationArn")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSnapshotGroupRequest:
    """Parameters. `InstantAccess` is outdated: accepted, and without effect."""

    region_id: RegionId
    instance_id: InstanceId | None = None
    disk_id: tuple[DiskId, ...] = ()
    exclude_disk_id: tuple[DiskId, ...] = ()
    name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidParameter.Name")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(400, "InvalidParameter.Description")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(default=None, check=rules.check_client_token)
    instant_access: bool = False
    instant_access_retention_days: int | None = param(
        default=None, between=(1, _MAX_INSTANT_DAYS), malformed=Code(400, "InvalidRetentionDays.Malformed")
    )
    resource_group_id: str | None = None
    storage_location_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSnapshotGroupAnswer:
    """The group, which is `progressing` for now."""

    snapshot_group_id: SnapshotGroupId


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        InstanceNotFoundError,
        InstanceSecurityLockError,
        DiskNotFoundError,
        DiskCategoryError,
        DiskStateError,
        DiskNeverUsedError,
        NeverAttachedError,
        SnapshotInProgressError,
        SnapshotQuotaError,
        TaskBusyError,
        GroupWithoutDisksError,
        GroupSizeError,
        GroupCapacityError,
        GroupZoneError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
    ),
    errors={
        InstanceStateError: Code(400, "IncorrectInstanceStatus"),
        TokenReusedError: Code(403, "IdempotentParameterMismatch"),
    },
    answers=(SUSPENDED, DUPLICATE_TAG, _BOTH, _NO_INSTANCE, _NO_GROUP, _NO_LOCATION),
    resource="instance_id",
    not_offered={
        "a group that fails later has the status failed": ("CreateSnapshot.Failed",),
        "the more exact codes are answered": (
            "DiskId.ValueNotSupported",
            "IncorrectDiskStatus.Invalid",
            "IncorrectDiskStatus.TooManyCreatingSnapshots",
            "IncorrectDiskStatus.Transferring",
            "IncorrectDiskType.NotSupport",
            "IncorrectVolumeStatus",
            "InvalidDescription.Malformed",
            "InvalidDisk.DiskCategoryInconsistent",
            "InvalidSnapshotName.Malformed",
            "InvalidVolumeId.NotFound",
        ),
        "an overdue account may still take snapshots of its disks' state until it is suspended": (
            "DiskInArrears",
        ),
        "a second call waits for the first one and gets its answer": ("IdempotentProcessing",),
        "the service is offered to every account in every region": (
            "InvalidAccountStatus.SnapshotServiceUnavailable",
            "InvalidRegion.NotSupport",
            "InvalidRegion.NotSupportSnapshotInstantAccessRegion",
            "UserNotInTheWhiteList",
        ),
        "instant access has no effect": (
            "InvalidCategoryAndInstantAccess.Malformed",
            "InvalidSnapshotCategory.Malformed",
        ),
        "no disk is shared or attached to several instances": (
            "InvalidDisk.ShareVolume",
            "InvalidOperation.MultiAttachDisk",
        ),
        "a key without the permission gets Forbidden.RAM": ("InvalidOperation.Unauthorized",),
        EXACT_KEY_CODES: (
            "InvalidKMSKeyId.NotFound",
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
        "one snapshot of a disk is created at a time": ("QuotaExceed.ConcurrentSnapshotQuota",),
    },
)
def create_snapshot_group(
    call: Call, scope: Scope, request: CreateSnapshotGroupRequest
) -> CreateSnapshotGroupAnswer:
    """Start snapshots of several disks, all taken at one instant."""
    if request.disk_id and request.exclude_disk_id:
        raise ApiError(_BOTH, "DiskId and ExcludeDiskId exclude each other; give one of them")
    if request.instance_id is None and not request.disk_id:
        raise ApiError(_NO_INSTANCE, "name an InstanceId, or the disks by DiskId.N")
    if request.storage_location_arn is not None:
        raise ApiError(_NO_LOCATION, "StorageLocationArn is not offered; a region has one object store")
    if request.resource_group_id is not None:
        raise ApiError(_NO_GROUP, f"there is no resource group {request.resource_group_id}")
    call.require_snapshot_service()
    group = create_group(
        scope,
        NewGroup(
            instance_id=request.instance_id,
            disk_ids=request.disk_id,
            excluded_disk_ids=request.exclude_disk_id,
            name=request.name,
            description=request.description,
            tags=read_tags(request.tag),
        ),
    )
    return CreateSnapshotGroupAnswer(snapshot_group_id=group.id)
