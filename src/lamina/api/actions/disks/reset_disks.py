"""ResetDisks."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import MISSING_PARAMETER, SUSPENDED, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import (
    DiskConnectedError,
    DiskNotFoundError,
    DiskResetInProgressError,
    DiskStateError,
    SnapshotMismatchError,
)
from lamina.control.disks.host import find_host
from lamina.control.disks.queries import get_disk
from lamina.control.disks.reset import reset_disk
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotInProgressError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.ids import DiskId, RegionId, SnapshotId
from lamina.tasks.errors import TaskBusyError

_MAX_DISKS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskToReset:
    """`Disk.N`: a disk, and one of its snapshots."""

    disk_id: DiskId
    snapshot_id: SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetDisksRequest:
    """Parameters."""

    region_id: RegionId
    disk: tuple[DiskToReset, ...] = param(default=(), at_most=_MAX_DISKS)
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedItemShape:
    """What an operation worked on."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationShape:
    """What became of one disk."""

    operation_status: str
    error_code: str = ""
    error_msg: str = ""
    related_item_set: tuple[RelatedItemShape, ...] = param(wire="RelatedItemSet/RelatedItem")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetDisksAnswer:
    """One entry per disk."""

    operation_progress_set: tuple[OperationShape, ...] = param(wire="OperationProgressSet/OperationProgress")


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        RegionNotFoundError,
        DiskNotFoundError,
        SnapshotNotFoundError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        InstanceStateError,
        DiskConnectedError,
        DiskResetInProgressError,
        DiskStateError,
        SnapshotNotReadyError,
        SnapshotDataMissingError,
        SnapshotMismatchError,
        TaskBusyError,
    ),
    answers=(MISSING_PARAMETER, SUSPENDED),
    errors={SnapshotInProgressError: Code(403, "IncorrectDiskStatus.HasUnfinishedSnapshot")},
    not_offered={
        "disks without snapshots have none that could be named here": ("DiskCategory.OperationNotSupported",),
        "the service is never inactive for an account": ("InvalidAccountStatus.SnapshotServiceUnavailable",),
        "a disk belongs to one instance at most, and is named by its own id": (
            "InvalidInstanceId.NotFound",
            "InvalidOperation.MultiAttachDisk",
        ),
        EXACT_KEY_CODES: ("InvalidParameter.KMSKeyId.KMSUnauthorized",),
        "snapshots do not become too old": ("InvalidSnapshot.TooOld",),
        "the more exact codes are answered": ("Disk.NotFound", "Operation.Conflict", "OperationDenied"),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def reset_disks(call: Call, scope: Scope, request: ResetDisksRequest) -> ResetDisksAnswer:
    """Roll several disks back, each to one of its own snapshots: all of them, or none if one is refused."""
    if not request.disk:
        raise ApiError(MISSING_PARAMETER, "The parameter Disk.N.DiskId is mandatory and is missing")
    for each in request.disk:
        if find_host(scope, get_disk(scope, each.disk_id)) is None:
            call.require_snapshot_service()  # the arrears of an instance have a code of their own
        reset_disk(scope, each.disk_id, each.snapshot_id)  # a refusal takes the whole transaction back
    return ResetDisksAnswer(
        operation_progress_set=tuple(
            OperationShape(
                operation_status="Success",
                related_item_set=(
                    RelatedItemShape(name="DiskId", value=each.disk_id),
                    RelatedItemShape(name="SnapshotId", value=each.snapshot_id),
                ),
            )
            for each in request.disk
        )
    )
