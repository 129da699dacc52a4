"""ResetDisk."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, Code
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
from lamina.control.disks.reset import reset_disk as reset
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import (
    SnapshotDataMissingError,
    SnapshotInProgressError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.ids import DiskId, SnapshotId
from lamina.tasks.errors import TaskBusyError


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetDiskRequest:
    """Parameters."""

    disk_id: DiskId
    snapshot_id: SnapshotId
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetDiskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
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
    answers=(SUSPENDED,),
    errors={SnapshotInProgressError: Code(403, "IncorrectDiskStatus.HasUnfinishedSnapshot")},
    resource="disk_id",
    not_offered={
        "disks without snapshots have none that could be named here": ("DiskCategory.OperationNotSupported",),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "a disk is named by its own id": ("InvalidInstanceId.NotFound",),
        "the service is never inactive for an account": ("InvalidAccountStatus.SnapshotServiceUnavailable",),
        EXACT_KEY_CODES: (
            "InvalidParameter.KMSKeyId.CMKUnauthorized",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
            "InvalidParameter.KMSKeyId.NotFound",
        ),
        "snapshots do not become too old": ("InvalidSnapshot.TooOld",),
        "the more exact codes are answered": ("Disk.NotFound", "Operation.Conflict", "OperationDenied"),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def reset_disk(call: Call, scope: Scope, request: ResetDiskRequest) -> ResetDiskAnswer:
    """Roll a disk back to one of its own snapshots; it is `ReIniting` until that is done."""
    if find_host(scope, get_disk(scope, request.disk_id)) is None:
        call.require_snapshot_service()  # the arrears of an instance have a code of their own
    reset(scope, request.disk_id, request.snapshot_id)
    return ResetDiskAnswer()
