"""A clock that can be moved ahead, for installations in which time is tested.

DIR/clock.json says how far it is ahead of real time. It is there if and only if the installation was made with a
movable clock: whether time can be trusted is decided at the first start, for life.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from lamina.clock import Clock
from lamina.control.root_key import write_private
from lamina.failures import Refusal

_FILE: Final = "clock.json"


class ClockNotMovableError(Refusal):
    """The installation's time is real time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(
            f"the clock of the installation in {directory} is real time and cannot be moved; make one for tests with"
            " `lamina serve --movable-clock` in an empty folder"
        )


class _Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ahead_seconds: float


class MovableClock:
    """Real time and what it was moved ahead by. Safe for any number of threads of one process.

    Args:
        directory: the installation's folder.
        base: real time.

    Raises:
        Refusal: the file cannot be read.
    """

    def __init__(self, directory: Path, base: Clock) -> None:
        self._path = directory / _FILE
        self._base = base
        try:
            content = msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except (OSError, msgspec.MsgspecError) as error:
            raise Refusal(f"{self._path} cannot be used: {error}; bring it back from a copy") from error
        self._ahead = timedelta(seconds=content.ahead_seconds)

    def now(self) -> datetime:
        """The installation's instant, in UTC."""
        return self._base.now() + self._ahead

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; moving the clock does not change them."""
        return self._base.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of real time."""
        self._base.sleep(seconds)

    def move_to(self, instant: datetime) -> None:
        """Go ahead to an instant; one that is past changes nothing. On disk before anybody sees the new time."""
        ahead = instant - self._base.now()
        if ahead > self._ahead:
            _write(self._path, ahead)
            self._ahead = ahead


def make_movable(directory: Path) -> None:
    """Give an installation that is being made a movable clock; nothing happens if it has one."""
    if not is_movable(directory):
        _write(directory / _FILE, timedelta(0))


def is_movable(directory: Path) -> bool:
    """Whether the installation in a folder has a movable clock."""
    return (directory / _FILE).exists()


def _write(path: Path, ahead: timedelta) -> None:
    write_private(path, msgspec.json.encode(_Content(ahead_seconds=ahead.total_seconds())) + b"\n")
