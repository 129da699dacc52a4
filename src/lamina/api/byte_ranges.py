"""The `Range` header: which part of an object is asked for (RFC 9110 §14)."""

import re
from dataclasses import dataclass
from typing import Final

from lamina.failures import Refusal

_ONE_RANGE: Final = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII)


class RangeNotSatisfiableError(Refusal):
    """The range begins behind the end of the object."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(f"The object has {size_bytes} bytes; the range begins behind them.")
        self.size_bytes = size_bytes


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes `[start, end)`."""

    start: int
    end: int


def choose_range(header: str | None, size_bytes: int) -> ByteRange | None:
    """The part that is asked for; None for the whole.

    Several ranges at once, other units and what is malformed are answered with the whole, which RFC 9110 §14.2 allows.

    Raises:
        RangeNotSatisfiableError: the range begins behind the end.
    """
    found = _ONE_RANGE.fullmatch(header or "")
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":  # the last bytes
        length = min(int(found[2]), size_bytes)
        if length == 0:
            raise RangeNotSatisfiableError(size_bytes)
        return ByteRange(size_bytes - length, size_bytes)
    start = int(found[1])
    last = int(found[2]) if found[2] else size_bytes - 1
    if found[2] and last < start:
        return None
    if start >= size_bytes:
        raise RangeNotSatisfiableError(size_bytes)
    return ByteRange(start, min(last + 1, size_bytes))
