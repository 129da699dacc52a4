"""DisconnectDisk: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.disks.connect import disconnect
from lamina.control.disks.errors import ConnectionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectDiskRequest:
    """Parameters."""

    connection_id: ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DisconnectDiskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    resource="connection_id",
    raises=(ConnectionNotFoundError,),
)
def disconnect_disk(_call: Call, scope: Scope, request: DisconnectDiskRequest) -> DisconnectDiskAnswer:
    """Close a connection. Writes that no flush followed are kept, but may be lost in a power cut."""
    disconnect(scope, request.connection_id)
    return DisconnectDiskAnswer()
