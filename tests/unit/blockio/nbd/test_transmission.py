"""The transmission phase, bytes in and bytes out: golden sequences, every rule, every refusal."""

import errno
import struct

import pytest

from lamina.blockio.nbd.export import StatusRun
from lamina.blockio.nbd.handshake import ProtocolViolationError
from lamina.blockio.nbd.transmission import State
from lamina.failures import Cancelled, Corruption, Fault, Refusal
from tests.unit.blockio.nbd.memory_export import MemoryExport
from tests.unit.blockio.nbd.wire import (
    BLOCK_STATUS,
    CACHE,
    DF,
    DISC,
    EINVAL,
    EIO,
    ENOSPC,
    ENOTSUP,
    EOVERFLOW,
    EPERM,
    ESHUTDOWN,
    FAST_ZERO,
    FLUSH,
    FUA,
    NO_HOLE,
    READ,
    REQ_ONE,
    TRIM,
    WRITE,
    WRITE_ZEROES,
    Session,
    assemble,
    parse_replies,
    parse_status,
    request,
)

KIB = 1024
MIB = 1024 * KIB


@pytest.fixture
def export():
    disk = MemoryExport(1 * MIB)
    disk.data[0:8] = b"contents"
    return disk


@pytest.fixture
def session(export):
    return Session(export)


def test_golden_simple_read(export):
    session = Session(export, structured=False)
    sent = bytes.fromhex("25609513 0000 0000 1122334455667788 0000000000000002 00000004")
    assert session.send(sent) == bytes.fromhex("67446698 00000000 1122334455667788") + b"nten"


def test_golden_structured_read(session):
    sent = bytes.fromhex("25609513 0000 0000 1122334455667788 0000000000000002 00000004")
    header = bytes.fromhex("668e33ef 0001 0001 1122334455667788 0000000c 0000000000000002")
    assert session.send(sent) == header + b"nten"


def test_golden_structured_error(session):
    sent = bytes.fromhex("25609513 0000 0063 1122334455667788 0000000000000000 00000000")
    message = b"command 99 is unknown here"
    header = bytes.fromhex("668e33ef 0001 8001 1122334455667788") + struct.pack(">I", 6 + len(message))
    assert session.send(sent) == header + bytes.fromhex("00000016 001a") + message


def test_golden_block_status(session):
    sent = bytes.fromhex("25609513 0000 0007 1122334455667788 0000000000000000 00000800")
    assert session.send(sent) == bytes.fromhex(
        "668e33ef 0001 0005 1122334455667788 00000014 00000001 00000200 00000000 00000600 00000003"
    )


def test_a_read_of_data_and_holes_is_cut_into_chunks(session, export):
    export.data[8 * KIB : 9 * KIB] = b"d" * KIB
    reply = session.ask(READ, 0, 32 * KIB)
    assert [kind for kind, _ in reply.chunks] == [1, 2, 1, 2]
    assert assemble(reply, 0, 32 * KIB) == export.data[: 32 * KIB]


def test_a_read_that_must_not_be_fragmented_is_one_chunk(session, export):
    reply = session.ask(READ, 0, 32 * KIB, flags=DF)
    assert [kind for kind, _ in reply.chunks] == [1]
    assert assemble(reply, 0, 32 * KIB) == export.data[: 32 * KIB]


def test_a_read_of_many_pieces_is_one_chunk(session, export):
    for start in range(0, 512 * KIB, 8 * KIB):
        export.data[start] = 1
    reply = session.ask(READ, 0, 512 * KIB)
    assert len(reply.chunks) == 1
    assert assemble(reply, 0, 512 * KIB) == export.data[: 512 * KIB]


def test_a_read_of_nothing_is_answered(export):
    assert Session(export).ask(READ, 5, 0).chunks == [(0, b"")]
    assert Session(export, structured=False).send(request(READ, 5, 0)) == struct.pack(
        ">IIQ", 0x67446698, 0, 7
    )


def test_an_export_whose_status_stops_short_is_still_read_whole(session, export):
    whole = export.block_status
    export.block_status = lambda *args: iter([next(whole(*args))])
    reply = session.ask(READ, 100, 20 * KIB)
    assert assemble(reply, 100, 20 * KIB) == export.data[100 : 100 + 20 * KIB]


def test_writes_change_the_disk(session, export):
    assert session.ask(WRITE, 10, data=b"abc").error == 0
    assert export.data[8:14] == b"\0\0abc\0"
    assert export.calls == []


@pytest.mark.parametrize(("command", "data"), [(WRITE, b"x" * 512), (WRITE_ZEROES, b""), (TRIM, b"")])
def test_fua_flushes_before_the_reply(session, export, command, data):
    assert session.ask(command, 0, 512, flags=FUA, data=data).error == 0
    assert export.calls[-1] == ("flush",)


