"""A snapshot as a disk for a program of this host: our NBD server at a socket that nobody else can reach."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lamina.blockio.nbd.listening import UnixAddress
from lamina.blockio.nbd.server import NbdServer
from lamina.blockio.qemu.image_tool import NbdSource
from lamina.blockio.qemu.running import ProgramFailedError
from lamina.engine.repository import Repository
from lamina.failures import Fault, LaminaError
from lamina.ids import SnapshotId
from lamina.transfer.export import ExportRequest, SnapshotExport

_NAME: Final = "disk"
_SOCKET: Final = "nbd.sock"
_THREADS: Final = 16  # requests wait for the store most of the time; as many as qemu-img has in flight
_START_SECONDS: Final = 30.0


class ServedSnapshot(SnapshotExport):
    """A snapshot that remembers why it could not be read.

    A client of NBD learns that there was an error, and not which one.

    Attributes:
        failure: the first one.
    """

    def __init__(self, repository: Repository, snapshot_id: SnapshotId) -> None:
        super().__init__(repository, snapshot_id, ExportRequest(name=_NAME))
        self.failure: LaminaError | None = None

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """As for any export; what it raises is remembered."""
        try:
            return super().read(offset, length)
        except LaminaError as error:
            self.failure = self.failure or error
            raise


@contextmanager
def serving(repository: Repository, snapshot_id: SnapshotId, folder: Path) -> Iterator[NbdSource]:
    """Serve a snapshot, read-only, for as long as the block lasts.

    A program that fails in the block because the snapshot could not be read gives way to the reason.

    Args:
        repository: where the snapshot is.
        snapshot_id: which one.
        folder: where the socket is made, and the working folder of whoever reads; of the caller alone.

    Raises:
        SnapshotNotFoundError: there is no such snapshot.
        Corruption: it is damaged.
        Fault: the store failed, or the server did not start.
    """
    with ServedSnapshot(repository, snapshot_id) as export, _listening(export, folder):
        try:
            yield NbdSource(socket=Path(_SOCKET), export=_NAME)
        except ProgramFailedError as error:
            if export.failure is None:
                raise
            raise export.failure from error


@contextmanager
def _listening(export: SnapshotExport, folder: Path) -> Iterator[None]:
    ready, stop = threading.Event(), threading.Event()
    # Through its descriptor the folder has a short name: a socket's must not be longer than 107 bytes (unix(7)).
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    address = UnixAddress(path=Path(f"/proc/self/fd/{fd}/{_SOCKET}"))
    server = NbdServer({_NAME: export}, address, threads=_THREADS)
    failures: list[str] = []

    def serve() -> None:
        try:
            server.serve_forever(stop, on_ready=lambda _uri: ready.set())
        except LaminaError as error:
            failures.append(str(error))
            ready.set()

    thread = threading.Thread(target=serve, name="serve-snapshot", daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_SECONDS) or failures:
            raise Fault(f"the server of a snapshot did not start: {failures}", retryable=True)
        yield
    finally:
        stop.set()
        thread.join()
        os.close(fd)
