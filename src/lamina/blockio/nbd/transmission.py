"""The second phase of an NBD connection, without I/O: bytes in, checked requests and refusals out.

The host asks for `next_buffer`, fills some of it from the socket, and says how much by `received`; so the
payload of a write goes from the socket to its own buffer without a copy. What is wrong with a request is
answered, and its payload skipped without being kept; the connection is dropped only where requests cannot be
told apart any more. Memory: one buffer for headers, and the payload of one write that has not arrived yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from lamina.blockio.nbd.constants import (
    MAXIMUM_PAYLOAD_BYTES,
    REQUEST,
    REQUEST_MAGIC,
    Command,
    CommandFlag,
    Errno,
)
from lamina.blockio.nbd.handshake import ProtocolViolationError, Selection
from lamina.blockio.nbd.replies import Reply, reply_error
from lamina.units import KIB

# Room for 292 headers in one call; little, so that most of a write's payload lands in its own buffer.
_INBOX_BYTES: Final = 8 * KIB

_NO_DATA: Final = memoryview(b"")


class State(Enum):
    """Where the connection stands."""

    REQUEST = "waiting for the header of a request"
    PAYLOAD = "waiting for the payload of a write"
    SKIP = "skipping the payload of a write that was refused"
    ENDED = "the client said goodbye"


_NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.REQUEST: frozenset({State.PAYLOAD, State.SKIP, State.ENDED}),
    State.PAYLOAD: frozenset({State.REQUEST}),
    State.SKIP: frozenset({State.REQUEST}),
    State.ENDED: frozenset(),
}

# FUA goes with everything: "the server MUST accept all commands with this bit set (even by ignoring the bit)"
_ALLOWED_FLAGS: Final[Mapping[Command, CommandFlag]] = {
    Command.READ: CommandFlag.FUA | CommandFlag.DF,
    Command.WRITE: CommandFlag.FUA,
    Command.FLUSH: CommandFlag.FUA,
    Command.TRIM: CommandFlag.FUA,
    Command.CACHE: CommandFlag.FUA,
    Command.WRITE_ZEROES: CommandFlag.FUA | CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO,
    Command.BLOCK_STATUS: CommandFlag.FUA | CommandFlag.REQ_ONE,
}
_WRITING: Final = frozenset({Command.WRITE, Command.TRIM, Command.WRITE_ZEROES})
_GROWING: Final = frozenset({Command.WRITE, Command.WRITE_ZEROES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that obeys the rules.

    Attributes:
        command: what to do; never DISC.
        flags: how.
        cookie: the client's name for it.
        offset: first byte.
        length: bytes; the range lies within the export.
        data: the payload of a write.
    """

    command: Command
    flags: CommandFlag
    cookie: int
    offset: int
    length: int
    data: memoryview = _NO_DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A request that does not, and what to tell the client."""

    reply: Reply


Event = Request | Rejected


class Transmission:
    """The server's side of one connection after the handshake.

    Attributes:
        state: where it stands.
    """

    def __init__(self, selection: Selection) -> None:
        self.state = State.REQUEST
        self._selection = selection
        self._inbox = bytearray(_INBOX_BYTES)
        self._start = 0
        self._end = 0
        self._payload = bytearray()
        self._filled = 0
        self._missing = 0
        self._pending: Event | None = None  # what follows when the payload is there or skipped

    def next_buffer(self) -> memoryview:
        """Where the next bytes from the client belong; never empty before the end."""
        match self.state:
            case State.PAYLOAD:
                return memoryview(self._payload)[self._filled :]
            case State.SKIP:
                return memoryview(self._inbox)[: self._missing]
            case _:
                return memoryview(self._inbox)[self._end :]

    def received(self, count: int) -> list[Event]:
        """Take note that `count` bytes were put into `next_buffer`.

        Raises:
            ProtocolViolationError: the connection must be dropped.
        """
        events: list[Event] = []
        match self.state:
            case State.PAYLOAD:
                self._filled += count
                self._finish_payload(events, is_complete=self._filled == len(self._payload))
            case State.SKIP:
                self._missing -= count
                self._finish_payload(events, is_complete=self._missing == 0)
            case _:
                self._end += count
                self._take_requests(events)
        return events

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes that were read elsewhere, such as the rest of the handshake.

        Raises:
            ProtocolViolationError: the connection must be dropped.
        """
        events: list[Event] = []
        view = memoryview(data)
        while view and self.state is not State.ENDED:
            buffer = self.next_buffer()
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            view = view[count:]
            events += self.received(count)
        return events

    def _enter(self, state: State) -> None:
        assert state in _NEXT[self.state], f"{self.state} cannot become {state}"
        self.state = state

    def _take_requests(self, events: list[Event]) -> None:
        while self.state is State.REQUEST and self._end - self._start >= REQUEST.size:
            magic, flags, command, cookie, offset, length = REQUEST.unpack_from(self._inbox, self._start)
            if magic != REQUEST_MAGIC:
                raise ProtocolViolationError(f"the client sent {magic:#x} where a request begins")
            self._start += REQUEST.size
            if command == Command.DISC:
                self._enter(State.ENDED)
            else:
                event = self._judge(command, flags, cookie, offset, length)
                self._take_one(events, event, length if command == Command.WRITE else 0)
        # what is left is less than one header, or nothing at all behind a payload that is still to come
        left = self._end - self._start
        self._inbox[:left] = self._inbox[self._start : self._end]
        self._start, self._end = 0, left

    def _take_one(self, events: list[Event], event: Event, payload_bytes: int) -> None:
        """Hand out a request, after its payload if it has one."""
        if payload_bytes == 0:
            events.append(event)
            return
        if payload_bytes > MAXIMUM_PAYLOAD_BYTES:
            raise ProtocolViolationError(f"the client writes {payload_bytes} bytes in one request")
        here = min(self._end - self._start, payload_bytes)
        arrived = memoryview(self._inbox)[self._start : self._start + here]
        self._start += here
        self._pending = event
        if isinstance(event, Request):
            self._payload = bytearray(payload_bytes)
            self._payload[:here] = arrived
            self._filled = here
            self._enter(State.PAYLOAD)
        else:
            self._missing = payload_bytes - here
            self._enter(State.SKIP)
        self._finish_payload(events, is_complete=here == payload_bytes)

    def _finish_payload(self, events: list[Event], *, is_complete: bool) -> None:
        if not is_complete:
            return
        event, self._pending = self._pending, None
        assert event is not None, "a payload without its request"
        if isinstance(event, Request):
            events.append(replace(event, data=memoryview(self._payload)))
            self._payload = bytearray()
        else:
            events.append(event)
        self._enter(State.REQUEST)

    def _judge(self, command: int, flags: int, cookie: int, offset: int, length: int) -> Event:
        """The request, or why it cannot be."""
        try:
            known = Command(command)
        except ValueError:
            return self._reject(cookie, Errno.INVALID, f"command {command} is unknown here")
        request = Request(
            command=known, flags=CommandFlag(flags), cookie=cookie, offset=offset, length=length
        )
        objection = self._object_to_flags(request) or self._object_to_range(request)
        if objection is not None:
            return self._reject(cookie, *objection)
        return request

    def _object_to_flags(self, request: Request) -> tuple[Errno, str] | None:
        selection, flags = self._selection, request.flags
        if int(flags) & ~int(_ALLOWED_FLAGS[request.command]):
            return Errno.INVALID, f"flags {int(flags):#x} do not go with {request.command.name}"
        if flags & CommandFlag.DF and not selection.structured:
            return Errno.INVALID, "DF needs structured replies"
        if request.command in _WRITING and selection.export.is_read_only:
            return Errno.PERM, "the export is read-only"
        if flags & CommandFlag.FAST_ZERO and (
            flags & CommandFlag.NO_HOLE or not selection.export.has_fast_zero
        ):
            return Errno.NOT_SUPPORTED, "zeros are not faster than writing here"
        if request.command is Command.BLOCK_STATUS and not selection.contexts:
            return Errno.INVALID, "no metadata context was negotiated"
        return None

    def _object_to_range(self, request: Request) -> tuple[Errno, str] | None:
        command, length = request.command, request.length
        if command is Command.FLUSH:
            return (Errno.INVALID, "a flush has no range") if request.offset or length else None
        if request.offset + length > self._selection.export.size_bytes:
            errno = Errno.NO_SPACE if command in _GROWING else Errno.INVALID
            return errno, f"the range ends past the export's {self._selection.export.size_bytes} bytes"
        if command is Command.READ and length > MAXIMUM_PAYLOAD_BYTES:
            errno = Errno.OVERFLOW if self._selection.structured else Errno.INVALID
            return errno, f"at most {MAXIMUM_PAYLOAD_BYTES} bytes per read"
        if command is Command.BLOCK_STATUS and length == 0:
            return Errno.INVALID, "the status of no bytes"
        return None

    def _reject(self, cookie: int, errno: Errno, message: str) -> Rejected:
        is_structured = self._selection.structured
        return Rejected(reply=reply_error(cookie, errno, message, is_structured=is_structured))
