"""Slow a store down to a chosen latency and bandwidth: to see what a distant bucket will be like."""

from collections.abc import Iterator

from lamina.clock import Clock
from lamina.engine.objects.store import LISTING_PAGE_ROWS, Buffer, ObjectInfo, ObjectStore, view_bytes


class DelayedStore:
    """Waits before every request, and for as long as its bytes would take on the line.

    Every caller waits on its own: `bytes_per_second` is the speed of one request, not of all together.
    """

    def __init__(
        self, inner: ObjectStore, *, clock: Clock, seconds_per_request: float, bytes_per_second: float
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: the store that does the work.
            clock: where the waiting happens.
            seconds_per_request: added to every request; a listing makes one for every 1,000 rows started.
            bytes_per_second: speed of one request's bytes, in either direction; may be infinite.
        """
        self._inner = inner
        self._clock = clock
        self._seconds_per_request = seconds_per_request
        self._bytes_per_second = bytes_per_second

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`."""
        self._wait_for_request()
        self._wait_for_bytes(view_bytes(data).nbytes)
        self._inner.put(key, data)

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key`."""
        self._wait_for_request()
        self._wait_for_bytes(view_bytes(data).nbytes)
        self._inner.put_new(key, data)

    def get(self, key: str) -> bytes:
        """All bytes of an object."""
        self._wait_for_request()
        data = self._inner.get(key)
        self._wait_for_bytes(len(data))
        return data

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`."""
        self._wait_for_request()
        data = self._inner.get_range(key, offset, length)
        self._wait_for_bytes(len(data))
        return data

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes and the object's size."""
        self._wait_for_request()
        data, size = self._inner.get_tail(key, length)
        self._wait_for_bytes(len(data))
        return data, size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`."""
        return self._list(self._inner.list(prefix))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._wait_for_request()
        self._inner.delete(key)

    def describe(self) -> str:
        """Where the wrapped store is."""
        return self._inner.describe()

    def _list(self, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        self._wait_for_request()
        for number, row in enumerate(rows):
            if number and number % LISTING_PAGE_ROWS == 0:
                self._wait_for_request()
            yield row

    def _wait_for_request(self) -> None:
        self._clock.sleep(self._seconds_per_request)

    def _wait_for_bytes(self, count: int) -> None:
        self._clock.sleep(count / self._bytes_per_second)
