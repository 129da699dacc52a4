"""Connections: opening a disk for reading and writing through the service, and closing it again.

A connection is a lease that its client renews. While it is live the disk is neither rolled back nor deleted.
"""

from typing import Final

from sqlalchemy import delete

from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.disks.host import require_host_stopped
from lamina.control.disks.queries import find_connection, get_connection, get_disk
from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.keys.queries import require_enabled
from lamina.control.scope import Scope
from lamina.ids import ConnectionId, DiskId, mint_connection_id

_ALLOWED: Final = (DiskState.AVAILABLE, DiskState.IN_USE)


def connect(scope: Scope, disk_id: DiskId) -> ConnectionRecord:
    """Open a disk, also one of a stopped instance. From now on it counts as attached before.

    Raises:
        DiskNotFoundError: the account has no such disk.
        InstanceSecurityLockError, InstanceArrearsError: its instance is locked.
        InstanceStateError: its instance is not `Stopped`; a running one has its disks for itself.
        DiskStateError: it is neither `Available` nor `In_use`.
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        DiskConnectedError: somebody has it open.
    """
    disk = get_disk(scope, disk_id)
    require_host_stopped(scope, disk)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk_id, disk.state, _ALLOWED)
    require_enabled(scope.session, disk.key_id)
    present = find_connection(scope, disk_id)
    if present is not None:
        raise DiskConnectedError(disk_id, present.id)
    scope.session.execute(delete(ConnectionRecord).where(ConnectionRecord.disk_id == disk_id))  # an ended one
    now = scope.clock.now()
    connection = ConnectionRecord(
        id=mint_connection_id(),
        account_id=scope.account_id,
        disk_id=disk_id,
        opened_at=now,
        expires_at=now + scope.limits.connection,
    )
    scope.session.add(connection)
    disk.was_attached = True
    if disk.instance_id is None:
        disk.attached_at = now
    scope.session.flush()
    return connection


def renew_connection(scope: Scope, connection_id: ConnectionId) -> ConnectionRecord:
    """Keep a connection for another while. Reading and writing through it does the same.

    Raises:
        ConnectionNotFoundError: there is none, or it was not renewed in time.
    """
    connection = get_connection(scope, connection_id)
    connection.expires_at = scope.clock.now() + scope.limits.connection
    return connection


def disconnect(scope: Scope, connection_id: ConnectionId) -> None:
    """Close a disk.

    Raises:
        ConnectionNotFoundError: there is no such connection any more.
    """
    connection = get_connection(scope, connection_id)
    disk = scope.session.get(DiskRecord, connection.disk_id)
    assert disk is not None, "the database keeps the disks of connections"
    if disk.instance_id is None:
        disk.detached_at = scope.clock.now()
    scope.session.delete(connection)
    scope.session.flush()
