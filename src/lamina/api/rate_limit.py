"""Rate limits: token buckets, one per account and action, and one per access key.

The first keeps one busy action from using up a service that all accounts share; the second keeps one runaway script
from using up what its account has. Both are of one process: several processes let as many times the rate through.
"""

import math
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from lamina.api.codes import ThrottledError
from lamina.clock import Clock
from lamina.control.preferences import CallRates

_BURST_SECONDS: Final = 4  # a full bucket lasts this long at twice the rate and more
_MAX_BUCKETS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    """Tokens that come at a rate, up to four seconds' worth of them, and one at least."""

    rate: float
    tokens: float
    filled_at: float

    @property
    def depth(self) -> float:
        return max(1.0, self.rate * _BURST_SECONDS)

    def fill(self, now: float) -> None:
        self.tokens = min(self.depth, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now

    def is_full(self, now: float) -> bool:
        return self.tokens + (now - self.filled_at) * self.rate >= self.depth


class RateLimiter:
    """Lets calls through at certain rates, with bursts of four seconds' worth.

    Safe for any number of threads. Memory is bounded: buckets that are full again are forgotten.
    """

    def __init__(self, clock: Clock, rates: CallRates) -> None:
        self._clock = clock
        self._rates = rates
        self._buckets: dict[Hashable, _Bucket] = {}
        self._lock = threading.Lock()

    def spend(self, account_id: str, access_key_id: str, action: str) -> None:
        """Take one token from each bucket that the call is about, or none from any.

        Raises:
            ThrottledError: there is none. It says after which time there is one.
        """
        now = self._clock.monotonic()
        with self._lock:
            of_action = self._find((account_id, action), self._rates.per_action, now)
            of_key = self._find(access_key_id, self._rates.per_key, now)
            for bucket, what in ((of_action, f"calls of {action}"), (of_key, "calls with one access key")):
                if bucket.tokens < 1:
                    seconds = (1 - bucket.tokens) / bucket.rate
                    raise ThrottledError(
                        f"More than {bucket.rate:g} {what} per second; try again after {math.ceil(seconds)} s",
                        wait_seconds=seconds,
                    )
            of_action.tokens -= 1
            of_key.tokens -= 1

    def _find(self, name: Hashable, rate: float, now: float) -> _Bucket:
        bucket = self._buckets.get(name)
        if bucket is None:
            self._forget_full(now)
            bucket = self._buckets[name] = _Bucket(rate, math.inf, now)
        bucket.fill(now)
        return bucket

    def _forget_full(self, now: float) -> None:
        if len(self._buckets) < _MAX_BUCKETS:
            return
        for name in [name for name, bucket in self._buckets.items() if bucket.is_full(now)]:
            del self._buckets[name]
