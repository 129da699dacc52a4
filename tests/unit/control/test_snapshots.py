"""Snapshots: created, listed, cancelled, deleted, expired (rows E11, E19, E20 and E32, and d.1)."""

from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import NewDisk, create_disk
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNotFoundError,
    DiskStateError,
    NeverAttachedError,
)
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.states import DiskRole
from lamina.control.paging import Slice
from lamina.control.scope import Limits
from lamina.control.snapshots.chain import chain_id, find_disk_of_chain
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import (
    SnapshotBusyError,
    SnapshotHeldByDiskError,
    SnapshotHeldByImageError,
    SnapshotInProgressError,
    SnapshotNotFoundError,
    SnapshotQuotaError,
)
from lamina.control.snapshots.expire import expire_snapshots
from lamina.control.snapshots.holds import place_hold, release_holds
from lamina.control.snapshots.queries import SnapshotFilter, get_snapshot, list_snapshots
from lamina.control.snapshots.states import HolderKind, SnapshotKind, SnapshotState, SnapshotUsage
from lamina.control.tags.errors import TagKeyError
from lamina.ids import DiskId, SnapshotId
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState
from lamina.units import KIB
from tests.factories.installation import START, open_site


def listed(site, **wanted):
    with site.scope() as scope:
        return list_snapshots(scope, SnapshotFilter(**wanted), Slice(limit=100)).items


def ids(views):
    return [view.snapshot.id for view in views]


def test_a_snapshot_is_progressing_until_its_task_has_run(site):
    disk_id = site.make_imported(b"content", name="the disk")
    snapshot_id = site.start_snapshot(
        disk_id, name="first", description="before the upgrade", tags={"env": "test"}
    )
    (view,) = listed(site)
    assert (view.snapshot.state, view.progress_percent, view.remaining_seconds) == (
        SnapshotState.PROGRESSING,
        0,
        None,
    )
    site.work()
    (view,) = listed(site)
    snapshot = view.snapshot
    assert (snapshot.id, snapshot.state) == (snapshot_id, SnapshotState.ACCOMPLISHED)
    assert (view.progress_percent, view.remaining_seconds) == (100, 0)
    assert (view.usage, dict(view.tags)) == (SnapshotUsage.NONE, {"env": "test"})
    assert (snapshot.disk_id, snapshot.disk_name, snapshot.disk_size_gib) == (disk_id, "the disk", 1)
    assert (snapshot.used_bytes, snapshot.changed_bytes) == (64 * KIB, 64 * KIB)
    assert snapshot.stored_bytes > 0
    assert site.list_stored() == [snapshot_id]


def test_the_next_snapshot_knows_what_changed(site):
    disk_id = site.make_imported(b"a" * 256 * KIB)
    first = site.make_snapshot(disk_id)
    site.write(disk_id, 512 * KIB, b"b")
    second = site.make_snapshot(disk_id)
    assert site.snapshot(first).used_bytes == 256 * KIB
    assert (site.snapshot(second).used_bytes, site.snapshot(second).changed_bytes) == (320 * KIB, 64 * KIB)


def test_preconditions_in_the_order_of_the_contract(site):
    with site.scope() as scope:
        creating = create_disk(
            scope, NewDisk(zone_id="cn-hangzhou-h", category=DiskCategory.CLOUD_ESSD, size_gib=20)
        ).id

    def refused(error, disk_id):
        with pytest.raises(error), site.scope() as scope:
            create_snapshot(scope, NewSnapshot(disk_id=disk_id))

    refused(DiskNotFoundError, DiskId("d-unknown"))
    refused(DiskStateError, creating)
    site.work()
    refused(NeverAttachedError, creating)
    refused(DiskCategoryError, site.make_imported(category=DiskCategory.EPHEMERAL_SSD))
    with site.connected(creating):
        pass
    site.start_snapshot(creating)
    refused(SnapshotInProgressError, creating)
    site.work()
    site.make_snapshot(creating)


def test_a_snapshot_of_one_disk_does_not_keep_another_disk_waiting(site):
    one, two = site.make_imported(b"1"), site.make_imported(b"2")
    made = [site.start_snapshot(one), site.start_snapshot(two)]
    site.work()
    assert {site.snapshot(each).state for each in made} == {SnapshotState.ACCOMPLISHED}


def test_the_quota_counts_manual_snapshots_only(tmp_path):
    with open_site(tmp_path, limits=Limits(manual_snapshots_per_disk=2)) as site:
        disk_id = site.make_imported(b"x")
        site.make_snapshot(disk_id, kind=SnapshotKind.AUTO)
        first = site.make_snapshot(disk_id)
        site.make_snapshot(disk_id)
        with pytest.raises(SnapshotQuotaError) as refused:
            site.start_snapshot(disk_id)
        assert refused.value.maximum == 2
        site.make_snapshot(disk_id, kind=SnapshotKind.AUTO)
        site.delete(first)
        site.make_snapshot(disk_id)


def test_the_default_quota_is_256(site):
    with site.scope() as scope:
        assert scope.limits.manual_snapshots_per_disk == 256


