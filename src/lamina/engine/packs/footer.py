"""The footer of a pack: which records it holds, and where (docs/format.md §3.4)."""

from collections.abc import Iterable
from typing import NamedTuple

from lamina.engine.format import (
    FOOTER_ROW,
    OBJECT_HEADER,
    PACK_END,
    PACK_HEADER,
    PACK_TRAILER,
    RECORD_OVERHEAD,
    TAG_BYTES,
    PackId,
    check_header,
    object_header,
    pack_key,
)
from lamina.engine.seal.encryption import PackCipher
from lamina.failures import Corruption


class FooterRow(NamedTuple):
    """One record of a pack: its id, and its place in bytes."""

    identity: bytes
    offset: int
    length: int


def encode_header(kind: bytes, domain: bytes, pack: PackId) -> bytes:
    """The first 48 bytes of a pack."""
    return PACK_HEADER.pack(object_header(kind), domain, pack.session, pack.number, 0)


def check_pack_header(data: bytes | memoryview, kind: bytes, domain: bytes, pack: PackId) -> None:
    """Make sure that a pack begins as the pack with this name does.

    Raises:
        Corruption: it does not.
    """
    key = pack_key(kind, pack)
    check_header(data[: OBJECT_HEADER.size], kind, key)
    if bytes(data[: PACK_HEADER.size]) != encode_header(kind, domain, pack):
        raise Corruption(f"object {key!r} is damaged: its header is not that of this pack")


def encode_footer(cipher: PackCipher, header: bytes, rows: Iterable[FooterRow]) -> bytes:
    """Sealed footer and trailer."""
    packed = [FOOTER_ROW.pack(*row) for row in rows]
    sealed = cipher.seal_footer(b"".join(packed), header)
    return sealed + PACK_TRAILER.pack(len(sealed), len(packed), PACK_END)


def footer_bytes(rows: int) -> int:
    """How long sealed footer and trailer of a pack with this many records are."""
    return rows * FOOTER_ROW.size + TAG_BYTES + PACK_TRAILER.size


def decode_trailer(tail: bytes, size: int, key: str) -> int:
    """How many bytes at the end of a pack are sealed footer and trailer.

    Args:
        tail: the pack's last bytes, at least the trailer.
        size: the size of the whole pack.
        key: the pack's object key, for messages.

    Raises:
        Corruption: the pack is cut short or its trailer damaged.
    """
    if size < PACK_HEADER.size + footer_bytes(0) or len(tail) < PACK_TRAILER.size:
        raise Corruption(f"object {key!r} is damaged: it is cut short ({size} bytes)")
    length, count, end = PACK_TRAILER.unpack_from(tail, len(tail) - PACK_TRAILER.size)
    total: int = length + PACK_TRAILER.size
    if end != PACK_END or total != footer_bytes(count) or total > size - PACK_HEADER.size:
        raise Corruption(f"object {key!r} is damaged: its end is not that of a pack")
    return total


def decode_footer(cipher: PackCipher, header: bytes, footer: bytes, size: int, key: str) -> list[FooterRow]:
    """The rows of a footer, checked to tile the pack exactly.

    Args:
        cipher: the pack's cipher.
        header: the pack's first 48 bytes, as they should be.
        footer: sealed footer and trailer.
        size: the size of the whole pack.
        key: the pack's object key, for messages.

    Raises:
        Corruption: the footer does not authenticate or does not fit the pack.
    """
    try:
        packed = cipher.open_footer(footer[: -PACK_TRAILER.size], header)
    except Corruption as damage:
        raise Corruption(f"object {key!r} is damaged: {damage}") from damage
    rows = [FooterRow(*row) for row in FOOTER_ROW.iter_unpack(packed)]
    end = PACK_HEADER.size
    for row in rows:
        if row.offset != end or row.length < RECORD_OVERHEAD:
            raise Corruption(f"object {key!r} is damaged: its records do not lie side by side")
        end += row.length
    if end + len(footer) != size:
        raise Corruption(
            f"object {key!r} is damaged: it has {size} bytes where {end + len(footer)} should be"
        )
    return rows
