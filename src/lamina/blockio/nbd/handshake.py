"""The first phase of an NBD connection, without I/O: bytes in, bytes and a selected export out.

The client sends its flags, then options, each answered before the next, until one of them selects an export
or ends the session. Options that are unknown or malformed are answered with an error and the session goes on;
the connection is dropped only where the protocol has no way to answer. Memory is bounded by the data of one
option, `OPTION_LIMIT_BYTES`; longer ones are skipped without being kept.
"""

import struct
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from lamina.blockio.nbd.constants import (
    CLIENT_FLAGS,
    GREETING,
    GREETING_MAGIC,
    MAXIMUM_PAYLOAD_BYTES,
    MAXIMUM_STRING_BYTES,
    MINIMUM_BLOCK_BYTES,
    OPTION,
    OPTION_MAGIC,
    OPTION_REPLY,
    OPTION_REPLY_MAGIC,
    PREFERRED_BLOCK_BYTES,
    HandshakeFlag,
    Info,
    Option,
    OptionReply,
    TransmissionFlag,
)
from lamina.blockio.nbd.export import NbdExport
from lamina.blockio.nbd.option_data import (
    InvalidOptionError,
    decode_string,
    ensure_empty,
    parse_contexts,
    parse_info,
)
from lamina.failures import Refusal
from lamina.units import KIB

OPTION_LIMIT_BYTES: Final = 64 * KIB

_SKIP_LIMIT_BYTES: Final = MAXIMUM_PAYLOAD_BYTES  # a longer option is an attack, not a mistake
_OFFERED: Final = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES
_PADDING: Final = bytes(124)  # after the answer to NBD_OPT_EXPORT_NAME, unless NO_ZEROES was agreed on


class ProtocolViolationError(Refusal):
    """The client broke a rule whose breach cannot be answered; its connection is dropped."""


class State(Enum):
    """Where a handshake stands."""

    FLAGS = "waiting for the client's flags"
    OPTION = "waiting for the header of an option"
    DATA = "waiting for the data of an option"
    SKIP = "skipping the data of an option that is too long"
    SELECTED = "an export was selected"
    ENDED = "the client ended the session"


