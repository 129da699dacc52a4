"""What time does happens at its own instant when a clock is moved, not when a day is over."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from lamina.control.billing.records import BillRecord
from lamina.control.instances.states import InstanceState
from tests.factories.instances import find_instance, make_instance
from tests.factories.payments import open_paid_site, pass_time

ODD = timedelta(hours=7, minutes=13, seconds=9)
SUBSCRIBED = timedelta(days=15)  # how long an instance outlives its subscription


@pytest.fixture
def site(tmp_path):
    with open_paid_site(tmp_path, price="0") as site:
        yield site


def note_changes(site, look, duration):
    """What is seen from now on: each new sight with the instant at which it was there first."""
    seen = []

    def watch():
        found = look()
        if not seen or seen[-1][1] != found:
            seen.append((site.clock.now(), found))

    pass_time(site, site.clock.now() + duration, watch=watch)
    return seen[1:]


def test_a_subscription_ends_and_its_instance_goes_on_the_second(site):
    expires_at = site.clock.now() + ODD
    instance_id = make_instance(site, expires_at=expires_at, is_running=True)

    def look():
        instance = find_instance(site, instance_id)
        return instance and instance.state

    assert note_changes(site, look, 2 * SUBSCRIBED) == [
        (expires_at, InstanceState.STOPPED),
        (expires_at + SUBSCRIBED, None),
    ]


def test_an_instance_that_releases_itself_goes_on_the_second(site):
    at = site.clock.now() + ODD
    instance_id = make_instance(site, auto_release_at=at, is_running=True)
    changes = note_changes(site, lambda: find_instance(site, instance_id) is not None, 3 * ODD)
    assert changes == [(at, False)]


def test_a_month_is_closed_an_hour_after_its_end(site):
    site.make_snapshot(site.make_imported(os.urandom(1)))

    def look():
        with site.installation.database.reading() as session:
            return len(session.scalars(select(BillRecord.id)).all())

    ends = [datetime(2026, month, 1, 1, tzinfo=UTC) for month in (2, 3)]
    assert note_changes(site, look, ends[1] + ODD - site.clock.now()) == [(ends[0], 1), (ends[1], 2)]
