"""Sealing with AES-256-GCM: records in packs, and small objects (docs/format.md §3.2, §3.4)."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lamina.engine.format import (
    FOOTER_NONCE,
    NONCE_BYTES,
    OBJECT_HEADER,
    RECORD_NONCE,
    RECORD_OVERHEAD,
    TAG_BYTES,
    check_header,
    object_header,
)
from lamina.failures import Corruption


class PackCipher:
    """Seals and opens the records and the footer of one pack. Thread-safe."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal_into(
        self, place: memoryview, offset: int, identity: bytes, encoding: int, payload: bytes | bytearray
    ) -> None:
        """Write a record into `place`, which is exactly as long as the record will be.

        `offset` is the record's offset in its pack: it is the nonce, so each offset is sealed once.
        """
        place[0] = encoding
        aad = bytes((encoding,)) + identity
        self._aead.encrypt_into(RECORD_NONCE.pack(0, offset), payload, aad, place[1:])

    def open(self, record: memoryview, offset: int, identity: bytes) -> tuple[int, bytes]:
        """Encoding and payload of a record that was sealed at `offset` as `identity`.

        Raises:
            Corruption: it was not; nothing of it is given out.
        """
        if len(record) < RECORD_OVERHEAD:
            raise Corruption("a record is cut short")
        encoding = record[0]
        try:
            payload = self._aead.decrypt(
                RECORD_NONCE.pack(0, offset), record[1:], bytes((encoding,)) + identity
            )
        except InvalidTag as error:
            raise Corruption("a record does not authenticate") from error
        return encoding, payload

    def seal_footer(self, rows: bytes, header: bytes) -> bytes:
        """The sealed footer; `header` is the pack's first 48 bytes."""
        return self._aead.encrypt(FOOTER_NONCE, rows, header)

    def open_footer(self, sealed: bytes, header: bytes) -> bytes:
        """The rows of a footer.

        Raises:
            Corruption: footer or header were changed.
        """
        try:
            return self._aead.decrypt(FOOTER_NONCE, sealed, header)
        except InvalidTag as error:
            raise Corruption("a pack's footer does not authenticate") from error


class ObjectCipher:
    """Seals and opens small objects, each bound to its key in the store."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, kind: bytes, key: str, body: bytes) -> bytes:
        """The bytes of the object `key`."""
        header = object_header(kind)
        nonce = secrets.token_bytes(NONCE_BYTES)
        return header + nonce + self._aead.encrypt(nonce, body, header + key.encode())

    def open(self, kind: bytes, key: str, data: bytes) -> bytes:
        """The body of the object `key`.

        Raises:
            Corruption: the bytes are not what was sealed for this kind and key.
        """
        check_header(data, kind, key)
        start = OBJECT_HEADER.size
        if len(data) < start + NONCE_BYTES + TAG_BYTES:
            raise Corruption(f"object {key!r} is damaged: it is cut short")
        nonce, sealed = data[start : start + NONCE_BYTES], data[start + NONCE_BYTES :]
        try:
            return self._aead.decrypt(nonce, sealed, data[:start] + key.encode())
        except InvalidTag as error:
            raise Corruption(f"object {key!r} is damaged: it does not authenticate") from error
