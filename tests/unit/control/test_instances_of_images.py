"""Instances made from images: whose bytes their disks get, and what an image must be for that."""

from datetime import timedelta

import pytest
from sqlalchemy import delete, update

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.errors import DeviceTakenError, DiskLimitError
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.images.errors import ImageBusyError, ImageNotFoundError, ImageStateError
from lamina.control.images.plan import DiskOfImage
from lamina.control.images.queries import BUILT_IN_ID
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import Architecture, ImageState
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.create import InstanceNames
from lamina.control.provisioning.errors import (
    DiskBelowImageError,
    DiskSizeMissingError,
    ImageArchitectureError,
    ImageFamilyNotFoundError,
)
from lamina.control.provisioning.plan import InstanceDisk
from lamina.control.provisioning.reinit import REINIT_DISK, reinit_disk
from lamina.control.provisioning.restart import restart_emptied_disks, restart_instances
from lamina.control.snapshots.errors import SnapshotHeldByImageError
from lamina.failures import Fault
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.task import ATTEMPTS_MAX, COPY
from tests.factories.images import make_image, make_system_snapshot, remove_image, share
from tests.factories.instances import (
    attach,
    data_disk,
    detach,
    find_disk,
    find_instance,
    list_disks_of,
    make_instance,
    order_instance,
    order_instances,
    start,
    stop,
)
from tests.factories.tasks import change_step, then_raise

ROOT, DATA = b"root" * 1024, b"data" * 1024


def make_full_image(site, **options):
    """An image with a system disk and a data disk `/dev/xvdc`, both of 1 GiB."""
    root = make_system_snapshot(site, ROOT)
    data = site.make_snapshot(site.make_imported(DATA))
    disks = [DiskOfImage(snapshot_id=root), DiskOfImage(snapshot_id=data, device="/dev/xvdc")]
    return make_image(site, disks=disks, **options)


def lose_tasks(site):
    with site.installation.database.transaction() as session:
        session.execute(delete(TaskRecord))


def test_a_full_image_brings_its_data_disks(site):
    image_id = make_full_image(site)
    instance_id = make_instance(site, data_disk(size_gib=2), image_id=image_id)
    system, free, data = list_disks_of(site, instance_id)
    assert [disk.device for disk in (system, free, data)] == ["/dev/xvda", "/dev/xvdb", "/dev/xvdc"]
    assert [disk.image_id for disk in (system, free, data)] == [image_id, None, image_id]
    assert [disk.source_snapshot_id for disk in (system, free, data)] == [None, None, None]
    assert [disk.size_gib for disk in (system, free, data)] == [20, 2, 20], "the least of their category"
    assert site.read(system.id, 0, len(ROOT) + 1) == ROOT + b"\0"
    assert site.read(data.id, 0, len(DATA) + 1) == DATA + b"\0"
    assert site.read(free.id, 0, 4) == bytes(4)
    assert find_instance(site, instance_id).image_id == image_id


def test_a_disk_with_the_device_of_the_images_has_another_size_and_the_same_bytes(site):
    image_id = make_full_image(site)
    wanted = data_disk(device="/dev/xvdc", size_gib=3, delete_with_instance=False, name="big")
    instance_id = make_instance(site, wanted, image_id=image_id)
    _, data = list_disks_of(site, instance_id)
    assert (data.category, data.size_gib, data.name) == (DiskCategory.CLOUD_AUTO, 3, "big")
    assert not data.delete_with_instance
    assert site.read(data.id, 0, len(DATA)) == DATA


def test_a_snapshot_for_the_device_of_the_images_counts_more_than_the_image(site):
    image_id = make_full_image(site)
    other = site.make_snapshot(site.make_imported(b"other"))
    wanted = data_disk(device="/dev/xvdc", snapshot_id=other, size_gib=None)
    _, data = list_disks_of(site, make_instance(site, wanted, image_id=image_id))
    assert (data.image_id, data.source_snapshot_id) == (None, other)
    assert site.read(data.id, 0, 5) == b"other"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"image_id": "m-nothing"}, ImageNotFoundError),
        ({"image_id": None, "image_family": "nobody"}, ImageFamilyNotFoundError),
        ({"system_disk": InstanceDisk(category=DiskCategory.CLOUD_AUTO, size_gib=1)}, None),
        ({"data_disks": [data_disk(device="/dev/xvdc", size_gib=None)]}, None),
        ({"data_disks": [data_disk(size_gib=None)]}, DiskSizeMissingError),
        ({"data_disks": [data_disk(device="/dev/xvdc")] * 2}, DeviceTakenError),
        ({"data_disks": [data_disk()] * 16}, DiskLimitError),
        ({"data_disks": [data_disk()] * 15}, None),
    ],
)
def test_what_can_be_made_from_an_image(site, options, error):
    options = {"image_id": make_full_image(site), **options}
    if error is None:
        order_instance(site, **options)
        return
    with pytest.raises(error):
        order_instance(site, **options)
    assert site.work() == 0