_NEXT: Final[Mapping[State, frozenset[State]]] = {
    State.FLAGS: frozenset({State.OPTION}),
    State.OPTION: frozenset({State.DATA, State.SKIP}),
    State.DATA: frozenset({State.OPTION, State.SELECTED, State.ENDED}),
    State.SKIP: frozenset({State.OPTION}),
    State.SELECTED: frozenset(),
    State.ENDED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the handshake agreed on.

    Attributes:
        export: the disk to serve.
        structured: whether replies are structured.
        contexts: the metadata contexts to report, by the ids that the client knows them under.
    """

    export: NbdExport
    structured: bool
    contexts: Mapping[int, str]


class Handshake:
    """The server's side of one handshake.

    Attributes:
        state: where it stands.
        selection: what was agreed on, once the state is `SELECTED`.
        rest: bytes that came after the last option: the beginning of transmission.
    """

    def __init__(self, exports: Mapping[str, NbdExport], *, is_stopping: Callable[[], bool]) -> None:
        """Begin a handshake.

        Args:
            exports: the disks on offer by name; looked at anew for every option.
            is_stopping: whether the server is being stopped, so that options are refused.
        """
        self.state = State.FLAGS
        self.selection: Selection | None = None
        self._exports = exports
        self._is_stopping = is_stopping
        self._buffer = bytearray()
        self._no_zeroes = False
        self._structured = False
        self._contexts: dict[int, str] = {}
        self._contexts_of: NbdExport | None = None
        self._option = 0
        self._missing = 0
        self._answers: Mapping[int, Callable[[bytes], Iterator[bytes]]] = {
            Option.EXPORT_NAME: self._answer_export_name,
            Option.ABORT: self._answer_abort,
            Option.LIST: self._answer_list,
            Option.STARTTLS: self._answer_starttls,
            Option.INFO: self._answer_info,
            Option.GO: self._answer_go,
            Option.STRUCTURED_REPLY: self._answer_structured_reply,
            Option.LIST_META_CONTEXT: self._answer_list_contexts,
            Option.SET_META_CONTEXT: self._answer_set_contexts,
        }

    @property
    def rest(self) -> bytes:
        """Bytes received after the option that selected the export."""
        return bytes(self._buffer)

    @staticmethod
    def greeting() -> bytes:
        """What the server sends first."""
        return GREETING.pack(GREETING_MAGIC, OPTION_MAGIC, _OFFERED)

    def receive(self, data: bytes | memoryview) -> bytes:
        """Take bytes from the client.

        Returns:
            What to send back; possibly nothing.

        Raises:
            ProtocolViolationError: the connection must be dropped.
        """
        self._buffer += data
        replies: list[bytes] = []
        progress = True
        while progress and self.state not in (State.SELECTED, State.ENDED):
            progress = self._step(replies)
        return b"".join(replies)

    def _step(self, replies: list[bytes]) -> bool:
        """Consume one message from the buffer; False if there is none yet."""
        match self.state:
            case State.FLAGS:
                return self._take_flags()
            case State.OPTION:
                return self._take_option_header()
            case State.SKIP:
                return self._skip(replies)
            case _:
                return self._take_option_data(replies)

    def _enter(self, state: State) -> None:
        assert state in _NEXT[self.state], f"{self.state} cannot become {state}"
        self.state = state

    def _consume(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _take_flags(self) -> bool:
        if len(self._buffer) < CLIENT_FLAGS.size:
            return False
        (flags,) = CLIENT_FLAGS.unpack(self._consume(CLIENT_FLAGS.size))
        if flags & ~int(_OFFERED):
            raise ProtocolViolationError(f"the client set handshake flags that do not exist: {flags:#x}")
        self._no_zeroes = bool(flags & HandshakeFlag.NO_ZEROES)
        self._enter(State.OPTION)
        return True

    def _take_option_header(self) -> bool:
        if len(self._buffer) < OPTION.size:
            return False
        magic, self._option, self._missing = OPTION.unpack(self._consume(OPTION.size))
        if magic != OPTION_MAGIC:
            raise ProtocolViolationError(f"the client sent {magic:#x} where an option begins")
        if self._missing <= OPTION_LIMIT_BYTES:
            self._enter(State.DATA)
            return True
        if self._missing > _SKIP_LIMIT_BYTES or self._option == Option.EXPORT_NAME:
            raise ProtocolViolationError(f"option {self._option} brings {self._missing} bytes")
        self._enter(State.SKIP)
        return True

    def _skip(self, replies: list[bytes]) -> bool:
        self._missing -= len(self._consume(self._missing))
        if self._missing:
            return False
        replies.append(self._error(OptionReply.ERR_TOO_BIG, f"at most {OPTION_LIMIT_BYTES} bytes, please"))
        self._enter(State.OPTION)
        return True

    def _take_option_data(self, replies: list[bytes]) -> bool:
        if len(self._buffer) < self._missing:
            return False
        data = self._consume(self._missing)
        try:
            replies.extend(self._answer(data))
        except InvalidOptionError as error:
            replies.append(self._error(OptionReply.ERR_INVALID, str(error)))
        if self.state is State.DATA:
            self._enter(State.OPTION)
        return True

    def _answer(self, data: bytes) -> Iterator[bytes]:
        answer = self._answers.get(self._option)
        if answer is None:
            yield self._error(OptionReply.ERR_UNSUP, f"option {self._option} is unknown here")
        elif self._is_stopping() and self._option not in (Option.ABORT, Option.EXPORT_NAME):
            yield self._error(OptionReply.ERR_SHUTDOWN, "the server is stopping")
        else:
            yield from answer(data)

    def _answer_export_name(self, data: bytes) -> Iterator[bytes]:
        """The old way to select an export: it has no way to say no."""
        try:
            export = self._find(decode_string(data))
        except InvalidOptionError as error:
            raise ProtocolViolationError(f"the client asked for an export by a bad name: {error}") from error
        if export is None or self._is_stopping():
            raise ProtocolViolationError(f"the client asked for an export that is not here: {data!r}")
        yield struct.pack(">QH", export.size_bytes, self._flags_of(export))
        if not self._no_zeroes:
            yield _PADDING
        self._select(export)

    def _answer_abort(self, _data: bytes) -> Iterator[bytes]:
        yield self._reply(OptionReply.ACK)
        self._enter(State.ENDED)

    def _answer_list(self, data: bytes) -> Iterator[bytes]:
        ensure_empty(data)
        for export in tuple(self._exports.values()):
            name = export.name.encode()
            yield self._reply(OptionReply.SERVER, struct.pack(">I", len(name)) + name + _describe(export))
        yield self._reply(OptionReply.ACK)

    def _answer_starttls(self, data: bytes) -> Iterator[bytes]:
        ensure_empty(data)
        yield self._error(OptionReply.ERR_POLICY, "no TLS: this server is reached from its own host only")

    def _answer_info(self, data: bytes) -> Iterator[bytes]:
        yield from self._tell(data)

    def _answer_go(self, data: bytes) -> Iterator[bytes]:
        export = yield from self._tell(data)
        if export is not None:
            self._select(export)

    def _tell(self, data: bytes) -> Generator[bytes, None, NbdExport | None]:
        """Answer what the client wants to know about an export; the value is the export, if there is one."""
        name, wanted = parse_info(data)
        export = self._find(name)
        if export is None:
            yield self._unknown(name)
            return None
        yield self._info(Info.EXPORT, struct.pack(">QH", export.size_bytes, self._flags_of(export)))
        if Info.NAME in wanted:
            yield self._info(Info.NAME, export.name.encode())
        if Info.DESCRIPTION in wanted:
            yield self._info(Info.DESCRIPTION, _describe(export))
        if Info.BLOCK_SIZE in wanted:
            sizes = (MINIMUM_BLOCK_BYTES, PREFERRED_BLOCK_BYTES, MAXIMUM_PAYLOAD_BYTES)
            yield self._info(Info.BLOCK_SIZE, struct.pack(">III", *sizes))
        yield self._reply(OptionReply.ACK)
        return export

    def _answer_structured_reply(self, data: bytes) -> Iterator[bytes]:
        ensure_empty(data)
        self._structured = True
        yield self._reply(OptionReply.ACK)

    def _answer_list_contexts(self, data: bytes) -> Iterator[bytes]:
        name, queries = parse_contexts(data)
        export = self._find(name)
        if export is None:
            yield self._unknown(name)
            return
        for context in export.contexts:
            if not queries or context in queries or _namespace(context) in queries:
                yield self._reply(OptionReply.META_CONTEXT, struct.pack(">I", 0) + context.encode())
        yield self._reply(OptionReply.ACK)

    def _answer_set_contexts(self, data: bytes) -> Iterator[bytes]:
        self._contexts, self._contexts_of = {}, None  # also when this fails
        if not self._structured:
            raise InvalidOptionError("ask for structured replies first")
        name, queries = parse_contexts(data)
        export = self._find(name)
        if export is None:
            yield self._unknown(name)
            return
        for context_id, context in enumerate(export.contexts, start=1):
            if context in queries:
                self._contexts[context_id] = context
                yield self._reply(OptionReply.META_CONTEXT, struct.pack(">I", context_id) + context.encode())
        self._contexts_of = export
        yield self._reply(OptionReply.ACK)

    def _find(self, name: str) -> NbdExport | None:
        """The export of that name; the empty name is also the only export's."""
        export = self._exports.get(name)
        if export is None and not name and len(self._exports) == 1:
            return next(iter(tuple(self._exports.values())), None)
        return export

    def _select(self, export: NbdExport) -> None:
        contexts = self._contexts if self._contexts_of is export else {}
        self.selection = Selection(export=export, structured=self._structured, contexts=contexts)
        self._enter(State.SELECTED)

    def _flags_of(self, export: NbdExport) -> int:
        flags = TransmissionFlag.HAS_FLAGS | TransmissionFlag.CAN_MULTI_CONN | TransmissionFlag.SEND_CACHE
        if self._structured:
            flags |= TransmissionFlag.SEND_DF
        if export.is_read_only:
            return flags | TransmissionFlag.READ_ONLY
        return (
            flags
            | TransmissionFlag.SEND_FLUSH
            | TransmissionFlag.SEND_FUA
            | TransmissionFlag.SEND_TRIM
            | TransmissionFlag.SEND_WRITE_ZEROES
            | TransmissionFlag.SEND_FAST_ZERO
        )

    def _reply(self, kind: OptionReply, data: bytes = b"") -> bytes:
        return OPTION_REPLY.pack(OPTION_REPLY_MAGIC, self._option, kind, len(data)) + data

    def _info(self, kind: Info, data: bytes) -> bytes:
        return self._reply(OptionReply.INFO, struct.pack(">H", kind) + data)

    def _error(self, kind: OptionReply, message: str) -> bytes:
        return self._reply(kind, message.encode())

    def _unknown(self, name: str) -> bytes:
        return self._error(OptionReply.ERR_UNKNOWN, f"there is no export {name[:80]!r} here")


def _describe(export: NbdExport) -> bytes:
    """The description, cut to the length of a string between two characters."""
    return export.description.encode()[:MAXIMUM_STRING_BYTES].decode(errors="ignore").encode()


def _namespace(context: str) -> str:
    return context.partition(":")[0] + ":"