def test_a_refused_snapshot_leaves_nothing_behind(site):
    disk_id = site.make_imported(b"x")
    with pytest.raises(TagKeyError):
        site.start_snapshot(disk_id, tags={"acs:reserved": "x"})
    assert listed(site) == ()
    assert site.work() == 0
    site.make_snapshot(disk_id)


def test_deleting_removes_row_and_data(site):
    disk_id = site.make_imported(b"x")
    snapshot_id = site.make_snapshot(disk_id, tags={"a": "b"})
    with site.scope() as scope:
        delete_snapshot(scope, snapshot_id)
        with pytest.raises(SnapshotNotFoundError):
            get_snapshot(scope, snapshot_id)
    assert listed(site) == ()
    site.work()
    assert site.snapshot(snapshot_id) is None
    assert site.list_stored() == []
    with pytest.raises(SnapshotNotFoundError):
        site.delete(snapshot_id)


def test_deleting_any_snapshot_of_a_chain_leaves_the_others_restorable(site):
    disk_id = site.make_imported(size_bytes=1)
    made = {}
    for number in range(4):
        site.write(disk_id, number * 64 * KIB, bytes([number + 1]) * 100)
        made[site.make_snapshot(disk_id)] = number
    doomed = list(made)[1]
    site.delete(doomed)
    del made[doomed]
    for snapshot_id, number in made.items():
        site.roll_back(disk_id, snapshot_id)
        expected = [bytes([block + 1]) * 100 if block <= number else bytes(100) for block in range(4)]
        assert [site.read(disk_id, block * 64 * KIB, 100) for block in range(4)] == expected


def test_deleting_a_progressing_snapshot_cancels_it(site):
    disk_id = site.make_imported(b"x")
    snapshot_id = site.start_snapshot(disk_id)
    with site.scope() as scope:
        delete_snapshot(scope, snapshot_id)
    assert listed(site) == ()
    with pytest.raises(SnapshotInProgressError):
        site.start_snapshot(disk_id)  # until the cancelled one has undone itself
    site.work()
    assert site.snapshot(snapshot_id) is None
    assert site.list_stored() == []
    site.make_snapshot(disk_id)


def test_a_cancellation_that_comes_after_the_last_check_still_deletes(site):
    disk_id = site.make_imported(b"x")
    snapshot_id = site.start_snapshot(disk_id)
    with site.scope() as scope:
        delete_snapshot(scope, snapshot_id)
        task = scope.session.get(TaskRecord, site.snapshot(snapshot_id).task_id)
        task.is_cancel_requested = False  # as if the worker had looked just before
    site.work()
    assert site.snapshot(snapshot_id) is None
    assert site.list_stored() == []


def test_images_hold_a_snapshot_against_any_force(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"x"))
    site.make_disk(snapshot_id=snapshot_id)
    with site.scope() as scope:
        place_hold(scope.session, snapshot_id, HolderKind.IMAGE, "m-1")
    for force in (False, True):
        with pytest.raises(SnapshotHeldByImageError) as refused:
            site.delete(snapshot_id, force=force)
        assert refused.value.image_ids == ("m-1",)
    with site.scope() as scope:
        release_holds(scope.session, HolderKind.IMAGE, "m-1")
    site.delete(snapshot_id, force=True)
    assert site.snapshot(snapshot_id) is None


def test_disks_hold_a_snapshot_unless_forced_and_keep_their_bytes(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"precious"))
    disk_id = site.make_disk(snapshot_id=snapshot_id)
    with pytest.raises(SnapshotHeldByDiskError) as refused:
        site.delete(snapshot_id)
    assert refused.value.disk_ids == (disk_id,)
    site.delete(snapshot_id, force=True)
    assert site.snapshot(snapshot_id) is None
    assert site.read(disk_id, 0, 8) == b"precious"
    assert site.disk(disk_id).source_snapshot_id == snapshot_id, "constant for life"


def test_no_force_takes_a_snapshot_away_while_it_is_being_read(site):
    source = site.make_imported(b"x")
    snapshot_id = site.make_snapshot(source)
    with site.scope() as scope:
        create_disk(
            scope, NewDisk(zone_id="cn-hangzhou-h", category=DiskCategory.CLOUD_AUTO, snapshot_id=snapshot_id)
        )
    with pytest.raises(SnapshotBusyError), site.scope() as scope:
        delete_snapshot(scope, snapshot_id, force=True)
    site.work()
    with site.scope() as scope:
        reset_disk(scope, source, snapshot_id)
    with pytest.raises(SnapshotBusyError), site.scope() as scope:
        delete_snapshot(scope, snapshot_id, force=True)
    site.work()
    site.delete(snapshot_id, force=True)
    assert site.snapshot(snapshot_id) is None


def test_another_accounts_snapshot_is_as_unknown_as_one_that_never_was(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"x"))
    with site.as_another_account().scope() as scope:
        for call in (lambda: get_snapshot(scope, snapshot_id), lambda: delete_snapshot(scope, snapshot_id)):
            with pytest.raises(SnapshotNotFoundError) as foreign:
                call()
            assert str(foreign.value) == str(SnapshotNotFoundError(snapshot_id))
        assert list_snapshots(scope, SnapshotFilter(snapshot_ids=[snapshot_id]), Slice(limit=10)).items == ()


