"""Rate limits: a token bucket per account and action."""

import threading
from dataclasses import dataclass
from typing import Final

from lamina.api.codes import THROTTLED, ApiError
from lamina.clock import Clock

DEFAULT_CALLS_PER_SECOND: Final = 500.0
"""Far above what scripts and controllers do, and below what one process can answer."""

_BURST_SECONDS: Final = 4  # a full bucket lasts this long at twice the rate and more
_MAX_BUCKETS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Lets `calls_per_second` through per account and action, with bursts of four seconds' worth.

    Safe for any number of threads. Memory is bounded: buckets that are full again are forgotten.
    """

    def __init__(self, clock: Clock, calls_per_second: float = DEFAULT_CALLS_PER_SECOND) -> None:
        self._clock = clock
        self._rate = calls_per_second
        self._depth = max(1.0, calls_per_second * _BURST_SECONDS)
        self._buckets: dict[tuple[str, str], _Bucket] = {}
        self._lock = threading.Lock()

    def spend(self, account_id: str, action: str) -> None:
        """Take one token.

        Raises:
            ApiError: `Throttling`, the code on which the official clients wait and try again.
        """
        now = self._clock.monotonic()
        with self._lock:
            bucket = self._buckets.get((account_id, action))
            if bucket is None:
                self._forget_full(now)
                bucket = self._buckets[account_id, action] = _Bucket(self._depth, now)
            bucket.tokens = min(self._depth, bucket.tokens + (now - bucket.filled_at) * self._rate)
            bucket.filled_at = now
            if bucket.tokens < 1:
                raise ApiError(
                    THROTTLED, f"More than {self._rate:g} calls of {action} per second; try again later"
                )
            bucket.tokens -= 1

    def _forget_full(self, now: float) -> None:
        if len(self._buckets) < _MAX_BUCKETS:
            return
        full_after = self._depth / self._rate
        for key in [key for key, bucket in self._buckets.items() if now - bucket.filled_at >= full_after]:
            del self._buckets[key]
