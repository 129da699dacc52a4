"""ResizeDisk."""

from dataclasses import dataclass
from typing import Final

from lamina.api import rules
from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNotFoundError,
    DiskShrinkError,
    DiskSizeError,
    DiskStateError,
)
from lamina.control.disks.resize import resize_disk as resize
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceNotRunningError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.ids import DiskId
from lamina.tasks.errors import TaskBusyError

_BAD_SIZE: Final = Code(400, "InvalidDataDiskSize.ValueNotSupported")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeDiskRequest:
    """Parameters; the size in GiB."""

    disk_id: DiskId
    new_size: int = param(between=(1, 65_536), malformed=_BAD_SIZE)
    type: str = param(
        default="offline", choices=("offline", "online"), malformed=Code(400, "InvalidParam.Type")
    )
    client_token: str | None = param(default=None, check=rules.check_client_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeDiskAnswer:
    """Nothing but the request id: disks are not sold, so that there is no order."""


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        DiskNotFoundError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        InstanceStateError,
        InstanceNotRunningError,
        DiskStateError,
        DiskShrinkError,
        DiskSizeError,
        TokenReusedError,
    ),
    errors={
        SnapshotInProgressError: Code(403, "DiskCreatingSnapshot"),
        DiskCategoryError: Code(403, "InvalidDiskCategory.NotSupported"),
        TaskBusyError: Code(400, "LastOrderProcessing"),
    },
    resource="disk_id",
    not_offered={
        "system and data disks of a category have the same sizes, and every image can be resized": (
            "InvalidDisk.DetachedSystemDisk",
            "InvalidSystemDiskSize.ImageNotSupportResize",
            "InvalidSystemDiskSize.ValueNotSupported",
        ),
        "the more exact codes are answered": (
            "DiskError",
            "IncompleteParamter",
            "InvalidDataDiskCategory.ValueNotSupported",
            "InvalidDiskSize",
            "InvalidDiskSize.TooLarge",
            "InvalidInstanceId.NotFound",
            "InvalidParameter.Conflict",
            "Operation.Conflict",
            "OperationDenied",
        ),
        "every disk can be resized online, and belongs to one instance at most": (
            "InvalidDiskSize.NotSupportMultiAttachDisk",
            "InvalidDiskSize.NotSupportResizeOnline",
            "InvalidOperation.InstanceTypeNotSupportOnlineResize",
            "InvalidOperation.MultiAttachDiskNotSupportResizeOnline",
        ),
        "an overdue account gives InstanceExpiredOrInArrears": ("DiskInArrears",),
        "disks are not sold, so there are no orders, quotas of purchase or risk control": (
            "InstanceSpecModification.NotEffective",
            "InvalidRegion.NotSupport",
            "InvalidStatus.Upgrading",
            "OperationDenied.UnfinishedOrder",
            "QuotaExceed.DiskCapacity",
            "QuotaExceeded.PostpaidDataDiskCapacity",
            "SecurityRisk.3DVerification",
        ),
        EXACT_KEY_CODES: (
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def resize_disk(_call: Call, scope: Scope, request: ResizeDiskRequest) -> ResizeDiskAnswer:
    """Make a disk larger; it has its new size soon after, and what is new reads as zero."""
    resize(scope, request.disk_id, request.new_size, is_online=request.type == "online")
    return ResizeDiskAnswer()
