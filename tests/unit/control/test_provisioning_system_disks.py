"""ReplaceSystemDisk: an instance always has a system disk, and the right one (B13, B31, E18, E25)."""

import pytest
from sqlalchemy import delete

from lamina.control.accounts.standing import set_standing
from lamina.control.accounts.states import AccountStanding
from lamina.control.disks.connect import connect
from lamina.control.disks.detach import detach_disk
from lamina.control.disks.errors import (
    DiskConnectedError,
    DiskNotFoundError,
    DiskResetInProgressError,
    DiskSizeError,
    DiskStateError,
    SnapshotMismatchError,
)
from lamina.control.disks.modify import DiskChanges, modify_disk
from lamina.control.disks.reset import reset_disk
from lamina.control.disks.start import restart_disks
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.images.errors import ImageBusyError, ImageNotFoundError
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceNotFoundError,
    InstanceStateError,
)
from lamina.control.instances.locks import set_security_lock
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.errors import DiskBelowImageError, NoSystemDiskError
from lamina.control.provisioning.release import delete_instance
from lamina.control.provisioning.replace import replace_system_disk
from lamina.control.provisioning.restart import restart_emptied_disks, restart_instances
from lamina.control.provisioning.start import start_instance
from lamina.control.snapshots.create import NewSnapshot, create_snapshot
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.tasks.records import TaskRecord
from tests.factories.images import find_image, make_image, make_system_snapshot, remove_image
from tests.factories.instances import (
    data_disk,
    detach,
    find_disk,
    find_instance,
    list_disks_of,
    make_instance,
    start,
    stop,
)

ROOT = b"root" * 1024


@pytest.fixture
def image_id(site):
    return make_image(site, snapshot_id=make_system_snapshot(site, ROOT), platform="Ubuntu")


def order(site, instance_id, image_id, size_gib=None):
    with site.scope() as scope:
        return replace_system_disk(scope, instance_id, image_id, size_gib).id


def replace(site, *given):
    new = order(site, *given)
    site.work()
    return new


def make_used_instance(site, *data):
    """A stopped instance that ran; itself, and its system disk."""
    instance_id = make_instance(site, *data, is_running=True)
    stop(site, instance_id)
    return instance_id, list_disks_of(site, instance_id)[0].id


def test_the_new_disk_has_the_images_bytes_and_the_old_one_is_gone(site, image_id):
    instance_id, old = make_used_instance(site, data_disk())
    site.write(old, 0, b"old")
    before = site.disk(old)
    new = replace(site, instance_id, image_id)
    system, data = list_disks_of(site, instance_id)
    assert (system.id, system.state, system.role) == (new, DiskState.IN_USE, DiskRole.SYSTEM)
    assert (system.device, system.image_id, system.was_attached) == ("/dev/xvda", image_id, False)
    assert (system.category, system.size_gib) == (before.category, before.size_gib)
    assert data.state is DiskState.IN_USE
    assert site.read(new, 0, len(ROOT) + 1) == ROOT + b"\0"
    assert find_disk(site, old) is None
    assert not site.installation.volumes.raw_path(old).parent.exists()
    instance = find_instance(site, instance_id)
    assert (instance.image_id, instance.os_name) == (image_id, find_image(site, image_id).platform)
    start(site, instance_id)
    assert find_instance(site, instance_id).state is InstanceState.RUNNING


def test_an_old_snapshot_does_not_roll_back_the_new_disk(site, image_id):
    instance_id, old = make_used_instance(site)
    snapshot_id = site.make_snapshot(old)
    new = replace(site, instance_id, image_id)
    with pytest.raises(SnapshotMismatchError), site.scope() as scope:
        reset_disk(scope, new, snapshot_id)
    with pytest.raises(DiskNotFoundError), site.scope() as scope:
        reset_disk(scope, old, snapshot_id)
    assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED


@pytest.mark.parametrize("goes", [True, False])
def test_the_old_disk_says_what_becomes_of_its_automatic_snapshots(site, image_id, goes):
    instance_id, old = make_used_instance(site)
    manual = site.make_snapshot(old)
    automatic = site.make_snapshot(old, kind=SnapshotKind.AUTO)
    with site.scope() as scope:
        modify_disk(scope, old, DiskChanges(delete_auto_snapshot=goes, name="root-disk"))
    new = replace(site, instance_id, image_id)
    assert (site.snapshot(automatic) is None) is goes
    assert site.snapshot(manual).state is SnapshotState.ACCOMPLISHED
    assert (site.disk(new).delete_auto_snapshot, site.disk(new).name) == (goes, "root-disk")


