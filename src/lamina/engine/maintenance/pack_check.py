"""Checking one pack byte by byte: header, footer, and every record."""

from dataclasses import dataclass

from lamina.engine.blockmap.page import PAGE_BYTES_MAX, Branch, Leaf
from lamina.engine.format import (
    BLOCK_BYTES,
    BRANCH_TAG,
    DEFAULT_DOMAIN,
    KIND_DATA_PACK,
    PackId,
    UnknownVersionError,
    parse_pack_key,
)
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.packs.footer import (
    FooterRow,
    check_pack_header,
    decode_footer,
    decode_trailer,
    encode_header,
)
from lamina.engine.repository import Repository
from lamina.engine.seal.compression import decompress
from lamina.engine.seal.encryption import PackCipher
from lamina.failures import Corruption


@dataclass(frozen=True, slots=True, kw_only=True)
class PackCheck:
    """What a look at every byte of a pack found.

    Attributes:
        good_rows: offset, length and id of the records that are sound.
        reasons: what is wrong; empty for a sound pack.
    """

    good_rows: frozenset[tuple[int, int, bytes]]
    reasons: tuple[str, ...]


def check_pack(repository: Repository, key: str) -> PackCheck | None:
    """Read a pack and authenticate all of it; `key` is its object key. None when there is no such pack.

    Raises:
        Fault: the store failed.
    """
    named = parse_pack_key(key)
    if named is None:
        raise ValueError(f"not a pack: {key}")
    kind, pack = named
    try:
        data = repository.store.get(key)
    except ObjectMissingError:
        return None
    cipher = PackCipher(repository.master.domain_keys(DEFAULT_DOMAIN).pack_key(kind, pack))
    reasons: list[str] = []
    try:
        check_pack_header(data, kind, DEFAULT_DOMAIN, pack)
    except (Corruption, UnknownVersionError) as damage:
        reasons.append(str(damage))
    try:
        rows = _read_rows(cipher, kind, pack, data, key)
    except Corruption as damage:
        return PackCheck(good_rows=frozenset(), reasons=(*reasons, str(damage)))
    good = set()
    view = memoryview(data)
    for row in rows:
        try:
            _check_record(repository, kind, cipher, view[row.offset : row.offset + row.length], row)
        except Corruption as damage:
            last = row.offset + row.length - 1
            reasons.append(f"object {key!r} is damaged at bytes {row.offset}-{last}: {damage}")
        else:
            good.add((row.offset, row.length, row.identity))
    return PackCheck(good_rows=frozenset(good), reasons=tuple(reasons))


def _read_rows(cipher: PackCipher, kind: bytes, pack: PackId, data: bytes, key: str) -> list[FooterRow]:
    length = decode_trailer(data, len(data), key)
    header = encode_header(kind, DEFAULT_DOMAIN, pack)
    return decode_footer(cipher, header, data[-length:], len(data), key)


def _check_record(
    repository: Repository, kind: bytes, cipher: PackCipher, record: memoryview, row: FooterRow
) -> None:
    encoding, payload = cipher.open(record, row.offset, row.identity)
    if kind == KIND_DATA_PACK:
        block = decompress(encoding, payload, BLOCK_BYTES)
        if len(block) != BLOCK_BYTES or repository.identity.block(block) != row.identity:
            raise Corruption("a record does not hold the block that it is named after")
        return
    data = decompress(encoding, payload, PAGE_BYTES_MAX)
    page = Branch.decode(data) if data[:1] == bytes([BRANCH_TAG]) else Leaf.decode(data)
    if page.page_id(repository.identity) != row.identity:
        raise Corruption("a record does not hold the page that it is named after")