def test_no_disk_is_smaller_than_the_images(site):
    big = site.make_imported(ROOT, size_bytes=3 << 30)
    root = make_system_snapshot(site, ROOT)
    image_id = make_image(
        site, disks=[DiskOfImage(snapshot_id=root), DiskOfImage(snapshot_id=site.make_snapshot(big))]
    )
    with pytest.raises(DiskBelowImageError, match="3 GiB"):
        order_instance(site, data_disk(device="/dev/xvdb", size_gib=2), image_id=image_id)
    order_instance(site, data_disk(device="/dev/xvdb", size_gib=3), image_id=image_id)


def test_the_newest_image_of_a_family(site):
    first = make_image(site, snapshot_id=make_system_snapshot(site, b"old"), family="web")
    site.clock.advance(timedelta(hours=1))
    second = make_image(site, snapshot_id=make_system_snapshot(site, b"new"), family="web")
    instance_id = make_instance(site, image_id=None, image_family="web")
    instance = find_instance(site, instance_id)
    assert (instance.image_id, instance.image_family) == (second, "web")
    [system] = list_disks_of(site, instance_id)
    assert site.read(system.id, 0, 3) == b"new"
    remove_image(site, second, force=True)
    assert find_instance(site, make_instance(site, image_id=None, image_family="web")).image_id == first


def test_an_image_that_cannot_be_used(site):
    image_id = make_image(site, snapshot_id=make_system_snapshot(site))
    with site.installation.database.transaction() as session:
        session.get(ImageRecord, image_id).architecture = Architecture.ARM64
    with pytest.raises(ImageArchitectureError, match="arm64"):
        order_instance(site, image_id=image_id)
    with site.installation.database.transaction() as session:
        session.get(ImageRecord, image_id).state = ImageState.UNAVAILABLE
    with pytest.raises(ImageStateError):
        order_instance(site, image_id=image_id)


def test_a_shared_images_bytes_come_from_its_owners_repository(site):
    stranger = site.as_another_account()
    image_id = make_full_image(site)
    with pytest.raises(ImageNotFoundError):
        order_instance(stranger, image_id=image_id)
    share(site, image_id, add=[stranger.account_id])
    instance_id = order_instance(stranger, image_id=image_id)
    share(site, image_id, remove=[stranger.account_id])  # what has begun goes on
    site.work()
    system, data = list_disks_of(site, instance_id)
    assert site.read(system.id, 0, len(ROOT)) == ROOT
    assert site.read(data.id, 0, len(DATA)) == DATA
    assert stranger.list_stored() == [], "the bytes were read, not copied"
    with pytest.raises(ImageNotFoundError):
        order_instance(stranger, image_id=image_id)


def test_an_image_stays_while_disks_are_made_from_it(site):
    stranger = site.as_another_account()
    snapshot_id = make_system_snapshot(site, ROOT)
    image_id = make_image(site, snapshot_id=snapshot_id)
    share(site, image_id, add=[stranger.account_id])
    instance_id = order_instance(stranger, image_id=image_id)
    share(site, image_id, remove=[stranger.account_id])
    with pytest.raises(ImageBusyError, match="disks: 1 of accounts") as caught:
        remove_image(site, image_id, force=True)
    assert caught.value.disk_ids == (), "those of others are not named"
    with pytest.raises(SnapshotHeldByImageError):
        site.delete(snapshot_id, force=True)
    site.work()
    assert find_instance(site, instance_id).state is InstanceState.STOPPED
    remove_image(site, image_id)
    site.delete(snapshot_id)
    [system] = list_disks_of(site, instance_id)
    assert site.read(system.id, 0, len(ROOT)) == ROOT


def test_a_stranded_build_is_taken_up_from_the_image(site):
    stranger = site.as_another_account()
    image_id = make_full_image(site)
    share(site, image_id, add=[stranger.account_id])
    instance_id = order_instance(stranger, image_id=image_id, starts=True)
    share(site, image_id, remove=[stranger.account_id])
    lose_tasks(site)
    restart_instances(site.installation)
    site.work()
    assert find_instance(site, instance_id).state is InstanceState.RUNNING
    assert site.read(list_disks_of(site, instance_id)[1].id, 0, len(DATA)) == DATA


def test_a_stranded_build_without_its_image_hinders_no_other(site):
    image_id = make_full_image(site)
    lost, other = order_instance(site, image_id=image_id), order_instance(site)
    lose_tasks(site)
    with site.installation.database.transaction() as session:
        session.execute(update(DiskRecord).where(DiskRecord.image_id == image_id).values(image_id="m-gone"))
    restart_instances(site.installation)
    site.work()
    assert find_instance(site, lost).state is InstanceState.PENDING
    assert find_instance(site, other).state is InstanceState.STOPPED


