"""DescribeDiskExtents: an extension of Lamina."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.disk_access import MAX_OFFSET, open_disk
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import ConnectionNotFoundError, DiskRangeError
from lamina.ids import ConnectionId
from lamina.units import GIB

_MAX_EXTENTS: Final = 4096  # an answer of about 200 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDiskExtentsRequest:
    """Parameters; in bytes."""

    connection_id: ConnectionId
    offset: int = param(between=(0, MAX_OFFSET))
    length: int = param(between=(1, GIB))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtentShape:
    """A run of bytes; the kind is `data`, `zero` (written, and zero) or `hole` (never written)."""

    offset: int
    length: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDiskExtentsAnswer:
    """Runs in order, without gaps; when there are very many, the first of them: ask on from their end."""

    extents: tuple[ExtentShape, ...] = param(wire="Extents/Extent")


@action(
    kind=Kind.READS_DATA,
    resource="connection_id",
    raises=(*KEY_USED, ConnectionNotFoundError, DiskRangeError),
)
def describe_disk_extents(call: Call, request: DescribeDiskExtentsRequest) -> DescribeDiskExtentsAnswer:
    """Tell where a connected disk holds data; costs metadata only."""
    channel = open_disk(call, request.connection_id)
    extents = channel.list_extents(request.offset, request.length)
    return DescribeDiskExtentsAnswer(
        extents=tuple(
            ExtentShape(offset=extent.offset, length=extent.length, kind=extent.kind.value)
            for extent in extents[:_MAX_EXTENTS]
        )
    )
