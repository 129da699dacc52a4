"""What instances and their owners do with disks: attach, detach, resize, re-initialise, clone, change (b.4, d.2)."""

import pytest

from lamina.control.disks.attach import Attachment, attach_disk
from lamina.control.disks.attachment import Before
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.clone import DiskClone, clone_disk
from lamina.control.disks.create import ImportedDisk, import_disk
from lamina.control.disks.delete import delete_disk
from lamina.control.disks.detach import detach_disk
from lamina.control.disks.errors import (
    AttachedElsewhereError,
    DeviceTakenError,
    DiskAttachedError,
    DiskCategoryError,
    DiskConnectedError,
    DiskLimitError,
    DiskNeverUsedError,
    DiskNotFoundError,
    DiskPortableError,
    DiskShrinkError,
    DiskSizeError,
    DiskStateError,
    ForeignSystemDiskError,
    NeverAttachedError,
    NotAttachedError,
    NotBootableError,
    SameSpecError,
    SourceSnapshotGoneError,
    SystemDiskKeptError,
    ZoneMismatchError,
)
from lamina.control.disks.modify import DiskChanges, modify_disk
from lamina.control.disks.queries import DiskFilter, list_disks
from lamina.control.disks.resize import resize_disk
from lamina.control.disks.respec import respec_disk
from lamina.control.disks.start import restart_disks
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.errors import InstanceNotRunningError, InstanceStateError
from lamina.control.instances.locks import set_security_lock
from lamina.control.instances.states import InstanceState
from lamina.control.kinds import KINDS
from lamina.control.paging import Slice
from lamina.control.provisioning.reinit import reinit_disk
from lamina.control.provisioning.release import delete_instance
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.states import SnapshotKind
from lamina.ids import ZoneId
from lamina.tasks.errors import TaskBusyError
from lamina.tasks.runner import Runner
from lamina.tasks.task import QUICK
from lamina.units import GIB, MIB
from tests.factories.instances import (
    attach,
    data_disk,
    detach,
    find_disk,
    find_instance,
    list_disks_of,
    make_free_disk,
    make_instance,
    start,
    stop,
)


def refused(site, error, verb, *arguments, **options):
    with pytest.raises(error), site.scope() as scope:
        verb(scope, *arguments, **options)


def test_attaching_and_detaching(site):
    instance_id = make_instance(site, is_running=True)
    disk_id = make_free_disk(site, b"kept")
    with site.scope() as scope:
        attach_disk(scope, Attachment(disk_id=disk_id, instance_id=instance_id, delete_with_instance=True))
    assert site.disk(disk_id).state is DiskState.ATTACHING
    site.work()
    disk = site.disk(disk_id)
    assert (disk.state, disk.instance_id, disk.device) == (DiskState.IN_USE, instance_id, "/dev/xvdb")
    assert (disk.attached_at, disk.delete_with_instance) == (site.clock.now(), True)
    with site.scope() as scope:
        detach_disk(scope, disk_id, instance_id)
    assert site.disk(disk_id).state is DiskState.DETACHING
    site.work()
    disk = site.disk(disk_id)
    assert (disk.state, disk.instance_id, disk.device) == (DiskState.AVAILABLE, None, None)
    assert (disk.detached_at, disk.delete_with_instance) == (site.clock.now(), False)
    assert site.read(disk_id, 0, 4) == b"kept"


def test_what_keeps_a_disk_from_being_attached(site):
    instance_id = make_instance(site, data_disk(device="/dev/xvdf"))
    free = make_free_disk(site)

    def no(error, disk_id=free, **options):
        wanted = Attachment(**{"disk_id": disk_id, "instance_id": instance_id, **options})
        refused(site, error, attach_disk, wanted)

    no(DeviceTakenError, device="/dev/xvdf")
    no(NotBootableError, is_bootable=True)
    no(DiskCategoryError, disk_id=site.make_imported(category=DiskCategory.LOCAL_SSD_PRO))
    no(ZoneMismatchError, disk_id=make_free_disk(site, zone_id=ZoneId("cn-hangzhou-i")))
    no(DiskStateError, disk_id=list_disks_of(site, instance_id)[1].id)
    with site.connected(free):
        no(DiskConnectedError)
    attach(site, free, instance_id, device="/dev/xvdz")
    assert site.disk(free).device == "/dev/xvdz"


