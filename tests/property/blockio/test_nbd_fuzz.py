"""Whatever bytes a client sends, the protocol answers, waits or drops: it never fails, and never hoards."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from lamina.blockio.nbd.handshake import OPTION_LIMIT_BYTES, Handshake, ProtocolViolationError, State
from lamina.blockio.nbd.transmission import Rejected, Request, Transmission
from lamina.blockio.nbd.transmission import State as TransmissionState
from tests.unit.blockio.nbd.memory_export import MemoryExport
from tests.unit.blockio.nbd.wire import Session, parse_replies

SIZE = 4096
FLAGS = b"\0\0\0\3"

numbers = st.sampled_from([0, 1, 4, 27, 28, 4096, 65536, 65537, 2**25, 2**31, 2**32 - 1])
texts = st.one_of(st.sampled_from([b"", b"disk", b"base:", b"base:allocation"]), st.binary(max_size=12))
strings = st.one_of(
    texts.map(lambda text: struct.pack(">I", len(text)) + text),
    st.tuples(numbers, texts).map(lambda pair: struct.pack(">I", pair[0]) + pair[1]),
)
option_data = st.lists(st.one_of(strings, st.binary(max_size=8), numbers.map(lambda n: struct.pack(">I", n))))
options = st.builds(
    lambda code, parts, lie: (
        b"IHAVEOPT" + struct.pack(">II", code, len(b"".join(parts)) if lie is None else lie) + b"".join(parts)
    ),
    st.one_of(st.integers(0, 12), numbers),
    option_data,
    st.one_of(st.none(), st.none(), numbers),
)
handshakes = st.lists(st.one_of(options, st.binary(max_size=20)), max_size=6).map(b"".join)

offsets = st.one_of(st.integers(0, SIZE + 4), st.sampled_from([2**63, 2**64 - 1]))
lengths = st.one_of(st.integers(0, SIZE + 4), numbers)


@st.composite
def requests(draw):
    command, flags = draw(st.integers(0, 9)), draw(st.one_of(st.integers(0, 31), st.integers(0, 65535)))
    length = draw(lengths)
    header = struct.pack(
        ">IHHQQI", 0x25609513, flags, command, draw(st.integers(0, 3)), draw(offsets), length
    )
    payload = b"p" * length if command == 1 and length <= 2 * SIZE and draw(st.booleans()) else b""
    return header + payload


conversations = st.lists(st.one_of(requests(), st.binary(max_size=30)), max_size=8).map(b"".join)


def slices(stream, sizes):
    position = 0
    for size in sizes:
        yield stream[position : position + size]
        position += size
    yield stream[position:]


cuts = st.lists(st.integers(0, 100), max_size=12)


@given(handshakes, cuts)
def test_a_handshake_answers_waits_or_drops(stream, sizes):
    handshake = Handshake({"disk": MemoryExport(SIZE, name="disk")}, is_stopping=lambda: False)
    handshake.receive(FLAGS)
    try:
        for piece in slices(stream, sizes):
            replies = handshake.receive(piece)
            if handshake.state is State.SELECTED:
                return
            assert len(handshake.rest) <= OPTION_LIMIT_BYTES
            while replies:  # whole and well-formed
                magic, _, _, length = struct.unpack_from(">QIII", replies)
                assert magic == 0x3E889045565A9
                assert len(replies) >= 20 + length
                replies = replies[20 + length :]
    except ProtocolViolationError:
        pass


@given(handshakes, cuts)
def test_a_handshake_does_not_depend_on_how_bytes_are_cut(stream, sizes):
    def run(pieces):
        handshake = Handshake({"disk": MemoryExport(SIZE, name="disk")}, is_stopping=lambda: False)
        replies = b""
        try:
            for piece in pieces:
                replies += handshake.receive(piece)
        except ProtocolViolationError:
            return None
        return replies, handshake.state, handshake.selection and handshake.selection.contexts

    assert run([FLAGS + stream]) == run([FLAGS, *slices(stream, sizes)])


@given(conversations, cuts, st.booleans(), st.booleans())
def test_a_transmission_answers_waits_or_drops(stream, sizes, structured, is_read_only):
    session = Session(MemoryExport(SIZE, is_read_only=is_read_only), structured=structured)
    try:
        for piece in slices(stream, sizes):
            replies = session.send(piece)
            if structured:
                parse_replies(replies)
            assert session.transmission.state is TransmissionState.ENDED or session.transmission.next_buffer()
    except ProtocolViolationError:
        pass
    assert len(session.selection.export.data) == SIZE


@given(conversations)
def test_checked_requests_obey_the_rules(stream):
    transmission = Transmission(Session(MemoryExport(SIZE)).selection)
    try:
        events = transmission.receive(stream)
    except ProtocolViolationError:
        return
    for event in events:
        assert isinstance(event, Request | Rejected)
        if isinstance(event, Request):
            assert event.offset + event.length <= SIZE
            assert len(event.data) == (event.length if event.command == 1 else 0)
