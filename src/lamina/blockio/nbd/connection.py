"""One client of the NBD server: reads requests, keeps a bounded number of them going, sends the replies."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from lamina.blockio.nbd.commands import STATUS_RUNS_MAX
from lamina.blockio.nbd.constants import DESCRIPTOR, Command, CommandFlag
from lamina.blockio.nbd.handshake import Handshake, Selection
from lamina.blockio.nbd.handshake import State as HandshakeState
from lamina.blockio.nbd.outbox import Outbox
from lamina.blockio.nbd.replies import Reply
from lamina.blockio.nbd.transmission import Event, Rejected, Request, Transmission
from lamina.blockio.nbd.transmission import State as TransmissionState
from lamina.units import KIB, MIB

_HANDSHAKE_READ_BYTES: Final = 4 * KIB
_SMALL_COST_BYTES: Final = 1 * KIB  # a reply without a payload, generously

Execute = Callable[[Selection, Request, Callable[[Reply], None]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may make the server hold.

    Attributes:
        connections: clients at once; more are turned away.
        requests: requests of one connection that are being worked on or whose replies wait to be sent.
        payload_bytes: their data, reads and writes together. One request above it may run alone, so a
            connection holds at most the larger of this and 32 MiB, and 32 MiB for a write that is arriving.
        handshake_seconds: how long a client may take to select an export.
        stop_seconds: how long `stop` waits for requests in progress.
    """

    connections: int = 256
    requests: int = 64
    payload_bytes: int = 32 * MIB
    handshake_seconds: float = 30.0
    stop_seconds: float = 10.0


class Connection:
    """The server's side of one client."""

    def __init__(self, client: socket.socket, handshake: Handshake, limits: Limits, execute: Execute) -> None:
        """Take over a connected, non-blocking socket.

        Args:
            client: the socket; closed at the end of `run`.
            handshake: knows the exports.
            limits: what the client may make us hold.
            execute: carries a request out somewhere else.
        """
        self._socket = client
        self._handshake = handshake
        self._limits = limits
        self._execute = execute
        self._outbox = Outbox(client)
        self._loop = asyncio.get_running_loop()
        self._requests = 0
        self._payload_bytes = 0
        self._released = asyncio.Event()
        self._is_stopping = False

    async def run(self) -> None:
        """Serve until the client leaves or `stop` was called and everything in progress is answered.

        Raises:
            ProtocolViolationError: the client broke the protocol.
            OSError: the connection was lost.
            TimeoutError: the client did not get through the handshake.
        """
        try:
            async with asyncio.timeout(self._limits.handshake_seconds):
                selection = await self._shake_hands()
            if selection is not None:
                await self._transmit(selection)
        finally:
            self._outbox.close()
            self._socket.close()

    def stop(self) -> None:
        """Read no more requests; what is in progress is still answered."""
        self._is_stopping = True
        with contextlib.suppress(OSError):  # the client may be gone
            self._socket.shutdown(socket.SHUT_RD)

    async def _shake_hands(self) -> Selection | None:
        handshake = self._handshake
        await self._loop.sock_sendall(self._socket, handshake.greeting())
        while handshake.state not in (HandshakeState.SELECTED, HandshakeState.ENDED):
            data = await self._loop.sock_recv(self._socket, _HANDSHAKE_READ_BYTES)
            if not data:
                return None
            await self._loop.sock_sendall(self._socket, handshake.receive(data))
        return handshake.selection

    async def _transmit(self, selection: Selection) -> None:
        transmission = Transmission(selection)
        await self._handle(selection, transmission.receive(self._handshake.rest))
        while transmission.state is not TransmissionState.ENDED and not self._is_stopping:
            count = await self._loop.sock_recv_into(self._socket, transmission.next_buffer())
            if count == 0:
                break
            await self._handle(selection, transmission.received(count))
        while self._requests:
            await self._wait_for_release()

    async def _handle(self, selection: Selection, events: list[Event]) -> None:
        for event in events:
            cost = _cost_of(event, selection)
            while self._is_over(cost):
                await self._wait_for_release()
            self._requests += 1
            self._payload_bytes += cost
            release = partial(self._release, cost)
            match event:
                case Request():
                    deliver = partial(self._outbox.push, when_sent=release)
                    self._execute(selection, event, deliver)
                case Rejected():
                    self._outbox.push(event.reply, release)
                    await asyncio.sleep(0)  # a client that sends nothing but nonsense must not starve others

    def _is_over(self, cost: int) -> bool:
        return self._requests > 0 and (
            self._requests >= self._limits.requests or self._payload_bytes + cost > self._limits.payload_bytes
        )

    def _release(self, cost: int) -> None:
        self._requests -= 1
        self._payload_bytes -= cost
        self._released.set()

    async def _wait_for_release(self) -> None:
        self._released.clear()
        await self._released.wait()


def _cost_of(event: Event, selection: Selection) -> int:
    """How many bytes of memory a request takes while it is in progress, about."""
    match event:
        case Request(command=Command.READ | Command.WRITE):
            return event.length
        case Request(command=Command.BLOCK_STATUS) if not event.flags & CommandFlag.REQ_ONE:
            return STATUS_RUNS_MAX * DESCRIPTOR.size * len(selection.contexts)
        case _:
            return _SMALL_COST_BYTES
