"""Encrypted disks and what is made of them, through the official clients (rows B60, E10, E10A and E10B)."""

import json
import os
import uuid

import pytest
from alibabacloud_ecs20140526 import models as m

from lamina.cli.client import CallRefusedError
from tests.conformance.conftest import REGION, ZONE, serving, wait_until
from tests.conformance.instances import code_of, list_disks_of, make_instance, share_image, start, stop
from tests.conformance.test_images import create_image, create_refused, find_image, make_snapshot, mapping

FAR = "eu-far-1"
CONTENT = os.urandom(1 << 17)
REGIONS = f"""
copy_snapshots = true
[regions.{FAR}]
local_name = "Far"
time_zone = "UTC"
store = "store/far"
zones = {{ {FAR}-a = "A" }}
"""


def make_key(account, region=REGION):
    return account.lamina().call("CreateKey", {"RegionId": region})["KeyMetadata"]["KeyId"]


def describe_key(account, key_id, region=REGION):
    return account.lamina().call("DescribeKey", {"RegionId": region, "KeyId": key_id})["KeyMetadata"]


def use_key(account, action, key_id, **more):
    return account.lamina().call(action, {"RegionId": REGION, "KeyId": key_id, **more})


def make_encrypted(account, content=CONTENT, key_id=None, **extra):
    given = {"KMSKeyId": key_id} if key_id else {}
    return account.make_disk(content, Encrypted=True, **given, **extra)


def create_disk(account, **options):
    request = m.CreateDiskRequest(region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", **options)
    disk_id = account.new_sdk().create_disk(request).body.disk_id
    account.wait_disk(disk_id)
    return disk_id


def show(account, noun, resource_id):
    found = account.describe(noun, resource_id)
    return found["Encrypted"], found["KMSKeyId"]


@pytest.fixture(scope="module")
def far_account(tmp_path_factory):
    """An account of a service with two regions, which copies snapshots."""
    folder = tmp_path_factory.mktemp("two-regions")
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "lamina.toml").write_text(REGIONS)
    with serving(folder) as service:
        account = service.add_account()
        yield account
        account.close()


def test_b60_snapshots_and_disks_of_an_encrypted_disk_are_encrypted_with_its_key(account):
    key_id = make_key(account)
    disk_id = create_disk(account, size=1, encrypted=True, kmskey_id=key_id)
    assert show(account, "Disk", disk_id) == (True, key_id)
    disk_id = make_encrypted(account, key_id=key_id)
    raw = account.service.data_dir / "disks" / disk_id / "disk.raw"
    with raw.open("rb") as file:
        assert CONTENT[:64] not in file.read(1 << 20)
    snapshot_id = account.make_snapshot(disk_id)
    assert show(account, "Snapshot", snapshot_id) == (True, key_id)
    made = create_disk(account, snapshot_id=snapshot_id)
    assert show(account, "Disk", made) == (True, key_id)
    assert account.read(made, len(CONTENT)) == CONTENT
    assert (account.service.data_dir / "store" / REGION / f"{account.account_id}.{key_id}").is_dir()
    wanted = m.DescribeDisksRequest(region_id=REGION, encrypted=True, kmskey_id=key_id)
    assert account.new_sdk().describe_disks(wanted).body.total_count == 3
    wanted = m.DescribeSnapshotsRequest(region_id=REGION, encrypted=True)
    assert account.new_sdk().describe_snapshots(wanted).body.total_count == 1


def test_b60_without_a_key_the_service_has_its_own(account):
    disk_id = make_encrypted(account)
    is_encrypted, key_id = show(account, "Disk", disk_id)
    assert is_encrypted
    assert describe_key(account, key_id)["Origin"] == "service"
    assert account.read(disk_id, len(CONTENT)) == CONTENT


