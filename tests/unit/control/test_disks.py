"""Disks: created, imported, rolled back, deleted (rows E11, E24 to E27 of the contract, and d.2)."""

from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.create import ImportedDisk, NewDisk, create_disk, import_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskConnectedError,
    DiskNotFoundError,
    DiskResetInProgressError,
    DiskSizeError,
    DiskStateError,
    SnapshotMismatchError,
)
from lamina.control.disks.queries import DiskFilter, get_disk, list_disks
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.states import TRANSITIONS, DiskRole, DiskState
from lamina.control.paging import Slice
from lamina.control.regions.errors import ZoneNotFoundError
from lamina.control.snapshots.errors import (
    SnapshotInProgressError,
    SnapshotNotFoundError,
    SnapshotNotReadyError,
)
from lamina.control.snapshots.holds import list_usages
from lamina.control.snapshots.states import SnapshotState, SnapshotUsage
from lamina.ids import DiskId, SnapshotId, ZoneId
from lamina.units import GIB, MIB
from tests.factories.installation import ZONE
from tests.factories.regions import FAR, add_region


def new(**options) -> NewDisk:
    return NewDisk(**{"zone_id": ZONE, "category": DiskCategory.CLOUD_ESSD, "size_gib": 20, **options})


def test_a_new_disk_is_creating_until_its_task_has_run(site):
    with site.scope() as scope:
        disk = create_disk(scope, new(name="data", tags={"env": "test"}))
        assert (disk.state, disk.performance_level, disk.role) == (
            DiskState.CREATING,
            PerformanceLevel.PL1,
            DiskRole.DATA,
        )
    site.work()
    disk = site.disk(disk.id)
    assert disk.state is DiskState.AVAILABLE
    path = site.installation.volumes.raw_path(disk.id)
    assert path.stat().st_size == 20 * GIB
    assert path.stat().st_blocks == 0, "an empty disk occupies nothing"


@pytest.mark.parametrize(
    ("category", "level", "low", "high"),
    [
        (DiskCategory.CLOUD, None, 5, 2_000),
        (DiskCategory.CLOUD_EFFICIENCY, None, 20, 32_768),
        (DiskCategory.CLOUD_SSD, None, 20, 32_768),
        (DiskCategory.CLOUD_AUTO, None, 1, 65_536),
        (DiskCategory.CLOUD_ESSD_ENTRY, None, 10, 32_768),
        (DiskCategory.CLOUD_ESSD, PerformanceLevel.PL0, 1, 65_536),
        (DiskCategory.CLOUD_ESSD, PerformanceLevel.PL1, 20, 65_536),
        (DiskCategory.CLOUD_ESSD, PerformanceLevel.PL2, 461, 65_536),
        (DiskCategory.CLOUD_ESSD, PerformanceLevel.PL3, 1_261, 65_536),
    ],
)
def test_sizes_of_each_category(site, category, level, low, high):
    with site.scope() as scope:
        for size in (low, high):
            create_disk(scope, new(category=category, performance_level=level, size_gib=size))
        for size in (low - 1, high + 1, 0, -1):
            with pytest.raises(DiskSizeError) as refused:
                create_disk(scope, new(category=category, performance_level=level, size_gib=size))
            assert (refused.value.low_gib, refused.value.high_gib) == (low, high)


def test_a_size_is_needed_without_a_snapshot(site):
    with site.scope() as scope, pytest.raises(DiskSizeError):
        create_disk(scope, new(size_gib=None))


def test_local_disks_can_only_be_imported(site):
    with site.scope() as scope, pytest.raises(DiskCategoryError):
        create_disk(scope, new(category=DiskCategory.LOCAL_SSD_PRO))
    disk_id = site.make_imported(category=DiskCategory.LOCAL_SSD_PRO)
    assert site.disk(disk_id).state is DiskState.AVAILABLE


def test_a_zone_of_another_region_is_unknown(site):
    with site.scope() as scope, pytest.raises(ZoneNotFoundError):
        create_disk(scope, new(zone_id=ZoneId("us-east-1a")))


