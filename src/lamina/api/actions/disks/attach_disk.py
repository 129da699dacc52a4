"""AttachDisk."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.attach import DATA_DEVICES, SYSTEM_DEVICE, Attachment
from lamina.control.disks.attach import attach_disk as attach
from lamina.control.disks.errors import (
    DeviceTakenError,
    DiskCategoryError,
    DiskConnectedError,
    DiskLimitError,
    DiskNotFoundError,
    DiskStateError,
    ForeignSystemDiskError,
    NotBootableError,
    ZoneMismatchError,
)
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.ids import DiskId, InstanceId

_NO_LOGIN: Final = Code(400, "InvalidParameter.AllEmpty")
_NO_FORCE: Final = Code(400, "InvalidParameterForce.DiskCategoryNotSupported")
_BAD_DEVICE: Final = Code(400, "InvalidDevice.Malformed")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachDiskRequest:
    """Parameters; password and key pair are for a system disk, and Lamina keeps neither."""

    disk_id: DiskId
    instance_id: InstanceId
    bootable: bool = False
    delete_with_instance: bool | None = None
    device: str | None = param(default=None, choices=(SYSTEM_DEVICE, *DATA_DEVICES), malformed=_BAD_DEVICE)
    force: bool = False
    key_pair_name: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachDiskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        DiskNotFoundError,
        InstanceNotFoundError,
        DiskCategoryError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        DiskStateError,
        DiskConnectedError,
        ZoneMismatchError,
        NotBootableError,
        ForeignSystemDiskError,
        DiskLimitError,
        DeviceTakenError,
    ),
    errors={InstanceStateError: Code(400, "IncorrectInstanceStatus")},
    answers=(_NO_LOGIN, _NO_FORCE, _BAD_DEVICE),
    resource="disk_id",
    not_offered={
        "every type of instance takes every disk": (
            "DependencyViolation.WindowsInstance",
            "IncorrectInstanceStatus.NotSupportESSD",
            "InvalidInstanceType.NotSupportDiskCategory",
            "InvalidInstanceType.NotSupportMultiAttachDisk",
            "InvalidInstanceType.NotSupportPL0",
            "InvalidInstanceType.NvmeRequired",
            "InvalidInstanceType.NvmeUnsupported",
            "InvalidOperation.DiskQueueNumberNotEnough",
            "InvalidOperation.InstanceTypeNotSupport",
        ),
        "a disk belongs to one instance at most, and one that is taken gives IncorrectDiskStatus": (
            "DiskAttachedNumberExceeded",
            "InvalidDisk.InUse",
            "InvalidOperation.CanNotAttachMultiAttachDiskAsSystemDisk",
        ),
        "local disks give DiskCategory.OperationNotSupported, and every other one can be detached": (
            "DeleteWithInstance.Conflict",
            "DiskNotPortable",
            "InvalidParameter.DeleteWithInstance",
        ),
        "disks are attached one after the other": ("OperationConflict.DisksAttachingParallellyExceed",),
        "an overdue account gives InstanceExpiredOrInArrears": ("DiskInArrears",),
        "the more exact codes are answered": (
            "DiskError",
            "DiskId.StatusNotSupported",
            "DiskId.ValueNotSupported",
        ),
        EXACT_KEY_CODES: (
            "InvalidKMSKeyId.NotFound",
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def attach_disk(_call: Call, scope: Scope, request: AttachDiskRequest) -> AttachDiskAnswer:
    """Attach a disk to an instance of its zone; it is `In_use` soon after."""
    if request.force:
        raise ApiError(_NO_FORCE, "no disk is taken from another instance by force; detach it there first")
    if request.bootable and request.password is None and request.key_pair_name is None:
        raise ApiError(_NO_LOGIN, "a system disk needs Password or KeyPairName")
    device = request.device
    if device == SYSTEM_DEVICE and not request.bootable:
        raise ApiError(_BAD_DEVICE, f"{SYSTEM_DEVICE} is the system disk's; give another Device, or none")
    attach(
        scope,
        Attachment(
            disk_id=request.disk_id,
            instance_id=request.instance_id,
            device=None if request.bootable else device,
            delete_with_instance=request.delete_with_instance,
            is_bootable=request.bootable,
        ),
    )
    return AttachDiskAnswer()