def test_b60_what_create_disk_refuses(account, stranger):
    key_id, foreign = make_key(account), make_key(stranger)
    snapshot_id = account.make_snapshot(make_encrypted(account, key_id=key_id))
    use_key(account, "DisableKey", disabled := make_key(account))
    for options, expected in (
        ({"kmskey_id": key_id, "size": 1}, (400, "InvalidParameter.EncryptedIllegal")),
        (
            {"encrypted": True, "kmskey_id": foreign, "size": 1},
            (404, "InvalidParameter.KMSKeyId.NotFound"),
        ),
        (
            {"encrypted": True, "kmskey_id": str(uuid.uuid4()), "size": 1},
            (404, "InvalidParameter.KMSKeyId.NotFound"),
        ),
        (
            {"encrypted": True, "kmskey_id": disabled, "size": 1},
            (403, "InvalidParameter.KMSKeyId.CMKNotEnabled"),
        ),
        ({"encrypted": False, "snapshot_id": snapshot_id}, (400, "InvalidParameter.Encrypted")),
        (
            {"encrypted": True, "kmskey_id": make_key(account), "snapshot_id": snapshot_id},
            (400, "InvalidKmsKeyId.NotMatchSnapshot"),
        ),
    ):
        request = m.CreateDiskRequest(region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", **options)
        assert code_of(account.new_sdk().create_disk, request) == expected, options


def test_b60_instances_have_encrypted_disks_and_images_of_them_too(account):
    key_id = make_key(account)
    data = {"category": "cloud_auto", "size": 1, "encrypted": "true", "kmskey_id": key_id}
    instance_id = make_instance(account, data)
    [_, disk_id] = list_disks_of(account, instance_id)
    assert show(account, "Disk", disk_id) == (True, key_id)
    start(account, instance_id)
    stop(account, instance_id)
    account.write(disk_id, CONTENT)
    image_id = create_image(account, instance_id=instance_id)
    image = wait_until(lambda: find_image(account, image_id), lambda found: found.status == "Available")
    disks = image.disk_device_mappings.disk_device_mapping
    assert [each.encrypted for each in disks] == [False, True]
    twin = make_instance(account, image_id=image_id)
    [_, made] = list_disks_of(account, twin)
    assert show(account, "Disk", made) == (True, key_id)
    assert account.read(made, len(CONTENT)) == CONTENT


def test_b60_a_disabled_key_stops_everything_and_loses_nothing(account):
    key_id = make_key(account)
    disk_id = make_encrypted(account, key_id=key_id)
    snapshot_id = account.make_snapshot(disk_id)
    use_key(account, "DisableKey", key_id)
    refused = (403, "InvalidParameter.KMSKeyId.CMKNotEnabled")
    sdk = account.new_sdk()
    reset = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == refused
    assert code_of(sdk.create_snapshot, m.CreateSnapshotRequest(disk_id=disk_id)) == refused
    with pytest.raises(CallRefusedError) as failure:
        account.read(disk_id, 1)
    assert failure.value.code == refused[1]
    use_key(account, "EnableKey", key_id)
    account.write(disk_id, b"changed")
    sdk.reset_disk(reset)
    account.wait_disk(disk_id)
    assert account.read(disk_id, len(CONTENT)) == CONTENT


def test_b60_a_key_is_rotated_and_everything_stays_readable(account):
    key_id = make_key(account)
    disk_id = make_encrypted(account, key_id=key_id)
    snapshot_id = account.make_snapshot(disk_id)
    use_key(account, "CreateKeyVersion", key_id)
    wait_until(lambda: describe_key(account, key_id), lambda key: key["PrimaryKeyVersion"] == "2")
    assert account.read(disk_id, len(CONTENT)) == CONTENT
    assert account.read(create_disk(account, snapshot_id=snapshot_id), len(CONTENT)) == CONTENT


def test_e10_an_image_with_an_encrypted_data_snapshot_is_not_shared(account, stranger):
    data_id = account.make_snapshot(make_encrypted(account))
    disks = [mapping(snapshot_id=make_snapshot(account)), mapping(snapshot_id=data_id)]
    image_id = create_image(account, disk_device_mapping=disks)
    share = m.ModifyImageSharePermissionRequest(
        region_id=REGION, image_id=image_id, add_account=[stranger.account_id]
    )
    refused = (403, "OperationDeined.EncryptedSnapshot")
    assert code_of(account.new_sdk().modify_image_share_permission, share) == refused
    assert find_image(stranger, image_id) is None
    plain_id = create_image(account, disk_device_mapping=disks[:1])
    share_image(account, plain_id, add=[stranger.account_id])


def test_e10a_no_image_is_made_of_an_encrypted_system_snapshot(account):
    snapshot_id = account.make_snapshot(make_encrypted(account, DiskType="system"))
    assert create_refused(account, snapshot_id=snapshot_id) == (400, "OperationDenied")
    disks = [mapping(snapshot_id=snapshot_id)]
    assert create_refused(account, disk_device_mapping=disks) == (400, "OperationDenied")


def test_e10b_an_encrypted_image_is_copied_encrypted_or_not_at_all(far_account):
    account = far_account
    data_id = account.make_snapshot(make_encrypted(account))
    disks = [mapping(snapshot_id=make_snapshot(account)), mapping(snapshot_id=data_id)]
    image_id = create_image(account, disk_device_mapping=disks)
    sdk, to_far = account.new_sdk(), {"region_id": REGION, "destination_region_id": FAR}
    plain = m.CopyImageRequest(image_id=image_id, **to_far)
    assert code_of(sdk.copy_image, plain) == (403, "OperationDeined.EncryptedSnapshot")
    far_key = make_key(account, FAR)
    request = m.CopyImageRequest(image_id=image_id, encrypted=True, kmskey_id=far_key, **to_far)
    copy_id = sdk.copy_image(request).body.image_id
    wanted = m.DescribeImagesRequest(region_id=FAR, image_id=copy_id, status="ALL")
    [image] = wait_until(
        lambda: sdk.describe_images(wanted).body.images.image, lambda found: found[0].status == "Available"
    )
    copied = image.disk_device_mappings.disk_device_mapping
    assert [each.encrypted for each in copied] == [True, True]
    request = m.CreateDiskRequest(
        region_id=FAR, zone_id=f"{FAR}-a", disk_category="cloud_auto", snapshot_id=copied[1].snapshot_id
    )
    disk_id = sdk.create_disk(request).body.disk_id
    disks = m.DescribeDisksRequest(region_id=FAR, disk_ids=f'["{disk_id}"]')
    [disk] = wait_until(
        lambda: sdk.describe_disks(disks).body.disks.disk, lambda found: found[0].status == "Available"
    )
    assert (disk.encrypted, disk.kmskey_id) == (True, far_key)
    assert account.read(disk_id, len(CONTENT)) == CONTENT


def test_e10b_an_encrypted_snapshot_is_copied_with_a_key_of_the_other_region(far_account):
    account = far_account
    snapshot_id = account.make_snapshot(make_encrypted(account))

    def copy(**options):
        return m.CopySnapshotRequest(
            region_id=REGION,
            snapshot_id=snapshot_id,
            destination_region_id=FAR,
            destination_snapshot_name="copy",
            destination_snapshot_description="words",
            **options,
        )

    sdk = account.new_sdk()
    assert code_of(sdk.copy_snapshot, copy()) == (403, "InvalidEncrypted.NotSupportDecrypt")
    near = copy(encrypted=True, kmskey_id=make_key(account))
    assert code_of(sdk.copy_snapshot, near) == (403, "InvalidParameter.KMSKeyId.NotFound")
    alone = copy(kmskey_id=make_key(account, FAR))
    assert code_of(sdk.copy_snapshot, alone) == (403, "InvalidEncrypted.NotMatchKmsKeyId")
    copy_id = sdk.copy_snapshot(copy(encrypted=True)).body.snapshot_id
    wanted = m.DescribeSnapshotsRequest(region_id=FAR, snapshot_ids=f'["{copy_id}"]')
    [found] = wait_until(
        lambda: sdk.describe_snapshots(wanted).body.snapshots.snapshot,
        lambda rows: rows[0].status == "accomplished",
    )
    assert (found.encrypted, found.kmskey_id != "") == (True, True)


def test_b60_an_encrypted_image_is_not_exported(account):
    data_id = account.make_snapshot(make_encrypted(account))
    disks = [mapping(snapshot_id=make_snapshot(account)), mapping(snapshot_id=data_id)]
    image_id = create_image(account, disk_device_mapping=disks)
    request = m.ExportImageRequest(region_id=REGION, image_id=image_id, ossbucket="any-bucket")
    assert code_of(account.new_sdk().export_image, request) == (400, "ImageNotSupported")


def test_b60_the_command_line_manages_keys(account):
    key_id = account.run("key", "create", "--description", "of the shop").stdout.strip()
    assert key_id in account.run("key", "list").stdout
    account.run("key", "disable", key_id)
    assert describe_key(account, key_id)["KeyState"] == "Disabled"
    account.run("key", "enable", key_id)
    assert "version 2" in account.run("key", "rotate", key_id, "--wait").stderr
    account.run("key", "schedule-deletion", key_id, "--days", 7)
    assert "PendingDeletion" in account.run("key", "describe", key_id).stdout
    account.run("key", "cancel-deletion", key_id)
    [found] = json.loads(account.run("key", "list", "--json").stdout)
    assert (found["KeyState"], found["PrimaryKeyVersion"]) == ("Enabled", "2")
