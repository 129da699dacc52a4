"""ReadDiskData: an extension of Lamina."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.disk_access import MAX_DATA_BYTES, MAX_OFFSET, open_disk
from lamina.api.schema import DiskBytes, param
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import ConnectionNotFoundError, DiskRangeError
from lamina.ids import ConnectionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDiskDataRequest:
    """Parameters; in bytes."""

    connection_id: ConnectionId
    offset: int = param(between=(0, MAX_OFFSET))
    length: int = param(between=(1, MAX_DATA_BYTES))


@action(
    kind=Kind.READS_DATA,
    resource="connection_id",
    raises=(*KEY_USED, ConnectionNotFoundError, DiskRangeError),
)
def read_disk_data(call: Call, request: ReadDiskDataRequest) -> DiskBytes:
    """Read up to 4 MiB of a connected disk; the answer is the bytes, with their BLAKE3 digest in a header."""
    channel = open_disk(call, request.connection_id)
    return DiskBytes(channel.read(request.offset, request.length))
