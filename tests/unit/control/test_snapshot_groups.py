"""Snapshot groups: all members or none, on file systems of every kind."""

from datetime import timedelta

import pytest
from sqlalchemy import delete

from lamina.blockio.file_volume import list_frozen
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.create import ImportedDisk, import_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.errors import DiskCategoryError, DiskNotFoundError
from lamina.control.disks.resize import resize_disk
from lamina.control.disks.tidy import forget_leftover_clones
from lamina.control.images.add import ImageFacts
from lamina.control.images.create import NewImage, create_image
from lamina.control.paging import Slice
from lamina.control.snapshots.errors import (
    GroupNotFoundError,
    GroupSizeError,
    GroupWithoutDisksError,
    GroupZoneError,
    SnapshotHeldByImageError,
    SnapshotInProgressError,
    SnapshotLockedError,
)
from lamina.control.snapshots.groups.create import NewGroup, create_group
from lamina.control.snapshots.groups.delete import delete_group
from lamina.control.snapshots.groups.modify import modify_group
from lamina.control.snapshots.groups.queries import GroupFilter, get_group, list_groups
from lamina.control.snapshots.groups.restart import restart_groups
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.lock import NewLock, lock_snapshot
from lamina.control.snapshots.restart import restart_snapshots
from lamina.control.snapshots.states import GroupState, HolderKind, SnapshotState
from lamina.ids import SnapshotGroupId, ZoneId
from lamina.tasks.errors import TaskBusyError
from lamina.tasks.records import TaskRecord
from lamina.units import GIB
from tests.factories.instances import attach, make_free_disk, make_instance

ONE, TWO = b"first disk" * 1000, b"second disk" * 1000


@pytest.fixture
def disks(site):
    return site.make_imported(ONE), site.make_imported(TWO)


def start(site, disks, **options):
    with site.scope() as scope:
        return create_group(scope, NewGroup(disk_ids=tuple(disks), **options)).id


def make(site, disks, **options):
    group_id = start(site, disks, **options)
    site.work()
    return group_id


def test_a_disk_that_is_being_changed_is_in_no_group_and_no_image_until_that_is_done(site):
    """Otherwise the row of its snapshot may say another size than the snapshot has, and no disk can be made of it."""
    disk_id = make_free_disk(site, b"content")
    instance_id = make_instance(site, is_running=True)
    attach(site, disk_id, instance_id)
    with site.scope() as scope:
        resize_disk(scope, disk_id, 2)
    with pytest.raises(TaskBusyError):
        start(site, [disk_id], categories=frozenset(DiskCategory))
    with pytest.raises(TaskBusyError), site.scope() as scope:
        create_image(scope, NewImage(facts=ImageFacts(name="whole"), instance_id=instance_id))
    site.work()
    make(site, [disk_id], categories=frozenset(DiskCategory))
    [snapshot_id] = site.list_stored()
    assert site.snapshot(snapshot_id).disk_size_gib == 2
    copy_id = make_free_disk(site, snapshot_id=snapshot_id, size_gib=None)
    assert site.read(copy_id, 0, 7) == b"content"


def find(site, group_id=None, **wanted):
    with site.scope() as scope:
        filters = GroupFilter(group_ids=None if group_id is None else [group_id], **wanted)
        return list_groups(scope, filters, Slice(limit=10)).items


def members_of(site, group_id):
    [view] = find(site, group_id)
    return {each.snapshot.disk_id: each.snapshot.id for each in view.members}


def wait_out_retries(site):
    for _ in range(8):
        site.work()
        site.clock.advance(timedelta(minutes=5))


def test_the_way_of_a_group(site, disks):
    group_id = start(site, disks, name="nightly", description="words", tags={"k": "v"})
    [view] = find(site, group_id)
    assert (view.group.state, view.tags) == (GroupState.PROGRESSING, {"k": "v"})
    for disk_id in disks:
        with pytest.raises(SnapshotInProgressError):
            site.start_snapshot(disk_id)
        with pytest.raises(SnapshotInProgressError), site.scope() as scope:
            delete_disk(scope, disk_id)
    site.work()
    [view] = find(site, name="nightly", states=[GroupState.ACCOMPLISHED], tags={"k": "v"})
    assert [each.progress_percent for each in view.members] == [100, 100]
    assert {each.snapshot.name for each in view.members} == {"nightly"}
    members = members_of(site, group_id)
    for disk_id, content in zip(disks, (ONE, TWO), strict=True):
        site.write(disk_id, 0, bytes(len(content)))
        site.roll_back(disk_id, members[disk_id])
        assert site.read(disk_id, 0, len(content)) == content
    with site.scope() as scope:
        modify_group(scope, group_id, name="renamed", description="")
        assert get_group(scope, group_id).description is None
    for verb in (delete_group, get_group):
        with pytest.raises(GroupNotFoundError), site.as_another_account().scope() as scope:
            verb(scope, group_id)
    with site.scope() as scope:
        assert {outcome.refusal for outcome in delete_group(scope, group_id)} == {None}
    site.work()
    assert (find(site), site.list_stored()) == ((), [])


