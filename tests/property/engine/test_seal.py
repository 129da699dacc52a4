"""Sealing: what was sealed opens, and nothing else does."""

import os
from datetime import UTC, datetime

import msgspec
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.engine.format import (
    DEFAULT_DOMAIN,
    JSON_LENGTH,
    KIND_DATA_PACK,
    KIND_MARKER,
    KIND_SESSION,
    OBJECT_HEADER,
    PackId,
)
from lamina.engine.seal.compression import Compressor, decompress
from lamina.engine.seal.encryption import ObjectCipher, PackCipher
from lamina.engine.seal.keys import KeyFile, MasterKey, Passphrase, WrongSecretError, unwrap, wrap
from lamina.failures import Corruption, LaminaError, Refusal

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MASTER = MasterKey(bytes(16), bytes(range(32)))
KEYS = MASTER.domain_keys(DEFAULT_DOMAIN)
PACK = PackId(b"s" * 16, 1)
SLOT = wrap(MASTER, KeyFile(b"k" * 32), NOW)


def seal(payload, offset=48, identity=b"i" * 32, pack=PACK):
    record = bytearray(len(payload) + 17)
    PackCipher(KEYS.pack_key(KIND_DATA_PACK, pack)).seal_into(
        memoryview(record), offset, identity, 0, payload
    )
    return bytes(record)


def open_record(record, offset=48, identity=b"i" * 32, pack=PACK):
    return PackCipher(KEYS.pack_key(KIND_DATA_PACK, pack)).open(memoryview(record), offset, identity)


@given(st.binary(max_size=2000))
def test_a_record_opens_to_what_was_sealed(payload):
    assert open_record(seal(payload)) == (0, payload)


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_record_with_one_bit_changed_does_not_open(payload, data):
    record = bytearray(seal(payload))
    record[data.draw(st.integers(0, len(record) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Corruption):
        open_record(record)


@pytest.mark.parametrize(
    "other",
    [{"offset": 49}, {"identity": b"j" * 32}, {"pack": PackId(b"s" * 16, 2)}, {"pack": PackId(b"t" * 16, 1)}],
)
def test_a_record_opens_only_where_and_as_what_it_was_sealed(other):
    with pytest.raises(Corruption):
        open_record(seal(b"payload"), **other)


@pytest.mark.parametrize("length", range(18))
def test_a_record_that_is_cut_short_does_not_open(length):
    with pytest.raises(Corruption):
        open_record(seal(b"x")[:length])


@given(st.binary(max_size=500), st.data())
def test_a_small_object_opens_only_whole_under_its_key_and_kind(body, data):
    cipher = ObjectCipher(MASTER.object_key())
    sealed = cipher.seal(KIND_MARKER, "a/b", body)
    assert cipher.open(KIND_MARKER, "a/b", sealed) == body
    with pytest.raises(Corruption):
        cipher.open(KIND_MARKER, "a/c", sealed)
    with pytest.raises(Corruption):
        cipher.open(KIND_SESSION, "a/b", sealed)
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytearray(sealed)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((Corruption, Refusal)):  # a refusal where it looks like a later version
        cipher.open(KIND_MARKER, "a/b", bytes(changed))
    with pytest.raises(Corruption):
        cipher.open(KIND_MARKER, "a/b", sealed[:at])


@given(st.one_of(st.binary(max_size=65536), st.binary(max_size=64).map(lambda piece: piece * 500)))
def test_compression_gives_back_what_it_was_given(data):
    encoding, payload = Compressor(1).compress(data)
    assert decompress(encoding, bytes(payload)) == data


def test_what_does_not_shrink_stays_as_it_is():
    noise = os.urandom(65536)
    encoding, payload = Compressor(3).compress(noise)
    assert encoding == 0
    assert payload is noise


@given(st.binary(max_size=300))
def test_a_frame_that_is_no_frame_is_corruption(payload):
    try:
        decompress(1, payload)
    except Corruption:
        return
    assert zstandard.frame_content_size(payload) >= 0


def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = zstandard.ZstdCompressor().compress(bytes(64 << 20))
    assert len(bomb) < 10_000
    with pytest.raises(Corruption, match="more bytes"):
        decompress(1, bomb)


def test_an_unknown_encoding_is_corruption():
    with pytest.raises(Corruption, match="encoding 2"):
        decompress(2, b"")


@pytest.mark.parametrize(
    "secret", [KeyFile(b"k" * 32), Passphrase("open sesame")], ids=["file", "passphrase"]
)
def test_a_slot_opens_with_its_secret_only(secret):
    slot = wrap(MASTER, secret, NOW)
    assert unwrap(slot, secret, "keys/0") == MASTER
    for wrong in (KeyFile(b"w" * 32), Passphrase("open says me")):
        with pytest.raises(WrongSecretError):
            unwrap(slot, wrong, "keys/0")
    assert MASTER.key not in slot


@settings(max_examples=200)
@given(st.integers(0, len(SLOT) - 1), st.integers(0, 7))
def test_a_slot_with_one_bit_changed_does_not_open(at, bit):
    slot = bytearray(SLOT)
    slot[at] ^= 1 << bit
    with pytest.raises(LaminaError):
        unwrap(bytes(slot), KeyFile(b"k" * 32), "keys/0")


@given(st.integers(0, len(SLOT) - 1))
def test_a_slot_that_is_cut_short_does_not_open(length):
    with pytest.raises(Corruption):
        unwrap(SLOT[:length], KeyFile(b"k" * 32), "keys/0")


@pytest.mark.parametrize(
    "demand",
    [{"memory_kib": 2**30}, {"time": 10**6}, {"lanes": 0}, {"time": 0}, {"lanes": 1000, "memory_kib": 9000}],
)
def test_a_slot_that_asks_for_absurd_work_is_refused(demand):
    slot = wrap(MASTER, Passphrase("x"), NOW)
    start = OBJECT_HEADER.size + JSON_LENGTH.size
    (length,) = JSON_LENGTH.unpack_from(slot, OBJECT_HEADER.size)
    head = msgspec.json.decode(slot[start : start + length])
    head["unlock"].update(demand)
    text = msgspec.json.encode(head)
    hostile = slot[: OBJECT_HEADER.size] + JSON_LENGTH.pack(len(text)) + text + slot[start + length :]
    with pytest.raises(Corruption, match="absurd"):
        unwrap(hostile, Passphrase("x"), "keys/0")


def test_secrets_that_are_none_are_refused():
    with pytest.raises(Refusal):
        Passphrase("")
    with pytest.raises(Refusal):
        KeyFile(b"short")


def test_secrets_do_not_show_in_what_is_printed():
    for value in (MASTER, KEYS, KeyFile(b"k" * 32), Passphrase("open sesame")):
        shown = repr(value)
        assert "open sesame" not in shown
        assert "kkkk" not in shown
        assert MASTER.key.hex() not in shown
        assert repr(MASTER.key) not in shown
