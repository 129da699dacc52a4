"""The handshake, bytes in and bytes out, against golden sequences from the protocol document."""

import struct

import pytest

from lamina.blockio.nbd.handshake import OPTION_LIMIT_BYTES, Handshake, ProtocolViolationError, State
from tests.unit.blockio.nbd.memory_export import MemoryExport

ACK, SERVER, INFO, META_CONTEXT = 1, 2, 3, 4
UNSUP, POLICY, INVALID, UNKNOWN, SHUTDOWN, TOO_BIG = (2**31 + code for code in (1, 2, 3, 6, 7, 9))
FIXED_AND_NO_ZEROES = b"\0\0\0\3"


def option(code, data=b""):
    return b"IHAVEOPT" + struct.pack(">II", code, len(data)) + data


def string(text):
    return struct.pack(">I", len(text)) + text


def go(name=b"", *infos):
    return string(name) + struct.pack(f">H{len(infos)}H", len(infos), *infos)


def queries(name, *texts):
    return string(name) + struct.pack(">I", len(texts)) + b"".join(map(string, texts))


def parse(replies):
    """Option replies as (option, type, data)."""
    parsed = []
    while replies:
        magic, code, kind, length = struct.unpack_from(">QIII", replies)
        assert magic == 0x3E889045565A9
        parsed.append((code, kind, replies[20 : 20 + length]))
        replies = replies[20 + length :]
    return parsed


def kinds(replies):
    return [kind for _, kind, _ in parse(replies)]


@pytest.fixture
def exports():
    disks = [
        MemoryExport(0x123456, name="disk", description="ä disk"),
        MemoryExport(512, name="other", is_read_only=True, description=""),
    ]
    return {disk.name: disk for disk in disks}


@pytest.fixture
def handshake(exports):
    handshake = Handshake(exports, is_stopping=lambda: False)
    assert handshake.receive(FIXED_AND_NO_ZEROES) == b""
    return handshake


def test_the_greeting_is_that_of_fixed_newstyle():
    assert Handshake.greeting() == b"NBDMAGICIHAVEOPT\x00\x03"


def test_go_tells_size_and_abilities_and_selects(handshake, exports):
    replies = handshake.receive(option(7, go(b"disk")))
    assert replies == (
        bytes.fromhex("0003e889045565a9 00000007 00000003 0000000c")
        + bytes.fromhex("0000 0000000000123456 0d6d")
        + bytes.fromhex("0003e889045565a9 00000007 00000001 00000000")
    )
    assert handshake.state is State.SELECTED
    assert handshake.selection.export is exports["disk"]
    assert not handshake.selection.structured
    assert handshake.selection.contexts == {}


def test_go_answers_what_was_asked_for_and_ignores_unknown_wishes(handshake):
    replies = parse(handshake.receive(option(7, go(b"disk", 1, 2, 3, 99))))
    assert [data for _, kind, data in replies if kind == INFO][1:] == [
        b"\0\1disk",
        b"\0\2" + "ä disk".encode(),
        b"\0\3" + struct.pack(">III", 1, 65536, 32 * 1024 * 1024),
    ]


def test_a_read_only_export_offers_nothing_that_writes(handshake):
    _, _, data = parse(handshake.receive(option(6, go(b"other"))))[0]
    assert struct.unpack(">HQH", data) == (0, 512, 0b0101_0000_0011)
    assert handshake.state is State.OPTION


def test_structured_replies_bring_the_df_flag(handshake):
    assert kinds(handshake.receive(option(8))) == [ACK]
    _, _, data = parse(handshake.receive(option(7, go(b"disk"))))[0]
    assert data[-2:] == b"\x0d\xed"
    assert handshake.selection.structured


def test_what_follows_go_belongs_to_transmission(handshake):
    handshake.receive(option(7, go(b"disk")) + b"first request")
    assert handshake.rest == b"first request"


def test_bytes_may_come_one_by_one(exports):
    handshake = Handshake(exports, is_stopping=lambda: False)
    stream = FIXED_AND_NO_ZEROES + option(3) + option(77, b"xyz") + option(7, go(b"disk"))
    replies = b"".join(handshake.receive(bytes([byte])) for byte in stream)
    assert kinds(replies) == [SERVER, SERVER, ACK, UNSUP, INFO, ACK]


@pytest.mark.parametrize(("flags", "padding"), [(b"\0\0\0\1", 124), (b"\0\0\0\3", 0)])
def test_the_old_way_to_select_an_export(exports, flags, padding):
    handshake = Handshake(exports, is_stopping=lambda: False)
    replies = handshake.receive(flags + option(1, b"disk"))
    assert replies == bytes.fromhex("0000000000123456 0d6d") + bytes(padding)
    assert handshake.state is State.SELECTED


@pytest.mark.parametrize("data", [b"missing", b"\xff", b"a\0b", b"x" * 4097, b"x" * (OPTION_LIMIT_BYTES + 1)])
def test_the_old_way_cannot_say_no_and_drops_the_connection(handshake, data):
    with pytest.raises(ProtocolViolationError):
        handshake.receive(option(1, data))


def test_the_only_export_is_the_default_and_several_have_none(handshake, exports):
    assert kinds(handshake.receive(option(6, go(b"")))) == [UNKNOWN]
    del exports["other"]
    assert kinds(handshake.receive(option(6, go(b"")))) == [INFO, ACK]


