"""The clock of a database that several hosts share: leases, retention and due times mean the same on all of them.

Each process measures how far the server's clock is from its own monotonic one, at the start and every ten seconds,
and computes the time in between by itself. The error is half a round trip, below a millisecond in one network; a
host whose own clock is wrong or is stepped does not matter at all.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from lamina.clock import Clock, SystemClock
from lamina.database import Database
from lamina.failures import Fault
from lamina.telemetry import get_logger, log_failure

_EVERY_SECONDS: Final = 10.0  # a quartz gains or loses 1 ms in that time at most
_LOGGER: Final = get_logger(__name__)


class DatabaseClock:
    """A clock that shows the database's time. Safe for any number of threads.

    Args:
        database: whose time.
        own: measures durations.

    Raises:
        DatabaseFaultError: the database failed.
    """

    def __init__(self, database: Database, own: Clock) -> None:
        self._database = database
        self._own = own
        self._measured = self._measure()

    def now(self) -> datetime:
        """The current instant at the database, in UTC."""
        at, then = self._measured
        return then + timedelta(seconds=self._own.monotonic() - at)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return self._own.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of real time."""
        self._own.sleep(seconds)

    def set(self) -> None:
        """Measure again.

        Raises:
            DatabaseFaultError: the database failed; the clock goes on as it is.
        """
        self._measured = self._measure()

    def _measure(self) -> tuple[float, datetime]:
        before = self._own.monotonic()
        instant = self._database.ask_time()
        return (before + self._own.monotonic()) / 2, instant


@contextmanager
def database_clock(database: Database) -> Iterator[Clock]:
    """The database's clock, kept right as long as this lasts.

    Raises:
        DatabaseFaultError: the database failed.
    """
    clock = DatabaseClock(database, SystemClock())
    stopping = threading.Event()

    def keep() -> None:
        while not stopping.wait(_EVERY_SECONDS):
            try:
                clock.set()
            except Fault as failure:
                log_failure(_LOGGER, "the database's clock could not be read", failure)

    thread = threading.Thread(target=keep, name="database-clock", daemon=True)
    thread.start()
    try:
        yield clock
    finally:
        stopping.set()
        thread.join()