def test_an_instance_has_so_many_data_disks_and_no_more(site):
    instance_id = make_instance(site, *[data_disk()] * 16)
    wanted = Attachment(disk_id=make_free_disk(site), instance_id=instance_id)
    refused(site, DiskLimitError, attach_disk, wanted)


def test_a_disk_whose_file_is_gone_is_not_attached(site):
    instance_id, disk_id = make_instance(site, is_running=True), make_free_disk(site)
    site.installation.volumes.raw_path(disk_id).unlink()
    attach(site, disk_id, instance_id)
    disk = find_disk(site, disk_id)
    assert (disk.state, disk.instance_id, disk.device) == (DiskState.AVAILABLE, None, None)


@pytest.mark.parametrize("is_bootable", [True, False])
@pytest.mark.parametrize("fate", [True, False])
def test_a_system_disk_that_cannot_be_attached_is_what_it_was(site, is_bootable, fate):
    instance_id = make_instance(site)
    with site.scope() as scope:
        new = ImportedDisk(
            zone_id=list_disks_of(site, instance_id)[0].zone_id, size_bytes=GIB, role=DiskRole.SYSTEM
        )
        disk_id = import_disk(scope, new).id
    site.work()
    [system] = list_disks_of(site, instance_id)
    detach(site, system.id, instance_id)
    path = site.installation.volumes.raw_path(disk_id)
    away = path.rename(path.with_name("away"))
    before = Before.of(site.disk(disk_id))
    attach(site, disk_id, instance_id, is_bootable=is_bootable, delete_with_instance=fate)
    assert Before.of(site.disk(disk_id)) == before
    away.rename(path)
    attach(site, disk_id, instance_id, is_bootable=True)
    assert site.disk(disk_id).state is DiskState.IN_USE


def test_a_system_disk_whose_instance_goes_while_it_cannot_be_attached_elsewhere_is_bound_to_nothing(site):
    origin, other = make_instance(site), make_instance(site)
    [system] = list_disks_of(site, origin)
    detach(site, system.id, origin)
    site.installation.volumes.raw_path(system.id).unlink()
    with site.scope() as scope:
        attach_disk(scope, Attachment(disk_id=system.id, instance_id=other))
        delete_instance(scope, origin)
    plant = site.installation
    others = [kind for kind in KINDS if kind.name == "release-instance"]
    Runner(plant.database, site.clock, plant, others, {QUICK: 1}).run_until_idle()
    site.work()
    disk = find_disk(site, system.id)
    assert (disk.state, disk.role, disk.origin_instance_id) == (DiskState.AVAILABLE, DiskRole.DATA, None)
    with site.scope() as scope:
        delete_disk(scope, system.id)


def test_what_keeps_a_disk_from_being_detached(site):
    instance_id, other = make_instance(site, data_disk()), make_instance(site)
    system, data = (disk.id for disk in list_disks_of(site, instance_id))
    refused(site, NotAttachedError, detach_disk, make_free_disk(site), instance_id)
    refused(site, AttachedElsewhereError, detach_disk, data, other)
    with site.connected(data):
        refused(site, DiskConnectedError, detach_disk, data, instance_id)
    start(site, instance_id)
    refused(site, InstanceStateError, detach_disk, system, instance_id)
    with site.scope() as scope:
        detach_disk(scope, data, instance_id)
    refused(site, DiskStateError, detach_disk, data, instance_id)


