"""What changed after a snapshot's manifest was written is noted in its repository, and comes back from there."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, select

from lamina.control.paging import Slice
from lamina.control.reconcilers import make_reconcilers
from lamina.control.recover import recover
from lamina.control.resources.tag import tag_resources, untag_resources
from lamina.control.snapshots.archive import MIN_AGE, archive_snapshot
from lamina.control.snapshots.errors import SnapshotLockedError
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.delete import delete_group
from lamina.control.snapshots.groups.modify import modify_group
from lamina.control.snapshots.groups.queries import GroupFilter, list_groups
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.lock import NewLock, lock_snapshot, unlock_snapshot
from lamina.control.snapshots.modify import SnapshotChange, modify_snapshot
from lamina.control.snapshots.notes import write_notes
from lamina.control.snapshots.queries import SnapshotFilter, list_snapshots
from lamina.control.snapshots.records import LockRecord, NoteRecord
from lamina.control.snapshots.states import HolderKind, SnapshotKind
from lamina.database import Record
from lamina.tasks.reconcile import Reconciling
from tests.factories.damage import flip_file

CONTENT = b"content" * 1000


class Place:
    """An installation that may lose its database."""

    def __init__(self, site):
        self.site = site

    def lose_the_database(self):
        """Begin again with the stores alone; answers what was recovered."""
        with self.site.installation.database.transaction() as session:
            for table in reversed(Record.metadata.sorted_tables):
                if table.name not in ("regions", "zones"):
                    session.execute(delete(table))
        return recover(self.site.installation)

    def note(self):
        write_notes(self.site.installation)

    def scope(self):
        return self.site.scope()

    def view(self, snapshot_id):
        """Everything that is known of a snapshot but the row of its task."""
        with self.scope() as scope:
            [view] = list_snapshots(scope, SnapshotFilter(snapshot_ids=[snapshot_id]), Slice(limit=1)).items
            snapshot, lock = view.snapshot, scope.session.get(LockRecord, snapshot_id)
            names = ("name", "description", "kind", "category", "retention_days", "expires_at", "created_at")
            names += ("group_id", "disk_id", "disk_size_gib", "used_bytes")
            spans = (
                "cool_off_hours",
                "duration_days",
                "created_at",
                "starts_at",
                "cool_off_until",
                "expires_at",
            )
            return (
                {name: getattr(snapshot, name) for name in names},
                None if lock is None else {name: getattr(lock, name) for name in spans},
                dict(view.tags),
            )

    def list_groups(self):
        with self.scope() as scope:
            return [
                (
                    view.group.id,
                    view.group.name,
                    view.group.description,
                    view.group.instance_id,
                    view.group.state,
                    view.group.created_at,
                    dict(view.tags),
                    sorted(member.snapshot.id for member in view.members),
                )
                for view in list_groups(scope, GroupFilter(), Slice(limit=10)).items
            ]

    def list_notes(self, snapshot_id):
        folder = self.repository().find_folder(snapshot_id)
        return [key.rpartition("/")[2] for key in folder.notes]

    def repository(self):
        return self.site.installation.repositories.find(self.site.account_id, "cn-hangzhou")


@pytest.fixture
def place(site):
    return Place(site)


@pytest.fixture
def snapshot_id(place):
    return place.site.make_snapshot(place.site.make_imported(CONTENT), retention_days=30)


def rename(place, snapshot_id):
    change = SnapshotChange(
        snapshot_id=snapshot_id, name="later", description="told later", retention_days=90
    )
    with place.scope() as scope:
        modify_snapshot(scope, change)


def lock(place, snapshot_id, hours=24):
    with place.scope() as scope:
        lock_snapshot(scope, NewLock(snapshot_id=snapshot_id, duration_days=20, cool_off_hours=hours))


def unlock(place, snapshot_id):
    lock(place, snapshot_id)
    place.note()
    with place.scope() as scope:
        unlock_snapshot(scope, snapshot_id)


def tag(place, snapshot_id):
    with place.scope() as scope:
        tag_resources(scope, "snapshot", [snapshot_id], {"team": "web", "gone": "soon"})
    with place.scope() as scope:
        untag_resources(scope, "snapshot", [snapshot_id], ["gone"])


def archive(place, snapshot_id):
    place.site.clock.advance(MIN_AGE)
    with place.scope() as scope:
        archive_snapshot(scope, snapshot_id, None)
    place.site.work()


def everything(place, snapshot_id):
    for change in (rename, lock, tag, archive):
        change(place, snapshot_id)


@pytest.mark.parametrize("change", [rename, lock, unlock, tag, archive, everything])
def test_what_changed_later_survives_the_loss_of_the_database(place, snapshot_id, change):
    change(place, snapshot_id)
    place.note()
    before = place.view(snapshot_id)
    report = place.lose_the_database()
    assert (report.snapshots, report.damaged_notes) == ((snapshot_id,), ())
    assert place.view(snapshot_id) == before


def test_a_lock_still_keeps_everybody_from_deleting(place, snapshot_id):
    lock(place, snapshot_id, hours=0)
    place.note()
    place.lose_the_database()
    place.site.clock.advance(timedelta(days=19))
    with pytest.raises(SnapshotLockedError):
        place.site.delete(snapshot_id)
    place.site.clock.advance(timedelta(days=1))
    place.site.delete(snapshot_id)


def test_a_lock_that_came_before_the_snapshot_was_finished(place):
    snapshot_id = place.site.start_snapshot(place.site.make_imported(CONTENT))
    lock(place, snapshot_id)
    place.note()
    place.site.work()
    place.note()
    before = place.view(snapshot_id)
    assert before[1]["starts_at"] is not None
    place.lose_the_database()
    assert place.view(snapshot_id) == before


def make_group(place):
    disks = (place.site.make_imported(CONTENT), place.site.make_imported(b"other" * 100))
    with place.scope() as scope:
        group_id = create_group(scope, NewGroup(disk_ids=disks, name="both", tags={"team": "web"})).id
    place.site.work()
    return group_id


def test_groups_come_back_with_their_members(place):
    group_id = make_group(place)
    place.note()
    with place.scope() as scope:
        modify_group(scope, group_id, name="renamed", description="told later")
        tag_resources(scope, "snapshotgroup", [group_id], {"more": "tags"})
    place.note()
    before = place.list_groups()
    assert len(before[0][-1]) == 2
    place.lose_the_database()
    assert place.list_groups() == before


def test_a_member_that_outlived_its_group_stays_alone(place):
    group_id = make_group(place)
    place.note()
    kept = place.list_groups()[0][-1][0]
    with place.scope() as scope:
        place_hold(scope.session, kept, HolderKind.IMAGE, "m-1")
        delete_group(scope, group_id)
    place.site.work()
    place.note()
    assert place.lose_the_database().snapshots == (kept,)
    assert place.list_groups() == []
    assert place.view(kept)[0]["group_id"] is None


def test_only_changes_are_written_and_only_the_latest_note_stays(place, snapshot_id):
    place.note()
    assert place.list_notes(snapshot_id) == []
    rename(place, snapshot_id)
    place.note()
    assert place.list_notes(snapshot_id) == ["note-00000001"]
    place.note()
    assert place.list_notes(snapshot_id) == ["note-00000001"]
    lock(place, snapshot_id)
    tag(place, snapshot_id)
    place.note()
    assert place.list_notes(snapshot_id) == ["note-00000004"]


def test_a_change_waits_until_the_store_works_again(place, snapshot_id):
    lock(place, snapshot_id)
    store = place.site.installation.directory / "store"
    store.rename(store.with_name("elsewhere"))
    place.note()
    store.with_name("elsewhere").rename(store)
    with place.site.installation.database.reading() as session:
        assert not session.scalars(select(NoteRecord.is_noted)).one()
    place.note()
    assert place.list_notes(snapshot_id) == ["note-00000001"]


def test_rows_from_an_older_backup_do_not_lose_to_notes_of_the_future(place, snapshot_id):
    lock(place, snapshot_id)
    tag(place, snapshot_id)
    place.note()
    with place.site.installation.database.transaction() as session:
        session.scalars(select(NoteRecord)).one().revision = 1
    rename(place, snapshot_id)
    place.note()  # finds the higher number
    place.note()
    before = place.view(snapshot_id)
    assert place.list_notes(snapshot_id) == ["note-00000004"]
    place.lose_the_database()
    assert place.view(snapshot_id) == before


def test_changes_go_on_after_a_recovery(place, snapshot_id):
    everything(place, snapshot_id)
    place.note()
    place.lose_the_database()
    place.note()
    with place.scope() as scope:
        modify_snapshot(scope, SnapshotChange(snapshot_id=snapshot_id, name="after"))
    place.note()
    before = place.view(snapshot_id)
    place.lose_the_database()
    assert (place.view(snapshot_id), before[0]["name"]) == (before, "after")


def test_a_damaged_note_is_told_and_its_snapshot_kept(place, snapshot_id):
    lock(place, snapshot_id)
    place.note()
    [note] = (place.site.installation.directory / "store").rglob("note-*")
    flip_file(note)
    report = place.lose_the_database()
    assert (report.snapshots, report.damaged_notes) == ((snapshot_id,), (snapshot_id,))
    row = place.site.snapshot(snapshot_id)
    assert (row.kind, row.retention_days, row.expires_at) == (SnapshotKind.USER, None, None)
    rename_again = SnapshotChange(snapshot_id=snapshot_id, name="looked at")
    with place.scope() as scope:
        modify_snapshot(scope, rename_again)
    place.note()
    place.note()
    assert place.list_notes(snapshot_id) == ["note-00000002"]


def test_a_row_that_is_lost_alone_comes_back_with_its_lock(place, snapshot_id):
    lock(place, snapshot_id)
    place.note()
    before = place.view(snapshot_id)
    with place.site.installation.database.transaction() as session:
        for record in (LockRecord, NoteRecord):
            session.delete(session.get(record, snapshot_id))
        session.flush()
        session.delete(place.site.snapshot(snapshot_id))
    Reconciling(make_reconcilers(place.site.installation)).run_all()
    assert place.view(snapshot_id) == before
