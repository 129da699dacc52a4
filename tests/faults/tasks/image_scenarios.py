"""The kind of task that makes an image of an instance."""

from lamina.blockio.file_volume import list_frozen
from lamina.control.images.capture import CAPTURE_IMAGE
from lamina.control.images.states import ImageState
from lamina.control.snapshots.records import HoldRecord
from lamina.control.snapshots.states import HolderKind, SnapshotState
from lamina.units import KIB
from tests.factories.images import find_image, list_disks_of_image, start_image
from tests.factories.installation import Site
from tests.factories.instances import data_disk, list_disks_of, make_instance, stop
from tests.faults.tasks.scenario import Scenario

SYSTEM = bytes(range(1, 129)) * KIB  # two blocks
DATA = b"changed!" * 16 * KIB


def _prepare(site: Site):
    instance_id = make_instance(site, data_disk(), is_running=True)
    stop(site, instance_id)
    disks = [disk.id for disk in list_disks_of(site, instance_id)]
    for disk_id, content in zip(disks, (SYSTEM, DATA), strict=True):
        site.write(disk_id, 0, content)
    return disks, start_image(site, instance_id=instance_id)


def _look(site: Site, image_id):
    snapshots = [site.snapshot(disk.snapshot_id) for disk in list_disks_of_image(site, image_id)]
    with site.installation.database.reading() as session:
        keys = [(snapshot.id, HolderKind.IMAGE, image_id) for snapshot in snapshots]
        are_held = [session.get(HoldRecord, key) is not None for key in keys]
    return snapshots, are_held


def _is_made(site: Site, made) -> None:
    disks, image_id = made
    assert find_image(site, image_id).state is ImageState.AVAILABLE
    snapshots, are_held = _look(site, image_id)
    assert {each.state for each in snapshots} == {SnapshotState.ACCOMPLISHED}
    assert ({each.id for each in snapshots}, are_held) == (set(site.list_stored()), [True, True])
    for disk_id, snapshot, content in zip(disks, snapshots, (SYSTEM, DATA), strict=True):
        site.write(disk_id, 0, bytes(len(content)))
        site.roll_back(disk_id, snapshot.id)
        assert site.read(disk_id, 0, len(content)) == content


def _is_undone(site: Site, made) -> None:
    disks, image_id = made
    image = find_image(site, image_id)
    assert (image.state, bool(image.failure)) == (ImageState.CREATE_FAILED, True)
    snapshots, are_held = _look(site, image_id)
    assert {each.state for each in snapshots} == {SnapshotState.FAILED}
    assert (site.list_stored(), are_held) == ([], [False, False])
    assert [list_frozen(site.installation.volumes.frozen_folder(disk_id)) for disk_id in disks] == [(), ()]


SCENARIOS = [Scenario(CAPTURE_IMAGE, _prepare, _is_made, _is_undone)]
