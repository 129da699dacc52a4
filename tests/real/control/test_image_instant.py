"""An image of an instance is one instant of all its disks, also while somebody writes to them (row B41)."""

from lamina.control.images.states import ImageState
from lamina.units import MIB
from tests import needs
from tests.factories.images import find_image, list_disks_of_image, start_image
from tests.factories.installation import open_site
from tests.factories.instances import data_disk, list_disks_of, make_instance, stop
from tests.real.blockio.restless import mounted
from tests.real.control.test_group_instant import AlternatingWriter, list_numbers, wait_for

pytestmark = needs.ROOT


def test_the_disks_of_an_image_are_one_prefix_of_what_was_written():
    with mounted("xfs", 600) as place, open_site(place) as site:
        instance_id = make_instance(site, data_disk(), is_running=True)
        stop(site, instance_id)
        disks = [disk.id for disk in list_disks_of(site, instance_id)]
        with (
            site.connected(disks[0]) as first,
            site.connected(disks[1]) as second,
            AlternatingWriter((first, second)) as writer,
        ):
            wait_for(writer, 50)
            image_id = start_image(site, instance_id=instance_id)
            before = writer.written
            site.work()
            assert writer.written > before, "the writer was kept waiting until the end of the copy"
        assert find_image(site, image_id).state is ImageState.AVAILABLE
        found = set()
        for disk_id, disk in zip(disks, list_disks_of_image(site, image_id), strict=True):
            site.roll_back(disk_id, disk.snapshot_id)
            found |= list_numbers(site.read(disk_id, 0, 16 * MIB))
        assert found == set(range(1, len(found) + 1)), f"no prefix: {sorted(found)[-5:]} of {len(found)}"
        assert before <= len(found) < writer.written
