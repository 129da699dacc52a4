"""When a policy runs: its points in time, and what to do about those that have passed. Pure functions on values.

A point is a full hour of a weekday on the wall clock of the policy's region. On the days when that clock is moved:

- a point that the clock jumps over falls on the first minute after the jump; several ones there are one;
- a point that the clock shows twice counts the first time.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from lamina.failures import Fault

CATCH_UP: Final = timedelta(hours=4)
"""How late a point may still run. A night's maintenance fits in; what was missed by more waits for its next point."""

KEEP_RUNS: Final = timedelta(days=30)
"""How long is remembered what became of a point; also how far back missed points are recorded."""

_HOURS: Final = range(24)
_WEEKDAYS: Final = range(1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The points of a policy: each of the hours on each of the weekdays.

    Attributes:
        hours: 0 to 23, ascending.
        weekdays: 1 (Monday) to 7 (Sunday), ascending.
    """

    hours: tuple[int, ...]
    weekdays: tuple[int, ...]

    def __post_init__(self) -> None:
        for numbers, allowed in ((self.hours, _HOURS), (self.weekdays, _WEEKDAYS)):
            assert numbers, "a timetable without points would never run"
            assert list(numbers) == sorted(set(numbers) & set(allowed)), f"{numbers} are not of {allowed}"

    @classmethod
    def of(cls, hours: Iterable[int], weekdays: Iterable[int]) -> "Timetable":
        """A timetable from numbers in any order, also repeated ones."""
        return cls(hours=tuple(sorted(set(hours))), weekdays=tuple(sorted(set(weekdays))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a policy has come.

    Attributes:
        next_run_at: its next point; all before it were dealt with.
        planned_at: when that was found out.
        settled_until: the last point whose record was forgotten, if any; points up to it never come again.
    """

    next_run_at: datetime
    planned_at: datetime
    settled_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPlan:
    """What to do about the points of a policy.

    Attributes:
        run: the point that is due now, if any.
        missed: points that passed and do not run any more, oldest first.
        next_run_at: the next point after those.
    """

    run: datetime | None
    missed: tuple[datetime, ...]
    next_run_at: datetime


def open_zone(name: str) -> ZoneInfo:
    """The time zone of a region.

    Raises:
        Fault: the machine does not know it.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Fault(
            f"the time zone {name} is unknown here; install the time zone database (tzdata)", retryable=False
        ) from error


def iterate_points(timetable: Timetable, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The points after an instant, in UTC, ascending, without end."""
    hours = ",".join(map(str, timetable.hours))
    weekdays = ",".join(map(str, timetable.weekdays))
    last = after
    for local in CronSim(f"0 {hours} * * {weekdays}", after.astimezone(zone)):
        point = local.astimezone(UTC)
        # CronSim goes by the wall clock: within an hour that comes twice it starts with the first, and points
        # that a jump moves to one instant come one by one.
        if point > last:
            yield point
            last = point


def find_next_point(
    timetable: Timetable, zone: ZoneInfo, now: datetime, settled_until: datetime | None = None
) -> datetime:
    """The first point after now that may still run."""
    return next(iterate_points(timetable, zone, now if settled_until is None else max(now, settled_until)))


def plan_points(timetable: Timetable, zone: ZoneInfo, cursor: Cursor, now: datetime) -> PointPlan:
    """What to do at an instant.

    Of the points since the cursor the last one runs, if it is not older than `CATCH_UP`; the others were missed.
    Those older than `KEEP_RUNS` are not even listed. When the clock was set back since the cursor was written, it
    is written anew: what ran already is known by its records, and the rest comes when its time comes.
    """
    following = find_next_point(timetable, zone, now, cursor.settled_until)
    if cursor.next_run_at > now:
        is_set_back = cursor.planned_at > now
        next_run_at = following if is_set_back else cursor.next_run_at
        return PointPlan(run=None, missed=(), next_run_at=next_run_at)
    start = max(cursor.next_run_at - timedelta(microseconds=1), now - KEEP_RUNS)
    if cursor.settled_until is not None:
        start = max(start, cursor.settled_until)
    passed = []
    for point in iterate_points(timetable, zone, start):
        if point > now:
            break
        passed.append(point)
    if passed and now - passed[-1] <= CATCH_UP:
        return PointPlan(run=passed[-1], missed=tuple(passed[:-1]), next_run_at=following)
    return PointPlan(run=None, missed=tuple(passed), next_run_at=following)