def test_a_member_that_is_needed_is_kept_and_stands_alone(site, disks):
    group_id = make(site, [*disks, site.make_imported(b"third")])
    in_image, locked, free = members_of(site, group_id).values()
    with site.scope() as scope:
        place_hold(scope.session, in_image, HolderKind.IMAGE, "m-1")
        lock_snapshot(scope, NewLock(snapshot_id=locked, duration_days=1, cool_off_hours=0))
        place_hold(scope.session, free, HolderKind.DISK, "d-1")
        outcomes = {outcome.snapshot_id: outcome.refusal for outcome in delete_group(scope, group_id)}
    assert isinstance(outcomes[in_image], SnapshotHeldByImageError)
    assert isinstance(outcomes[locked], SnapshotLockedError)
    assert outcomes[free] is None
    site.work()
    assert set(site.list_stored()) == {in_image, locked}
    assert {site.snapshot(each).group_id for each in (in_image, locked)} == {None}
    with pytest.raises(GroupNotFoundError), site.scope() as scope:
        delete_group(scope, group_id)


def test_a_group_that_cannot_have_one_disk_has_none(site, disks):
    path = site.installation.volumes.raw_path(disks[1])
    path.rename(path.with_name("away"))
    group_id = start(site, disks)
    wait_out_retries(site)
    [view] = find(site, group_id)
    assert (view.group.state, bool(view.group.failure)) == (GroupState.FAILED, True)
    assert {each.snapshot.state for each in view.members} == {SnapshotState.FAILED}
    assert site.list_stored() == []
    assert [list_frozen(site.installation.volumes.frozen_folder(disk_id)) for disk_id in disks] == [(), ()]
    path.with_name("away").rename(path)
    assert find(site, make(site, disks))[0].group.state is GroupState.ACCOMPLISHED


def test_deleting_one_unfinished_member_ends_the_group(site, disks):
    group_id = start(site, disks)
    first, second = members_of(site, group_id).values()
    site.delete(first)
    assert site.snapshot(first) is None
    assert site.snapshot(second).state is SnapshotState.FAILED
    assert find(site, group_id)[0].group.state is GroupState.FAILED
    assert site.list_stored() == []


def test_deleting_an_unfinished_group_cancels_it(site, disks):
    group_id = start(site, disks)
    with site.scope() as scope:
        assert len(delete_group(scope, group_id)) == len(disks)
    with pytest.raises(SnapshotInProgressError):
        site.start_snapshot(disks[0])
    site.work()
    assert (find(site), site.list_stored()) == ((), [])
    site.make_snapshot(disks[0])


def test_what_no_group_is_made_of(site, disks):
    with pytest.raises(GroupWithoutDisksError):
        start(site, [])
    with pytest.raises(DiskNotFoundError):
        start(site.as_another_account(), disks)
    with pytest.raises(DiskCategoryError):
        start(site, [*disks, site.make_imported(b"x", category=DiskCategory.LOCAL_SSD_PRO)])
    with pytest.raises(DiskCategoryError):
        start(site, [*disks, site.make_imported(b"x", category=DiskCategory.CLOUD_SSD)])
    with site.scope() as scope:
        far = ImportedDisk(zone_id=ZoneId("cn-hangzhou-i"), size_bytes=GIB)
        elsewhere = import_disk(scope, far).id
    site.work()
    with pytest.raises(GroupZoneError):
        start(site, [*disks, elsewhere])
    with pytest.raises(GroupSizeError):
        start(site, [site.make_imported() for _ in range(17)])
    assert find(site) == ()
    with pytest.raises(GroupNotFoundError), site.scope() as scope:
        modify_group(scope, SnapshotGroupId("ssg-none"), name="x", description=None)


def test_a_group_that_lost_its_task_is_settled_and_its_clones_are_left_alone_before(site, disks):
    group_id = start(site, disks)
    forget_leftover_clones(site.installation)
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))
    restart_groups(site.installation)
    assert find(site, group_id)[0].group.state is GroupState.PROGRESSING  # its members come first
    restart_snapshots(site.installation)
    restart_groups(site.installation)
    assert find(site, group_id)[0].group.state is GroupState.FAILED
    with site.scope() as scope:
        delete_group(scope, group_id)
    site.work()
    assert find(site) == ()
