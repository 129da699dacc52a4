"""Delete a disk."""

from typing import Final

from lamina.control.disks.errors import (
    DiskAttachedError,
    DiskConnectedError,
    DiskStateError,
    SystemDiskKeptError,
)
from lamina.control.disks.queries import find_connection, get_disk
from lamina.control.disks.start import has_task, start_removal
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.queries import find_unfinished
from lamina.control.snapshots.release import release_automatic_snapshots
from lamina.ids import DiskId

_ALLOWED: Final = (DiskState.AVAILABLE,)


def delete_disk(scope: Scope, disk_id: DiskId) -> None:
    """Release a disk: it is gone for the account at once, and its bytes soon.

    Its manual snapshots stay; the automatic ones go with it unless `delete_auto_snapshot` says otherwise. One whose
    rolling back failed for good, and which stays `ReIniting`, can be released as well.

    Raises:
        DiskNotFoundError: the account has no such disk.
        DiskConnectedError: the disk is open for writing.
        DiskAttachedError: it belongs to an instance.
        DiskStateError: it is not `Available`, or is being rolled back.
        SnapshotInProgressError: a snapshot of it is being created.
        SystemDiskKeptError: it is the detached system disk of an instance that still exists.
    """
    disk = get_disk(scope, disk_id)
    connection = find_connection(scope, disk_id)
    if connection is not None:
        raise DiskConnectedError(disk_id, connection.id)
    if disk.instance_id is not None:
        raise DiskAttachedError(disk_id, disk.instance_id)
    is_stranded = disk.state is DiskState.REINITING and not has_task(scope.session, disk)
    if disk.state not in _ALLOWED and not is_stranded:
        raise DiskStateError(disk_id, disk.state, _ALLOWED)
    unfinished = find_unfinished(scope, disk_id)
    if unfinished is not None:
        raise SnapshotInProgressError(disk_id, unfinished.id)
    if disk.role is DiskRole.SYSTEM and disk.origin_instance_id is not None:
        raise SystemDiskKeptError(disk_id, disk.origin_instance_id)
    release_automatic_snapshots(scope, disk)
    disk.move_to(DiskState.DELETING)
    disk.task_id = start_removal(scope.session, scope.clock, disk)
