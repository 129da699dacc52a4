"""The numbers of the NBD protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md."""

import struct
from enum import Enum, IntEnum, IntFlag
from typing import Final

from lamina.units import KIB, MIB

GREETING_MAGIC: Final = 0x4E42444D41474943  # "NBDMAGIC"
OPTION_MAGIC: Final = 0x49484156454F5054  # "IHAVEOPT"
OPTION_REPLY_MAGIC: Final = 0x3E889045565A9
REQUEST_MAGIC: Final = 0x25609513
SIMPLE_REPLY_MAGIC: Final = 0x67446698
CHUNK_MAGIC: Final = 0x668E33EF

GREETING: Final = struct.Struct(">QQH")  # both magics, handshake flags
CLIENT_FLAGS: Final = struct.Struct(">I")
OPTION: Final = struct.Struct(">QII")  # magic, option, length of its data
OPTION_REPLY: Final = struct.Struct(">QIII")  # magic, option, reply type, length of its data
REQUEST: Final = struct.Struct(">IHHQQI")  # magic, flags, command, cookie, offset, length
SIMPLE_REPLY: Final = struct.Struct(">IIQ")  # magic, error, cookie
CHUNK: Final = struct.Struct(">IHHQI")  # magic, flags, type, cookie, length of its payload
DESCRIPTOR: Final = struct.Struct(">II")  # length, status flags

MINIMUM_BLOCK_BYTES: Final = 1
PREFERRED_BLOCK_BYTES: Final = 64 * KIB
MAXIMUM_PAYLOAD_BYTES: Final = 32 * MIB
MAXIMUM_STRING_BYTES: Final = 4096


class HandshakeFlag(IntFlag):
    """What either side can do; both use the same bits."""

    FIXED_NEWSTYLE = 1 << 0
    NO_ZEROES = 1 << 1


class TransmissionFlag(IntFlag):
    """What an export can do."""

    HAS_FLAGS = 1 << 0
    READ_ONLY = 1 << 1
    SEND_FLUSH = 1 << 2
    SEND_FUA = 1 << 3
    SEND_TRIM = 1 << 5
    SEND_WRITE_ZEROES = 1 << 6
    SEND_DF = 1 << 7
    CAN_MULTI_CONN = 1 << 8
    SEND_CACHE = 1 << 10
    SEND_FAST_ZERO = 1 << 11


class Option(IntEnum):
    """What a client may ask for before transmission."""

    EXPORT_NAME = 1
    ABORT = 2
    LIST = 3
    STARTTLS = 5
    INFO = 6
    GO = 7
    STRUCTURED_REPLY = 8
    LIST_META_CONTEXT = 9
    SET_META_CONTEXT = 10


class OptionReply(IntEnum):
    """How an option is answered."""

    ACK = 1
    SERVER = 2
    INFO = 3
    META_CONTEXT = 4
    ERR_UNSUP = 2**31 + 1
    ERR_POLICY = 2**31 + 2
    ERR_INVALID = 2**31 + 3
    ERR_UNKNOWN = 2**31 + 6
    ERR_SHUTDOWN = 2**31 + 7
    ERR_TOO_BIG = 2**31 + 9


class Info(IntEnum):
    """What a client may want to know about an export."""

    EXPORT = 0
    NAME = 1
    DESCRIPTION = 2
    BLOCK_SIZE = 3


class Command(IntEnum):
    """What a client may ask for in transmission."""

    READ = 0
    WRITE = 1
    DISC = 2
    FLUSH = 3
    TRIM = 4
    CACHE = 5
    WRITE_ZEROES = 6
    BLOCK_STATUS = 7


class CommandFlag(IntFlag):
    """How a command is to be carried out."""

    FUA = 1 << 0
    NO_HOLE = 1 << 1
    DF = 1 << 2
    REQ_ONE = 1 << 3
    FAST_ZERO = 1 << 4


CHUNK_DONE: Final = 1  # NBD_REPLY_FLAG_DONE: the last chunk of a reply


class Chunk(IntEnum):
    """The pieces of a structured reply."""

    NONE = 0
    OFFSET_DATA = 1
    OFFSET_HOLE = 2
    BLOCK_STATUS = 5
    ERROR = 2**15 + 1


class Errno(Enum):
    """The error values that the protocol allows."""

    PERM = 1
    IO = 5
    INVALID = 22
    NO_SPACE = 28
    OVERFLOW = 75
    NOT_SUPPORTED = 95
    SHUTDOWN = 108


class AllocationFlag(IntFlag):
    """The status words of the metadata context `base:allocation`."""

    HOLE = 1 << 0
    ZERO = 1 << 1


BASE_ALLOCATION: Final = "base:allocation"
