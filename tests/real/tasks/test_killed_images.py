"""Workers that are killed in the middle of the copies for images: each is finished, or undone without a trace."""

import random

from lamina.control.images.copy import NewImageCopy, copy_image
from lamina.control.images.states import ImageState
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.reinit import reinit_disk
from lamina.control.provisioning.replace import replace_system_disk
from lamina.units import MIB
from tests.factories.images import find_image, list_disks_of_image, start_image
from tests.factories.installation import open_site
from tests.factories.instances import (
    data_disk,
    find_instance,
    list_disks_of,
    make_instance,
    order_instance,
    start,
    stop,
)
from tests.real.tasks.test_kill_nine import kill_until_idle

SYSTEM, DATA = 12 * MIB, 6 * MIB
MILLISECONDS = 20  # and twice as many each time


def start_copy(site, image_id):
    with site.scope() as scope:
        return copy_image(scope, NewImageCopy(image_id=image_id, region_id=scope.region_id)).id


def start_replacing(site, instance_id, image_id):
    with site.scope() as scope:
        replace_system_disk(scope, instance_id, image_id)


def start_bringing_back(site, disk_id):
    with site.scope() as scope:
        reinit_disk(scope, disk_id)


def read(site, instance_id):
    """The bytes of its two disks, and a little more."""
    disks = list_disks_of(site, instance_id)
    sizes = (SYSTEM + MIB, DATA + MIB)
    return [site.read(disk.id, 0, size) for disk, size in zip(disks, sizes, strict=True)]


def test_killed_in_the_middle_of_images(tmp_path):
    chance = random.Random(1)
    contents = [chance.randbytes(SYSTEM), chance.randbytes(DATA)]
    expected = [content + bytes(MIB) for content in contents]
    with open_site(tmp_path) as site:
        source = make_instance(site, data_disk())
        start(site, source)
        stop(site, source)
        for disk, content in zip(list_disks_of(site, source), contents, strict=True):
            site.write(disk.id, 0, content)
        image_id = start_image(site, instance_id=source)
    kill_until_idle(tmp_path, MILLISECONDS)
    with open_site(tmp_path) as site:
        image_id = check_image(site, source, image_id)
        used = make_instance(site, image_id=image_id)
        start(site, used)
        stop(site, used)
        system = list_disks_of(site, used)[0].id
        site.write(system, 0, bytes(SYSTEM))
        start_bringing_back(site, system)
        start_replacing(site, source, image_id)
        built = order_instance(site, image_id=image_id)
        copy_id = start_copy(site, image_id)
    kill_until_idle(tmp_path, MILLISECONDS)
    with open_site(tmp_path) as site:
        assert find_image(site, copy_id).state is ImageState.AVAILABLE
        of_copy = make_instance(site, image_id=copy_id)
        for instance_id in (used, source, built, of_copy):
            assert find_instance(site, instance_id).state is InstanceState.STOPPED
            assert read(site, instance_id) == expected


def check_image(site, instance_id, image_id):
    """The image, whole. Without reflink the instant is lost with the process: it is undone then, and made again."""
    image = find_image(site, image_id)
    if image.state is not ImageState.AVAILABLE:
        assert image.state is ImageState.CREATE_FAILED
        assert "was interrupted" in image.failure
        assert site.list_stored() == []
        image_id = start_image(site, instance_id=instance_id)
        site.work()
    stored = sorted(disk.snapshot_id for disk in list_disks_of_image(site, image_id))
    assert stored == sorted(site.list_stored())
    return image_id