def test_what_is_refused_meanwhile(site, image_id):
    instance_id, old = make_used_instance(site)
    snapshot_id = site.make_snapshot(old)
    new = order(site, instance_id, image_id)
    assert (site.disk(old).state, site.disk(new).state) == (DiskState.REINITING, DiskState.CREATING)
    for verb, error in (
        (lambda scope: start_instance(scope, instance_id), DiskStateError),
        (lambda scope: replace_system_disk(scope, instance_id, image_id), DiskStateError),
        (lambda scope: delete_instance(scope, instance_id, force=True), DiskStateError),
        (lambda scope: detach_disk(scope, old, instance_id), DiskStateError),
        (lambda scope: create_snapshot(scope, NewSnapshot(disk_id=old)), DiskStateError),
        (lambda scope: connect(scope, old), DiskStateError),
    ):
        with pytest.raises(error), site.scope() as scope:
            verb(scope)
    with pytest.raises(ImageBusyError):
        remove_image(site, image_id, force=True)
    for reconcile in (restart_disks, restart_instances, restart_emptied_disks):
        reconcile(site.installation)
    site.work()
    assert [disk.id for disk in list_disks_of(site, instance_id)] == [new]
    assert site.snapshot(snapshot_id).state is SnapshotState.ACCOMPLISHED


def test_a_roll_back_meanwhile_is_refused(site, image_id):
    instance_id, old = make_used_instance(site)
    snapshot_id = site.make_snapshot(old)
    new = order(site, instance_id, image_id)
    with pytest.raises(DiskResetInProgressError), site.scope() as scope:
        reset_disk(scope, old, snapshot_id)
    site.work()
    assert [disk.id for disk in list_disks_of(site, instance_id)] == [new]


def test_a_replacement_whose_task_is_lost_is_taken_up(site, image_id):
    instance_id, old = make_used_instance(site)
    new = order(site, instance_id, image_id)
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))
    for reconcile in (restart_disks, restart_instances, restart_emptied_disks):
        reconcile(site.installation)
    site.work()
    assert [disk.id for disk in list_disks_of(site, instance_id)] == [new]
    assert find_disk(site, old) is None
    assert site.read(new, 0, len(ROOT)) == ROOT


def test_a_disk_that_was_rolled_back_instead_is_not_replaced_any_more(site, image_id):
    instance_id, old = make_used_instance(site)
    site.write(old, 0, b"mine")
    snapshot_id = site.make_snapshot(old)
    new = order(site, instance_id, image_id)
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))
    site.roll_back(old, snapshot_id)  # before anybody took the lost replacement up
    restart_emptied_disks(site.installation)
    site.work()
    assert [disk.id for disk in list_disks_of(site, instance_id)] == [old]
    assert (site.disk(old).state, site.read(old, 0, 4)) == (DiskState.IN_USE, b"mine")
    assert find_disk(site, new) is None
    start(site, instance_id)


def test_the_old_disk_stays_when_the_new_one_cannot_be_made(site):
    snapshot_id = make_system_snapshot(site, ROOT)
    image_id = make_image(site, snapshot_id=snapshot_id)
    instance_id, old = make_used_instance(site)
    site.write(old, 0, b"mine")
    site.installation.repositories.find(site.account_id, site.disk(old).region_id).delete_snapshot(
        snapshot_id
    )
    new = replace(site, instance_id, image_id)
    assert [disk.id for disk in list_disks_of(site, instance_id)] == [old]
    assert (site.disk(old).state, site.read(old, 0, 4)) == (DiskState.IN_USE, b"mine")
    assert find_disk(site, new) is None
    assert find_instance(site, instance_id).image_id == BUILT_IN_ID
    start(site, instance_id)


def test_what_keeps_a_system_disk_from_being_replaced(site, image_id):
    instance_id, old = make_used_instance(site)
    stranger = site.as_another_account()

    def refuse(error, *given, who=site):
        with pytest.raises(error):
            order(who, instance_id, *(given or (image_id,)))

    refuse(InstanceNotFoundError, who=stranger)
    refuse(ImageNotFoundError, "m-nothing")
    refuse(DiskSizeError, BUILT_IN_ID, 40_000)
    with site.scope() as scope:
        connection = connect(scope, old)
    refuse(DiskConnectedError)
    site.clock.advance(site.installation.limits.connection)
    site.start_snapshot(old)
    refuse(SnapshotInProgressError)
    site.work()
    with site.scope() as scope:
        set_standing(scope.session, site.account_id, AccountStanding.SUSPENDED)
    refuse(InstanceArrearsError)
    with site.scope() as scope:
        set_standing(scope.session, site.account_id, AccountStanding.NORMAL)
        set_security_lock(scope.session, instance_id, is_locked=True)
    order(site, instance_id, image_id)  # the appendix on locked resources lets this pass
    site.work()
    assert connection.disk_id == old


def test_states_and_disks_that_do_not_fit(site, image_id):
    running = make_instance(site, is_running=True)
    with pytest.raises(InstanceStateError):
        order(site, running, image_id)
    instance_id, old = make_used_instance(site)
    big = site.make_snapshot(site.make_imported(ROOT, size_bytes=30 << 30, role=DiskRole.SYSTEM))
    large = make_image(site, snapshot_id=big)
    with pytest.raises(DiskBelowImageError):
        order(site, instance_id, large, 25)
    new = replace(site, instance_id, large)
    assert site.disk(new).size_gib == 30
    detach(site, new, instance_id)
    with pytest.raises(NoSystemDiskError):
        order(site, instance_id, image_id)
    assert old != new