@pytest.mark.parametrize(("flags", "may_punch"), [(0, True), (NO_HOLE, False), (FAST_ZERO, True)])
def test_zeroes_may_punch_unless_told_otherwise(session, export, flags, may_punch):
    assert session.ask(WRITE_ZEROES, 0, 8, flags=flags).error == 0
    assert export.calls == [("zero", may_punch)]
    assert export.data[:8] == bytes(8)


def test_fast_zeroes_are_refused_where_they_are_not_fast(session, export):
    assert session.ask(WRITE_ZEROES, 0, 8, flags=FAST_ZERO | NO_HOLE).error == ENOTSUP
    export.has_fast_zero = False
    assert session.ask(WRITE_ZEROES, 0, 8, flags=FAST_ZERO).error == ENOTSUP
    assert export.data[:8] == b"contents"


def test_trim_flush_and_cache(session, export):
    assert session.ask(TRIM, 0, 8).error == 0
    assert session.ask(FLUSH).error == 0
    assert session.ask(CACHE, 0, 4096).error == 0
    assert export.calls == [("flush",), ("prefetch", 0, 4096)]


def test_block_status_of_several_contexts(export):
    session = Session(export, contexts={1: "base:allocation", 9: "x-test:parity"})
    status = parse_status(session.ask(BLOCK_STATUS, 256, 1024))
    assert status == {1: [(256, 0), (768, 3)], 9: [(256, 0), (512, 1), (256, 0)]}
    status = parse_status(session.ask(BLOCK_STATUS, 512, 1024, flags=REQ_ONE))
    assert status == {1: [(1024, 3)], 9: [(512, 1)]}


def test_writes_may_arrive_in_any_pieces_between_other_requests(export):
    stream = (
        request(WRITE, 0, data=b"A" * 20_000, cookie=1)
        + request(READ, 0, 4, cookie=2)
        + request(WRITE, 30_000, data=b"B" * 3, cookie=3)
        + request(DISC)
    )
    for step in (1, 7, 27, 28, 29, 4096, 8192, 50_000):
        session = Session(export)
        replies = b"".join(session.send(stream[at : at + step]) for at in range(0, len(stream), step))
        assert [reply.cookie for reply in parse_replies(replies)] == [1, 2, 3]
        assert session.transmission.state is State.ENDED
        assert export.data[19_999:20_001] == b"A\0"
        assert export.data[30_000:30_004] == b"BBB\0"
        export.data[:] = bytes(MIB)


def test_a_refused_write_is_skipped_and_the_next_request_understood(session, export):
    stream = request(WRITE, MIB - 2, data=b"x" * 30_000, cookie=1) + request(READ, 0, 8, cookie=2)
    for step in (1, 1000, 40_000):
        replies = b"".join(session.send(stream[at : at + step]) for at in range(0, len(stream), step))
        first, second = parse_replies(replies)
        assert (first.cookie, first.error) == (1, ENOSPC)
        assert assemble(second, 0, 8) == b"contents"


def test_memory_stays_small_while_a_refused_write_arrives(session):
    head = request(WRITE, MIB, data=b"x")[:-1]
    head = head[:24] + struct.pack(">I", 32 * MIB)
    assert session.send(head) == b""
    for _ in range(32 * 4):
        assert len(session.transmission.next_buffer()) <= 8 * KIB
        left = 256 * KIB
        while left:
            buffer = session.transmission.next_buffer()
            events = session.transmission.received(len(buffer))
            left -= len(buffer)
    assert len(events) == 1


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((READ, MIB - 1, 2), {}, EINVAL),
        ((READ, 2**64 - 1, 1), {}, EINVAL),
        ((WRITE, MIB), {"data": b"x"}, ENOSPC),
        ((WRITE_ZEROES, 0, MIB + 1), {}, ENOSPC),
        ((TRIM, MIB, 1), {}, EINVAL),
        ((CACHE, MIB, 1), {}, EINVAL),
        ((BLOCK_STATUS, MIB - 1, 2), {}, EINVAL),
        ((BLOCK_STATUS, 0, 0), {}, EINVAL),
        ((FLUSH, 0, 1), {}, EINVAL),
        ((FLUSH, 1, 0), {}, EINVAL),
        ((8, 0, 0), {}, EINVAL),
        ((READ, 0, 1), {"flags": NO_HOLE}, EINVAL),
        ((READ, 0, 1), {"flags": 1 << 5}, EINVAL),
        ((READ, 0, 1), {"flags": 1 << 15}, EINVAL),
        ((WRITE, 0), {"data": b"x", "flags": DF}, EINVAL),
        ((TRIM, 0, 1), {"flags": FAST_ZERO}, EINVAL),
        ((CACHE, 0, 1), {"flags": REQ_ONE}, EINVAL),
        ((FLUSH,), {"flags": NO_HOLE}, EINVAL),
        ((BLOCK_STATUS, 0, 1), {"flags": DF}, EINVAL),
    ],
)
def test_requests_that_break_a_rule_are_refused_and_change_nothing(
    session, export, arguments, options, error
):
    before = bytes(export.data)
    reply = session.ask(*arguments, **options)
    assert reply.error == error
    assert reply.message
    assert export.data == before
    assert export.calls == []


