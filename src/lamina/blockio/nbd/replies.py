"""Replies of the NBD transmission phase as lists of buffers, so that data is never copied into a message.

A reply without a payload is a simple one: that is shortest, and allowed for everything but a read under
structured replies. Errors carry a message where replies are structured.
"""

import struct
from collections.abc import Iterable, Sequence

from lamina.blockio.nbd.constants import (
    CHUNK,
    CHUNK_DONE,
    CHUNK_MAGIC,
    DESCRIPTOR,
    MAXIMUM_STRING_BYTES,
    SIMPLE_REPLY,
    SIMPLE_REPLY_MAGIC,
    Chunk,
    Errno,
)
from lamina.blockio.nbd.export import StatusRun

Reply = tuple[bytes | memoryview, ...]


def reply_done(cookie: int) -> Reply:
    """Success without a payload; not for reads under structured replies."""
    return (SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, 0, cookie),)


def reply_error(cookie: int, errno: Errno, message: str, *, is_structured: bool) -> Reply:
    """Failure; the message reaches the client only in a structured reply."""
    if not is_structured:
        return (SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, errno.value, cookie),)
    text = message.encode()[:MAXIMUM_STRING_BYTES].decode(errors="ignore").encode()
    payload = struct.pack(">IH", errno.value, len(text)) + text
    return (_chunk(cookie, Chunk.ERROR, len(payload), is_last=True) + payload,)


def reply_data(cookie: int, data: bytes | memoryview) -> Reply:
    """What a read found, for a client without structured replies."""
    return SIMPLE_REPLY.pack(SIMPLE_REPLY_MAGIC, 0, cookie), data


def reply_nothing(cookie: int) -> Reply:
    """The structured answer to a read of no bytes."""
    return (_chunk(cookie, Chunk.NONE, 0, is_last=True),)


def chunk_of_data(cookie: int, offset: int, data: bytes | memoryview, *, is_last: bool) -> Reply:
    """A piece of what a read found."""
    header = _chunk(cookie, Chunk.OFFSET_DATA, 8 + len(data), is_last=is_last)
    return header + struct.pack(">Q", offset), data


def chunk_of_hole(cookie: int, offset: int, length: int, *, is_last: bool) -> Reply:
    """A piece of what a read found that is all zero."""
    return (_chunk(cookie, Chunk.OFFSET_HOLE, 12, is_last=is_last) + struct.pack(">QI", offset, length),)


def reply_status(cookie: int, runs_by_context: Sequence[tuple[int, Iterable[StatusRun]]]) -> Reply:
    """One chunk per metadata context, each with the runs that its id goes with; at least one context."""
    parts: list[bytes] = []
    for position, (context_id, runs) in enumerate(runs_by_context, start=1):
        payload = bytearray(struct.pack(">I", context_id))
        for run in runs:
            payload += DESCRIPTOR.pack(run.length, run.flags)
        is_last = position == len(runs_by_context)
        parts += [_chunk(cookie, Chunk.BLOCK_STATUS, len(payload), is_last=is_last), bytes(payload)]
    return tuple(parts)


def _chunk(cookie: int, kind: Chunk, length: int, *, is_last: bool) -> bytes:
    return CHUNK.pack(CHUNK_MAGIC, CHUNK_DONE if is_last else 0, kind, cookie, length)
