"""Sizes per snapshot, per chain and per account, and their series over time (rows B03, B05, E3 and E12)."""

import os
from datetime import timedelta

import pytest
from sqlalchemy import select

from lamina.control.paging import Slice
from lamina.control.reconcilers import forget_old_rows
from lamina.control.snapshots.archive import MIN_AGE, archive_snapshot
from lamina.control.snapshots.chain_queries import list_chains
from lamina.control.snapshots.records import ChainRecord, UsageRecord
from lamina.control.snapshots.sizes import count_sizes
from lamina.control.snapshots.states import SnapshotCategory
from lamina.control.snapshots.usage import KEPT, list_usage, measure_usage, meter_usage
from lamina.engine.maintenance.sweep import sweep
from lamina.units import KIB

BLOCK = 64 * KIB
MINUTE = timedelta(minutes=1)


def noise(blocks):
    return os.urandom(blocks * BLOCK)


def sizes_of(site, *snapshot_ids):
    count_sizes(site.installation)
    rows = [site.snapshot(snapshot_id) for snapshot_id in snapshot_ids]
    return [(row.incremental_bytes // BLOCK, round(row.exclusive_bytes / BLOCK)) for row in rows]


def usage_of(site):
    with site.scope() as scope:
        usage = measure_usage(scope)
    return usage.snapshot_count, usage.size_bytes // BLOCK


def test_what_deleting_a_snapshot_frees(site):
    disk_id = site.make_imported(noise(8))
    first = site.make_snapshot(disk_id)
    assert usage_of(site) == (1, 8)
    assert sizes_of(site, first) == [(8, 8)]
    site.clock.advance(timedelta(hours=1))
    site.write(disk_id, 2 * BLOCK, noise(3))
    second = site.make_snapshot(disk_id)
    site.clock.advance(timedelta(hours=1))
    site.write(disk_id, 0, noise(3))
    third = site.make_snapshot(disk_id)
    # the first has two blocks that went with the third, and three that went with the second
    assert sizes_of(site, first, second, third) == [(8, 3), (3, 1), (3, 3)]
    assert usage_of(site) == (3, 14)
    site.delete(second)
    assert sizes_of(site, first, third) == [(8, 5), (5, 5)]
    assert usage_of(site) == (2, 13)
    site.delete(first)
    assert sizes_of(site, third) == [(8, 8)]
    site.delete(third)
    count_sizes(site.installation)
    with site.installation.database.reading() as session:
        assert session.scalars(select(ChainRecord)).all() == []
    assert usage_of(site) == (0, 0)


def test_blocks_that_another_disk_has_are_not_exclusive(site):
    content = noise(4)
    mine = site.make_snapshot(site.make_imported(content))
    assert sizes_of(site, mine) == [(4, 4)]
    twin = site.make_snapshot(site.make_imported(content))
    assert sizes_of(site, mine, twin) == [(4, 0), (4, 0)]
    site.delete(twin)
    assert sizes_of(site, mine) == [(4, 4)]


def test_the_forecast_is_what_a_sweep_then_frees(site):
    disk_id = site.make_imported(noise(16))
    first = site.make_snapshot(disk_id)
    site.clock.advance(timedelta(hours=1))
    site.write(disk_id, 0, noise(16))
    second = site.make_snapshot(disk_id)
    count_sizes(site.installation)
    forecast = site.snapshot(first).exclusive_bytes
    repository = site.installation.repositories.find(site.account_id, site.snapshot(second).region_id)
    before = sum(info.size_bytes for info in repository.store.list("data/"))
    site.delete(first)
    for _ in range(3):
        sweep(repository)
    freed = before - sum(info.size_bytes for info in repository.store.list("data/"))
    assert forecast <= freed <= forecast * 1.01


def test_chains_are_listed_with_their_sums(site):
    disk_id = site.make_imported(noise(4), name="db")
    for _ in range(3):
        site.make_snapshot(disk_id)
        site.clock.advance(timedelta(hours=1))
        site.write(disk_id, 0, noise(1))
    other = site.make_imported(noise(2))
    site.make_snapshot(other)
    with site.scope() as scope:
        page = list_chains(scope, None, None, Slice(limit=10))
        [only] = list_chains(scope, [disk_id], None, Slice(limit=10)).items
        assert list_chains(scope, [], None, Slice(limit=10)).total_count == 0
    assert [view.chain.disk_id for view in page.items] == [other, disk_id]
    assert (only.disk_name, only.disk_size_gib, only.chain.snapshot_count) == ("db", 1, 3)
    assert only.chain.standard_bytes // BLOCK == 4 + 1 + 1
    with site.as_another_account().scope() as scope:
        assert list_chains(scope, [disk_id], None, Slice(limit=10)).items == ()


def test_the_series_tells_what_held_at_every_instant(site):
    began = site.clock.now()
    disk_id = site.make_imported(noise(2))
    meter_usage(site.installation)
    first = site.make_snapshot(disk_id)
    site.clock.advance(MINUTE)
    meter_usage(site.installation)
    site.clock.advance(5 * MINUTE)
    meter_usage(site.installation)
    site.delete(first)
    site.clock.advance(MINUTE)
    meter_usage(site.installation)
    with site.installation.database.reading() as session:
        assert len(session.scalars(select(UsageRecord)).all()) == 2  # only what changed
    with site.scope() as scope:
        instants = [began + minutes * MINUTE for minutes in range(9)]
        points = list_usage(scope, instants, None)
    assert [point.size_bytes // BLOCK for point in points] == [0, 2, 2, 2, 2, 2, 2, 0, 0]


def test_archived_bytes_are_counted_apart(site):
    snapshot_id = site.make_snapshot(site.make_imported(noise(2)))
    site.clock.advance(MIN_AGE)
    meter_usage(site.installation)
    with site.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    site.work()
    site.clock.advance(MINUTE)
    meter_usage(site.installation)
    now = site.clock.now()
    with site.scope() as scope:
        for category, expected in (
            (SnapshotCategory.STANDARD, [2, 0]),
            (SnapshotCategory.ARCHIVE, [0, 2]),
            (None, [2, 2]),
        ):
            points = list_usage(scope, [now - MINUTE, now], category)
            assert [point.size_bytes // BLOCK for point in points] == expected


@pytest.mark.parametrize("changes", [1, 3])
def test_old_points_are_forgotten_but_not_the_last_word(site, changes):
    disk_id = site.make_imported(noise(1))
    for _ in range(changes):
        site.make_snapshot(disk_id)
        meter_usage(site.installation)
        site.clock.advance(timedelta(hours=1))
        site.write(disk_id, 0, noise(1))
    site.clock.advance(KEPT + timedelta(days=1))
    forget_old_rows(site.installation)
    now = site.clock.now()
    with site.scope() as scope:
        assert [point.size_bytes // BLOCK for point in list_usage(scope, [now], None)] == [changes]
    with site.installation.database.reading() as session:
        assert len(session.scalars(select(UsageRecord)).all()) == 1
