"""The audit log's queue: nothing is lost in order, and what is old goes."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from lamina.control.audit.forget import forget_old_calls
from lamina.control.audit.journal import AuditJournal
from lamina.control.audit.records import AuditEntry, CallRecord
from lamina.database import DatabaseFaultError
from tests.factories.installation import START


def entry(number, *, at=START):
    return AuditEntry(
        request_id=f"request-{number}",
        at=at,
        account_id="1",
        access_key_id="LTAI",
        action="DescribeDisks",
        resource="",
        outcome="ok",
        status=200,
        client="127.0.0.1",
        microseconds=5,
    )


def count(site):
    with site.installation.database.reading() as session:
        return session.scalar(select(func.count()).select_from(CallRecord))


def test_what_waits_at_the_end_is_written(site):
    journal = AuditJournal(site.installation.database)
    journal.start()
    threads = [
        threading.Thread(target=lambda first=first: [journal.add(entry(first + n)) for n in range(600)])
        for first in range(0, 4 * 600, 600)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert count(site) == 2400


def test_room_comes_back_when_rows_are_written(site):
    journal = AuditJournal(site.installation.database, capacity=1, patience_seconds=10)
    journal.add(entry(1))
    waiter = threading.Thread(target=journal.require_room)
    waiter.start()
    journal.flush()
    waiter.join(10)
    assert not waiter.is_alive()
    journal.require_room()


class BrokenOnce:
    """A database that fails one transaction."""

    def __init__(self, database):
        self._database = database
        self._is_broken = True

    def unguarded(self):
        if self._is_broken:
            self._is_broken = False
            raise DatabaseFaultError("full", retryable=True)
        return self._database.unguarded()


def test_what_the_database_did_not_take_keeps_waiting(site):
    journal = AuditJournal(BrokenOnce(site.installation.database))
    journal.add(entry(1))
    with pytest.raises(DatabaseFaultError):
        journal.flush()
    assert count(site) == 0
    journal.flush()
    assert count(site) == 1


def test_old_rows_go(site):
    days = site.installation.preferences.audit_retention.days
    journal = AuditJournal(site.installation.database)
    journal.add(entry(1, at=START - timedelta(days=days, seconds=1)))
    journal.add(entry(2, at=START - timedelta(days=days)))
    journal.flush()
    forget_old_calls(site.installation)
    assert count(site) == 1
    site.clock.advance(timedelta(seconds=1))
    forget_old_calls(site.installation)
    assert count(site) == 0
