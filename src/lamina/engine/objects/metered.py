"""Count what goes to an object store and comes back: requests, bytes, errors and seconds, by kind."""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

from lamina.clock import Clock
from lamina.engine.objects.store import (
    LISTING_PAGE_ROWS,
    Buffer,
    ObjectInfo,
    ObjectStore,
    RequestKind,
    view_bytes,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUsage:
    """What the requests of one kind came to.

    Attributes:
        requests: how many there were; a listing counts one for every 1,000 rows started.
        errors: how many of them raised, for whatever reason.
        bytes_sent: object bytes handed to the store, also by requests that failed.
        bytes_received: object bytes that came back.
        seconds: time spent in them, added up over all threads.
    """

    requests: int = 0
    errors: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0

    def __add__(self, other: "RequestUsage") -> "RequestUsage":
        return RequestUsage(
            requests=self.requests + other.requests,
            errors=self.errors + other.errors,
            bytes_sent=self.bytes_sent + other.bytes_sent,
            bytes_received=self.bytes_received + other.bytes_received,
            seconds=self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUsage:
    """What a `MeteredStore` counted up to one moment.

    Attributes:
        by_kind: every kind of request, also those that never happened.
    """

    by_kind: Mapping[RequestKind, RequestUsage]

    @property
    def total(self) -> RequestUsage:
        """All kinds together."""
        return sum(self.by_kind.values(), RequestUsage())


class MeteredStore:
    """Passes every call on and counts it. Inside a `RetryingStore` it counts every attempt."""

    def __init__(self, inner: ObjectStore, *, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._lock = threading.Lock()
        self._by_kind = {kind: RequestUsage() for kind in RequestKind}

    def snapshot(self) -> StoreUsage:
        """The counts so far, as a value that does not change any more."""
        with self._lock:
            return StoreUsage(by_kind=MappingProxyType(dict(self._by_kind)))

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`."""
        sent = view_bytes(data).nbytes
        self._run(RequestKind.PUT, lambda: self._inner.put(key, data), sent=sent)

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key`."""
        sent = view_bytes(data).nbytes
        self._run(RequestKind.PUT_NEW, lambda: self._inner.put_new(key, data), sent=sent)

    def get(self, key: str) -> bytes:
        """All bytes of an object."""
        data = self._run(RequestKind.GET, lambda: self._inner.get(key))
        self._add(RequestKind.GET, RequestUsage(bytes_received=len(data)))
        return data

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`."""
        data = self._run(RequestKind.GET_RANGE, lambda: self._inner.get_range(key, offset, length))
        self._add(RequestKind.GET_RANGE, RequestUsage(bytes_received=len(data)))
        return data

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes and the object's size."""
        data, size = self._run(RequestKind.GET_TAIL, lambda: self._inner.get_tail(key, length))
        self._add(RequestKind.GET_TAIL, RequestUsage(bytes_received=len(data)))
        return data, size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`; only the time spent waiting for rows counts."""
        return self._count_rows(self._inner.list(prefix))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._run(RequestKind.DELETE, lambda: self._inner.delete(key))

    def describe(self) -> str:
        """Where the wrapped store is."""
        return self._inner.describe()

    def _run(self, kind: RequestKind, call: Callable[[], T], *, sent: int = 0) -> T:
        usage = RequestUsage(requests=1, errors=1, bytes_sent=sent)
        started = self._clock.monotonic()
        try:
            result = call()
            usage = replace(usage, errors=0)
        finally:
            self._add(kind, replace(usage, seconds=self._clock.monotonic() - started))
        return result

    def _count_rows(self, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        self._add(RequestKind.LIST, RequestUsage(requests=1))
        for number, row in enumerate(iter(lambda: self._next_row(rows), None)):
            if number and number % LISTING_PAGE_ROWS == 0:
                self._add(RequestKind.LIST, RequestUsage(requests=1))
            yield row

    def _next_row(self, rows: Iterator[ObjectInfo]) -> ObjectInfo | None:
        errors = 1
        started = self._clock.monotonic()
        try:
            row = next(rows, None)
            errors = 0
        finally:
            seconds = self._clock.monotonic() - started
            self._add(RequestKind.LIST, RequestUsage(errors=errors, seconds=seconds))
        return row

    def _add(self, kind: RequestKind, usage: RequestUsage) -> None:
        with self._lock:
            self._by_kind[kind] += usage
