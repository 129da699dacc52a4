"""The schedule against a model that walks minute by minute and knows no calendar but the wall clock's face."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.control.policies.schedule import (
    CATCH_UP,
    KEEP_RUNS,
    Cursor,
    Timetable,
    find_next_point,
    iterate_points,
    plan_points,
)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# Where clocks are moved by an hour, half an hour or two, at midnight, forward in winter, and by a whole day.
PLACES = {
    "Europe/Berlin": (2026, 2),
    "America/New_York": (2025, 2),
    "Australia/Lord_Howe": (2026, 1),
    "America/Havana": (2026, 1),
    "Asia/Beirut": (2026, 1),
    "Antarctica/Troll": (2026, 1),
    "Europe/Dublin": (2026, 1),
    "Africa/Casablanca": (2026, 1),
    "Asia/Kathmandu": (2026, 1),
    "Asia/Shanghai": (2026, 1),
    "Pacific/Apia": (2011, 2),  # had no 30 December 2011
}
places = st.sampled_from(sorted(PLACES))
timetables = st.builds(
    Timetable.of,
    st.sets(st.integers(0, 23), min_size=1),
    st.sets(st.integers(1, 7), min_size=1),
)


@cache
def walk(name):
    """Every full hour of the wall clock, and the minute at which the clock first shows it or passes over it."""
    first_year, years = PLACES[name]
    zone = ZoneInfo(name)
    now, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(first_year + years, 1, 1, tzinfo=UTC)
    shown = (now - MINUTE).astimezone(zone).replace(tzinfo=None)
    found = []
    while now < end:
        wall = now.astimezone(zone).replace(tzinfo=None)
        if wall > shown:
            full = shown.replace(minute=0) + HOUR
            while full <= wall:
                found.append((full, now))
                full += HOUR
            shown = wall
        now += MINUTE
    return found


def expect(name, timetable):
    """The points of the model, ascending, each once."""
    return sorted(
        {
            instant
            for wall, instant in walk(name)
            if wall.hour in timetable.hours and wall.isoweekday() in timetable.weekdays
        }
    )


def span(name):
    first_year, years = PLACES[name]
    return datetime(first_year, 1, 2, tzinfo=UTC), datetime(first_year + years, 1, 1, tzinfo=UTC)


def list_points(timetable, zone, after, until):
    found = []
    for point in iterate_points(timetable, zone, after):
        if point > until:
            return found
        found.append(point)
    return found


@pytest.mark.parametrize("name", sorted(PLACES))
def test_every_hour_of_every_day_agrees_with_the_model(name):
    always = Timetable.of(range(24), range(1, 8))
    start, end = span(name)
    expected = [point for point in expect(name, always) if start < point < end]
    assert list_points(always, ZoneInfo(name), start, end - MINUTE) == expected


@given(places, timetables, st.data())
def test_any_timetable_agrees_with_the_model_from_any_instant_on(name, timetable, data):
    start, end = span(name)
    seconds = int((end - start).total_seconds())
    after = start + timedelta(seconds=data.draw(st.integers(0, seconds)))
    until = min(end - MINUTE, after + timedelta(days=data.draw(st.sampled_from([1, 9, 40]))))
    expected = [point for point in expect(name, timetable) if after < point <= until]
    assert list_points(timetable, ZoneInfo(name), after, until) == expected


@pytest.mark.parametrize("name", sorted(PLACES))
def test_from_any_instant_around_a_move_of_the_clock_the_next_point_is_the_models(name):
    always, zone = Timetable.of(range(24), range(1, 8)), ZoneInfo(name)
    expected = expect(name, always)
    moves = [now for (wall, now), (later, then) in pairwise(walk(name)) if then - now != later - wall]
    for move in moves:
        for minutes in range(-300, 300, 10):
            after = max(move + timedelta(minutes=minutes), span(name)[0])
            assert find_next_point(always, zone, after) == expected[bisect_right(expected, after)]


class Life:
    """A policy whose plan is carried out at every look; the clock does what it wants."""

    def __init__(self, timetable, zone, now):
        self.timetable, self.zone = timetable, zone
        self.ran = []
        self.cursor = Cursor(
            next_run_at=find_next_point(timetable, zone, now), planned_at=now, settled_until=None
        )

    def look(self, now):
        plan = plan_points(self.timetable, self.zone, self.cursor, now)
        assert plan.next_run_at > now
        assert [*plan.missed, *([plan.run] if plan.run else [])] == sorted(
            {*plan.missed, *filter(None, [plan.run])}
        )
        for point in plan.missed:
            assert now - KEEP_RUNS < point <= now
        if plan.run is not None:
            assert now - CATCH_UP <= plan.run <= now
            if plan.run not in self.ran:  # what the unique key of the records sees to
                self.ran.append(plan.run)
        self.cursor = Cursor(next_run_at=plan.next_run_at, planned_at=now, settled_until=None)
        return plan


@given(places, timetables, st.lists(st.integers(1, 50_000), min_size=1, max_size=40))
def test_each_point_is_run_or_missed_exactly_once_while_time_goes_forward(name, timetable, steps):
    start, end = span(name)
    now, zone = start, ZoneInfo(name)
    life, seen = Life(timetable, zone, now), []
    for step in steps:
        now = min(now + timedelta(seconds=step), end - MINUTE)
        plan = life.look(now)
        seen += plan.missed
        if plan.run:
            seen.append(plan.run)
    assert seen == [point for point in expect(name, timetable) if start < point <= now]


@given(places, timetables, st.lists(st.integers(-20_000, 20_000), min_size=1, max_size=40))
def test_no_point_runs_twice_and_none_is_lost_for_good_when_the_clock_jumps(name, timetable, jumps):
    start, end = span(name)
    now, zone = start + timedelta(days=20), ZoneInfo(name)
    life = Life(timetable, zone, now)
    for jump in jumps:
        now = min(max(now + timedelta(minutes=jump), start), end - timedelta(days=30))
        life.look(now)
    assert len(life.ran) == len(set(life.ran))
    # from here on time goes forward: whatever was not run before comes at its time
    before = list(life.ran)
    expected = [point for point in expect(name, timetable) if now < point <= now + timedelta(days=8)]
    until = now + timedelta(days=8)
    while now < until:
        now = min(now + timedelta(minutes=30), until)
        life.look(now)
    assert [point for point in expected if point not in before] == life.ran[len(before) :]
