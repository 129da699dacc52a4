"""Roll a disk back to one of its own snapshots (ResetDisk)."""

from lamina.control.disks.errors import (
    DiskConnectedError,
    DiskResetInProgressError,
    DiskStateError,
    SnapshotMismatchError,
)
from lamina.control.disks.host import require_host_stopped
from lamina.control.disks.queries import find_connection, get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.start import has_task, start_roll_back
from lamina.control.disks.states import DiskState
from lamina.control.keys.queries import require_enabled
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.queries import find_unfinished, get_snapshot, require_ready
from lamina.ids import DiskId, SnapshotId

_ALLOWED = (DiskState.AVAILABLE, DiskState.IN_USE)


def reset_disk(scope: Scope, disk_id: DiskId, snapshot_id: SnapshotId) -> DiskRecord:
    """Start rolling a disk back; it is `ReIniting` until its bytes are those of the snapshot.

    The checks come in the order of the contract: existence, locks, machine, use, state, readiness, source. A disk
    whose last rolling back failed for good stays `ReIniting`; rolling it back to an intact snapshot is the way out.

    Raises:
        DiskNotFoundError: the account has no such disk.
        SnapshotNotFoundError: the account has no such snapshot.
        InstanceSecurityLockError, InstanceArrearsError: its instance is locked.
        InstanceStateError: its instance is not `Stopped`.
        DiskConnectedError: the disk is open for writing.
        DiskResetInProgressError: it is being rolled back already, or replaced by another disk.
        DiskStateError: it is neither `Available` nor `In_use`.
        SnapshotNotReadyError: the snapshot is not accomplished.
        KeyNotEnabledError, KeyDestroyedError: the key of the disk or of the snapshot cannot be used now.
        SnapshotDataMissingError: the object store does not have the snapshot's data.
        SnapshotInProgressError: another snapshot of the disk is unfinished.
        SnapshotMismatchError: the snapshot was taken of another disk.
    """
    disk = get_disk(scope, disk_id)
    snapshot = get_snapshot(scope, snapshot_id)
    require_host_stopped(scope, disk)
    connection = find_connection(scope, disk_id)
    if connection is not None:
        raise DiskConnectedError(disk_id, connection.id)
    if disk.state is DiskState.REINITING:
        if has_task(scope.session, disk):
            raise DiskResetInProgressError(disk_id)
    elif disk.state not in _ALLOWED:
        raise DiskStateError(disk_id, disk.state, _ALLOWED)
    require_ready(scope.session, snapshot)
    require_enabled(scope.session, disk.key_id)
    unfinished = find_unfinished(scope, disk_id)
    if unfinished is not None:
        raise SnapshotInProgressError(disk_id, unfinished.id)
    if snapshot.disk_id != disk_id or snapshot.source_snapshot_id is not None:
        raise SnapshotMismatchError(disk_id, snapshot_id, snapshot.disk_id)
    is_touched = disk.state is DiskState.REINITING
    disk.move_to(DiskState.REINITING)
    disk.reset_snapshot_id = snapshot_id
    disk.task_id = start_roll_back(scope.session, scope.clock, disk, snapshot, is_touched=is_touched)
    return disk
