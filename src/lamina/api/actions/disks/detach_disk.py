"""DetachDisk."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.disks.detach import detach_disk as detach
from lamina.control.disks.errors import (
    AttachedElsewhereError,
    DiskConnectedError,
    DiskNotFoundError,
    DiskPortableError,
    DiskStateError,
    NotAttachedError,
)
from lamina.control.instances.errors import (
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.ids import DiskId, InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachDiskRequest:
    """Parameters."""

    disk_id: DiskId
    instance_id: InstanceId
    delete_with_instance: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachDiskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        DiskNotFoundError,
        InstanceNotFoundError,
        NotAttachedError,
        AttachedElsewhereError,
        DiskPortableError,
        InstanceSecurityLockError,
        InstanceStateError,
        DiskStateError,
        DiskConnectedError,
    ),
    resource="disk_id",
    not_offered={
        "every type of instance and every image lets its disks go": (
            "DeleteWithInstance.Conflict",
            "InvalidDiskId.OperationNotSupported",
            "InvalidInstance.ImageCategory",
            "InvalidOperation.DiskCategoryUnsupported",
            "InvalidOperation.InstanceTypeNotSupport",
            "InvalidParameter.DeleteWithInstance",
        ),
        "system disks can be detached from stopped instances, as the current text says": (
            "DiskTypeViolation",
        ),
        "several disks may be detached at once, and one that is being detached gives IncorrectDiskStatus": (
            "DisksDetachingOnEcsExceeded",
            "InvalidOperation.DiskDetachingFromThisEcs",
        ),
        "a released disk is not found": ("InvalidDiskId.Released",),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def detach_disk(_call: Call, scope: Scope, request: DetachDiskRequest) -> DetachDiskAnswer:
    """Detach a disk from its instance; it is `Available` soon after."""
    detach(scope, request.disk_id, request.instance_id, delete_with_instance=request.delete_with_instance)
    return DetachDiskAnswer()