def test_a_system_disk_boots_its_own_instance_only(site):
    instance_id, other = make_instance(site), make_instance(site)
    [system] = list_disks_of(site, instance_id)
    [theirs] = list_disks_of(site, other)
    detach(site, system.id, instance_id)
    refused(site, SystemDiskKeptError, delete_disk, system.id)
    detach(site, theirs.id, other)
    boot = {"disk_id": system.id, "is_bootable": True}
    refused(site, ForeignSystemDiskError, attach_disk, Attachment(instance_id=other, **boot))
    attach(site, system.id, instance_id, is_bootable=True)
    disk = site.disk(system.id)
    assert (disk.role, disk.device, disk.delete_with_instance) == (DiskRole.SYSTEM, "/dev/xvda", True)
    with site.scope() as scope:
        second = import_disk(
            scope, ImportedDisk(zone_id=disk.zone_id, size_bytes=GIB, role=DiskRole.SYSTEM)
        ).id
    site.work()
    refused(
        site,
        DeviceTakenError,
        attach_disk,
        Attachment(disk_id=second, instance_id=instance_id, is_bootable=True),
    )
    attach(site, second, other, is_bootable=True)
    assert site.disk(second).origin_instance_id == other
    attach(site, theirs.id, instance_id)
    assert (site.disk(theirs.id).role, site.disk(theirs.id).device) == (DiskRole.DATA, "/dev/xvdb")


def test_an_attached_disk_is_not_deleted(site):
    instance_id = make_instance(site, data_disk())
    refused(site, DiskAttachedError, delete_disk, list_disks_of(site, instance_id)[1].id)


def test_automatic_snapshots_go_with_a_deleted_disk_unless_told_otherwise(site):
    for is_deleted in (True, False):
        disk_id = make_free_disk(site, b"x")
        automatic = site.make_snapshot(disk_id, kind=SnapshotKind.AUTO)
        manual, held = site.make_snapshot(disk_id), site.make_snapshot(disk_id, kind=SnapshotKind.AUTO)
        site.make_disk(snapshot_id=held, category=DiskCategory.CLOUD_AUTO, size_gib=1)
        with site.scope() as scope:
            modify_disk(scope, disk_id, DiskChanges(delete_auto_snapshot=is_deleted))
            delete_disk(scope, disk_id)
        site.work()
        assert (site.snapshot(automatic) is None) is is_deleted
        assert site.snapshot(manual) is not None
        assert site.snapshot(held) is not None, "a disk was made from it"


def test_attributes(site):
    disk_id = make_free_disk(site, name="old", description="words")
    with site.scope() as scope:
        modify_disk(scope, disk_id, DiskChanges(name="new", description="", enable_auto_snapshot=False))
    disk = site.disk(disk_id)
    assert (disk.name, disk.description, disk.enable_auto_snapshot) == ("new", None, False)
    assert (disk.delete_auto_snapshot, disk.delete_with_instance) == (True, False)
    local = site.make_imported(category=DiskCategory.LOCAL_SSD_PRO)
    refused(site, DiskPortableError, modify_disk, local, DiskChanges(delete_with_instance=False))
    refused(site.as_another_account(), DiskNotFoundError, modify_disk, disk_id, DiskChanges(name="xx"))