def test_an_imported_disk_has_the_next_whole_gib_and_counts_as_attached(site):
    with site.scope() as scope:
        disk = import_disk(scope, ImportedDisk(zone_id=ZONE, size_bytes=GIB + 1, role=DiskRole.SYSTEM))
        assert (disk.size_gib, disk.was_attached, disk.role) == (2, True, DiskRole.SYSTEM)
        with pytest.raises(DiskSizeError):
            import_disk(scope, ImportedDisk(zone_id=ZONE, size_bytes=0))
        with pytest.raises(DiskSizeError):
            import_disk(scope, ImportedDisk(zone_id=ZONE, size_bytes=65_537 * GIB))


def test_a_disk_from_a_snapshot_holds_its_bytes_and_is_never_smaller(site):
    source = site.make_imported(b"precious", size_bytes=25 * GIB)
    snapshot_id = site.make_snapshot(source)
    same, larger = (
        site.make_disk(size_gib=20, snapshot_id=snapshot_id),
        site.make_disk(size_gib=40, snapshot_id=snapshot_id),
    )
    assert site.disk(same).size_gib == 25
    assert site.disk(larger).size_gib == 40
    assert site.disk(larger).source_snapshot_id == snapshot_id
    for disk_id in (same, larger):
        assert site.read(disk_id, 0, 8) == b"precious"
    with site.scope() as scope:
        assert list_usages(scope.session, [snapshot_id]) == {snapshot_id: SnapshotUsage.DISK}


def test_a_disk_needs_an_accomplished_snapshot_of_its_account_and_region(site):
    source = site.make_imported(b"x")
    snapshot_id = site.start_snapshot(source)
    far_zone = add_region(site)
    with site.scope() as scope, pytest.raises(SnapshotNotReadyError):
        create_disk(scope, new(snapshot_id=snapshot_id))
    site.work()
    with site.scope(region_id=FAR) as scope, pytest.raises(SnapshotNotFoundError):
        create_disk(scope, new(snapshot_id=snapshot_id, zone_id=far_zone))
    with site.as_another_account().scope() as scope, pytest.raises(SnapshotNotFoundError):
        create_disk(scope, new(snapshot_id=snapshot_id))


def test_rolling_back_brings_back_every_byte(site):
    disk_id = site.make_imported(b"first" * 1000)
    snapshot_id = site.make_snapshot(disk_id)
    site.write(disk_id, 0, b"second" * 1000)
    site.write(disk_id, 700 * MIB, b"far away")
    site.roll_back(disk_id, snapshot_id)
    disk = site.disk(disk_id)
    assert (disk.state, disk.reset_snapshot_id) == (DiskState.AVAILABLE, None)
    assert site.read(disk_id, 0, 6000) == b"first" * 1000 + bytes(1000)
    assert site.read(disk_id, 700 * MIB, 8) == bytes(8)


def test_rolling_back_refuses_in_the_order_of_the_contract(site):
    disk_id, other = site.make_imported(b"a"), site.make_imported(b"b")
    own, foreign = site.make_snapshot(disk_id), site.make_snapshot(other)

    def refused(error, disk=disk_id, snapshot=own):
        with pytest.raises(error), site.scope() as scope:
            reset_disk(scope, disk, snapshot)

    refused(DiskNotFoundError, disk=DiskId("d-unknown"), snapshot=SnapshotId("s-unknown"))
    refused(SnapshotNotFoundError, snapshot=SnapshotId("s-unknown"))
    refused(SnapshotMismatchError, snapshot=foreign)
    with site.connected(disk_id):
        refused(DiskConnectedError)
        refused(DiskConnectedError, snapshot=foreign)
    unfinished = site.start_snapshot(disk_id)
    refused(SnapshotNotReadyError, snapshot=unfinished)
    refused(SnapshotInProgressError)
    refused(SnapshotInProgressError, snapshot=foreign)
    site.work()
    with site.scope() as scope:
        reset_disk(scope, disk_id, own)
    refused(DiskResetInProgressError)
    assert site.disk(disk_id).state is DiskState.REINITING
    with site.scope() as scope:
        creating = create_disk(scope, new()).id
    refused(DiskStateError, disk=creating)


def test_a_released_disk_cannot_be_rolled_back_but_its_snapshot_makes_a_new_one(site):
    disk_id = site.make_imported(b"precious")
    snapshot_id = site.make_snapshot(disk_id)
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    site.work()
    with pytest.raises(DiskNotFoundError), site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
    snapshot = site.snapshot(snapshot_id)
    assert (snapshot.state, snapshot.disk_id) == (SnapshotState.ACCOMPLISHED, disk_id)
    assert site.read(site.make_disk(snapshot_id=snapshot_id), 0, 8) == b"precious"


