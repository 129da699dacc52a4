"""Streams whose bytes go to a function or come from one, for services that know neither files nor sockets."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from lamina.units import MIB

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_BUFFER_BYTES: Final = MIB


@contextmanager
def stream_into(write: Callable[[memoryview], None]) -> Iterator[IO[bytes]]:
    """A buffered stream into `write`, which takes all that it is given or raises.

    When the block ends with an exception, what is still in the buffer goes nowhere.
    """
    sink = _Sink(write)
    stream = io.BufferedWriter(sink, _BUFFER_BYTES)
    try:
        yield stream
        if not stream.closed:  # programs that wrap a stream often close it
            stream.flush()
    finally:
        sink.is_shut = True
        stream.close()


def stream_from(read: Callable[[memoryview], int]) -> IO[bytes]:
    """A buffered stream from `read`, which fills a part of what it is given and answers how much; 0 at the end."""
    return io.BufferedReader(_Source(read), _BUFFER_BYTES)


class _Source(io.RawIOBase):
    def __init__(self, read: Callable[[memoryview], int]) -> None:
        super().__init__()
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        return self._read(memoryview(buffer).cast("B"))


class _Sink(io.RawIOBase):
    def __init__(self, write: Callable[[memoryview], None]) -> None:
        super().__init__()
        self._write = write
        self.is_shut = False

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        view = memoryview(data).cast("B")
        if not self.is_shut:
            self._write(view)
        return len(view)
