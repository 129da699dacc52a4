"""ZeroDiskData: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.disk_access import MAX_OFFSET, open_disk
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import ConnectionNotFoundError, DiskRangeError
from lamina.ids import ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroDiskDataRequest:
    """Parameters; in bytes. With `may_punch` the range becomes a hole that occupies nothing."""

    connection_id: ConnectionId
    offset: int = param(between=(0, MAX_OFFSET))
    length: int = param(between=(1, MAX_OFFSET))
    may_punch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroDiskDataAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.MOVES_DATA,
    resource="connection_id",
    raises=(*KEY_USED, ConnectionNotFoundError, DiskRangeError),
)
def zero_disk_data(call: Call, request: ZeroDiskDataRequest) -> ZeroDiskDataAnswer:
    """Make a range of a connected disk read as zero."""
    channel = open_disk(call, request.connection_id)
    channel.zero(request.offset, request.length, may_punch=request.may_punch)
    return ZeroDiskDataAnswer()
