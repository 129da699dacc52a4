"""A disk that was made larger: the next snapshot still reads only what changed, and misses nothing."""

import os

from lamina.control.disks.resize import resize_disk
from lamina.control.first_start import DEFAULT_REGION
from lamina.engine.manifest import CaptureMode
from lamina.units import GIB, KIB
from tests import needs
from tests.factories.installation import open_site
from tests.factories.instances import attach, list_disks_of, make_free_disk, make_instance, stop
from tests.real.blockio.restless import mounted

pytestmark = needs.ROOT

BLOCK = 64 * KIB


def test_the_hint_of_a_grown_disk_is_right():
    with mounted("xfs", 600) as place, open_site(place) as site:
        disk_id = make_free_disk(site, os.urandom(8 * BLOCK))
        instance_id = make_instance(site, is_running=True)
        attach(site, disk_id, instance_id)
        site.make_snapshot(disk_id)
        with site.scope() as scope:
            resize_disk(scope, disk_id, 2, is_online=True)
        site.work()
        stop(site, instance_id)
        site.write(disk_id, BLOCK, b"within")
        site.write(disk_id, 2 * GIB - 6, b"at end")
        grown = site.make_snapshot(disk_id)
        manifest = site.installation.repositories.find(site.account_id, DEFAULT_REGION.id).read_manifest(
            grown
        )
        assert (manifest.mode, manifest.size_bytes) == (CaptureMode.HINT, 2 * GIB)
        assert site.snapshot(grown).changed_bytes == 2 * BLOCK
        before = site.read(disk_id, 0, 8 * BLOCK)
        site.write(disk_id, 0, bytes(8 * BLOCK))
        site.write(disk_id, 2 * GIB - 6, bytes(6))
        site.roll_back(disk_id, grown)
        assert site.read(disk_id, 0, 8 * BLOCK) == before
        assert site.read(disk_id, 2 * GIB - 6, 6) == b"at end"
        assert disk_id in [disk.id for disk in list_disks_of(site, instance_id)]
