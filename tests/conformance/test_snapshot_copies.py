"""CopySnapshot on an installation whose operator allows it (row E29)."""

import os

import pytest
from alibabacloud_ecs20140526 import models as m

from lamina.clock import SystemClock
from lamina.control.installation import open_metadata
from lamina.control.regions.create import NewRegion, create_region
from lamina.ids import RegionId, ZoneId
from tests.conformance.conftest import REGION, ZONE, serving, wait_until
from tests.conformance.test_snapshot_service import code_of

FAR, FAR_ZONE = "eu-far-1", "eu-far-1-a"


@pytest.fixture(scope="module")
def copying_service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copies")
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "lamina.toml").write_text("copy_snapshots = true\n")
    with serving(folder) as service:
        region = NewRegion(
            id=RegionId(FAR),
            local_name="Far",
            store="store/far",
            time_zone="UTC",
            zones={ZoneId(FAR_ZONE): "A"},
        )
        with open_metadata(service.data_dir) as (database, _), database.transaction() as session:
            create_region(session, SystemClock(), region)
        yield service


def test_e29_a_copy_restores_to_the_same_bytes_in_the_other_region(copying_service):
    account = copying_service.add_account()
    content = os.urandom(1 << 20)
    disk_id = account.make_disk(content)
    snapshot_id = account.make_snapshot(disk_id)
    sdk = account.new_sdk()

    def copy(region_id):
        return sdk.copy_snapshot(
            m.CopySnapshotRequest(
                region_id=REGION,
                snapshot_id=snapshot_id,
                destination_region_id=region_id,
                destination_snapshot_name="far",
                destination_snapshot_description="a copy",
                retention_days=3,
            )
        )

    assert code_of(copy, REGION) == (403, "InvalidOperation.NotSupportCopyInSameRegion")
    assert code_of(copy, "no-where") == (403, "InvalidRegionId.NotExists")
    copy_id = copy(FAR).body.snapshot_id

    def look():
        request = m.DescribeSnapshotsRequest(region_id=FAR, snapshot_ids=f'["{copy_id}"]')
        return sdk.describe_snapshots(request).body.snapshots.snapshot[0]

    found = wait_until(look, lambda snapshot: snapshot.status == "accomplished")
    assert (found.source_snapshot_id, found.source_region_id, found.retention_days) == (
        snapshot_id,
        REGION,
        3,
    )
    reset = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=copy_id)
    assert code_of(sdk.reset_disk, reset) == (403, "InvalidParameter.Mismatch")
    here = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", snapshot_id=copy_id
    )
    assert code_of(sdk.create_disk, here) == (404, "InvalidSnapshotId.NotFound")
    there = m.CreateDiskRequest(
        region_id=FAR, zone_id=FAR_ZONE, disk_category="cloud_auto", snapshot_id=copy_id
    )
    far_disk = sdk.create_disk(there).body.disk_id

    def look_at_disk():
        request = m.DescribeDisksRequest(region_id=FAR, disk_ids=f'["{far_disk}"]')
        return sdk.describe_disks(request).body.disks.disk[0]

    wait_until(look_at_disk, lambda disk: disk.status == "Available")
    assert account.read(far_disk, len(content)) == content
    account.close()
