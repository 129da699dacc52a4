"""Images in several regions, each with a store of its own (rows B40 and E29)."""

import os

import pytest
from alibabacloud_ecs20140526 import models as m
from aliyunsdkcore.acs_exception.exceptions import ServerException

from tests.conformance.conftest import REGION, ZONE, serving, wait_until
from tests.conformance.test_snapshot_service import code_of

FAR, FAR_ZONE = "eu-far-1", "eu-far-1-a"
UNFINISHED = "Waiting,Creating,CreateFailed,Available"
REGIONS = f"""
[regions.{FAR}]
local_name = "Far"
time_zone = "Europe/Berlin"
store = "elsewhere/far"
zones = {{ {FAR_ZONE} = "Far Zone A" }}
"""


@pytest.fixture(scope="module")
def far_service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("regions")
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "lamina.toml").write_text(REGIONS)
    with serving(folder) as service:
        yield service


@pytest.fixture
def account(far_service):
    made = far_service.add_account()
    yield made
    made.close()


@pytest.fixture
def stranger(far_service):
    made = far_service.add_account()
    yield made
    made.close()


def make_image(account, content, *, data=None, **options):
    """An image of a system disk with these bytes, and of a data disk if there are bytes for one."""
    snapshot_ids = [account.make_snapshot(account.make_disk(content, DiskType="system"))]
    if data is not None:
        snapshot_ids.append(account.make_snapshot(account.make_disk(data)))
    mappings = [m.CreateImageRequestDiskDeviceMapping(snapshot_id=each) for each in snapshot_ids]
    request = m.CreateImageRequest(region_id=REGION, disk_device_mapping=mappings, **options)
    return account.new_sdk().create_image(request).body.image_id


def copy(sdk, image_id, *, to=FAR, **options):
    request = m.CopyImageRequest(region_id=REGION, image_id=image_id, destination_region_id=to, **options)
    return sdk.copy_image(request).body.image_id


def cancel(sdk, image_id, region_id=FAR):
    return sdk.cancel_copy_image(m.CancelCopyImageRequest(region_id=region_id, image_id=image_id))


def find(sdk, image_id, region_id=FAR):
    request = m.DescribeImagesRequest(region_id=region_id, image_id=image_id, status=UNFINISHED)
    return next(iter(sdk.describe_images(request).body.images.image), None)


def wait(sdk, image_id, region_id=FAR):
    return wait_until(lambda: find(sdk, image_id, region_id), lambda image: image.status == "Available")


def restore(account, image, region_id, zone_id, length):
    """The bytes of disks that are made from the image's snapshots, where the image is."""
    sdk, found = account.new_sdk(), []
    for mapping in image.disk_device_mappings.disk_device_mapping:
        request = m.CreateDiskRequest(
            region_id=region_id, zone_id=zone_id, disk_category="cloud_auto", snapshot_id=mapping.snapshot_id
        )
        disk_id = sdk.create_disk(request).body.disk_id
        look = m.DescribeDisksRequest(region_id=region_id, disk_ids=f'["{disk_id}"]')
        wait_until(
            lambda look=look: sdk.describe_disks(look).body.disks.disk[0],
            lambda disk: disk.status == "Available",
        )
        found.append(account.read(disk_id, length))
    return found


def test_b40_e29_an_image_restores_in_the_other_region(account):
    system, data = os.urandom(1 << 20), os.urandom(1 << 20)
    image_id = make_image(account, system, data=data, image_name="near")
    sdk = account.new_sdk()
    tag = m.CopyImageRequestTag(key="k", value="v")
    options = {"destination_image_name": "far", "destination_description": "a copy", "tag": [tag]}
    copy_id = copy(sdk, image_id, **options)
    made = wait(sdk, copy_id)
    assert (made.image_name, made.description, made.is_copied, made.progress) == (
        "far",
        "a copy",
        True,
        "100%",
    )
    assert [(each.tag_key, each.tag_value) for each in made.tags.tag] == [("k", "v")]
    original = find(sdk, image_id, REGION)
    snapshot_ids = {each.snapshot_id for each in made.disk_device_mappings.disk_device_mapping}
    assert not snapshot_ids & {each.snapshot_id for each in original.disk_device_mappings.disk_device_mapping}
    sdk.delete_image(m.DeleteImageRequest(region_id=REGION, image_id=image_id))
    assert sorted(restore(account, made, FAR, FAR_ZONE, 1 << 20)) == sorted([system, data])
    here = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", snapshot_id=snapshot_ids.pop()
    )
    assert code_of(sdk.create_disk, here) == (404, "InvalidSnapshotId.NotFound")


def test_b40_data_lies_only_in_the_store_of_its_region(far_service, account):
    data_dir = far_service.data_dir
    image_id = make_image(account, os.urandom(1 << 20))
    far_store = data_dir / "elsewhere" / "far" / account.account_id
    assert (data_dir / "store" / REGION / account.account_id).is_dir()
    assert not far_store.exists()
    wait(account.new_sdk(), copy(account.new_sdk(), image_id))
    assert far_store.is_dir()


