"""CreateSnapshot."""

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
from lamina.control.instances.errors import InstanceSecurityLockError, InstanceStateError
from lamina.control.scope import Scope
from lamina.control.snapshots.create import NewSnapshot
from lamina.control.snapshots.create import create_snapshot as create
from lamina.control.snapshots.errors import SnapshotInProgressError, SnapshotQuotaError
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import DiskId, SnapshotId
from lamina.tasks.errors import TaskBusyError

_MAX_RETENTION_DAYS: Final = 65_536
_MAX_INSTANT_DAYS: Final = 65_535
_BOTH: Final = Code(403, "InvalidCategoryAndInstantAccess.Malformed")
_NO_LOCATION: Final = Code(403, "InvalidParameter.UnauthorizedStorageLocationArn")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSnapshotRequest:
    """Parameters. `Category` and `InstantAccess` are outdated: accepted, and without effect."""

    disk_id: DiskId
    snapshot_name: str | None = param(
        default=None, check=rules.check_snapshot_name, malformed=Code(400, "InvalidSnapshotName.Malformed")
    )
    description: str | None = param(
        default=None, check=rules.check_description, malformed=Code(404, "InvalidDescription.Malformed")
    )
    retention_days: int | None = param(
        default=None, between=(1, _MAX_RETENTION_DAYS), malformed=Code(400, "InvalidRetentionDays.Malformed")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(
        default=None, check=rules.check_client_token, malformed=Code(403, "InvalidClientToken.Malformed")
    )
    category: str | None = param(
        default=None,
        choices=("standard", "flash"),
        malformed=Code(403, "InvalidSnapshotCategory.Malformed"),
    )
    instant_access: bool = False
    instant_access_retention_days: int | None = param(
        default=None,
        between=(1, _MAX_INSTANT_DAYS),
        malformed=Code(403, "InvalidInstantAccessRetentionDays.Malformed"),
    )
    resource_group_id: str | None = None
    storage_location_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSnapshotAnswer:
    """The snapshot, which is `progressing` for now."""

    snapshot_id: SnapshotId


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        DiskNotFoundError,
        DiskCategoryError,
        DiskStateError,
        NeverAttachedError,
        DiskNeverUsedError,
        InstanceSecurityLockError,
        SnapshotInProgressError,
        SnapshotQuotaError,
        TaskBusyError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
    ),
    answers=(SUSPENDED, _BOTH, _NO_LOCATION, _NO_GROUP, DUPLICATE_TAG),
    errors={
        TokenReusedError: Code(403, "IdempotentParameterMismatch"),
        InstanceStateError: Code(400, "IncorrectInstanceStatus"),
    },
    resource="disk_id",
    not_offered={
        "a snapshot that fails later has the status failed": ("CreateSnapshot.Failed",),
        "instances do not hibernate, and one that a disk belongs to is there": (
            "HibernationConfigured.InstanceOperationForbidden",
            "InvalidInstanceId.NotFound",
        ),
        EXACT_KEY_CODES: (
            "InvalidOperation.UnfinishedEncryptedSnapshotCopy",
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "InvalidParameter.KMSKeyId.NotFound",
        ),
        "the service is never inactive for an account, in a region or in a cloud box": (
            "CloudBoxNotSupportSnapshotWithInstantAccess",
            "InvalidAccountStatus.SnapshotServiceUnavailable",
            "InvalidRegion.NotSupportSnapshotInstantAccessRegion",
        ),
        "the more exact codes are answered": (
            "DISK_HAS_CREATING_SNAPSHOT",
            "DiskId.ValueNotSupported",
            "IncorrectDiskStatus.Invalid",
            "IncorrectDiskStatus.Transferring",
            "IncorrectDiskType.NotSupport",
            "IncorrectVolumeStatus",
            "InvalidVolumeId.NotFound",
            "QuotaExceed.SnapshotQuota",
        ),
        "an overdue account may still take snapshots of its disks' state until it is suspended": (
            "DiskInArrears",
        ),
        "one snapshot of a disk is created at a time": ("QuotaExceed.ConcurrentSnapshotQuota",),
        "a key without the permission gets Forbidden.RAM": ("InvalidAction.Unauthorized",),
        "a second call waits for the first one and gets its answer": ("IdempotentProcessing",),
    },
)
def create_snapshot(call: Call, scope: Scope, request: CreateSnapshotRequest) -> CreateSnapshotAnswer:
    """Start a snapshot of one disk; it is `accomplished` once its data is copied."""
    if request.category is not None and request.instant_access:
        raise ApiError(_BOTH, "Category and InstantAccess exclude each other; leave both out")
    if request.storage_location_arn is not None:
        raise ApiError(_NO_LOCATION, "StorageLocationArn is not offered; a region has one object store")
    if request.resource_group_id is not None:
        raise ApiError(_NO_GROUP, f"there is no resource group {request.resource_group_id}")
    call.require_snapshot_service()
    snapshot = create(
        scope,
        NewSnapshot(
            disk_id=request.disk_id,
            name=request.snapshot_name,
            description=request.description,
            retention_days=request.retention_days,
            tags=read_tags(request.tag),
        ),
    )
    return CreateSnapshotAnswer(snapshot_id=snapshot.id)
