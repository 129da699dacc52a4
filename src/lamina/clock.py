"""One clock. Nothing else in the package asks the system for the time or sleeps."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from.

    Guarantees: `now` is an aware instant in UTC and may jump in either direction, as system clocks do;
    `monotonic` never goes back within one process and is for durations only.
    """

    def now(self) -> datetime:
        """The current instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock's time."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """The current instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of real time."""
        time.sleep(seconds)


class ManualClock:
    """A clock that stands still until it is moved: for tests and for movable installations.

    Attributes:
        instant: what `now` answers.
    """

    def __init__(self, instant: datetime) -> None:
        self.instant = instant
        self._seconds = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """The instant that the clock was moved to."""
        return self.instant

    def monotonic(self) -> float:
        """Seconds that the clock was moved forward."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Move the clock instead of waiting."""
        self.advance(timedelta(seconds=seconds))

    def advance(self, step: timedelta) -> None:
        """Move forward; a negative step moves `now` back, as a corrected system clock would."""
        with self._lock:
            self.instant += step
            self._seconds += max(0.0, step.total_seconds())
