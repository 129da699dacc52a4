"""A connection to a disk of the service: a lease that is renewed for as long as the block runs."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lamina.cli.client import EcsClient
from lamina.failures import LaminaError


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConnection:
    """The bytes of a disk, through the data actions. Safe for any number of threads.

    Attributes:
        client: calls the service.
        connection_id: names the lease.
        size_bytes: the size of the disk.
        lost: set when the lease could not be renewed; every further call will be refused.
    """

    client: EcsClient
    connection_id: str
    size_bytes: int
    lost: threading.Event

    def read(self, offset: int, length: int) -> bytes:
        """Read up to 4 MiB."""
        return self.client.read("ReadDiskData", self._range(offset, length))

    def write(self, offset: int, data: bytes) -> None:
        """Write up to 4 MiB; durable after `flush`."""
        self.client.call("WriteDiskData", {"ConnectionId": self.connection_id, "Offset": offset}, body=data)

    def zero(self, offset: int, length: int, *, may_punch: bool) -> None:
        """Make a range read as zero."""
        self.client.call("ZeroDiskData", {**self._range(offset, length), "MayPunch": may_punch})

    def flush(self) -> None:
        """Make everything written so far durable."""
        self.client.call("FlushDiskData", {"ConnectionId": self.connection_id})

    def list_extents(self, offset: int, length: int) -> list[tuple[int, str]]:
        """Lengths and kinds of the runs from `offset` on; they may end before `length` does."""
        answer = self.client.call("DescribeDiskExtents", self._range(offset, length))
        return [(run["Length"], run["Kind"]) for run in answer["Extents"]["Extent"]]

    def _range(self, offset: int, length: int) -> dict[str, object]:
        return {"ConnectionId": self.connection_id, "Offset": offset, "Length": length}


@contextmanager
def connect_disk(client: EcsClient, disk_id: str) -> Iterator[DiskConnection]:
    """Open a disk, keep the lease, and close it at the end.

    Raises:
        Refusal: the disk is unknown, in another state, or open elsewhere.
    """
    answer = client.call("ConnectDisk", {"DiskId": disk_id})
    connection = DiskConnection(
        client=client,
        connection_id=answer["ConnectionId"],
        size_bytes=answer["SizeInBytes"],
        lost=threading.Event(),
    )
    ended = threading.Event()
    # A third of the lease: two renewals may fail before it ends.
    renewer = threading.Thread(
        target=_renew, args=(connection, ended, answer["LeaseSeconds"] / 3), name="lease", daemon=True
    )
    renewer.start()
    try:
        yield connection
    finally:
        ended.set()
        renewer.join()
        with contextlib.suppress(
            LaminaError
        ):  # the lease ends by itself as well; what failed before counts more
            client.call("DisconnectDisk", {"ConnectionId": connection.connection_id})


def _renew(connection: DiskConnection, ended: threading.Event, seconds: float) -> None:
    while not ended.wait(seconds):
        try:
            connection.client.call("RenewDiskConnection", {"ConnectionId": connection.connection_id})
        except LaminaError:
            connection.lost.set()
            return
