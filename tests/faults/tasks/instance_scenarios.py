"""The scenarios of the tasks that instances brought: their own, and those of the disks that change with them."""

from lamina.control.disks.attach import Attachment, attach_disk
from lamina.control.disks.attachment import ATTACH_DISK, DETACH_DISK
from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.clone import CLONE_DISK, DiskClone, clone_disk
from lamina.control.disks.detach import detach_disk
from lamina.control.disks.resize import RESIZE_DISK, resize_disk
from lamina.control.disks.respec import RESPEC_DISK, respec_disk
from lamina.control.disks.states import DiskState
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.build import BUILD_INSTANCE, BUILD_INSTANCE_FROM_SNAPSHOTS
from lamina.control.provisioning.power import REBOOT_INSTANCE, START_INSTANCE, STOP_INSTANCE
from lamina.control.provisioning.reboot import reboot_instance
from lamina.control.provisioning.reinit import REINIT_DISK, reinit_disk
from lamina.control.provisioning.release import delete_instance
from lamina.control.provisioning.release_task import RELEASE_INSTANCE
from lamina.control.provisioning.replace import REPLACE_SYSTEM_DISK, replace_system_disk
from lamina.control.provisioning.start import start_instance
from lamina.control.provisioning.stop import stop_instance
from lamina.units import GIB, KIB
from tests.factories.images import make_image, make_system_snapshot, share
from tests.factories.installation import Site
from tests.factories.instances import (
    data_disk,
    find_disk,
    find_instance,
    list_disks_of,
    make_free_disk,
    make_instance,
    order_instance,
    start,
    stop,
)
from tests.faults.tasks.scenario import Scenario

CONTENT = bytes(range(1, 129)) * KIB
CHANGED = b"changed!" * 16 * KIB


def _prepare_attach(site: Site):
    instance_id, disk_id = make_instance(site, is_running=True), make_free_disk(site, CONTENT)
    with site.scope() as scope:
        attach_disk(scope, Attachment(disk_id=disk_id, instance_id=instance_id))
    return instance_id, disk_id


def _prepare_detach(site: Site):
    instance_id = make_instance(site, data_disk(), is_running=True)
    disk_id = list_disks_of(site, instance_id)[1].id
    with site.scope() as scope:
        detach_disk(scope, disk_id, instance_id)
    return instance_id, disk_id


def _is_attached(site: Site, made) -> None:
    instance_id, disk_id = made
    disk = find_disk(site, disk_id)
    assert (disk.state, disk.instance_id, disk.device) == (DiskState.IN_USE, instance_id, "/dev/xvdb")


def _is_detached(site: Site, made) -> None:
    disk = find_disk(site, made[1])
    assert (disk.state, disk.instance_id, disk.device) == (DiskState.AVAILABLE, None, None)


def _prepare_resize(site: Site):
    disk_id = make_free_disk(site, CONTENT)
    with site.scope() as scope:
        resize_disk(scope, disk_id, 3)
    return disk_id


def _has_size(site: Site, disk_id, size_gib: int) -> None:
    assert find_disk(site, disk_id).size_gib == size_gib
    assert site.installation.volumes.raw_path(disk_id).stat().st_size == size_gib * GIB
    assert site.read(disk_id, 0, len(CONTENT)) == CONTENT


def _prepare_respec(site: Site):
    disk_id = make_free_disk(site)
    with site.scope() as scope:
        respec_disk(scope, disk_id, DiskCategory.CLOUD_ESSD, PerformanceLevel.PL0)
    return disk_id


def _is_essd(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).category is DiskCategory.CLOUD_ESSD


def _is_auto(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).category is DiskCategory.CLOUD_AUTO


def _prepare_clone(site: Site):
    source = make_free_disk(site, CONTENT)
    new = DiskClone(source_id=source, category=DiskCategory.CLOUD_AUTO, size_gib=1)
    with site.scope() as scope:
        return source, clone_disk(scope, new).id


def _is_cloned(site: Site, made) -> None:
    source, clone = made
    assert find_disk(site, clone).state is DiskState.AVAILABLE
    assert site.read(clone, 0, len(CONTENT) + 1) == CONTENT + b"\0"
    _source_is_free(site, source)


def _is_not_cloned(site: Site, made) -> None:
    source, clone = made
    assert find_disk(site, clone) is None
    assert not site.installation.volumes.raw_path(clone).parent.exists()
    _source_is_free(site, source)


def _source_is_free(site: Site, source) -> None:
    assert list(site.installation.volumes.frozen_folder(source).glob("*")) == []
    assert site.read(source, 0, len(CONTENT)) == CONTENT


def _prepare_reinit(site: Site):
    snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
    instance_id = make_instance(site, data_disk(snapshot_id=snapshot_id), is_running=True)
    stop(site, instance_id)
    disk_id = list_disks_of(site, instance_id)[1].id
    site.write(disk_id, 0, CHANGED)
    with site.scope() as scope:
        reinit_disk(scope, disk_id)
    return disk_id


def _is_as_made(site: Site, disk_id) -> None:
    assert find_disk(site, disk_id).state is DiskState.IN_USE
    assert site.read(disk_id, 0, len(CONTENT)) == CONTENT


def _is_untouched_or_locked(site: Site, disk_id) -> None:
    disk = find_disk(site, disk_id)
    if disk.state is DiskState.IN_USE:
        assert site.read(disk_id, 0, len(CHANGED)) == CHANGED
    else:
        assert disk.state is DiskState.REINITING


def _prepare_build(site: Site):
    instance_id = order_instance(site, data_disk())
    return instance_id, [disk.id for disk in list_disks_of(site, instance_id)]