def test_an_image_is_copied_within_its_region(account):
    content = os.urandom(1 << 20)
    sdk = account.new_sdk()
    image_id = make_image(account, content)
    request = m.CopyImageRequest(region_id=REGION, image_id=image_id)  # no destination: it stays
    made = wait(sdk, sdk.copy_image(request).body.image_id, REGION)
    assert made.image_name == made.image_id != image_id
    assert restore(account, made, REGION, ZONE, len(content)) == [content]


def test_copies_to_a_region_wait_for_their_turn_and_are_cancelled(account):
    sdk = account.new_sdk()
    image_id = make_image(account, os.urandom(8 << 20))
    copies = [copy(sdk, image_id) for _ in range(3)]
    cancel(sdk, copies[2])
    wait_until(lambda: find(sdk, copies[2]), lambda image: image is None)
    assert code_of(cancel, sdk, copies[2]) == (404, "InvalidImageId.NotFound")
    for copy_id in copies[:2]:
        assert wait(sdk, copy_id).status == "Available"
        assert code_of(cancel, sdk, copy_id) == (400, "IncorrectImageStatus")
    assert code_of(cancel, sdk, image_id, REGION) == (400, "ImageCreatedNotFromCopy")
    delete = m.DeleteImageRequest(region_id=FAR, image_id=copies[0])
    sdk.delete_image(delete)


def test_what_copy_image_refuses(account, stranger):
    sdk = account.new_sdk()
    image_id = make_image(account, b"data", image_name="taken")
    for options, expected in (
        ({"to": "no-where"}, (400, "DestinationRegion.NotFound")),
        ({"to": REGION, "destination_image_name": "taken"}, (400, "InvalidImageName.Duplicated")),
        ({"destination_image_name": "acs:x"}, (400, "InvalidImageName.Malformed")),
        ({"destination_description": "http://x"}, (400, "InvalidDescription.Malformed")),
        ({"encrypted": True, "kmskey_id": "key"}, (404, "InvalidParameter.KMSKeyId.NotFound")),
        ({"kmskey_id": "key"}, (400, "InvalidParameter.EncryptedIllegal")),
        ({"encrypt_algorithm": "sm4-128"}, (400, "InvalidParameter.EncryptedIllegal")),
        ({"resource_group_id": "rg-none"}, (404, "InvalidResourceGroup.NotFound")),
        ({"dry_run": True}, (400, "DryRunOperation")),
    ):
        assert code_of(lambda options=options: copy(sdk, image_id, **options)) == expected, options
    assert code_of(copy, sdk, "lamina_empty_x86_64.vhd") == (403, "OperationDenied")
    assert code_of(copy, sdk, "m-00000000000000000000") == (404, "InvalidImageId.NotFound")
    assert code_of(copy, stranger.new_sdk(), image_id) == (404, "InvalidImageId.NotFound")
    far_id = m.CopyImageRequest(region_id=FAR, image_id=image_id, destination_region_id=REGION)
    assert code_of(sdk.copy_image, far_id) == (404, "InvalidImageId.NotFound")


def test_a_token_makes_one_copy(account):
    sdk = account.new_sdk()
    image_id = make_image(account, b"data")
    first = copy(sdk, image_id, client_token="once")
    assert copy(sdk, image_id, client_token="once") == first
    again = {"client_token": "once", "destination_image_name": "other"}
    assert code_of(lambda: copy(sdk, image_id, **again)) == (400, "IdempotentParameterMismatch")
    wait(sdk, first)


def test_a_shared_image_stays_in_its_region(account, stranger):
    content = os.urandom(1 << 20)
    image_id = make_image(account, content)
    share = m.ModifyImageSharePermissionRequest(
        region_id=REGION, image_id=image_id, add_account=[stranger.account_id]
    )
    account.new_sdk().modify_image_share_permission(share)
    sdk = stranger.new_sdk()
    assert code_of(copy, sdk, image_id) == (403, "OperationDenied.SameRegionOnly")
    made = wait(sdk, copy(sdk, image_id, to=REGION), REGION)
    assert restore(stranger, made, REGION, ZONE, len(content)) == [content]
    wait(sdk, copy(sdk, made.image_id))


def test_the_older_sdk_copies_and_cancels(account):
    image_id = make_image(account, b"data")
    far = account.old("CopyImage", ImageId=image_id, DestinationRegionId=FAR)["ImageId"]
    near = account.old("CopyImage", ImageId=image_id)["ImageId"]  # in the region of the client
    wait(account.new_sdk(), far)
    wait(account.new_sdk(), near, REGION)
    with pytest.raises(ServerException, match="IncorrectImageStatus"):
        account.old("CancelCopyImage", ImageId=near)


def test_regions_are_listed_by_the_command_line(account):
    lines = account.run("region", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "NAME", "ZONES", "STATUS"]
    assert any(line.split() == [FAR, "Far", FAR_ZONE, "available"] for line in lines)