def test_a_disk_grows_and_its_new_end_reads_as_zero(site):
    disk_id = make_free_disk(site, b"start")
    before = site.make_snapshot(disk_id)
    with site.scope() as scope:
        resize_disk(scope, disk_id, 3)
        with pytest.raises(TaskBusyError):
            resize_disk(scope, disk_id, 4)
    assert site.disk(disk_id).size_gib == 1
    site.work()
    assert site.disk(disk_id).size_gib == 3
    assert site.installation.volumes.raw_path(disk_id).stat().st_size == 3 * GIB
    assert site.read(disk_id, 0, 5) == b"start"
    assert site.read(disk_id, 2 * GIB, 8) == bytes(8)
    site.write(disk_id, 3 * GIB - 3, b"end")
    grown = site.make_snapshot(disk_id)
    snapshot = site.snapshot(grown)
    assert (snapshot.disk_size_gib, snapshot.changed_bytes) == (3, 64 * 1024)
    copy = site.make_disk(snapshot_id=grown, category=DiskCategory.CLOUD_AUTO, size_gib=1)
    assert (site.disk(copy).size_gib, site.read(copy, 3 * GIB - 3, 3)) == (3, b"end")
    site.roll_back(disk_id, before)
    disk = site.disk(disk_id)
    assert (disk.state, disk.size_gib) == (DiskState.AVAILABLE, 3)
    assert site.read(disk_id, 0, 5) == b"start"
    assert site.read(disk_id, 3 * GIB - 3, 3) == bytes(3), "what was behind the snapshot's end is gone"


def test_what_keeps_a_disk_from_growing(site):
    disk_id = make_free_disk(site, b"x")
    refused(site, DiskShrinkError, resize_disk, disk_id, 1)
    refused(site, DiskSizeError, resize_disk, disk_id, 70_000)
    refused(site, InstanceNotRunningError, resize_disk, disk_id, 2, is_online=True)
    refused(site, DiskCategoryError, resize_disk, site.make_imported(category=DiskCategory.LOCAL_SSD_PRO), 5)
    site.start_snapshot(disk_id)
    refused(site, SnapshotInProgressError, resize_disk, disk_id, 2)


def test_what_a_disk_is_can_be_changed(site):
    disk_id = make_free_disk(site, b"same")
    refused(site, SameSpecError, respec_disk, disk_id, DiskCategory.CLOUD_AUTO)
    refused(site, DiskSizeError, respec_disk, disk_id, DiskCategory.CLOUD_ESSD)
    refused(site, DiskCategoryError, respec_disk, disk_id, DiskCategory.EPHEMERAL_SSD)
    with site.scope() as scope:
        task_id = respec_disk(scope, disk_id, DiskCategory.CLOUD_ESSD, PerformanceLevel.PL0)
    site.work()
    disk = site.disk(disk_id)
    assert disk.task_id == task_id
    assert (disk.category, disk.performance_level) == (DiskCategory.CLOUD_ESSD, PerformanceLevel.PL0)
    assert site.read(disk_id, 0, 4) == b"same"


def used_instance(site, *data):
    """A stopped instance that ran once."""
    instance_id = make_instance(site, *data, is_running=True)
    stop(site, instance_id)
    return instance_id


def test_reinitialising_brings_back_how_a_disk_was_made(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"source"))
    instance_id = used_instance(site, data_disk(), data_disk(snapshot_id=snapshot_id))
    _, empty, copy = (disk.id for disk in list_disks_of(site, instance_id))
    for disk_id in (empty, copy):
        site.write(disk_id, 0, b"scribble")
        site.write(disk_id, 700 * MIB, b"far away")
        kept = site.make_snapshot(disk_id)
        with site.scope() as scope:
            reinit_disk(scope, disk_id)
        assert site.disk(disk_id).state is DiskState.REINITING
        site.work()
        assert site.disk(disk_id).state is DiskState.IN_USE
        assert site.read(disk_id, 700 * MIB, 8) == bytes(8)
        assert site.snapshot(kept) is not None
    assert site.read(empty, 0, 8) == bytes(8)
    assert site.read(copy, 0, 8) == b"source\0\0"
    assert find_instance(site, instance_id).state is InstanceState.STOPPED


def test_reinitialising_may_start_the_instance(site):
    instance_id = used_instance(site)
    [system] = list_disks_of(site, instance_id)
    with site.scope() as scope:
        reinit_disk(scope, system.id, starts_instance=True)
    site.work()
    assert find_instance(site, instance_id).state is InstanceState.RUNNING


