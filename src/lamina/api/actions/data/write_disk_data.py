"""WriteDiskData: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, ApiError
from lamina.api.disk_access import MAX_OFFSET, open_disk
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import ConnectionNotFoundError, DiskRangeError
from lamina.ids import ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDiskDataRequest:
    """Parameters; the bytes are the body of the call."""

    connection_id: ConnectionId
    offset: int = param(between=(0, MAX_OFFSET))
    data: bytes = param(form="body")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteDiskDataAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.MOVES_DATA,
    resource="connection_id",
    raises=(*KEY_USED, ConnectionNotFoundError, DiskRangeError),
    answers=(INVALID_PARAMETER,),
)
def write_disk_data(call: Call, request: WriteDiskDataRequest) -> WriteDiskDataAnswer:
    """Write up to 4 MiB to a connected disk; durable after FlushDiskData."""
    if not request.data:
        raise ApiError(INVALID_PARAMETER, "there is nothing to write: the call has no body, or a form in it")
    channel = open_disk(call, request.connection_id)
    channel.write(request.offset, request.data)
    return WriteDiskDataAnswer()
