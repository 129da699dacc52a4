"""ModifyDiskSpec."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, MISSING_PARAMETER, ApiError, Code
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNotFoundError,
    DiskSizeError,
    DiskStateError,
    SameSpecError,
)
from lamina.control.disks.respec import respec_disk
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.ids import DiskId, TaskId
from lamina.tasks.errors import TaskBusyError

_BAD_CATEGORY: Final = Code(400, "InvalidDiskCategory.ValueNotSupported")
_NO_IOPS: Final = Code(400, "InvalidProvisionedIops.LimitExceed")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceControl:
    """`PerformanceControlOptions`, for disks of dedicated clusters."""

    iops: int | None = param(default=None, wire="IOPS")
    throughput: int | None = None
    recover: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyDiskSpecRequest:
    """Parameters."""

    disk_id: DiskId
    disk_category: str | None = param(
        default=None, choices=tuple(each.value for each in DiskCategory), malformed=_BAD_CATEGORY
    )
    performance_level: str | None = param(
        default=None,
        choices=tuple(each.value for each in PerformanceLevel),
        malformed=Code(400, "InvalidPerformanceLevel.Malformed"),
    )
    provisioned_iops: int | None = None
    performance_control_options: PerformanceControl | None = None
    destination_zone_id: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyDiskSpecAnswer:
    """The task that does it."""

    task_id: TaskId


@action(
    kind=Kind.WRITES,
    raises=(
        DiskNotFoundError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        DiskStateError,
        SameSpecError,
    ),
    answers=(MISSING_PARAMETER, INVALID_PARAMETER, _NO_IOPS),
    errors={
        SnapshotInProgressError: Code(403, "DiskCreatingSnapshot"),
        DiskCategoryError: _BAD_CATEGORY,
        DiskSizeError: Code(403, "OperationDenied.PerformanceLevelNotMatch"),
        InstanceStateError: Code(403, "InvalidStatus.DiskNotReady"),
        TaskBusyError: Code(403, "InvalidStatus.DiskNotReady"),
    },
    resource="disk_id",
    not_offered={
        "every type of instance takes every disk": (
            "InvalidDiskCategory.NotSupported",
            "InvalidInstanceType.NotSupportDiskCategory",
        ),
        "a disk can be changed as often as one likes": (
            "DiskInCoolingPeriod",
            "ModifyingDiskCategoryLimitExceed",
            "Throttling.ConcurrentLimitExceeded",
        ),
        "an overdue account gives InstanceExpiredOrInArrears": ("DiskInArrears",),
        "disks are not sold, so nothing is out of stock": ("OperationDenied.NoStock",),
        "a disk belongs to one instance at most, and is named by its own id": (
            "InvalidInstanceId.NotFound",
            "InvalidOperation.MultiAttachDisk",
        ),
    },
)
def modify_disk_spec(_call: Call, scope: Scope, request: ModifyDiskSpecRequest) -> ModifyDiskSpecAnswer:
    """Change the category or the performance level of a disk, while it is in use."""
    if request.provisioned_iops:
        raise ApiError(_NO_IOPS, "provisioned IOPS are not offered")
    if request.performance_control_options is not None or request.destination_zone_id is not None:
        raise ApiError(
            INVALID_PARAMETER, "disks do not move to another zone, and their performance is not limited"
        )
    if request.disk_category is None and request.performance_level is None:
        raise ApiError(MISSING_PARAMETER, "The parameter DiskCategory or PerformanceLevel is missing")
    category, level = request.disk_category, request.performance_level
    task_id = respec_disk(
        scope,
        request.disk_id,
        DiskCategory(category) if category is not None else None,
        PerformanceLevel(level) if level is not None else None,
    )
    return ModifyDiskSpecAnswer(task_id=task_id)