def test_what_keeps_a_disk_from_being_reinitialised(site):
    snapshot_id = site.make_snapshot(site.make_imported(b"source"))
    instance_id = make_instance(site, data_disk(snapshot_id=snapshot_id))
    disk_id = list_disks_of(site, instance_id)[1].id
    refused(site, NotAttachedError, reinit_disk, make_free_disk(site))
    refused(site, DiskNeverUsedError, reinit_disk, disk_id)
    start(site, instance_id)
    refused(site, InstanceStateError, reinit_disk, disk_id)
    stop(site, instance_id)
    with site.connected(disk_id):
        refused(site, DiskConnectedError, reinit_disk, disk_id)
    site.start_snapshot(disk_id)
    refused(site, SnapshotInProgressError, reinit_disk, disk_id)
    site.work()
    site.delete(snapshot_id, force=True)
    refused(site, SourceSnapshotGoneError, reinit_disk, disk_id)
    assert site.read(disk_id, 0, 6) == b"source", "the disk itself keeps working"


def test_a_clone_holds_the_bytes_of_the_moment(site):
    source = make_free_disk(site, b"original")
    site.write(source, GIB - 4, b"last")
    new = DiskClone(
        source_id=source, category=DiskCategory.CLOUD_AUTO, size_gib=2, name="copy", tags={"a": "b"}
    )
    with site.scope() as scope:
        clone_id = clone_disk(scope, new).id
    assert site.disk(clone_id).state is DiskState.CREATING
    refused(site, TaskBusyError, clone_disk, new)
    restart_disks(site.installation)  # it is not stranded: its task goes by its source
    site.work()
    clone = site.disk(clone_id)
    assert (clone.state, clone.size_gib, clone.source_disk_id) == (DiskState.AVAILABLE, 2, source)
    site.write(source, 0, b"changed!")
    assert site.read(clone_id, 0, 8) == b"original"
    assert site.read(clone_id, GIB - 4, 8) == b"last" + bytes(4)
    assert list(site.installation.volumes.frozen_folder(source).glob("*")) == []


def test_what_keeps_a_disk_from_being_cloned(site):
    disk_id = make_free_disk(site)
    new = {"source_id": disk_id, "category": DiskCategory.CLOUD_AUTO, "size_gib": 1}
    refused(site, NeverAttachedError, clone_disk, DiskClone(**new))
    site.write(disk_id, 0, b"x")
    refused(site, DiskSizeError, clone_disk, DiskClone(**{**new, "category": DiskCategory.CLOUD_ESSD}))
    with site.scope() as scope:
        resize_disk(scope, disk_id, 2)
    site.work()
    refused(site, DiskShrinkError, clone_disk, DiskClone(**new))
    site.start_snapshot(disk_id)
    refused(site, SnapshotInProgressError, clone_disk, DiskClone(**{**new, "size_gib": 2}))


def test_disks_are_found_by_what_instances_make_of_them(site):
    instance_id = make_instance(site, data_disk(delete_with_instance=False))
    system, data = (disk.id for disk in list_disks_of(site, instance_id))
    free, local = make_free_disk(site), site.make_imported(category=DiskCategory.LOCAL_SSD_PRO)
    with site.scope() as scope:
        set_security_lock(scope.session, instance_id, is_locked=True)

    def found(**wanted):
        with site.scope() as scope:
            return {view.disk.id for view in list_disks(scope, DiskFilter(**wanted), Slice(limit=10)).items}

    assert found(instance_id=instance_id) == {system, data}
    assert found(role=DiskRole.SYSTEM) == {system}
    assert found(delete_with_instance=True) == {system}
    assert found(is_portable=False) == {local}
    assert found(is_portable=True) == {system, data, free}
    assert found(is_security_locked=True) == {system, data}
    assert found(is_security_locked=False) == {free, local}
    assert found(enable_auto_snapshot=False) == set()
