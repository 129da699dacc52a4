"""The meter and the bills on a real installation: what counts, from when on, and what does not."""

import logging
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from lamina.control.billing.check import check_bills, compare_bill
from lamina.control.billing.close import close_months, name_bill
from lamina.control.billing.errors import BillNotFoundError
from lamina.control.billing.lines import charge
from lamina.control.billing.queries import get_bill, list_bills
from lamina.control.billing.records import BillLineRecord, BillRecord, LineKind
from lamina.control.metering.months import next_month
from lamina.control.metering.records import MeterRecord, SizeEventRecord
from lamina.control.paging import Slice
from lamina.control.reconcilers import make_reconcilers
from lamina.control.snapshots.archive import MIN_AGE, archive_snapshot
from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.usage import measure_usage
from lamina.control.tariff.prices import PriceList
from lamina.units import GIB, KIB

BLOCK = 64 * KIB
HOUR = timedelta(hours=1)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def noise(blocks):
    return os.urandom(blocks * BLOCK)


def bill_of(site, month=None):
    with site.scope() as scope:
        return get_bill(scope, site.installation.tariff, month)


def block_hours(site, month=None):
    """Of the present month, by class."""
    return {
        line.storage_class.value: line.byte_hours // BLOCK
        for line in bill_of(site, month).lines
        if line.byte_hours
    }


def events_of(site):
    with site.installation.database.reading() as session:
        return session.scalars(
            select(SizeEventRecord).order_by(SizeEventRecord.at, SizeEventRecord.snapshot_id)
        ).all()


def count(site, table):
    with site.installation.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table))


def test_nothing_is_billed_before_the_first_snapshot(site):
    site.make_imported(noise(8))
    bill = bill_of(site)
    assert (bill.lines, bill.total, bill.number) == ((), Decimal("0.00"), None)
    site.clock.advance(timedelta(days=70))
    close_months(site.installation)
    assert count(site, BillRecord) == count(site, MeterRecord) == 0


def test_an_hour_that_is_begun_counts_whole(site):
    site.clock.instant = JANUARY.replace(hour=10, minute=20)
    snapshot_id = site.make_snapshot(site.make_imported(noise(8)))
    assert block_hours(site) == {"standard": 8}
    site.clock.advance(39 * HOUR / 60)
    assert block_hours(site) == {"standard": 8}
    site.clock.advance(HOUR / 60)  # it is 11:00, and the next hour has begun
    assert block_hours(site) == {"standard": 16}
    site.clock.advance(12 * HOUR)
    assert block_hours(site) == {"standard": 14 * 8}
    site.delete(snapshot_id)
    site.clock.advance(5 * HOUR)
    assert block_hours(site) == {"standard": 13 * 8}, "gone at 23:00, so that hour never began for it"


def test_blocks_that_move_to_the_next_snapshot_count_once_in_that_hour(site):
    site.clock.instant = JANUARY.replace(hour=12, minute=30)
    disk_id = site.make_imported(noise(8))
    first = site.make_snapshot(disk_id)
    site.clock.advance(HOUR)
    site.write(disk_id, 0, noise(2))
    second = site.make_snapshot(disk_id)
    count_sizes(site.installation)
    assert block_hours(site) == {"standard": 8 + (8 + 2)}
    site.clock.advance(HOUR)
    site.delete(first)
    count_sizes(site.installation)
    assert site.snapshot(second).incremental_bytes == 8 * BLOCK
    assert block_hours(site) == {"standard": 8 + (8 + 2) + (8 + 2)}
    site.clock.advance(HOUR)
    assert block_hours(site) == {"standard": 8 + (8 + 2) + (8 + 2) + 8}
    [line] = bill_of(site).lines
    assert (line.snapshot_count, line.hours, line.end_bytes) == (2, 4, 8 * BLOCK)


def test_what_is_billed_is_what_usage_shows(site):
    for blocks in (3, 5):
        disk_id = site.make_imported(noise(blocks))
        site.make_snapshot(disk_id)
        site.write(disk_id, 0, noise(1))
        site.make_snapshot(disk_id)
    count_sizes(site.installation)
    with site.scope() as scope:
        usage = measure_usage(scope)
    lines = bill_of(site).lines
    assert sum(line.end_bytes for line in lines) == usage.size_bytes == 10 * BLOCK
    assert sum(line.snapshot_count for line in lines) == usage.snapshot_count == 4


def test_archived_snapshots_cost_their_own_price_from_the_next_hour_on(site):
    snapshot_id = site.make_snapshot(site.make_imported(noise(4)))
    site.clock.advance(MIN_AGE + HOUR / 2)
    before = block_hours(site)["standard"]
    with site.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    site.work()
    assert block_hours(site) == {"standard": before}
    assert sum(line.end_bytes for line in bill_of(site).lines) == 4 * BLOCK
    site.clock.advance(2 * HOUR)
    assert block_hours(site) == {"standard": before, "archive": 2 * 4}


