"""The clock of a database that several hosts share: it goes by the server, whatever the host believes."""

from datetime import UTC, datetime, timedelta

import pytest

from lamina.clock import ManualClock
from lamina.database import Database, DatabaseFaultError
from lamina.shared_clock import DatabaseClock, database_clock

WRONG = datetime(1999, 12, 31, 23, 59, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Server:
    """Says the time, or that it is gone."""

    def __init__(self):
        self.time = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self.is_gone = False

    def ask_time(self):
        if self.is_gone:
            raise DatabaseFaultError("gone", retryable=True)
        return self.time


def test_two_hosts_with_wrong_clocks_agree():
    server, early, late = Server(), ManualClock(WRONG), ManualClock(WRONG + 1000 * HOUR)
    one, another = DatabaseClock(server, early), DatabaseClock(server, late)
    assert one.now() == another.now() == server.time
    for clock in (early, late):
        clock.advance(HOUR)
    assert one.now() == another.now() == server.time + HOUR


def test_it_follows_the_server_when_it_looks_again_and_goes_on_when_it_cannot():
    server, own = Server(), ManualClock(WRONG)
    clock = DatabaseClock(server, own)
    server.time += timedelta(seconds=3)
    assert clock.now() == server.time - timedelta(seconds=3)
    clock.set()
    assert clock.now() == server.time
    server.is_gone = True
    with pytest.raises(DatabaseFaultError):
        clock.set()
    own.advance(HOUR)
    assert clock.now() == server.time + HOUR


def test_a_real_server_is_asked(postgresql):
    with postgresql.database() as url:
        database = Database.open(url)
        with database_clock(database) as clock:
            before, now, after = database.ask_time(), clock.now(), database.ask_time()
        database.close()
    tolerance = timedelta(seconds=0.5)
    assert before - tolerance <= now <= after + tolerance
