"""Try again what may pass by itself, for a bounded time."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from lamina.clock import Clock
from lamina.engine.objects.store import Buffer, ObjectInfo, ObjectStore
from lamina.failures import Fault

T = TypeVar("T")

_CHANCE: Final = secrets.SystemRandom().random


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long and how often to try.

    Attributes:
        first_wait_seconds: the longest wait before the second attempt; each later one may be twice as long.
        longest_wait_seconds: no wait is longer.
        total_seconds: no attempt starts later than this after the first; a running one is not cut off.
    """

    first_wait_seconds: float = 0.1
    longest_wait_seconds: float = 10.0
    total_seconds: float = 120.0


class RetryingStore:
    """Retries every `Fault` that is retryable; safe, since every call of an object store is idempotent.

    A refusal, corruption, a missing object and a lasting fault pass at once. A listing that breaks off starts
    again and goes on behind the last row that it gave.
    """

    def __init__(
        self,
        inner: ObjectStore,
        *,
        clock: Clock,
        policy: RetryPolicy = RetryPolicy(),
        jitter: Callable[[], float] = _CHANCE,
    ) -> None:
        """Wrap `inner`; `jitter` gives the share of each wait, from 0 to 1, that is left to chance."""
        self._inner = inner
        self._clock = clock
        self._policy = policy
        self._jitter = jitter

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`."""
        self._run(lambda: self._inner.put(key, data))

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key`; an attempt that succeeded without its reply is recognised by its contents."""
        self._run(lambda: self._inner.put_new(key, data))

    def get(self, key: str) -> bytes:
        """All bytes of an object."""
        return self._run(lambda: self._inner.get(key))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`."""
        return self._run(lambda: self._inner.get_range(key, offset, length))

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes and the object's size."""
        return self._run(lambda: self._inner.get_tail(key, length))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`. The time allowed counts from the last row given."""
        return self._resume(self._inner.list(prefix), prefix)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._run(lambda: self._inner.delete(key))

    def describe(self) -> str:
        """Where the wrapped store is."""
        return self._inner.describe()

    def _run(self, call: Callable[[], T]) -> T:
        attempts = _Attempts(self._clock, self._policy, self._jitter)
        while True:
            try:
                return call()
            except Fault as fault:
                attempts.wait_after(fault)

    def _resume(self, rows: Iterator[ObjectInfo], prefix: str) -> Iterator[ObjectInfo]:
        last = ""
        attempts = _Attempts(self._clock, self._policy, self._jitter)
        while True:
            try:
                for row in rows:
                    if row.key > last:
                        yield row
                        last = row.key
                        attempts = _Attempts(self._clock, self._policy, self._jitter)
            except Fault as fault:
                attempts.wait_after(fault)
                rows = self._inner.list(prefix)
            else:
                return


class _Attempts:
    """The attempts of one call: counts them and waits between them."""

    def __init__(self, clock: Clock, policy: RetryPolicy, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._policy = policy
        self._jitter = jitter
        self._started = clock.monotonic()
        self._count = 0

    def wait_after(self, fault: Fault) -> None:
        """Wait until the next attempt, or raise: `fault` itself if it lasts, else that the time is over."""
        if not fault.retryable:
            raise fault
        longest = min(self._policy.first_wait_seconds * 2**self._count, self._policy.longest_wait_seconds)
        # Half of the wait is left to chance, so that many workers do not come back at the same moment.
        wait = longest * (1 + self._jitter()) / 2
        self._count += 1
        passed = self._clock.monotonic() - self._started
        if passed + wait > self._policy.total_seconds:
            raise Fault(
                f"{fault} (gave up after {self._count} attempts in {passed:.0f} s)", retryable=True
            ) from fault
        self._clock.sleep(wait)
