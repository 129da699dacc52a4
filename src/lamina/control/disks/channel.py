"""Reading and writing the bytes of a connected disk.

`open_channel` is a verb: it checks the connection and renews it. The channel it answers does I/O, so it is used
when the transaction is over, for one request, and then dropped. A request that is under way when its connection
ends is finished before the disk is rolled back, and one that comes later than that is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from lamina.blockio.extents import Extent
from lamina.control.disks.connect import renew_connection
from lamina.control.disks.errors import ConnectionNotFoundError, DiskRangeError
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.disks.volumes import Volumes
from lamina.control.keys.queries import require_enabled
from lamina.control.scope import Scope
from lamina.ids import ConnectionId, DiskId

_OPEN: Final = (DiskState.AVAILABLE, DiskState.IN_USE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChannel:
    """The bytes of one disk, for one request.

    Every method raises `DiskRangeError` for a range outside the disk, `ConnectionNotFoundError` when it comes too
    late, and `Fault` when the disk fails.

    Attributes:
        connection_id: the connection that it belongs to.
        disk_id: the disk.
        size_bytes: its size.
        volumes: where its bytes are.
        turn: the disk's turn when the connection was checked.
    """

    connection_id: ConnectionId
    disk_id: DiskId
    size_bytes: int
    volumes: Volumes
    turn: bytes

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on; what was never written is zero."""
        self._check(offset, length)
        buffer = bytearray(length)
        with self._admitted(), self.volumes.open_source(self.disk_id) as source:
            source.read_into(offset, [buffer])
        return bytes(buffer)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write at `offset`. Durable only after `flush`."""
        self._check(offset, len(data))
        with self._admitted(), self.volumes.open(self.disk_id) as target:
            target.write(offset, [data])

    def zero(self, offset: int, length: int, *, may_punch: bool) -> None:
        """Make a range read as zero; as a hole that occupies nothing, if `may_punch` allows."""
        self._check(offset, length)
        with self._admitted(), self.volumes.open(self.disk_id) as target:
            if may_punch:
                target.punch(offset, length)
            else:
                target.zero(offset, length)

    def list_extents(self, offset: int, length: int) -> tuple[Extent, ...]:
        """Data and holes of a range, in order, without gaps."""
        self._check(offset, length)
        with self._admitted(), self.volumes.open_source(self.disk_id) as source:
            return tuple(source.list_extents(offset, length))

    def flush(self) -> None:
        """Make everything that was written survive a power cut."""
        with self._admitted(), self.volumes.open(self.disk_id) as target:
            target.flush()

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        with self.volumes.shared(self.disk_id):
            if self.volumes.read_turn(self.disk_id) != self.turn:
                raise ConnectionNotFoundError(self.connection_id)
            yield

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise DiskRangeError(self.disk_id, offset, length, self.size_bytes)


def open_channel(scope: Scope, volumes: Volumes, connection_id: ConnectionId) -> DiskChannel:
    """The bytes behind a connection, which is renewed.

    Raises:
        ConnectionNotFoundError: there is no such connection, or it has ended.
        KeyNotEnabledError, KeyDestroyedError: the disk's key cannot be used now.
    """
    connection = renew_connection(scope, connection_id)
    disk = scope.session.get(DiskRecord, connection.disk_id)
    if disk is None or disk.state not in _OPEN:
        raise ConnectionNotFoundError(connection_id)
    require_enabled(scope.session, disk.key_id)
    return DiskChannel(
        connection_id=connection_id,
        disk_id=disk.id,
        size_bytes=disk.size_bytes,
        volumes=volumes,
        turn=volumes.read_turn(disk.id),
    )