def test_reads_above_the_maximum_are_refused():
    huge = MemoryExport(33 * MIB)
    assert Session(huge).ask(READ, 0, 32 * MIB + 1).error == EOVERFLOW
    simple = Session(huge, structured=False).send(request(READ, 0, 32 * MIB + 1))
    assert simple == struct.pack(">IIQ", 0x67446698, EINVAL, 7)
    assert len(Session(huge).ask(READ, 0, 32 * MIB, flags=DF).chunks[0][1]) == 32 * MIB + 8


@pytest.mark.parametrize("command", [WRITE, TRIM, WRITE_ZEROES])
def test_a_read_only_export_is_not_written(command):
    session = Session(MemoryExport(4096, is_read_only=True))
    data = b"x" if command == WRITE else b""
    assert session.ask(command, 0, 1, data=data).error == EPERM
    assert session.ask(FLUSH).error == 0


def test_without_structured_replies_there_is_no_df_and_no_status(export):
    session = Session(export, structured=False)
    assert session.send(request(READ, 0, 1, flags=DF))[4:8] == struct.pack(">I", EINVAL)
    assert session.send(request(BLOCK_STATUS, 0, 1))[4:8] == struct.pack(">I", EINVAL)
    assert Session(export, contexts={}).ask(BLOCK_STATUS, 0, 1).error == EINVAL


def full_disk():
    fault = Fault("cannot write", retryable=True)
    fault.__cause__ = OSError(errno.ENOSPC, "full")
    return fault


@pytest.mark.parametrize(
    ("failure", "of_read", "of_write"),
    [
        (Fault("bad medium", retryable=False), EIO, EIO),
        (full_disk(), ENOSPC, ENOSPC),
        (Refusal("not now"), EINVAL, EPERM),
        (Corruption("wrong tag"), EIO, EIO),
        (Cancelled("stopped"), ESHUTDOWN, ESHUTDOWN),
    ],
)
@pytest.mark.parametrize("structured", [True, False])
def test_failures_of_an_export_become_errors(export, failure, of_read, of_write, structured):
    def fail(*_):
        raise failure

    export.read = export.write = fail
    session = Session(export, structured=structured)
    for reply, expected in (
        (session.ask(READ, 0, 1), of_read),
        (session.ask(WRITE, 0, data=b"x"), of_write),
    ):
        assert reply.error == expected
        assert not structured or reply.message == str(failure)


def test_corruption_raises_an_alarm(session, export, caplog):
    def fail(*_):
        raise Corruption("block 5 has a wrong tag")

    export.read = fail
    session.ask(READ, 0, 1)
    assert [record.levelname for record in caplog.records] == ["CRITICAL"]


@pytest.mark.parametrize("answer", [b"", b"too long"])
def test_a_bug_in_an_export_is_an_error_that_tells_clients_nothing(session, export, caplog, answer):
    export.read = lambda *_: answer
    reply = session.ask(READ, 0, 4)
    assert reply.error == EIO
    assert reply.message == "internal error, see the server's log"
    assert caplog.records[0].exc_info


@pytest.mark.parametrize("runs", [[], [(0, 0)], [(600, 0)]])
def test_an_export_whose_status_is_nonsense_is_an_error(session, export, runs):
    export.block_status = lambda *_: iter([StatusRun(*run) for run in runs])
    assert session.ask(BLOCK_STATUS, 0, 512).error == EIO


@pytest.mark.parametrize(
    "stream",
    [
        b"\x25\x60\x95\x14" + bytes(24),
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        request(WRITE, 0, 32 * MIB + 1),
    ],
)
def test_where_requests_cannot_be_told_apart_the_connection_is_dropped(session, stream):
    with pytest.raises(ProtocolViolationError):
        session.send(stream)


def test_nothing_is_understood_after_goodbye(session):
    assert session.send(request(DISC) + request(READ, 0, 1)) == b""
    assert session.transmission.state is State.ENDED
