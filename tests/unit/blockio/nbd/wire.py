"""The client's half of the transmission phase: makes requests, understands replies."""

import struct
from types import SimpleNamespace

from lamina.blockio.nbd.commands import execute
from lamina.blockio.nbd.handshake import Selection
from lamina.blockio.nbd.transmission import Rejected, Transmission

READ, WRITE, DISC, FLUSH, TRIM, CACHE, WRITE_ZEROES, BLOCK_STATUS = range(8)
FUA, NO_HOLE, DF, REQ_ONE, FAST_ZERO = (1 << bit for bit in range(5))
EPERM, EIO, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN = 1, 5, 22, 28, 75, 95, 108


def request(command, offset=0, length=0, *, flags=0, cookie=7, data=b""):
    return struct.pack(">IHHQQI", 0x25609513, flags, command, cookie, offset, length or len(data)) + data


def parse_replies(stream):
    """Simple replies without data and structured chunks, as one namespace per reply."""
    replies, open_replies = [], {}
    while stream:
        (magic,) = struct.unpack_from(">I", stream)
        if magic == 0x67446698:
            _, error, cookie = struct.unpack_from(">IIQ", stream)
            replies.append(SimpleNamespace(cookie=cookie, error=error, chunks=None))
            stream = stream[16:]
            continue
        assert magic == 0x668E33EF
        _, flags, kind, cookie, length = struct.unpack_from(">IHHQI", stream)
        payload, stream = stream[20 : 20 + length], stream[20 + length :]
        assert len(payload) == length
        reply = open_replies.setdefault(cookie, SimpleNamespace(cookie=cookie, error=0, chunks=[]))
        reply.chunks.append((kind, payload))
        if kind & 0x8000:
            reply.error, size = struct.unpack_from(">IH", payload)
            reply.message = payload[6 : 6 + size].decode()
        if flags & 1:
            replies.append(open_replies.pop(cookie))
    assert not open_replies
    return replies


def assemble(reply, offset, length):
    """The bytes that a structured read describes; checks that it covers the range exactly once."""
    data, seen = bytearray(length), 0
    for kind, payload in reply.chunks:
        (where,) = struct.unpack_from(">Q", payload)
        size = len(payload) - 8 if kind == 1 else struct.unpack_from(">I", payload, 8)[0]
        assert size > 0
        assert offset <= where
        assert where + size <= offset + length
        if kind == 1:
            data[where - offset : where - offset + size] = payload[8:]
        seen += size
    assert seen == length
    return bytes(data)


def parse_status(reply):
    """Descriptors by context id."""
    answer = {}
    for kind, payload in reply.chunks:
        assert kind == 5
        (context,) = struct.unpack_from(">I", payload)
        answer[context] = list(struct.iter_unpack(">II", payload[4:]))
    return answer


class Session:
    """A transmission phase whose requests are carried out at once."""

    def __init__(self, export, *, structured=True, contexts=None):
        if contexts is None:
            contexts = {1: "base:allocation"} if structured else {}
        self.selection = Selection(export=export, structured=structured, contexts=contexts)
        self.transmission = Transmission(self.selection)

    def send(self, stream):
        """The raw bytes of all replies."""
        replies = b""
        for event in self.transmission.receive(stream):
            reply = event.reply if isinstance(event, Rejected) else execute(self.selection, event)
            replies += b"".join(reply)
        return replies

    def ask(self, *arguments, **options):
        """The one reply to one request."""
        (reply,) = parse_replies(self.send(request(*arguments, **options)))
        return reply
