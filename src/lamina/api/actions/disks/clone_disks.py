"""CloneDisks."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_INHERITED, read_encryption
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.clone import DiskClone
from lamina.control.disks.clone import clone_disk as clone
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNeverUsedError,
    DiskNotFoundError,
    DiskShrinkError,
    DiskSizeError,
    DiskStateError,
    NeverAttachedError,
)
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import InstanceSecurityLockError, InstanceStateError
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import DiskId, RegionId, TaskId
from lamina.tasks.errors import TaskBusyError

_BAD_SIZE: Final = Code(400, "InvalidDataDiskSize.ValueNotSupported")
_BAD_CATEGORY: Final = Code(400, "InvalidDataDiskCategory.ValueNotSupported")
_NO_MULTI_ATTACH: Final = Code(403, "OperationDenied.ZoneNotSupportMultiAttachDisk")
_NO_BURSTING: Final = Code(400, "BurstingEnabledForDiskCategoryUnsupported")
_NO_IOPS: Final = Code(400, "ProvisionedIopsForDiskCategoryUnsupported")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneDisksRequest:
    """Parameters; the size in GiB."""

    region_id: RegionId
    source_disk_id: DiskId
    disk_category: str = param(
        choices=tuple(category.value for category in DiskCategory), malformed=_BAD_CATEGORY
    )
    size: int = param(between=(1, 65_536), malformed=_BAD_SIZE)
    multi_attach: str = param(
        default="Disabled",
        choices=("Disabled", "Enabled"),
        malformed=Code(403, "InvalidParameter.MultiAttach"),
    )
    performance_level: str | None = param(
        default=None,
        choices=tuple(level.value for level in PerformanceLevel),
        malformed=Code(400, "InvalidPerformanceLevel.Malformed"),
    )
    disk_name: str | None = param(
        default=None, check=rules.check_name, malformed=Code(400, "InvalidDiskName.Malformed")
    )
    tag: tuple[Tag, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(403, "QuotaExceed.Tags"))
    client_token: str | None = param(default=None, check=rules.check_client_token)
    encrypted: bool | None = None
    kms_key_id: str | None = None
    bursting_enabled: bool = False
    provisioned_iops: int | None = None
    resource_group_id: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneDisksAnswer:
    """The task that copies; the new disk is found by DescribeDisks, which names its source."""

    task_group_id: TaskId


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_INHERITED,
        RegionNotFoundError,
        DiskNotFoundError,
        DiskStateError,
        DiskNeverUsedError,
        NeverAttachedError,
        InstanceSecurityLockError,
        InstanceStateError,
        SnapshotInProgressError,
        DiskShrinkError,
        DiskSizeError,
        TagKeyError,
        TagValueError,
        TagQuotaError,
        TokenReusedError,
        TaskBusyError,
    ),
    errors={DiskCategoryError: _BAD_CATEGORY},
    answers=(
        SUSPENDED,
        DUPLICATE_TAG,
        _NO_MULTI_ATTACH,
        _NO_BURSTING,
        _NO_IOPS,
        _NO_GROUP,
    ),
    resource="source_disk_id",
)
def clone_disks(call: Call, scope: Scope, request: CloneDisksRequest) -> CloneDisksAnswer:
    """Copy a disk as it is at this moment into a new one, which is `Available` once that is done."""
    call.require_snapshot_service()  # a suspended account makes nothing new
    _refuse_what_is_not_offered(request)
    level = request.performance_level
    disk = clone(
        scope,
        DiskClone(
            source_id=request.source_disk_id,
            category=DiskCategory(request.disk_category),
            performance_level=PerformanceLevel(level) if level is not None else None,
            size_gib=request.size,
            encryption=read_encryption(request.kms_key_id, is_encrypted=request.encrypted),
            name=request.disk_name,
            tags=read_tags(request.tag),
        ),
    )
    assert disk.task_id is not None, "a clone has a task"
    return CloneDisksAnswer(task_group_id=disk.task_id)


def _refuse_what_is_not_offered(request: CloneDisksRequest) -> None:
    group = request.resource_group_id
    refusals = (
        (request.multi_attach == "Enabled", _NO_MULTI_ATTACH, "disks of several instances are not offered"),
        (request.bursting_enabled, _NO_BURSTING, "bursting is not offered"),
        (bool(request.provisioned_iops), _NO_IOPS, "provisioned IOPS are not offered"),
        (group is not None, _NO_GROUP, f"there is no group {group}"),
    )
    for is_asked, code, message in refusals:
        if is_asked:
            raise ApiError(code, message)
