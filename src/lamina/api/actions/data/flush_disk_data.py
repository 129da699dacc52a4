"""FlushDiskData: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.disk_access import open_disk
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import ConnectionNotFoundError
from lamina.ids import ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushDiskDataRequest:
    """Parameters."""

    connection_id: ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushDiskDataAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.MOVES_DATA,
    resource="connection_id",
    raises=(
        *KEY_USED,
        ConnectionNotFoundError,
    ),
)
def flush_disk_data(call: Call, request: FlushDiskDataRequest) -> FlushDiskDataAnswer:
    """Make everything that was written through a connection survive a power cut."""
    channel = open_disk(call, request.connection_id)
    channel.flush()
    return FlushDiskDataAnswer()
