"""DeleteDisk."""

import contextlib
from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.spec import Kind, action
from lamina.control.disks.delete import delete_disk as delete
from lamina.control.disks.errors import (
    DiskAttachedError,
    DiskConnectedError,
    DiskNotFoundError,
    DiskStateError,
    SystemDiskKeptError,
)
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.ids import DiskId
from lamina.tasks.errors import TaskBusyError


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDiskRequest:
    """Parameters."""

    disk_id: DiskId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteDiskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(DiskStateError, DiskAttachedError, SystemDiskKeptError, TaskBusyError),
    errors={
        SnapshotInProgressError: Code(403, "DiskCreatingSnapshot"),
        DiskConnectedError: Code(403, "DiskStillAttached"),
    },
    resource="disk_id",
    not_offered={
        "deleting what is not there is no error, so that the call can be repeated": (
            "InvalidDiskId.NotFound",
        ),
        "the region is checked for every action alike": ("InvalidRegionId.MalFormed",),
        "disks are always portable data disks, and Creating ones give IncorrectDiskStatus": (
            "DiskNotPortable",
            "DiskTypeViolation",
            "IncorrectDiskStatus.Initializing",
        ),
        "nothing is kept to chosen accounts": ("UserNotInTheWhiteList",),
    },
)
def delete_disk(_call: Call, scope: Scope, request: DeleteDiskRequest) -> DeleteDiskAnswer:
    """Release a disk. Its manual snapshots stay; an unknown id is no error."""
    with contextlib.suppress(DiskNotFoundError):
        delete(scope, request.disk_id)
    return DeleteDiskAnswer()
