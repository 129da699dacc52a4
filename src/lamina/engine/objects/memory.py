"""Objects in a dictionary: the reference for the other stores, and the store of fast tests."""

import threading
from collections.abc import Iterator

from lamina.engine.objects.store import (
    Buffer,
    ObjectExistsError,
    ObjectInfo,
    ObjectMissingError,
    check_key,
    check_prefix,
    check_range,
)


class MemoryStore:
    """An object store that lives as long as this value. Durable only in that sense."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`."""
        check_key(key)
        contents = bytes(data)
        with self._lock:
            self._objects[key] = contents

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key`, or find the same bytes under it."""
        check_key(key)
        contents = bytes(data)
        with self._lock:
            if self._objects.setdefault(key, contents) != contents:
                raise ObjectExistsError(key)

    def get(self, key: str) -> bytes:
        """All bytes of an object."""
        check_key(key)
        try:
            return self._objects[key]
        except KeyError as error:
            raise ObjectMissingError(key) from error

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`, as far as the object reaches."""
        check_range(offset, length)
        return self.get(key)[offset : offset + length]

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes and the object's size."""
        check_range(0, length)
        contents = self.get(key)
        return contents[max(0, len(contents) - length) :], len(contents)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`, as they were when the listing began."""
        check_prefix(prefix)
        with self._lock:
            rows = [
                ObjectInfo(key=key, size_bytes=len(contents))
                for key, contents in self._objects.items()
                if key.startswith(prefix)
            ]
        return iter(sorted(rows, key=lambda row: row.key))

    def delete(self, key: str) -> None:
        """Remove an object if it is there."""
        check_key(key)
        with self._lock:
            self._objects.pop(key, None)

    def describe(self) -> str:
        """A fixed text."""
        return "memory"
