"""`lamina disk connect`: a disk of the service as an NBD export on a local socket.

The export lives in this process and reads and writes through the data actions, so that any program that speaks
NBD (qemu, nbd-client, nbdcopy) can use the disk while the service keeps watch over it.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from lamina.blockio.nbd.export import StatusRun
from lamina.blockio.nbd.listening import UnixAddress
from lamina.blockio.nbd.server import NbdServer
from lamina.cli.client import EcsClient
from lamina.cli.disk.connection import DiskConnection, connect_disk
from lamina.cli.output import json_option, print_json, say
from lamina.cli.session import with_client
from lamina.cli.stopping import stopping_by
from lamina.failures import Fault
from lamina.units import GIB, MIB

_PIECE_BYTES: Final = 4 * MIB  # the most that one data action may carry
_THREADS: Final = 16  # requests wait for the service most of the time
_LEASE_POLL_SECONDS: Final = 0.2
# base:allocation, NBD protocol: bit 0 is "hole", bit 1 is "reads as zero"
_FLAGS: Final = {"data": 0, "zero": 2, "hole": 3}


@click.command()
@click.argument("disk_id", metavar="DISK")
@click.option(
    "--socket",
    "path",
    required=True,
    type=click.Path(path_type=Path),
    help="Unix socket to serve NBD on; it is made, and removed at the end.",
)
@json_option
@with_client
def connect(client: EcsClient, *, disk_id: str, path: Path, as_json: bool) -> None:
    """Serve DISK over NBD until interrupted. While it is served, it is neither rolled back nor deleted."""
    stopping = threading.Event()
    with stopping_by(stopping.set), connect_disk(client, disk_id) as connection:
        export = RemoteDisk(disk_id, connection)
        server = NbdServer({export.name: export}, UnixAddress(path=path), threads=_THREADS)
        watcher = threading.Thread(target=_watch_lease, args=(connection, stopping), daemon=True)
        watcher.start()

        def announce(uri: str) -> None:
            if as_json:
                print_json({"disk_id": disk_id, "uri": uri, "size_bytes": connection.size_bytes})
            else:
                say(f"disk {disk_id} is served at {uri} until Ctrl-C")

        server.serve_forever(stopping, on_ready=announce)
        if connection.lost.is_set():
            raise Fault(
                f"the connection to disk {disk_id} was lost; writes that no flush followed may be missing",
                retryable=True,
            )
        connection.flush()


class RemoteDisk:
    """An `NbdExport` whose bytes are read and written through the API."""

    def __init__(self, disk_id: str, connection: DiskConnection) -> None:
        self._disk_id = disk_id
        self._connection = connection
        self._runs = _KnownRuns()

    @property
    def name(self) -> str:
        """The default export."""
        return ""

    @property
    def description(self) -> str:
        """Shown by `nbdinfo`."""
        return f"disk {self._disk_id}"

    @property
    def size_bytes(self) -> int:
        """The size of the disk."""
        return self._connection.size_bytes

    @property
    def is_read_only(self) -> bool:
        """Never."""
        return False

    @property
    def has_fast_zero(self) -> bool:
        """A range is one call, whatever its length."""
        return True

    @property
    def contexts(self) -> Sequence[str]:
        """Which parts hold data."""
        return ("base:allocation",)

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes."""
        pieces = [self._connection.read(at, count) for at, count in _split(offset, length)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, offset: int, data: memoryview) -> None:
        """Write; durable only after `flush`."""
        with self._runs.changing():
            for at, count in _split(offset, len(data)):
                self._connection.write(at, bytes(data[at - offset : at - offset + count]))

    def zero(self, offset: int, length: int, *, may_punch: bool) -> None:
        """Make a range read as zero."""
        with self._runs.changing():
            self._connection.zero(offset, length, may_punch=may_punch)

    def trim(self, offset: int, length: int) -> None:
        """Give the range back; it reads as zero from now on."""
        with self._runs.changing():
            self._connection.zero(offset, length, may_punch=True)

    def flush(self) -> None:
        """Make every completed write durable."""
        self._connection.flush()

    def prefetch(self, offset: int, length: int) -> None:
        """Nothing is kept here that could be filled."""

    def block_status(self, context: str, offset: int, length: int) -> Iterator[StatusRun]:
        """Runs of data, zeros and holes."""
        assert context == "base:allocation", "the only context on offer"
        runs = self._runs.find(offset, length)
        if runs is None:
            age = self._runs.age
            window = min(max(length, GIB), self.size_bytes - offset)
            found = [
                StatusRun(size, _FLAGS[kind]) for size, kind in self._connection.list_extents(offset, window)
            ]
            self._runs.keep(age, offset, found)
            runs = _cut(found, 0, length)
        yield from runs


class _KnownRuns:
    """The runs that were asked for last. Nobody else writes to the disk, so they hold until we write.

    A copying program asks for the runs of every piece: without this, thousands of calls of 2 ms for a disk of 1 GiB.

    Attributes:
        age: grows whenever something is written.
    """

    def __init__(self) -> None:
        self.age = 0
        self._kept: tuple[int, list[StatusRun]] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """What is known before the end of this block is forgotten at its end: it may be from before the write."""
        try:
            yield
        finally:
            with self._lock:
                self.age += 1
                self._kept = None

    def keep(self, age: int, offset: int, runs: list[StatusRun]) -> None:
        """These runs begin at `offset`; they were asked for when the disk had this age."""
        with self._lock:
            if age == self.age:
                self._kept = offset, runs

    def find(self, offset: int, length: int) -> list[StatusRun] | None:
        """The runs from `offset` on, as far as they are known; None if nothing is known there."""
        with self._lock:
            kept = self._kept
        if kept is None or offset < kept[0]:
            return None
        return _cut(kept[1], offset - kept[0], length) or None


def _cut(runs: Sequence[StatusRun], skip: int, length: int) -> list[StatusRun]:
    """The part of the runs that begins `skip` bytes behind their start, `length` bytes at most."""
    found = []
    for run in runs:
        first, last = max(skip, 0), min(run.length, skip + length)
        if first < last:
            found.append(StatusRun(last - first, run.flags))
        skip -= run.length
    return found


def _split(offset: int, length: int) -> Iterator[tuple[int, int]]:
    for at in range(offset, offset + length, _PIECE_BYTES):
        yield at, min(_PIECE_BYTES, offset + length - at)


def _watch_lease(connection: DiskConnection, stopping: threading.Event) -> None:
    while not stopping.wait(_LEASE_POLL_SECONDS):
        if connection.lost.is_set():
            stopping.set()
