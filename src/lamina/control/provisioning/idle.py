"""What a disk of an instance must be before all its bytes are replaced."""

from typing import Final

from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.disks.queries import find_connection
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.queries import find_unfinished

_ALLOWED: Final = (DiskState.IN_USE,)


def require_idle(scope: Scope, disk: DiskRecord) -> None:
    """Let only a disk of an instance pass with which nothing is being done.

    Raises:
        DiskConnectedError: it is open through a connection.
        DiskStateError: it is not `In_use`.
        SnapshotInProgressError: a snapshot of it is being created.
    """
    connection = find_connection(scope, disk.id)
    if connection is not None:
        raise DiskConnectedError(disk.id, connection.id)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk.id, disk.state, _ALLOWED)
    unfinished = find_unfinished(scope, disk.id)
    if unfinished is not None:
        raise SnapshotInProgressError(disk.id, unfinished.id)
