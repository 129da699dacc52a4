"""Read-ahead: notice who reads in order, and fetch in the background what comes next."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from lamina.blockio.extents import Extent
from lamina.engine.format import BLOCK_BYTES
from lamina.failures import LaminaError
from lamina.telemetry import get_logger, log
from lamina.units import MIB, round_down, round_up

_LOGGER: Final = get_logger(__name__)

_STREAMS_MAX: Final = 8
_STEPS_BEFORE: Final = 2  # two requests that continue an earlier one: a seek to read two pages is no stream
_FIRST_WINDOW_BYTES: Final = MIB
# A server's threads start requests in another order than the client sent them: by about as many as there are.
_DISORDER_REQUESTS: Final = 16
_THREADS: Final = 2
_QUEUED_MAX: Final = 8


@dataclass(slots=True)
class _Stream:
    """Somebody who reads in order.

    Attributes:
        next: where the next request is expected.
        ahead: how far has been fetched for it.
        window_bytes: how far to fetch next time; doubles while the stream goes on.
        steps: how many requests continued it.
    """

    next: int
    ahead: int = 0
    window_bytes: int = _FIRST_WINDOW_BYTES
    steps: int = 0


class StreamDetector:
    """Finds the streams among requests that come from several readers at once. Thread-safe."""

    def __init__(self, size_bytes: int, window_bytes_max: int) -> None:
        """Know no stream yet; nothing past `size_bytes` is ever planned."""
        self._size_bytes = size_bytes
        self._window_bytes_max = window_bytes_max
        self._streams: list[_Stream] = []
        self._lock = threading.Lock()

    def observe(self, offset: int, length: int) -> Extent | None:
        """Take note of a request; what to fetch ahead now, in whole blocks, if anything."""
        slack = _DISORDER_REQUESTS * length
        with self._lock:
            for stream in reversed(self._streams):
                if abs(offset - stream.next) <= slack:
                    return self._continue(stream, offset + length)
            self._streams = [*self._streams[1 - _STREAMS_MAX :], _Stream(next=offset + length)]
            return None

    def _continue(self, stream: _Stream, end: int) -> Extent | None:
        self._streams.remove(stream)
        self._streams.append(stream)
        if end <= stream.next:
            return None  # a late request, or a place that is read again and again
        stream.next = end
        stream.steps += 1
        window = min(stream.window_bytes, self._window_bytes_max)
        start = max(stream.ahead, round_up(end, BLOCK_BYTES))
        if stream.steps < _STEPS_BEFORE or start - end > window // 2:
            return None
        stop = min(round_down(end + window, BLOCK_BYTES), round_up(self._size_bytes, BLOCK_BYTES))
        if stop <= start:
            return None
        stream.ahead = stop
        stream.window_bytes = window * 2
        return Extent(start, stop - start)


class BackgroundReader:
    """Fetches ranges with a few threads. What cannot be queued or fails is left to whoever really reads it."""

    def __init__(self, fetch: Callable[[Extent], None]) -> None:
        """Wait for work; `fetch` brings one range into a cache."""
        self._fetch = fetch
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="read-ahead")
        self._queued = threading.Semaphore(_QUEUED_MAX)

    def submit(self, extent: Extent) -> None:
        """Fetch a range soon."""
        if not self._queued.acquire(blocking=False):
            return
        try:
            future = self._executor.submit(self._fetch, extent)
        except RuntimeError:  # closed meanwhile
            self._queued.release()
            return
        future.add_done_callback(self._finish)

    def close(self) -> None:
        """Drop what is queued, and wait for what is running."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _finish(self, future: Future[None]) -> None:
        self._queued.release()
        failure = None if future.cancelled() else future.exception()
        if isinstance(failure, LaminaError):
            log(_LOGGER, logging.DEBUG, "read-ahead failed", message=str(failure))
        elif failure is not None:
            log(_LOGGER, logging.ERROR, "read-ahead is broken", message=repr(failure))
