"""The one way from the event loop to the exports and back: threads that carry requests out.

Made for small requests at a high rate. A finished reply wakes the event loop only if no wake-up is under way, so
that under load many replies cross at once; with an executor and a future each, 256 KiB reads ran 1.3 times slower.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from lamina.blockio.nbd.commands import execute
from lamina.blockio.nbd.handshake import Selection
from lamina.blockio.nbd.replies import Reply
from lamina.blockio.nbd.transmission import Request

Deliver = Callable[[Reply], None]
_Job = tuple[Selection, Request, Deliver]


class Crossing:
    """A fixed number of threads. Made, used and closed in the event loop's thread."""

    def __init__(self, threads: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[tuple[Deliver, Reply]] = deque()
        self._is_waking = False
        self._threads = [
            threading.Thread(target=self._work, name=f"nbd-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def execute(self, selection: Selection, request: Request, deliver: Deliver) -> None:
        """Carry a request out in a thread; `deliver` is called with the reply in the event loop."""
        self._jobs.put((selection, request, deliver))

    def close(self, *, wait: bool) -> None:
        """End the threads after what they are at; without `wait` one that hangs in an export is left behind."""
        for _ in self._threads:
            self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            selection, request, deliver = job
            self._done.append((deliver, execute(selection, request)))
            # Without a lock: the reply is in the queue before the flag is read, and the event loop clears the
            # flag before it empties the queue. At worst two threads wake it.
            if not self._is_waking:
                self._is_waking = True
                with contextlib.suppress(RuntimeError):  # the loop is closed: this thread was left behind
                    self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_waking = False
        while self._done:
            deliver, reply = self._done.popleft()
            deliver(reply)