def test_deleting_takes_the_bytes_and_the_row(site):
    disk_id = site.make_disk(tags={"a": "b"})
    folder = site.installation.volumes.raw_path(disk_id).parent
    with site.scope() as scope:
        delete_disk(scope, disk_id)
        with pytest.raises(DiskNotFoundError):
            get_disk(scope, disk_id)
        assert list_disks(scope, DiskFilter(), Slice(limit=10)).total_count == 0
    site.work()
    assert not folder.exists()
    with pytest.raises(DiskNotFoundError), site.scope() as scope:
        delete_disk(scope, disk_id)


def test_deleting_a_disk_that_was_made_from_a_snapshot_frees_the_snapshot(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"x"))
    disk_id = site.make_disk(snapshot_id=snapshot_id)
    with site.scope() as scope:
        delete_disk(scope, disk_id)
    site.work()
    site.delete(snapshot_id)
    assert site.snapshot(snapshot_id) is None


def test_what_keeps_a_disk_from_being_deleted(site):
    disk_id = site.make_imported(b"x")

    def refused(error):
        with pytest.raises(error), site.scope() as scope:
            delete_disk(scope, disk_id)

    with site.connected(disk_id):
        refused(DiskConnectedError)
    snapshot_id = site.start_snapshot(disk_id)
    refused(SnapshotInProgressError)
    site.work()
    with site.scope() as scope:
        reset_disk(scope, disk_id, snapshot_id)
    refused(DiskStateError)


def test_another_accounts_disk_is_as_unknown_as_one_that_never_was(site):
    disk_id = site.make_imported(b"x")
    snapshot_id = site.make_snapshot(disk_id)
    stranger = site.as_another_account()
    with stranger.scope() as scope:
        for call in (
            lambda: get_disk(scope, disk_id),
            lambda: delete_disk(scope, disk_id),
            lambda: reset_disk(scope, disk_id, snapshot_id),
        ):
            with pytest.raises(DiskNotFoundError) as foreign:
                call()
            assert str(foreign.value) == str(DiskNotFoundError(disk_id))
        assert list_disks(scope, DiskFilter(disk_ids=[disk_id]), Slice(limit=10)).items == ()


def test_listing_filters_pages_and_sorts_newest_first(site):

    made = []
    for number in range(5):
        site.clock.advance(timedelta(minutes=1))
        tags = {"odd": "yes"} if number % 2 else {}
        made.append(site.make_disk(name=f"disk-{number}", tags=tags))
    made.reverse()

    def found(part=Slice(limit=10), **wanted):  # noqa: B008
        with site.scope() as scope:
            page = list_disks(scope, DiskFilter(**wanted), part)
        return [view.disk.id for view in page.items], page

    assert found()[0] == made
    assert found(name="disk-3")[0] == [made[1]]
    assert found(disk_ids=made[:2])[0] == made[:2]
    assert found(disk_ids=[])[0] == []
    assert found(tags={"odd": "yes"})[0] == [made[1], made[3]]
    assert found(tags={"odd": None})[0] == [made[1], made[3]]
    assert found(tags={"odd": "no"})[0] == []
    assert found(state=DiskState.CREATING)[0] == []
    assert found(created_from=site.disk(made[1]).created_at)[0] == made[:2]
    assert found(created_to=site.disk(made[3]).created_at)[0] == made[3:]
    assert found(Slice(limit=2, offset=2))[0] == made[2:4]
    ids, page = found(Slice(limit=3))
    assert (ids, page.total_count) == (made[:3], 5)
    rest, last = found(Slice(limit=3, after=page.next_key))
    assert (rest, last.total_count, last.next_key) == (made[3:], 5, None)
    assert page.items[1].tags == {"odd": "yes"}


def test_a_change_of_state_that_the_table_does_not_have_is_a_bug(site):
    disk_id = site.make_disk()
    with pytest.raises(AssertionError), site.scope() as scope:
        get_disk(scope, disk_id).move_to(DiskState.DETACHING)
    assert set(TRANSITIONS) == set(DiskState)