@pytest.mark.parametrize("days_archived", [1, 59, 60, 70])
def test_an_archived_snapshot_is_billed_for_60_days_at_least(site, days_archived):
    snapshot_id = site.make_snapshot(site.make_imported(noise(4)))
    site.clock.advance(MIN_AGE)
    with site.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    site.work()
    archived_at = site.clock.now()
    site.clock.advance(timedelta(days=days_archived))
    site.delete(snapshot_id)
    count_sizes(site.installation)
    assert count(site, SnapshotRecord) == 0
    site.clock.instant = datetime(2026, 6, 1, 2, tzinfo=UTC)
    close_months(site.installation)
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in range(1, 6)]
    hours = sum(block_hours(site, month).get("archive", 0) for month in months) // 4
    assert hours == max(60, days_archived) * 24, archived_at
    with site.scope() as scope:
        bills = list_bills(scope, Slice(limit=10)).items
        assert [compare_bill(scope.session, bill) for bill in bills] == [()] * 5


def test_an_archived_snapshot_whose_data_is_lost_costs_nothing_more(site):
    snapshot_id = site.make_snapshot(site.make_imported(noise(4)))
    site.clock.advance(MIN_AGE)
    with site.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    site.work()
    site.clock.advance(HOUR)
    repository = site.installation.repositories.find(site.account_id, site.snapshot(snapshot_id).region_id)
    repository.delete_snapshot(snapshot_id)
    compare_with_stores(site.installation)
    site.clock.advance(10 * HOUR)
    before = block_hours(site)
    site.delete(snapshot_id)
    site.clock.advance(10 * HOUR)
    assert block_hours(site) == before


def test_failed_cancelled_and_lost_snapshots_cost_nothing(site):
    disk_id = site.make_imported(noise(4))
    unfinished = site.start_snapshot(disk_id)
    assert block_hours(site) == {}
    site.delete(unfinished)
    assert events_of(site) == []
    lost = site.make_snapshot(disk_id)
    site.clock.advance(HOUR)
    repository = site.installation.repositories.find(site.account_id, site.snapshot(lost).region_id)
    repository.delete_snapshot(lost)
    compare_with_stores(site.installation)
    assert site.snapshot(lost).is_data_missing
    site.clock.advance(10 * HOUR)
    assert block_hours(site) == {"standard": 4}, "the hour in which it was still there"


def test_the_log_tells_every_change_once(site):
    disk_id = site.make_imported(noise(4))
    snapshot_id = site.make_snapshot(disk_id)
    for _ in range(2):
        count_sizes(site.installation)
    site.delete(snapshot_id)
    assert [(each.number, each.bytes_before, each.bytes_after) for each in events_of(site)] == [
        (1, None, 4 * BLOCK),
        (2, 4 * BLOCK, None),
    ]
    assert count(site, SnapshotRecord) == 0, "the log outlives what it is about"


def test_a_clock_that_is_set_back_counts_no_hour_twice(site):
    site.clock.instant = JANUARY.replace(hour=12, minute=30)
    snapshot_id = site.make_snapshot(site.make_imported(noise(4)))
    site.clock.advance(-3 * HOUR)
    site.delete(snapshot_id)
    site.clock.advance(9 * HOUR)
    assert block_hours(site) == {"standard": 4}


def test_months_are_closed_in_order_after_a_long_rest(site):
    snapshot_id = site.make_snapshot(site.make_imported(noise(4)))
    january_hours = 31 * 24 - 12
    site.clock.instant = FEBRUARY + timedelta(minutes=59)
    close_months(site.installation)
    assert count(site, BillRecord) == 0, "an hour of grace"
    assert block_hours(site, JANUARY) == {"standard": 4 * january_hours}, "over, but open"
    site.clock.instant = datetime(2026, 5, 9, tzinfo=UTC)
    close_months(site.installation)
    close_months(site.installation)
    with site.scope() as scope:
        bills = list_bills(scope, Slice(limit=10)).items
        assert [(bill.number, bill.month.month) for bill in bills] == [(4, 4), (3, 3), (2, 2), (1, 1)]
        assert [compare_bill(scope.session, bill) for bill in bills] == [()] * 4
    assert block_hours(site, JANUARY) == {"standard": 4 * january_hours}
    assert block_hours(site, FEBRUARY) == {"standard": 4 * 28 * 24}
    closed = bill_of(site, FEBRUARY)
    assert (closed.number, closed.forecast) == (2, closed.total)
    site.clock.instant = FEBRUARY + timedelta(days=3)  # long before the last month that is closed
    site.delete(snapshot_id)
    assert bill_of(site, FEBRUARY) == closed
    assert bill_of(site).month == datetime(2026, 5, 1, tzinfo=UTC)
    assert block_hours(site) == {}
    with pytest.raises(BillNotFoundError, match="from 2026-01 to 2026-05"):
        bill_of(site, datetime(2025, 12, 1, tzinfo=UTC))
    with pytest.raises(BillNotFoundError):
        bill_of(site, datetime(2026, 6, 1, tzinfo=UTC))