def test_list_names_every_export_with_its_description(handshake):
    assert parse(handshake.receive(option(3))) == [
        (3, SERVER, string(b"disk") + "ä disk".encode()),
        (3, SERVER, string(b"other")),
        (3, ACK, b""),
    ]


def test_a_long_description_is_cut_between_two_characters(exports):
    exports["disk"].description = "x" + "ä" * 4000
    handshake = Handshake(exports, is_stopping=lambda: False)
    handshake.receive(FIXED_AND_NO_ZEROES)
    _, _, data = parse(handshake.receive(option(6, go(b"disk", 2))))[1]
    assert data[2:].decode() == "x" + "ä" * 2047


def test_abort_is_acknowledged_and_ends(handshake):
    assert kinds(handshake.receive(option(2) + option(3))) == [ACK]
    assert handshake.state is State.ENDED


def test_tls_is_refused_by_policy(handshake):
    assert kinds(handshake.receive(option(5))) == [POLICY]


def test_contexts_are_listed_by_name_by_wildcard_and_all(handshake):
    def listed(*texts):
        replies = parse(handshake.receive(option(9, queries(b"disk", *texts))))
        assert replies[-1][1] == ACK
        return [data for _, kind, data in replies if kind == META_CONTEXT]

    assert listed() == [b"\0\0\0\0base:allocation", b"\0\0\0\0x-test:parity"]
    assert listed(b"base:") == [b"\0\0\0\0base:allocation"]
    assert listed(b"x-test:parity", b"unknown:leaf") == [b"\0\0\0\0x-test:parity"]
    assert listed(b"base:nothing") == []


def test_contexts_are_selected_by_name_only_and_for_their_export_only(handshake):
    handshake.receive(option(8))
    replies = parse(handshake.receive(option(10, queries(b"disk", b"base:", b"x-test:parity"))))
    assert replies == [(10, META_CONTEXT, b"\0\0\0\2x-test:parity"), (10, ACK, b"")]
    handshake.receive(option(7, go(b"disk")))
    assert handshake.selection.contexts == {2: "x-test:parity"}


def test_contexts_of_another_export_or_of_a_failed_choice_do_not_count(handshake, exports):
    for second in (b"", option(10, queries(b"missing", b"base:allocation"))):
        handshake = Handshake(exports, is_stopping=lambda: False)
        chosen = b"other" if not second else b"disk"
        handshake.receive(FIXED_AND_NO_ZEROES + option(8))
        handshake.receive(option(10, queries(b"disk", b"base:allocation")) + second + option(7, go(chosen)))
        assert handshake.selection.contexts == {}


def test_contexts_need_structured_replies(handshake):
    assert kinds(handshake.receive(option(10, queries(b"disk", b"base:allocation")))) == [INVALID]


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (3, b"x"),
        (5, b"x"),
        (8, b"x"),
        (6, b""),
        (7, b"\0\0\0"),
        (7, string(b"disk") + b"\0\1"),
        (7, go(b"disk") + b"x"),
        (7, b"\xff\xff\xff\xff"),
        (7, go(b"\xff\xfe")),
        (7, go(b"d" * 4097)),
        (6, go(b"di\0sk")),
        (9, string(b"disk")),
        (9, string(b"disk") + b"\xff\xff\xff\xff"),
        (9, queries(b"disk", b"no-namespace")),
        (9, queries(b"disk", b"base:allocation") + b"x"),
    ],
)
def test_malformed_options_are_invalid_and_the_session_goes_on(handshake, code, data):
    replies = handshake.receive(option(code, data) + option(3))
    assert kinds(replies) == [INVALID, SERVER, SERVER, ACK]
    assert handshake.state is State.OPTION


@pytest.mark.parametrize("code", [6, 7, 9])
def test_an_unknown_export_is_said_to_be_unknown(handshake, code):
    data = queries(b"missing") if code == 9 else go(b"missing")
    ((_, kind, message),) = parse(handshake.receive(option(code, data)))
    assert kind == UNKNOWN
    assert b"'missing'" in message
    assert handshake.selection is None


def test_a_long_option_is_skipped_without_being_kept(handshake):
    length = OPTION_LIMIT_BYTES + 100_000
    replies = handshake.receive(b"IHAVEOPT" + struct.pack(">II", 3, length))
    for _ in range(length // 1000):
        replies += handshake.receive(bytes(1000))
        assert len(handshake.rest) <= 1000
    replies += handshake.receive(bytes(length % 1000) + option(3))
    assert kinds(replies) == [TOO_BIG, SERVER, SERVER, ACK]


@pytest.mark.parametrize(
    "stream",
    [
        b"IHAVEOPU" + bytes(8),
        b"IHAVEOPT" + struct.pack(">II", 3, 2**25 + 1),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_option_drops_the_connection(handshake, stream):
    with pytest.raises(ProtocolViolationError):
        handshake.receive(stream)


def test_unknown_client_flags_drop_the_connection(exports):
    with pytest.raises(ProtocolViolationError, match="flags"):
        Handshake(exports, is_stopping=lambda: False).receive(b"\0\0\0\4")


def test_a_stopping_server_refuses_all_but_goodbye(exports):
    handshake = Handshake(exports, is_stopping=lambda: True)
    replies = handshake.receive(FIXED_AND_NO_ZEROES + option(3) + option(7, go(b"disk")) + option(2))
    assert kinds(replies) == [SHUTDOWN, SHUTDOWN, ACK]
    with pytest.raises(ProtocolViolationError):
        Handshake(exports, is_stopping=lambda: True).receive(FIXED_AND_NO_ZEROES + option(1, b"disk"))