def test_filters(site):
    data, system = site.make_imported(b"1", name="one"), site.make_imported(b"2", role=DiskRole.SYSTEM)
    first = site.make_snapshot(data, name="alpha", tags={"env": "test"})
    site.clock.advance(timedelta(hours=1))
    second = site.make_snapshot(system, kind=SnapshotKind.AUTO)
    site.make_disk(snapshot_id=first)
    with site.scope() as scope:
        place_hold(scope.session, second, HolderKind.IMAGE, "m-1")
    unfinished = site.start_snapshot(data)
    everything = [unfinished, second, first] if unfinished > second else [second, unfinished, first]
    assert ids(listed(site)) == everything
    assert ids(listed(site, disk_id=system)) == [second]
    assert ids(listed(site, disk_id=find_disk_of_chain(chain_id(system)))) == [second]
    assert ids(listed(site, name="alpha")) == [first]
    assert ids(listed(site, state=SnapshotState.PROGRESSING)) == [unfinished]
    assert ids(listed(site, kind=SnapshotKind.AUTO)) == [second]
    assert ids(listed(site, disk_role=DiskRole.SYSTEM)) == [second]
    assert ids(listed(site, usage=SnapshotUsage.DISK)) == [first]
    assert ids(listed(site, usage=SnapshotUsage.IMAGE)) == [second]
    assert ids(listed(site, usage=SnapshotUsage.IMAGE_DISK)) == []
    assert ids(listed(site, usage=SnapshotUsage.NONE)) == [unfinished]
    assert ids(listed(site, tags={"env": "test"})) == [first]
    assert ids(listed(site, snapshot_ids=[first, SnapshotId("s-unknown")])) == [first]
    assert ids(listed(site, snapshot_ids=[])) == []
    assert ids(listed(site, created_to=START)) == [first]
    assert first not in ids(listed(site, created_from=START + timedelta(minutes=1)))


def test_chain_ids():
    assert chain_id(DiskId("d-abc")) == "sl-abc"
    assert find_disk_of_chain("sl-abc") == "d-abc"
    assert find_disk_of_chain("sl-") is None
    assert find_disk_of_chain("sp-abc") is None


def test_progress_and_remaining_time_are_measured(site):
    snapshot_id = site.start_snapshot(site.make_imported(b"x"))
    with site.scope() as scope:
        task = scope.session.get(TaskRecord, site.snapshot(snapshot_id).task_id)
        task.state, task.started_at = TaskState.RUNNING, site.clock.now()
        task.progress_done, task.progress_known = 30, 120
    site.clock.advance(timedelta(seconds=10))
    (view,) = listed(site)
    assert (view.progress_percent, view.remaining_seconds) == (25, 30)


def test_a_snapshot_whose_disk_cannot_be_read_fails_and_says_why(site):
    disk_id = site.make_imported(b"x")
    site.installation.volumes.raw_path(disk_id).unlink()
    snapshot_id = site.make_snapshot(disk_id)
    snapshot = site.snapshot(snapshot_id)
    assert snapshot.state is SnapshotState.FAILED
    assert str(site.installation.volumes.raw_path(disk_id)) in snapshot.failure
    assert site.list_stored() == []
    site.delete(snapshot_id)
    assert site.snapshot(snapshot_id) is None


def test_retention_ends_on_time_and_only_for_snapshots_that_have_one(site):
    disk_id = site.make_imported(b"x")
    forever, short, long = (site.make_snapshot(disk_id, retention_days=days) for days in (None, 1, 3))
    assert site.snapshot(short).expires_at == START + timedelta(days=1)
    for days, left in ((1, {forever, long}), (1, {forever, long}), (1, {forever})):
        site.clock.advance(timedelta(days=days))
        expire_snapshots(site.installation)
        site.work()
        assert set(ids(listed(site))) == left
    site.clock.advance(timedelta(days=100_000))
    expire_snapshots(site.installation)
    site.work()
    assert ids(listed(site)) == [forever]


def test_an_expired_snapshot_stays_while_a_disk_or_image_needs_it(site):
    source = site.make_imported(b"x")
    by_disk, by_image = (site.make_snapshot(source, retention_days=1) for _ in range(2))
    disk_id = site.make_disk(snapshot_id=by_disk)
    with site.scope() as scope:
        place_hold(scope.session, by_image, HolderKind.IMAGE, "m-1")
    site.clock.advance(timedelta(days=2))
    expire_snapshots(site.installation)
    site.work()
    assert set(ids(listed(site))) == {by_disk, by_image}
    with site.scope() as scope:
        release_holds(scope.session, HolderKind.IMAGE, "m-1")
        release_holds(scope.session, HolderKind.DISK, disk_id)
    expire_snapshots(site.installation)
    site.work()
    assert listed(site) == ()
