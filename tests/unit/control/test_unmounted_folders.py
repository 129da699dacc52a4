"""A service that starts before its disks are mounted: what is out of reach is neither made anew nor taken for gone."""

import os
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from lamina.control.snapshots.compare import compare_with_stores
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import SnapshotState
from lamina.tasks.records import TaskRecord
from lamina.tasks.task import ATTEMPTS_MAX
from lamina.units import KIB
from tests.factories.keys import (
    NEAR,
    find_key,
    list_stored,
    make_encrypted,
    make_key,
    read_clear,
    start_rotation,
)

CONTENT = os.urandom(96 * KIB)


@contextmanager
def unmounted(site, name):
    """One of the installation's folders is empty, as its mount point is, and the service has just started."""
    folder = site.installation.directory / name
    away = folder.rename(folder.with_name("away"))
    folder.mkdir()
    site.installation.repositories._open.clear()
    yield folder
    assert list(folder.iterdir()) == [], "nothing is made in its place"
    folder.rmdir()
    away.rename(folder)


def work_in_vain(site):
    for _ in range(2 * ATTEMPTS_MAX):
        site.work()
        site.clock.advance(timedelta(minutes=2))


def test_a_capture_makes_no_new_repository(site):
    disk_id = site.make_imported(b"x")
    first = site.make_snapshot(disk_id)
    with unmounted(site, "store"):
        second = site.start_snapshot(disk_id)
        work_in_vain(site)
        assert site.snapshot(second).state is SnapshotState.FAILED
    third = site.make_snapshot(disk_id)
    assert sorted(site.list_stored()) == sorted([first, third])


def test_whoever_lost_a_store_for_good_makes_its_folder_and_goes_on(site):
    disk_id = site.make_imported(b"x")
    lost = site.make_snapshot(disk_id)
    store = site.installation.directory / "store"
    store.rename(store.with_name("broken"))
    site.installation.repositories._open.clear()
    Path(site.installation.repositories.locate(site.account_id, NEAR)).mkdir(parents=True)
    compare_with_stores(site.installation)
    assert site.snapshot(lost).is_data_missing
    new = site.make_snapshot(disk_id)
    site.delete(lost)
    assert site.snapshot(lost) is None
    assert site.list_stored() == [new]


def test_a_deleted_snapshot_does_not_come_back_with_its_store(site):
    disk_id = site.make_imported(b"x")
    kept, gone = site.make_snapshot(disk_id), site.make_snapshot(disk_id)
    with unmounted(site, "store"):
        with site.scope() as scope:
            delete_snapshot(scope, gone)
        work_in_vain(site)
        assert site.snapshot(gone).state is SnapshotState.DELETING
    compare_with_stores(site.installation)
    restart_snapshots(site.installation)
    site.work()
    compare_with_stores(site.installation)
    assert site.snapshot(gone) is None
    assert site.list_stored() == [kept]


def test_a_capture_that_nobody_works_on_waits_for_its_store(site):
    disk_id = site.make_imported(b"x")
    site.make_snapshot(disk_id)
    snapshot_id = site.start_snapshot(disk_id)
    with site.installation.database.transaction() as session:
        session.delete(session.query(TaskRecord).filter_by(id=site.snapshot(snapshot_id).task_id).one())
    with unmounted(site, "store"):
        restart_snapshots(site.installation)
        assert site.snapshot(snapshot_id).state is SnapshotState.PROGRESSING
    restart_snapshots(site.installation)
    assert site.snapshot(snapshot_id).state is SnapshotState.FAILED


@pytest.mark.parametrize("name", ["store", "disks"])
def test_a_rotation_keeps_the_material_of_what_is_out_of_reach(site, name):
    key_id = make_key(site)
    disk_id = make_encrypted(site, CONTENT, key_id)
    snapshot_id = site.make_snapshot(disk_id)
    with unmounted(site, name):
        start_rotation(site, key_id)
        work_in_vain(site)
    assert find_key(site, key_id).version == 1
    assert list_stored(site, key_id) == [snapshot_id]
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
    start_rotation(site, key_id)
    site.work()
    [version] = site.installation.keys.list_versions(key_id)
    assert find_key(site, key_id).version == version
    site.installation.repositories._open.clear()
    assert list_stored(site, key_id) == [snapshot_id]
    assert read_clear(site, disk_id, len(CONTENT)) == CONTENT
    assert read_clear(site, make_encrypted(site, b"later", key_id), 5) == b"later"
