"""Reconcilers of snapshots while a store is away or a task is lost, and copies that come back."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from lamina.control.repositories import Repositories
from lamina.control.scope import Limits
from lamina.control.snapshots.copy import NewCopy, copy_snapshot
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.modify import SnapshotChange, modify_snapshot
from lamina.control.snapshots.notes import write_notes
from lamina.control.snapshots.records import NoteRecord, SnapshotRecord
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Fault
from lamina.ids import RegionId
from lamina.tasks.records import TaskRecord
from tests.factories.installation import open_site
from tests.factories.keys import make_key, with_key
from tests.factories.regions import NEAR, add_region

FAR = RegionId("ap-far-1")
DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path):
    with open_site(tmp_path, limits=Limits(may_copy_snapshots=True)) as opened:
        add_region(opened, FAR)
        yield opened


def copy(site, snapshot_id, origin, region_id, **options):
    with site.scope(region_id=origin) as scope:
        copy_id = copy_snapshot(scope, NewCopy(snapshot_id=snapshot_id, region_id=region_id, **options)).id
    site.work()
    assert site.snapshot(copy_id).state is SnapshotState.ACCOMPLISHED
    return copy_id


def test_a_copy_that_came_back_under_a_key_is_not_what_the_disk_is_compared_with(site):
    disk_id = site.make_imported(b"content")
    first = site.make_snapshot(disk_id)
    site.clock.advance(DAY)
    far = copy(site, first, NEAR, FAR)
    copy(site, far, FAR, NEAR, encryption=with_key(make_key(site)))
    site.clock.advance(DAY)
    last = site.make_snapshot(disk_id)
    assert site.snapshot(last).state is SnapshotState.ACCOMPLISHED
    manifest = site.installation.repositories.find(site.account_id, NEAR).read_manifest(last)
    assert manifest.parent == first


def lose_tasks(site):
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))


def fail_in(monkeypatch, region_id):
    """A region whose store does not answer."""
    plain = Repositories.find

    def find(self, account_id, place, key_id=None):
        if place == region_id:
            raise Fault("the store does not answer", retryable=True)
        return plain(self, account_id, place, key_id)

    monkeypatch.setattr(Repositories, "find", find)


def test_stranded_snapshots_are_settled_also_when_the_store_of_others_is_away(site, monkeypatch):
    disk_id = site.make_imported(b"content")
    first = site.make_snapshot(disk_id)
    fars = [copy(site, first, NEAR, FAR) for _ in range(4)]
    near = site.make_snapshot(disk_id)
    with site.installation.database.transaction() as session:
        for snapshot_id in (*fars, near):
            session.get(SnapshotRecord, snapshot_id).state = SnapshotState.PROGRESSING
    lose_tasks(site)
    fail_in(monkeypatch, FAR)
    restart_snapshots(site.installation)
    assert site.snapshot(near).state is SnapshotState.ACCOMPLISHED
    monkeypatch.undo()
    restart_snapshots(site.installation)
    assert {site.snapshot(each).state for each in fars} == {SnapshotState.ACCOMPLISHED}


def test_a_member_that_was_stranded_is_still_noted_as_one_of_its_group(site):
    disks = (site.make_imported(b"content"), site.make_imported(b"other"))
    with site.scope() as scope:
        group = create_group(scope, NewGroup(disk_ids=disks))
        members = scope.session.scalars(select(SnapshotRecord.id)).all()
        group_id = group.id
    site.work()
    write_notes(site.installation)
    repository = site.installation.repositories.find(site.account_id, NEAR)
    for snapshot_id in members:
        for key in repository.find_folder(snapshot_id).notes:
            repository.store.delete(key)
    with site.installation.database.transaction() as session:
        session.execute(delete(NoteRecord))
        for snapshot_id in members:
            session.get(SnapshotRecord, snapshot_id).state = SnapshotState.PROGRESSING
    lose_tasks(site)
    restart_snapshots(site.installation)
    write_notes(site.installation)
    assert all(group_id in str(repository.find_note(each).annotations) for each in members)


def test_the_notes_of_a_store_that_is_away_do_not_keep_others_waiting(site, monkeypatch):
    monkeypatch.setattr("lamina.control.snapshots.notes._AT_ONCE", 2)
    disk_id = site.make_imported(b"content")
    near = [site.make_snapshot(disk_id) for _ in range(3)]
    fars = [copy(site, near[0], NEAR, FAR) for _ in range(8)]
    for snapshot_id in (*fars, *near):
        with site.scope() as scope:
            modify_snapshot(scope, SnapshotChange(snapshot_id=snapshot_id, name="renamed"))
    fail_in(monkeypatch, FAR)
    for _ in range(3):
        write_notes(site.installation)
    repository = site.installation.repositories.find(site.account_id, NEAR)
    assert all(repository.find_note(each) is not None for each in near)
