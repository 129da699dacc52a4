"""DeleteSnapshot."""

import contextlib
from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.delete import delete_snapshot as delete
from lamina.control.snapshots.errors import (
    SnapshotArchivingError,
    SnapshotBeingCopiedError,
    SnapshotBusyError,
    SnapshotHeldByDiskError,
    SnapshotHeldByImageError,
    SnapshotLockedError,
    SnapshotNotFoundError,
)
from lamina.ids import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshotRequest:
    """Parameters."""

    snapshot_id: SnapshotId
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteSnapshotAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        SnapshotHeldByImageError,
        SnapshotLockedError,
        SnapshotHeldByDiskError,
        SnapshotBusyError,
        SnapshotBeingCopiedError,
        SnapshotArchivingError,
    ),
    resource="snapshot_id",
    not_offered={
        "deleting what is not there is no error, so that the call can be repeated": (
            "InvalidSnapshotId.NotFound",
        ),
        "deleting a snapshot that is being created cancels it": ("IncorrectDiskStatus.CreatingSnapshot",),
        "snapshots are neither shared nor managed by other products": (
            "InvalidOperation.DeleteSharedSnapshotUnsupported",
            "InvalidOperation.ResourceManagedByCloudProduct",
        ),
    },
)
def delete_snapshot(_call: Call, scope: Scope, request: DeleteSnapshotRequest) -> DeleteSnapshotAnswer:
    """Delete a snapshot, or cancel its creation; an unknown id is no error."""
    with contextlib.suppress(SnapshotNotFoundError):
        delete(scope, request.snapshot_id, force=request.force)
    return DeleteSnapshotAnswer()
