"""A small NBD client: reads and writes a disk over a Unix socket, one request at a time.

It knows nothing of Lamina: it is written from the protocol alone, so that the demo does not ask the product to
confirm itself. The protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_GREETING: Final = struct.Struct(">8s8sH")
_OPTION: Final = struct.Struct(">8sII")
_OPTION_REPLY: Final = struct.Struct(">QIII")
_EXPORT_INFO: Final = struct.Struct(">HQH")
_REQUEST: Final = struct.Struct(">IHHQQI")
_REPLY: Final = struct.Struct(">IIQ")

_HAVE_OPTION: Final = b"IHAVEOPT"
_FIXED_NEWSTYLE_NO_ZEROES: Final = 3
_OPTION_GO: Final = 7
_REPLY_ACK, _REPLY_INFO = 1, 3
_READ, _WRITE, _DISCONNECT, _FLUSH = 0, 1, 2, 3
_REQUEST_MAGIC: Final = 0x25609513
_REPLY_MAGIC: Final = 0x67446698
_PIECE_BYTES: Final = 4 * 1024 * 1024  # servers must take 32 MiB; smaller pieces keep memory small


class NbdError(Exception):
    """The server refused something, or broke the protocol."""


class NbdClient:
    """One connection to the default export of a server.

    Attributes:
        size_bytes: the size of the disk.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self.size_bytes = self._negotiate()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`."""
        pieces = []
        for at in range(offset, offset + length, _PIECE_BYTES):
            count = min(_PIECE_BYTES, offset + length - at)
            self._ask(_READ, at, count)
            pieces.append(self._receive(count))
        return b"".join(pieces)

    def write(self, offset: int, data: bytes) -> None:
        """Write `data` at `offset`; durable after `flush`."""
        for at in range(0, len(data), _PIECE_BYTES):
            piece = data[at : at + _PIECE_BYTES]
            self._ask(_WRITE, offset + at, len(piece), piece)

    def flush(self) -> None:
        """Make everything that was written durable."""
        self._ask(_FLUSH, 0, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._socket:
            self._socket.sendall(_REQUEST.pack(_REQUEST_MAGIC, 0, _DISCONNECT, 0, 0, 0))

    def _negotiate(self) -> int:
        magic, option, _flags = _GREETING.unpack(self._receive(_GREETING.size))
        if (magic, option) != (b"NBDMAGIC", _HAVE_OPTION):
            raise NbdError("this is no NBD server of the fixed newstyle")
        wish = struct.pack(">IH", 0, 0)  # the default export, and nothing but the obligatory facts
        self._socket.sendall(
            struct.pack(">I", _FIXED_NEWSTYLE_NO_ZEROES)
            + _OPTION.pack(_HAVE_OPTION, _OPTION_GO, len(wish))
            + wish
        )
        size = None
        while True:
            _, _, kind, length = _OPTION_REPLY.unpack(self._receive(_OPTION_REPLY.size))
            body = self._receive(length)
            if kind == _REPLY_INFO and body[:2] == b"\0\0":
                _, size, _ = _EXPORT_INFO.unpack(body)
            elif kind == _REPLY_ACK and size is not None:
                return int(size)
            elif kind != _REPLY_INFO:
                raise NbdError(f"the server refused the export: {body.decode(errors='replace')}")

    def _ask(self, command: int, offset: int, length: int, data: bytes = b"") -> None:
        self._socket.sendall(_REQUEST.pack(_REQUEST_MAGIC, 0, command, 0, offset, length) + data)
        magic, error, _cookie = _REPLY.unpack(self._receive(_REPLY.size))
        if magic != _REPLY_MAGIC:
            raise NbdError("the server broke the protocol")
        if error:
            raise NbdError(f"the server answered errno {error} for {length} bytes at {offset}")

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self._socket.recv_into(view)
            if not count:
                raise NbdError("the server closed the connection")
            view = view[count:]
        return bytes(data)
