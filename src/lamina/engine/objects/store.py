"""What an object store must promise. Everything else in the engine rests on this page.

Guarantees that every implementation keeps (the contract suite `tests/contracts/object_store.py` shows them):

- **Durable**: when `put` or `put_new` returns, the object survives a power cut, under its full name.
- **Atomic**: a reader sees the whole object or none of it, also while it is being replaced.
- **Read after write**: once a call returned, every later `get*` and `list` of any process sees its effect.
- **Errors are honest**: a call that raises a `Fault` may or may not have taken effect; asking again is safe,
  since every call is idempotent (`put_new` settles by comparing contents).

Keys are relative paths of lower-case letters, digits, `-`, `_`, `.` and `/`; no segment is empty, longer than
255 characters, or starts with a dot. No key is the folder of another one (`a` and `a/b`): a directory cannot
hold both, and a store may answer such a put with a `Fault`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from lamina.failures import Fault, Refusal

Buffer = bytes | bytearray | memoryview

_SEGMENT: Final = r"[a-z0-9_-][a-z0-9_.-]{0,254}"  # 255 bytes: the longest file name of Linux (NAME_MAX)
_KEY: Final = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_PREFIX: Final = re.compile(rf"({_SEGMENT}/)*({_SEGMENT})?")
KEY_LENGTH_MAX: Final = 512  # S3 allows 1,024 bytes; the user's prefix takes its share

LISTING_PAGE_ROWS: Final = 1000
"""Rows that one request of a listing brings at most, as S3's ListObjectsV2 has it."""


class RequestKind(StrEnum):
    """The operations of an object store, for wrappers that count, delay or fail them by kind."""

    PUT = "put"
    PUT_NEW = "put_new"
    GET = "get"
    GET_RANGE = "get_range"
    GET_TAIL = "get_tail"
    LIST = "list"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One row of a listing.

    Attributes:
        key: the object's key.
        size_bytes: its length.
    """

    key: str
    size_bytes: int


class ObjectMissingError(Fault):
    """No object has this key. A fault and not a refusal: the engine only asks for what should be there."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the object store has no object {key!r}", retryable=False)
        self.key = key


class ObjectExistsError(Refusal):
    """`put_new` found other bytes under its key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the object {key!r} exists already, with other contents")
        self.key = key


class CreateOnlyUnsupportedError(Refusal):
    """The store cannot create an object only if it does not exist."""


class ObjectStore(Protocol):
    """A flat space of immutable-by-convention objects. Synchronous; any thread may call any method."""

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`. The buffer is contiguous and may be reused once the call returned."""
        ...

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key`; of several racing callers exactly one succeeds.

        A caller whose earlier attempt succeeded without its knowledge (a lost reply) also succeeds:
        an existing object with the same bytes counts as its own.

        Raises:
            ObjectExistsError: the key holds other bytes; nothing was changed.
            CreateOnlyUnsupportedError: the store has no such operation; nothing was changed.
        """
        ...

    def get(self, key: str) -> bytes:
        """All bytes of an object, or `ObjectMissingError`."""
        ...

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`; shorter, possibly empty, when the object ends earlier.

        Raises:
            ObjectMissingError: there is no such object.
            ValueError: `offset` or `length` is negative.
        """
        ...

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes (all of a shorter object) and the size of the object in bytes.

        Raises:
            ObjectMissingError: there is no such object.
            ValueError: `length` is negative.
        """
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix`, in the order of the keys' bytes.

        The prefix is a plain string: `a/b` also finds `a/bc`. What is created or deleted while the listing
        runs may be in it or not; what existed throughout is in it once.

        Raises:
            ValueError: at once, not at the first row: no key can start with `prefix`.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove an object; one that is not there counts as removed."""
        ...

    def describe(self) -> str:
        """Where the objects are, for messages and logs: a path or URL without any secret."""
        ...


def is_key(text: str) -> bool:
    """Whether the text keeps the rules for keys; what does not, stores leave out of listings as not ours."""
    return len(text) <= KEY_LENGTH_MAX and _KEY.fullmatch(text) is not None


def check_key(key: str) -> None:
    """Refuse a key that some store could not hold, or that could leave a directory store's folder.

    Raises:
        ValueError: the key breaks the rules at the head of this file. A bug of the caller, never of a user.
    """
    if not is_key(key):
        raise ValueError(f"not an object key: {key!r}")


def check_prefix(prefix: str) -> None:
    """Refuse a listing's prefix that no key can start with.

    Raises:
        ValueError: the prefix is not the beginning of a key. A bug of the caller, never of a user.
    """
    if len(prefix) > KEY_LENGTH_MAX or not _PREFIX.fullmatch(prefix):
        raise ValueError(f"not the beginning of an object key: {prefix!r}")


def check_range(offset: int, length: int) -> None:
    """Refuse a range with a negative side.

    Raises:
        ValueError: it has one. A bug of the caller.
    """
    if offset < 0 or length < 0:
        raise ValueError(f"not a range: offset {offset}, length {length}")


def view_bytes(data: Buffer) -> memoryview:
    """`data` as a flat view of bytes, without a copy, whatever the shape and item size of the buffer.

    Raises:
        TypeError: the buffer is not contiguous. A bug of the caller.
    """
    return memoryview(data).cast("B")
