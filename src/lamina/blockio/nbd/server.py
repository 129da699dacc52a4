"""The NBD server: asyncio at its edge, threads where disks are read and written.

Everything about sockets happens in the event loop. Exports are synchronous, and `Crossing` is the one place
where requests go over to them.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self

from lamina.blockio.nbd.connection import Connection, Limits
from lamina.blockio.nbd.crossing import Crossing
from lamina.blockio.nbd.export import NbdExport
from lamina.blockio.nbd.handshake import Handshake, ProtocolViolationError
from lamina.blockio.nbd.listening import Address, Listener
from lamina.failures import Refusal
from lamina.telemetry import get_logger, log, log_failure
from lamina.units import MIB

_SEND_BUFFER_BYTES: Final = 1 * MIB  # asked for; the kernel gives at most net.core.wmem_max
_ACCEPT_PAUSE_SECONDS: Final = 0.1  # when the process is out of file descriptors
_STOP_POLL_SECONDS: Final = 0.05

_logger: Final = get_logger(__name__)


class NbdServer:
    """Serves exports to NBD clients.

    Attributes:
        exports: the disks by name; may change at any time, clients that are connected keep what they have.
    """

    def __init__(
        self,
        exports: Mapping[str, NbdExport],
        address: Address,
        *,
        limits: Limits | None = None,
        threads: int = 4,
    ) -> None:
        """Prepare a server; `start` or `serve_forever` make it run.

        Args:
            exports: the disks by name. The empty name, or the only export, is the default.
            address: where to listen.
            limits: what clients may make the server hold.
            threads: how many requests are carried out at once, of all clients together. A few do for
                local disks; exports that wait for a network want more.
        """
        self.exports = exports
        self._address = address
        self._limits = limits or Limits()
        self._threads = threads
        self._crossing: Crossing | None = None
        self._listener: Listener | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._clients: dict[asyncio.Task[None], Connection] = {}
        self._is_stopping = False

    @property
    def uri(self) -> str:
        """What clients are given to connect, for the default export.

        Raises:
            Refusal: the server is not running.
        """
        if self._listener is None:
            raise Refusal("the NBD server is not running; start it first")
        return self._listener.uri

    async def start(self) -> None:
        """Begin to listen; clients are served while the event loop runs.

        Raises:
            AddressUnavailableError: it cannot listen there.
        """
        assert self._listener is None, "the server runs already"
        self._listener = Listener(self._address)
        self._is_stopping = False
        self._crossing = Crossing(self._threads)
        self._accepting = asyncio.create_task(self._accept(self._listener.socket, self._crossing))

    async def stop(self) -> None:
        """Stop listening, answer what is in progress, and close all connections."""
        if self._listener is None or self._accepting is None or self._crossing is None:
            return
        self._is_stopping = True
        self._accepting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._accepting
        self._listener.close()
        self._listener = None
        stuck = await self._dismiss_clients()
        self._crossing.close(wait=not stuck)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def serve_forever(
        self, stop_event: threading.Event, *, on_ready: Callable[[str], None] | None = None
    ) -> None:
        """Serve in this thread, with an event loop of its own, until `stop_event` is set.

        Args:
            stop_event: ends the server; may be set from any thread or a signal handler.
            on_ready: called with the server's URI when clients can connect.

        Raises:
            AddressUnavailableError: it cannot listen there.
        """

        async def serve() -> None:
            async with self:
                if on_ready is not None:
                    on_ready(self.uri)
                while not stop_event.is_set():  # noqa: ASYNC110 - threads and signal handlers set it
                    await asyncio.sleep(_STOP_POLL_SECONDS)

        asyncio.run(serve())

    async def _accept(self, listener: socket.socket, crossing: Crossing) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(listener)
            except OSError as error:
                log_failure(_logger, "cannot accept a client", error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            if len(self._clients) >= self._limits.connections:
                log(_logger, logging.WARNING, "turned a client away", connections=len(self._clients))
                client.close()
                continue
            self._welcome(client, crossing)

    def _welcome(self, client: socket.socket, crossing: Crossing) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handshake = Handshake(self.exports, is_stopping=lambda: self._is_stopping)
        connection = Connection(client, handshake, self._limits, crossing.execute)
        task = asyncio.create_task(_serve(connection))
        self._clients[task] = connection
        task.add_done_callback(self._clients.pop)

    async def _dismiss_clients(self) -> bool:
        """Let every connection finish; True if some had to be cut off."""
        for connection in self._clients.values():
            connection.stop()
        if not self._clients:
            return False
        _, stuck = await asyncio.wait(tuple(self._clients), timeout=self._limits.stop_seconds)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        return bool(stuck)


async def _serve(connection: Connection) -> None:
    try:
        await connection.run()
    except (ProtocolViolationError, OSError) as error:  # TimeoutError is one of the latter
        log(_logger, logging.INFO, "dropped a client", reason=str(error) or type(error).__name__)
    except Exception as error:  # noqa: BLE001 - a bug met by one client must not end the server for the others
        log_failure(_logger, "a connection failed", error)