def _prepare_build_from_image(site: Site):
    """The bytes of two accounts: an image that another one shares, and a snapshot of one's own."""
    image_id = _share_image(site)
    snapshot_id = site.make_snapshot(site.make_imported(CONTENT))
    instance_id = order_instance(site, data_disk(snapshot_id=snapshot_id), image_id=image_id)
    return instance_id, [disk.id for disk in list_disks_of(site, instance_id)]


def _is_built(site: Site, made) -> None:
    instance_id, disk_ids = made
    assert find_instance(site, instance_id).state is InstanceState.STOPPED
    for disk_id in disk_ids:
        assert find_disk(site, disk_id).state is DiskState.IN_USE
        assert site.installation.volumes.raw_path(disk_id).exists()


def _is_built_with_bytes(site: Site, made) -> None:
    _is_built(site, made)
    for disk_id in made[1]:
        assert site.read(disk_id, 0, len(CONTENT)) == CONTENT


def _share_image(site: Site):
    owner = site.as_another_account()
    image_id = make_image(owner, snapshot_id=make_system_snapshot(owner, CONTENT))
    share(owner, image_id, add=[site.account_id])
    return image_id


def _prepare_replacement(site: Site):
    image_id = _share_image(site)
    instance_id = make_instance(site, is_running=True)
    stop(site, instance_id)
    [old] = list_disks_of(site, instance_id)
    site.write(old.id, 0, CHANGED)
    with site.scope() as scope:
        return instance_id, old.id, replace_system_disk(scope, instance_id, image_id).id


def _is_replaced(site: Site, made) -> None:
    instance_id, old, new = made
    assert find_disk(site, old) is None
    _has_system_disk(site, instance_id, new, CONTENT)


def _is_not_replaced(site: Site, made) -> None:
    instance_id, old, new = made
    assert find_disk(site, new) is None
    assert not site.installation.volumes.raw_path(new).parent.exists()
    _has_system_disk(site, instance_id, old, CHANGED)


def _has_system_disk(site: Site, instance_id, disk_id, content: bytes) -> None:
    [disk] = list_disks_of(site, instance_id)
    assert (disk.id, disk.state) == (disk_id, DiskState.IN_USE)
    assert site.read(disk_id, 0, len(content)) == content
    start(site, instance_id)
    _runs(site, instance_id)


def _prepare_reboot(site: Site):
    instance_id = make_instance(site, is_running=True)
    with site.scope() as scope:
        reboot_instance(scope, instance_id)
    return instance_id


def _runs_or_stands_still(site: Site, instance_id) -> None:
    """Never between the two; which of them depends on whether the machine was stopped."""
    settled = (InstanceState.RUNNING, InstanceState.STOPPED)
    assert find_instance(site, instance_id).state in settled


def _is_not_built(site: Site, made) -> None:
    instance_id, disk_ids = made
    assert find_instance(site, instance_id) is None
    for disk_id in disk_ids:
        assert find_disk(site, disk_id) is None
        assert not site.installation.volumes.raw_path(disk_id).parent.exists()


def _prepare_start(site: Site):
    instance_id = make_instance(site)
    with site.scope() as scope:
        start_instance(scope, instance_id)
    return instance_id


def _prepare_stop(site: Site):
    instance_id = make_instance(site, is_running=True)
    with site.scope() as scope:
        stop_instance(scope, instance_id)
    return instance_id


def _runs(site: Site, instance_id) -> None:
    assert find_instance(site, instance_id).state is InstanceState.RUNNING


def _stands_still(site: Site, instance_id) -> None:
    assert find_instance(site, instance_id).state is InstanceState.STOPPED


def _prepare_release(site: Site):
    instance_id = make_instance(site, data_disk(delete_with_instance=False), is_running=True)
    system, kept = (disk.id for disk in list_disks_of(site, instance_id))
    with site.scope() as scope:
        delete_instance(scope, instance_id, force=True)
    return instance_id, system, kept


def _is_released(site: Site, made) -> None:
    instance_id, system, kept = made
    assert find_instance(site, instance_id) is None
    assert find_disk(site, system) is None
    assert find_disk(site, kept).state is DiskState.AVAILABLE


def _release_waits(site: Site, made) -> None:
    instance_id, system, kept = made
    assert find_instance(site, instance_id).state is InstanceState.RELEASING
    assert {find_disk(site, disk_id).state for disk_id in (system, kept)} == {DiskState.DETACHING}


SCENARIOS = [
    Scenario(ATTACH_DISK, _prepare_attach, _is_attached, _is_detached),
    Scenario(DETACH_DISK, _prepare_detach, _is_detached, _is_attached),
    Scenario(
        RESIZE_DISK, _prepare_resize, lambda *made: _has_size(*made, 3), lambda *made: _has_size(*made, 1)
    ),
    Scenario(RESPEC_DISK, _prepare_respec, _is_essd, _is_auto),
    Scenario(CLONE_DISK, _prepare_clone, _is_cloned, _is_not_cloned),
    Scenario(REINIT_DISK, _prepare_reinit, _is_as_made, _is_untouched_or_locked),
    Scenario(BUILD_INSTANCE, _prepare_build, _is_built, _is_not_built),
    Scenario(BUILD_INSTANCE_FROM_SNAPSHOTS, _prepare_build_from_image, _is_built_with_bytes, _is_not_built),
    Scenario(START_INSTANCE, _prepare_start, _runs, _stands_still),
    Scenario(STOP_INSTANCE, _prepare_stop, _stands_still, _runs),
    Scenario(REBOOT_INSTANCE, _prepare_reboot, _runs, _runs_or_stands_still),
    Scenario(REPLACE_SYSTEM_DISK, _prepare_replacement, _is_replaced, _is_not_replaced),
    Scenario(RELEASE_INSTANCE, _prepare_release, _is_released, _release_waits),
]
