"""Ctrl-C and SIGTERM: stop cleanly the first time, at once the second time."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from lamina.clock import SystemClock
from lamina.failures import Cancelled

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_by(stop: Callable[[], None]) -> Iterator[None]:
    """While the block runs, the first signal calls `stop`; the next one does what it does by default."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def handle(_number: int, _frame: FrameType | None) -> None:
        put_back()
        _tell("stopping; once more to stop without tidying up\n")
        stop()

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        put_back()


def _tell(line: str) -> None:
    """Past Python's buffers: the signal may have come in the middle of a write to them, which takes no second one."""
    with contextlib.suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), line.encode())


def raise_cancelled() -> NoReturn:
    """A way to stop work that has no progress to cancel: the exception unwinds whatever the main thread does."""
    raise Cancelled("stopped on request")


class StoppableClock(SystemClock):
    """The clock of work that stops where it waits, and not in the middle of a call to the service."""

    def __init__(self) -> None:
        self._is_stopped = False

    def stop(self) -> None:
        """Have the next `sleep` or `check` end the work."""
        self._is_stopped = True

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of real time.

        Raises:
            Cancelled: the work is to stop.
        """
        self.check()
        super().sleep(seconds)
        self.check()

    def check(self) -> None:
        """Pass only when nobody has stopped the work.

        Raises:
            Cancelled: the work is to stop.
        """
        if self._is_stopped:
            raise_cancelled()
