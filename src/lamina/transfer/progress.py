"""Progress of a long pipeline, and the way to stop it."""

import threading
from dataclasses import dataclass

from lamina.failures import Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a progress bar shows.

    Attributes:
        done_bytes: bytes dealt with so far.
        known_bytes: bytes known to need dealing with; grows while the disk's extents are still being listed.
        stored_bytes: bytes sent to the object store so far (captures only).
    """

    done_bytes: int
    known_bytes: int
    stored_bytes: int


class Progress:
    """Counters that any number of workers add to, and a flag that stops them.

    Measured, never estimated: `done_bytes` counts finished work only.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = 0
        self._known = 0
        self._stored = 0
        self._cancelled = threading.Event()

    def expect(self, count: int) -> None:
        """`count` more bytes are known to need dealing with."""
        with self._lock:
            self._known += count

    def advance(self, count: int) -> None:
        """`count` more bytes are dealt with."""
        with self._lock:
            self._done += count

    def store(self, count: int) -> None:
        """`count` more bytes went to the object store."""
        with self._lock:
            self._stored += count

    def read(self) -> Reading:
        """The counters at one instant."""
        with self._lock:
            return Reading(done_bytes=self._done, known_bytes=self._known, stored_bytes=self._stored)

    def cancel(self) -> None:
        """Ask the pipeline to stop; it raises `Cancelled` at its next check."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise `Cancelled` if somebody asked for that."""
        if self._cancelled.is_set():
            raise Cancelled("cancelled on request; nothing that looks like a result was left behind")