def test_several_instances_at_once_are_started(site):
    names = [InstanceNames(name=f"web{n}", host_name="h-${instance_id}") for n in range(3)]
    ids = order_instances(site, *names, starts=True, tags={"role": "web"})
    assert {find_instance(site, each).state for each in ids} == {InstanceState.PENDING}
    site.work()
    for instance_id, names_of in zip(ids, names, strict=True):
        instance = find_instance(site, instance_id)
        assert (instance.state, instance.name) == (InstanceState.RUNNING, names_of.name)
        assert instance.host_name == f"h-{instance_id}"
        assert (instance.os_type, instance.os_name) == ("linux", "Others Linux")


def test_a_disk_of_an_image_is_brought_back_from_it(site):
    image_id = make_full_image(site)
    instance_id = make_instance(site, image_id=image_id, is_running=True)
    stop(site, instance_id)
    system, data = list_disks_of(site, instance_id)
    detach(site, data.id, instance_id)
    attach(site, data.id, instance_id, device="/dev/xvdf")  # its image knows it by another name
    for disk, expected in ((system, ROOT), (data, DATA)):
        site.write(disk.id, 0, b"x" * (len(expected) + 5))
        reinit(site, disk.id)
        assert find_disk(site, disk.id).state is DiskState.IN_USE
        assert site.read(disk.id, 0, len(expected) + 5) == expected + bytes(5)


def test_a_disk_of_the_built_in_image_is_emptied(site):
    instance_id = make_instance(site, image_id=BUILT_IN_ID, is_running=True)
    stop(site, instance_id)
    [system] = list_disks_of(site, instance_id)
    site.write(system.id, 0, ROOT)
    reinit(site, system.id)
    assert site.read(system.id, 0, len(ROOT)) == bytes(len(ROOT))


@pytest.mark.parametrize("is_foreign", [True, False])
def test_a_disk_is_not_brought_back_from_an_image_that_is_gone(site, is_foreign):
    owner = site.as_another_account() if is_foreign else site
    image_id = make_full_image(owner)
    if is_foreign:
        share(owner, image_id, add=[site.account_id])
    instance_id = make_instance(site, image_id=image_id, is_running=True)
    stop(site, instance_id)
    system, data = list_disks_of(site, instance_id)
    if is_foreign:
        share(owner, image_id, remove=[site.account_id])
    else:
        remove_image(site, image_id, force=True)
    for disk in (system, data):
        site.write(disk.id, 0, b"mine")
        with pytest.raises(ImageNotFoundError):
            reinit(site, disk.id)
        assert site.read(disk.id, 0, 4) == b"mine"
        assert find_disk(site, disk.id).state is DiskState.IN_USE


def test_bringing_back_goes_on_when_the_image_is_unshared_and_the_task_is_lost(site):
    owner = site.as_another_account()
    image_id = make_full_image(owner)
    share(owner, image_id, add=[site.account_id])
    instance_id = make_instance(site, image_id=image_id, is_running=True)
    stop(site, instance_id)
    system, _ = list_disks_of(site, instance_id)
    site.write(system.id, 0, b"mine")
    with site.scope() as scope:
        reinit_disk(scope, system.id)
    share(owner, image_id, remove=[site.account_id])
    with pytest.raises(ImageBusyError):
        remove_image(owner, image_id, force=True)
    lose_tasks(site)
    restart_emptied_disks(site.installation)
    site.work()
    assert site.read(system.id, 0, len(ROOT)) == ROOT
    start(site, instance_id)
    assert find_instance(site, instance_id).state is InstanceState.RUNNING


def test_a_disk_that_is_half_brought_back_is_not_in_use_until_it_is_whole(site):
    instance_id = make_instance(site, image_id=make_full_image(site), is_running=True)
    stop(site, instance_id)
    system, _ = list_disks_of(site, instance_id)
    site.write(system.id, 0, b"mine")
    with site.scope() as scope:
        reinit_disk(scope, system.id)
    plant = site.installation
    broken = change_step(REINIT_DISK, 1, run=then_raise(Fault("the store is away", retryable=False)))
    Runner(plant.database, site.clock, plant, [broken], {COPY: 1}).run_until_idle()
    assert site.disk(system.id).state is DiskState.REINITING
    store = plant.directory / "store"
    away = store.rename(store.with_name("away"))
    restart_emptied_disks(plant)
    for _ in range(2 * ATTEMPTS_MAX):
        site.work()
        site.clock.advance(timedelta(minutes=2))
    assert site.disk(system.id).state is DiskState.REINITING
    away.rename(store)
    restart_emptied_disks(plant)
    site.work()
    assert site.disk(system.id).state is DiskState.IN_USE
    assert site.read(system.id, 0, len(ROOT)) == ROOT


def reinit(site, disk_id):
    with site.scope() as scope:
        reinit_disk(scope, disk_id)
    site.work()
