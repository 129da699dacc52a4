"""What the options of an NBD handshake bring with them: strings, lists of wishes, queries."""

from collections.abc import Sequence

from lamina.blockio.nbd.constants import MAXIMUM_STRING_BYTES


class InvalidOptionError(Exception):
    """An option's data is malformed; answered with NBD_REP_ERR_INVALID."""


def ensure_empty(data: bytes) -> None:
    """Raise `InvalidOptionError` if an option that brings nothing brings something."""
    if data:
        raise InvalidOptionError("this option brings no data")


def decode_string(name: bytes) -> str:
    """A string of the protocol: UTF-8 without NUL, at most 4096 bytes."""
    if len(name) > MAXIMUM_STRING_BYTES:
        raise InvalidOptionError(f"a string of {len(name)} bytes; {MAXIMUM_STRING_BYTES} are allowed")
    try:
        text = name.decode()
    except UnicodeDecodeError as error:
        raise InvalidOptionError("a string is not UTF-8") from error
    if "\0" in text:
        raise InvalidOptionError("a string holds a NUL")
    return text


class _Fields:
    """Reads the fields of an option's data, one after the other, and never past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take_bytes(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise InvalidOptionError("the option's data is shorter than it says")
        self._position, start = end, self._position
        return self._data[start:end]

    def take_number(self, size: int) -> int:
        return int.from_bytes(self.take_bytes(size))

    def take_string(self) -> str:
        return decode_string(self.take_bytes(self.take_number(4)))

    def ensure_end(self) -> None:
        if self._position != len(self._data):
            raise InvalidOptionError("the option's data is longer than it says")


def parse_info(data: bytes) -> tuple[str, frozenset[int]]:
    """The data of NBD_OPT_INFO and NBD_OPT_GO: a name, and what the client wants to know."""
    fields = _Fields(data)
    name = fields.take_string()
    wanted = frozenset(fields.take_number(2) for _ in range(fields.take_number(2)))
    fields.ensure_end()
    return name, wanted


def parse_contexts(data: bytes) -> tuple[str, Sequence[str]]:
    """The data of the two context options: a name, and queries, each with a namespace."""
    fields = _Fields(data)
    name = fields.take_string()
    queries = [fields.take_string() for _ in range(fields.take_number(4))]
    fields.ensure_end()
    if any(":" not in query for query in queries):
        raise InvalidOptionError("a query names no namespace")
    return name, queries
