"""ConnectDisk: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.call import Call
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.connect import connect
from lamina.control.disks.errors import DiskConnectedError, DiskNotFoundError, DiskStateError
from lamina.control.disks.queries import get_disk
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.scope import Scope
from lamina.ids import ConnectionId, DiskId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectDiskRequest:
    """Parameters."""

    disk_id: DiskId


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectDiskAnswer:
    """A lease on the disk.

    Attributes:
        connection_id: names the lease in every data action.
        expired_time: when it ends unless it is renewed.
        lease_seconds: how long each renewal lasts.
        size_in_bytes: the size of the disk.
    """

    connection_id: ConnectionId
    expired_time: datetime
    lease_seconds: int
    size_in_bytes: int


@action(
    kind=Kind.WRITES,
    resource="disk_id",
    raises=(
        *KEY_USED,
        DiskNotFoundError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        InstanceStateError,
        DiskStateError,
        DiskConnectedError,
    ),
)
def connect_disk(_call: Call, scope: Scope, request: ConnectDiskRequest) -> ConnectDiskAnswer:
    """Open a disk that no running instance has, for reading and writing its bytes; one connection per disk."""
    connection = connect(scope, request.disk_id)
    return ConnectDiskAnswer(
        connection_id=connection.id,
        expired_time=connection.expires_at,
        lease_seconds=int(scope.limits.connection.total_seconds()),
        size_in_bytes=get_disk(scope, request.disk_id).size_bytes,
    )
