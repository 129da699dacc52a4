"""The way of a data action to the bytes of a connected disk."""

from typing import Final

from lamina.api.call import Call
from lamina.control.disks.channel import DiskChannel, open_channel
from lamina.control.disks.errors import ConnectionNotFoundError
from lamina.control.disks.queries import get_connection
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.scope import Scope
from lamina.ids import ConnectionId
from lamina.units import MIB, TIB

MAX_DATA_BYTES: Final = 4 * MIB
"""What one data action moves at most."""

MAX_OFFSET: Final = 64 * TIB
"""Beyond the largest disk; keeps numbers within what files and databases take."""

# A renewal is a durable transaction of several milliseconds, and an operation is much less. So a connection of
# 15 s is renewed when a third of it is gone, and not by every operation.
_RENEW_BELOW: Final = 2 / 3


def open_disk(call: Call, connection_id: ConnectionId) -> DiskChannel:
    """The bytes behind a connection, for one operation; renews the connection now and then.

    Raises:
        ConnectionNotFoundError: there is no such connection, or it has ended.
    """
    with call.reading() as scope:
        connection = get_connection(scope, connection_id)
        disk_id = connection.disk_id
        is_short = connection.expires_at - scope.clock.now() < _RENEW_BELOW * scope.limits.connection
    if is_short:
        with call.transaction() as scope:
            return open_channel(scope, call.services.volumes, connection_id)
    # The turn is read before the connection is looked at once more. The other way round a call that was held up
    # in between could write into a disk that was rolled back meanwhile.
    turn = call.services.volumes.read_turn(disk_id)
    with call.reading() as scope:
        size_bytes = _find_size(scope, connection_id)
    return DiskChannel(
        connection_id=connection_id,
        disk_id=disk_id,
        size_bytes=size_bytes,
        volumes=call.services.volumes,
        turn=turn,
    )


def _find_size(scope: Scope, connection_id: ConnectionId) -> int:
    disk = scope.session.get(DiskRecord, get_connection(scope, connection_id).disk_id)
    if disk is None or disk.state not in (DiskState.AVAILABLE, DiskState.IN_USE):
        raise ConnectionNotFoundError(connection_id)
    return disk.size_bytes
