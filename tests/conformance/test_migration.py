"""Snapshots do not migrate between accounts; shared images lead there in five steps: rows B44 and E33."""

import json
import os

from alibabacloud_ecs20140526 import models as m

from tests.conformance.conftest import REGION, ZONE, wait_until
from tests.conformance.instances import (
    attach,
    code_of,
    list_disks_of,
    make_instance,
    run_instances,
    share_image,
    start,
    wait_instance,
)
from tests.conformance.test_image_files import settle_image

DATA = os.urandom(300_000)
IN_REGION = {"RegionId": REGION}


def count(account, noun):
    return account.lamina().call(f"Describe{noun}s", IN_REGION)["TotalCount"]


def make_machine(account):
    """A running instance with a data disk that holds bytes; both ids."""
    instance = make_instance(account)
    start(account, instance)
    disk = account.make_disk(DATA)
    attach(account, disk, instance)
    return instance, disk


def assert_sees_nothing(stranger, owner, *, snapshots, disks, instances):
    """Whoever an image is shared with cannot look at, use or change anything else of its owner."""
    sdk = stranger.new_sdk()
    for noun, ids in (("Snapshot", snapshots), ("Disk", disks), ("Instance", instances)):
        found = stranger.lamina().call(f"Describe{noun}s", {**IN_REGION, f"{noun}Ids": json.dumps(ids)})
        assert found[f"{noun}s"][noun] == []
    for snapshot in snapshots:
        new = m.CreateDiskRequest(
            region_id=REGION, zone_id=ZONE, snapshot_id=snapshot, disk_category="cloud_auto"
        )
        assert code_of(sdk.create_disk, new) == (404, "InvalidSnapshotId.NotFound")
        image = m.CreateImageRequest(region_id=REGION, snapshot_id=snapshot)
        assert code_of(sdk.create_image, image) == (404, "InvalidSnapshotId.NotFound")
        # what is not there counts as deleted
        sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=snapshot, force=True))
        assert owner.describe("Snapshot", snapshot)["Status"] == "accomplished"
    for disk in disks:
        request = m.CreateSnapshotRequest(disk_id=disk)
        assert code_of(sdk.create_snapshot, request) == (404, "InvalidDiskId.NotFound")


def test_b44_e33_a_snapshot_migrates_by_way_of_an_image(account, stranger):
    instance, disk = make_machine(account)
    private = account.make_snapshot(disk)
    # 1. an image of the original instance, with its data disk
    request = m.CreateImageRequest(region_id=REGION, instance_id=instance)
    image_id = account.new_sdk().create_image(request).body.image_id
    image = settle_image(account, image_id)
    taken = [each.snapshot_id for each in image.disk_device_mappings.disk_device_mapping]
    theirs = {"snapshots": [private, *taken], "disks": [disk], "instances": [instance]}
    assert_sees_nothing(stranger, account, **theirs)
    # 2. it is shared
    share_image(account, image_id, add=[stranger.account_id])
    assert_sees_nothing(stranger, account, **theirs)
    # 3. the other account makes an instance of it
    [copy] = run_instances(stranger, image_id=image_id, instance_charge_type="PostPaid")
    wait_instance(stranger, copy, "Running")
    assert_sees_nothing(stranger, account, **theirs)
    # 4. and a snapshot of that instance's data disk
    _, copied_disk = list_disks_of(stranger, copy)
    new = m.CreateSnapshotRequest(disk_id=copied_disk, snapshot_name="migrated")
    snapshot = stranger.new_sdk().create_snapshot(new).body.snapshot_id
    stranger.wait_snapshot(snapshot)
    # 5. the instance is released; the snapshot stays
    stranger.new_sdk().delete_instance(m.DeleteInstanceRequest(instance_id=copy, force=True))
    wait_until(lambda: (count(stranger, "Instance"), count(stranger, "Disk")), lambda left: left == (0, 0))
    assert_sees_nothing(stranger, account, **theirs)
    assert restore(stranger, snapshot) == DATA
    # what led there is not needed any more
    share_image(account, image_id, remove=[stranger.account_id])
    account.new_sdk().delete_image(m.DeleteImageRequest(region_id=REGION, image_id=image_id))
    for each in taken:
        account.new_sdk().delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=each))
    assert restore(stranger, snapshot) == DATA
    assert (
        stranger.lamina().call("DescribeImages", {**IN_REGION, "ImageOwnerAlias": "others"})["TotalCount"]
        == 0
    )
    assert_sees_nothing(account, stranger, snapshots=[snapshot], disks=[], instances=[])


def restore(account, snapshot):
    new = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, snapshot_id=snapshot, disk_category="cloud_auto"
    )
    disk = account.new_sdk().create_disk(new).body.disk_id
    account.wait_disk(disk)
    return account.read(disk, len(DATA))


def test_b44_what_leads_there_cannot_be_taken_away_meanwhile(account, stranger):
    instance, _ = make_machine(account)
    request = m.CreateImageRequest(region_id=REGION, instance_id=instance)
    image_id = account.new_sdk().create_image(request).body.image_id
    image = settle_image(account, image_id)
    share_image(account, image_id, add=[stranger.account_id])
    delete = m.DeleteImageRequest(region_id=REGION, image_id=image_id, force=True)
    assert code_of(account.new_sdk().delete_image, delete) == (403, "ImageUseShared")
    stranger.new_sdk().delete_image(delete)  # to this account it is not there to be deleted
    assert settle_image(account, image_id).status == "Available"
    used = image.disk_device_mappings.disk_device_mapping[0].snapshot_id
    gone = m.DeleteSnapshotRequest(snapshot_id=used, force=True)
    assert code_of(account.new_sdk().delete_snapshot, gone) == (403, "SnapshotCreatedImage")


def test_e33_there_is_no_way_to_hand_a_snapshot_over(account, stranger):
    snapshot = account.make_snapshot(account.make_disk(DATA))
    request = m.CreateImageRequest(region_id=REGION, snapshot_id=snapshot)
    refused = code_of(account.new_sdk().create_image, request)
    assert refused == (403, "OperationDenied"), "an image needs a system disk"
    share = m.ModifyImageSharePermissionRequest(
        region_id=REGION, image_id=snapshot, add_account=[stranger.account_id]
    )
    refused = code_of(account.new_sdk().modify_image_share_permission, share)
    assert refused == (404, "InvalidImageId.NotFound")
    assert (count(stranger, "Snapshot"), stranger.describe("Snapshot", snapshot)) == (0, None)
