"""The bytes of a repository: magic numbers, versions, layouts and limits. Mirrors docs/format.md line by line."""

from struct import Struct
from typing import Final, NamedTuple, NewType

from lamina.failures import Corruption, Refusal
from lamina.units import KIB, MIB

BlockId = NewType("BlockId", bytes)
PageId = NewType("PageId", bytes)
SessionId = NewType("SessionId", str)

MAGIC: Final = b"LAMINA"
VERSION: Final = 1

KIND_KEY_SLOT: Final = b"K"
KIND_MANIFEST: Final = b"R"
KIND_REVOCATION: Final = b"X"
KIND_MARKER: Final = b"D"
KIND_SESSION: Final = b"S"
KIND_CONDEMNED: Final = b"C"
KIND_WITNESSES: Final = b"W"
KIND_NOTE: Final = b"N"
KIND_DATA_PACK: Final = b"P"
KIND_MAP_PACK: Final = b"M"

BLOCK_BYTES: Final = 64 * KIB
ID_BYTES: Final = 32
DOMAIN_BYTES: Final = 16
SESSION_BYTES: Final = 16
REPOSITORY_BYTES: Final = 16
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

LEAF_BLOCKS: Final = 128
BRANCH_LEAVES: Final = 4096
LEAF_SPAN_BYTES: Final = LEAF_BLOCKS * BLOCK_BYTES
BRANCH_SPAN_BYTES: Final = BRANCH_LEAVES * LEAF_SPAN_BYTES

PACK_TARGET_BYTES: Final = 32 * MIB
DEFAULT_DOMAIN: Final = bytes(DOMAIN_BYTES)

OBJECT_HEADER: Final = Struct("<6scB")
PACK_HEADER: Final = Struct("<8s16s16sII")
PACK_TRAILER: Final = Struct("<II8s")
PACK_END: Final = b"LAMEND01"
FOOTER_ROW: Final = Struct("<32sII")
FOOTER_NONCE: Final = b"\xff" * NONCE_BYTES
RECORD_NONCE: Final = Struct(">QI")
RECORD_OVERHEAD: Final = 1 + TAG_BYTES

ENCODING_AS_IS: Final = 0
ENCODING_ZSTD: Final = 1

DATA_FOLDER: Final = "data/"
MAP_FOLDER: Final = "map/"

# A record is found by a 32-bit offset; a pack stays far below that.
PACK_BYTES_MAX: Final = PACK_TARGET_BYTES + 4 * MIB

LEAF_TAG: Final = 0x4C
BRANCH_TAG: Final = 0x42
PAGE_HEADER: Final = Struct("<BBH")
PAGE_PACK: Final = Struct("<16sI")
ROOT_COUNT: Final = Struct("<I")
ROOT_ROW: Final = Struct("<I32s16sIIIII")
JSON_LENGTH: Final = Struct("<I")
DISK_SIZE: Final = Struct("<Q")
ROOT_INDEX: Final = Struct("<I")


class UnknownVersionError(Refusal):
    """An object says that a later version of the format wrote it. Its one byte of version may also be damaged."""


class PackId(NamedTuple):
    """The name of a pack: who wrote it, and the how-many-th it was. Data and map packs count apart."""

    session: bytes
    number: int


class Location(NamedTuple):
    """Where a record lies: a pack, the record's offset in it, and its length in bytes."""

    pack: PackId
    offset: int
    length: int


def object_header(kind: bytes) -> bytes:
    """The first 8 bytes of an object of this kind."""
    return OBJECT_HEADER.pack(MAGIC, kind, VERSION)


def check_header(data: bytes | memoryview, kind: bytes, key: str) -> None:
    """Make sure that an object begins as one of its kind does.

    Raises:
        Corruption: the magic number or kind is another one.
        UnknownVersionError: it says that a later version of the format wrote it.
    """
    if len(data) < OBJECT_HEADER.size:
        raise Corruption(f"object {key!r} is damaged: it has only {len(data)} bytes")
    magic, found, version = OBJECT_HEADER.unpack_from(data)
    if magic != MAGIC or found != kind:
        raise Corruption(f"object {key!r} is damaged or is not a Lamina object of kind {kind.decode()}")
    if version != VERSION:
        raise UnknownVersionError(
            f"object {key!r} has format version {version}; this program knows version {VERSION}: use a later release"
            " (if none wrote it, the object is damaged)"
        )


def data_pack_key(pack: PackId) -> str:
    """The object key of a data pack."""
    return f"{DATA_FOLDER}{pack.session.hex()}/{pack.number:08x}"


def map_pack_key(pack: PackId) -> str:
    """The object key of a map pack."""
    return f"{MAP_FOLDER}{pack.session.hex()}/{pack.number:08x}"


def pack_key(kind: bytes, pack: PackId) -> str:
    """The object key of a pack of either kind."""
    return data_pack_key(pack) if kind == KIND_DATA_PACK else map_pack_key(pack)


def parse_pack_key(key: str) -> tuple[bytes, PackId] | None:
    """Kind and name of the pack with this object key; None when the key is none of ours."""
    folder, _, rest = key.partition("/")
    session, _, number = rest.partition("/")
    kind = {DATA_FOLDER: KIND_DATA_PACK, MAP_FOLDER: KIND_MAP_PACK}.get(folder + "/")
    if kind is None or len(session) != 2 * SESSION_BYTES or len(number) != 8:  # noqa: PLR2004 - eight hex digits
        return None
    try:
        pack = PackId(bytes.fromhex(session), int(number, 16))
    except ValueError:
        return None
    return (kind, pack) if pack_key(kind, pack) == key else None
