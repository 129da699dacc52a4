"""Changing what a snapshot says about itself, and archiving."""

from datetime import timedelta

import pytest
from sqlalchemy import delete

from lamina.control.paging import Slice
from lamina.control.snapshots.archive import AT_ONCE_MAX, MIN_AGE, archive_snapshot
from lamina.control.snapshots.errors import (
    ArchivingQuotaError,
    RetentionBelowLockError,
    RetentionDecreaseError,
    SnapshotAgeError,
    SnapshotArchivedError,
    SnapshotArchivingError,
    SnapshotNotFoundError,
    SnapshotUnfinishedError,
)
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.lock import NewLock, lock_snapshot
from lamina.control.snapshots.modify import SnapshotChange, modify_snapshot
from lamina.control.snapshots.queries import SnapshotFilter, list_snapshots
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import SnapshotCategory, SnapshotState
from lamina.control.snapshots.usage import measure_usage
from lamina.tasks.records import TaskRecord


def modify(site, snapshot_id, **change):
    with site.scope() as scope:
        return modify_snapshot(scope, SnapshotChange(snapshot_id=snapshot_id, **change))


def archive(site, snapshot_id, days=None):
    with site.scope() as scope:
        return archive_snapshot(scope, snapshot_id, days)


@pytest.fixture
def snapshot_id(site):
    return site.make_snapshot(site.make_imported(b"bytes"), retention_days=20)


@pytest.fixture
def old_id(site, snapshot_id):
    site.clock.advance(MIN_AGE)
    return snapshot_id


def test_names_descriptions_and_retention(site, snapshot_id):
    before = site.snapshot(snapshot_id)
    site.clock.advance(timedelta(hours=1))
    changed = modify(site, snapshot_id, name="new", description="words", retention_days=30)
    assert (changed.name, changed.description, changed.retention_days) == ("new", "words", 30)
    assert changed.expires_at == before.created_at + timedelta(days=30)
    assert changed.modified_at > before.modified_at
    assert modify(site, snapshot_id, description="").description is None
    with pytest.raises(RetentionDecreaseError):
        modify(site, snapshot_id, retention_days=29)
    with pytest.raises(SnapshotNotFoundError):
        modify(site.as_another_account(), snapshot_id, name="stolen")
    kept_for_ever = site.make_snapshot(site.make_imported(b"x"))
    with pytest.raises(RetentionDecreaseError):
        modify(site, kept_for_ever, retention_days=65_536)
    site.clock.advance(timedelta(days=25))
    expire_snapshots(site.installation)
    assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED
    site.clock.advance(timedelta(days=5))
    expire_snapshots(site.installation)
    assert site.snapshot(snapshot_id).state is SnapshotState.DELETING


def test_an_unfinished_snapshot_can_be_renamed_and_not_kept_longer(site):
    snapshot_id = site.start_snapshot(site.make_imported(b"x"), retention_days=1)
    assert modify(site, snapshot_id, name="early").name == "early"
    with pytest.raises(SnapshotUnfinishedError):
        modify(site, snapshot_id, retention_days=2)


def test_archiving_is_a_task_and_leaves_the_data_usable(site, old_id):
    task_id = archive(site, old_id, 74)
    assert site.snapshot(old_id).category is SnapshotCategory.ARCHIVING
    with pytest.raises(SnapshotArchivingError):
        site.delete(old_id)
    site.work()
    snapshot = site.snapshot(old_id)
    assert (snapshot.category, snapshot.retention_days) == (SnapshotCategory.ARCHIVE, 74)
    assert snapshot.task_id == task_id
    site.write(snapshot.disk_id, 0, b"later")
    site.roll_back(snapshot.disk_id, old_id)
    assert site.read(snapshot.disk_id, 0, 5) == b"bytes"
    with site.scope() as scope:
        wanted = SnapshotFilter(categories=[SnapshotCategory.ARCHIVE])
        assert list_snapshots(scope, wanted, Slice(limit=2)).total_count == 1
        assert measure_usage(scope).size_bytes == 64 * 1024
    with pytest.raises(SnapshotArchivedError):
        archive(site, old_id)
    site.delete(old_id)
    assert site.list_stored() == []


def test_what_cannot_be_archived(site, snapshot_id):
    with pytest.raises(SnapshotAgeError):
        archive(site, snapshot_id)
    with pytest.raises(SnapshotUnfinishedError):
        archive(site, site.start_snapshot(site.make_imported(b"x")))
    site.clock.advance(MIN_AGE)
    modify(site, snapshot_id, retention_days=100)
    with pytest.raises(RetentionDecreaseError):
        archive(site, snapshot_id, 99)
    forever = site.make_snapshot(site.make_imported(b"x"))
    site.clock.advance(MIN_AGE)
    with site.scope() as scope:
        lock_snapshot(scope, NewLock(snapshot_id=forever, duration_days=90, cool_off_hours=0))
    with pytest.raises(RetentionBelowLockError):
        archive(site, forever, 80)
    archive(site, forever)


def test_a_disk_archives_so_many_at_a_time(site):
    disk_id = site.make_imported(b"x")
    ids = [site.make_snapshot(disk_id) for _ in range(AT_ONCE_MAX + 1)]
    site.clock.advance(MIN_AGE)
    for snapshot_id in ids[:-1]:
        archive(site, snapshot_id)
    with pytest.raises(ArchivingQuotaError):
        archive(site, ids[-1])
    site.work()
    archive(site, ids[-1])


def test_archiving_that_lost_its_task_is_taken_up_and_lost_data_ends_it(site, old_id):
    archive(site, old_id)
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))
    restart_snapshots(site.installation)
    restart_snapshots(site.installation)
    site.work()
    assert site.snapshot(old_id).category is SnapshotCategory.ARCHIVE
    other = site.make_snapshot(site.make_imported(b"y"))
    site.clock.advance(MIN_AGE)
    archive(site, other)
    site.installation.repositories.find(site.account_id, site.snapshot(other).region_id).delete_snapshot(
        other
    )
    site.work()
    assert site.snapshot(other).category is SnapshotCategory.STANDARD