def test_the_forecast_is_the_bill_if_nothing_changes(site):
    site.make_snapshot(site.make_imported(noise(4)))
    forecast = bill_of(site).forecast
    site.clock.instant = MARCH
    close_months(site.installation)
    assert bill_of(site, JANUARY).total == forecast


def test_a_bill_that_is_not_what_the_log_says_is_noticed(site, caplog):
    site.make_snapshot(site.make_imported(noise(4)))
    site.clock.instant = FEBRUARY + 2 * HOUR
    close_months(site.installation)
    check_bills(site.installation)
    assert not [each for each in caplog.records if each.levelno >= logging.CRITICAL]
    with site.installation.database.transaction() as session:
        session.scalars(select(BillLineRecord)).one().byte_hours += 1
    check_bills(site.installation)
    assert [each.message for each in caplog.records if each.levelno >= logging.CRITICAL] == [
        "a bill is not what the log says"
    ]


def test_accounts_have_bills_of_their_own(site):
    other = site.as_another_account()
    site.make_snapshot(site.make_imported(noise(4)))
    other.make_snapshot(other.make_imported(noise(1)))
    site.clock.instant = MARCH
    close_months(site.installation)
    hours = 31 * 24 - 12
    assert block_hours(site, JANUARY) == {"standard": 4 * hours}
    assert block_hours(other, JANUARY) == {"standard": hours}
    assert bill_of(other, JANUARY).number == bill_of(site, JANUARY).number == 1


def test_closing_is_done_by_a_reconciler(site):
    site.make_snapshot(site.make_imported(noise(1)))
    site.clock.instant = FEBRUARY + HOUR
    jobs = {each.name: each for each in make_reconcilers(site.installation)}
    jobs["close_months"].run()
    assert count(site, BillRecord) == 1


def test_region_totals_and_amounts(site):
    """305 GiB at 0.0200 for an hour are 0.008472; the page of 2021 prints that for 13 hours, which are 0.110."""

    assert charge(305 * GIB, Decimal("0.0200"), 720, 6) == Decimal("0.008472")
    assert charge(13 * 305 * GIB, Decimal("0.0200"), 720, 3) == Decimal("0.110")
    site.make_snapshot(site.make_imported(noise(4)))
    bill = bill_of(site)
    assert bill.region_totals == {"cn-hangzhou": bill.total}


def test_a_tariff_of_the_operators_own(site):
    rules = site.installation.tariff.rules
    generous = replace(
        rules, rules=tuple(replace(each, free_gib=Decimal(5), decimals=9) for each in rules.rules)
    )
    tariff = replace(site.installation.tariff, rules=generous)
    site.make_snapshot(site.make_imported(noise(4)))
    with site.scope() as scope:
        bill = get_bill(scope, tariff)
    stored, free = bill.lines
    assert (free.disk_id, free.byte_hours, free.amount) == (None, -stored.byte_hours, -stored.amount)
    assert stored.amount > 0 == bill.total


def test_where_all_is_free_nothing_is_paid_however_the_chains_are_rounded(site):
    """Three chains that are rounded up, or down, each by itself: the sum of the three is not that of their bytes."""
    rules = site.installation.tariff.rules
    generous = replace(rules, rules=tuple(replace(each, free_gib=Decimal(5)) for each in rules.rules))
    for blocks in (1, 2, 3):
        site.make_snapshot(site.make_imported(noise(blocks)))
    for month, price in ((JANUARY, "19"), (FEBRUARY, "90")):
        dear = tuple(
            replace(each, standard=Decimal(price)) for each in site.installation.tariff.prices.prices
        )
        tariff = replace(site.installation.tariff, prices=PriceList.of("test", dear), rules=generous)
        site.clock.instant = next_month(month) + 2 * HOUR
        close_months(replace(site.installation, tariff=tariff))
        assert bill_of(site, month).total == 0
        with site.scope() as scope:
            assert (
                compare_bill(scope.session, scope.session.get(BillRecord, name_bill(site.account_id, month)))
                == ()
            )
    with site.scope() as scope:
        rows = scope.session.scalars(select(BillLineRecord).where(BillLineRecord.kind == LineKind.FREE)).all()
        rows[0].amount -= Decimal("0.01")
        scope.session.flush()
        bill = scope.session.get(BillRecord, rows[0].bill_id)
        assert len(compare_bill(scope.session, bill)) == 2, "its price, and the sum"
