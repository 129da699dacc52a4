"""Compression of blocks and pages with zstd; what does not shrink stays as it is."""

import threading

import zstandard

from lamina.engine.format import BLOCK_BYTES, ENCODING_AS_IS, ENCODING_ZSTD
from lamina.failures import Corruption

# Below this gain a record is stored as it is: reading it back then costs no decompression (60 us a block).
_GAIN_MIN_SHARE = 64


class Compressor:
    """Compresses with one level; keeps one zstd context per thread, since a context serves one call at a time.

    zstd finds out by itself and cheaply that a block does not compress: 5 GB/s on random bytes here, ten times
    its speed on text, so there is no probe of our own.
    """

    def __init__(self, level: int = 1) -> None:
        self._level = level
        self._local = threading.local()

    def compress(self, data: bytes | bytearray) -> tuple[int, bytes | bytearray]:
        """Encoding and payload for `data`; the payload may be `data` itself."""
        context: zstandard.ZstdCompressor | None = getattr(self._local, "context", None)
        if context is None:
            context = self._local.context = zstandard.ZstdCompressor(level=self._level)
        packed = context.compress(data)
        if len(packed) > len(data) - len(data) // _GAIN_MIN_SHARE:
            return ENCODING_AS_IS, data
        return ENCODING_ZSTD, packed


_contexts = threading.local()


def decompress(encoding: int, payload: bytes, size_max: int = BLOCK_BYTES) -> bytes:
    """What `Compressor.compress` was given.

    Args:
        encoding: the record's encoding.
        payload: the authenticated payload.
        size_max: the most bytes that may come out.

    Raises:
        Corruption: the encoding is unknown, or the payload is no frame of at most `size_max` bytes.
    """
    if encoding == ENCODING_AS_IS:
        return payload
    if encoding != ENCODING_ZSTD:
        raise Corruption(f"a record has encoding {encoding}, which this program does not know")
    context: zstandard.ZstdDecompressor | None = getattr(_contexts, "context", None)
    if context is None:
        context = _contexts.context = zstandard.ZstdDecompressor()
    try:
        # The frame header says the size; refuse to allocate more than a record can hold.
        if not 0 <= zstandard.frame_content_size(payload) <= size_max:
            raise Corruption("a record claims to hold more bytes than it can")
        return context.decompress(payload)
    except zstandard.ZstdError as error:
        raise Corruption(f"a record does not decompress: {error}") from error
