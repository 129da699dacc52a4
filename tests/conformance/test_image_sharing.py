"""Images of one account in the eyes of another: shared, unshared, published by the operator."""

import subprocess

from alibabacloud_ecs20140526 import models as m

from tests.conformance.conftest import LAMINA, REGION
from tests.conformance.instances import IMAGE, code_of, list_disks_of, make_instance, share_image
from tests.conformance.test_images import (
    SYSTEM,
    create_image,
    delete_image,
    delete_refused,
    describe_images,
    find_image,
    list_ids,
    make_snapshot,
)


def share_refused(account, image_id, **options):
    request = m.ModifyImageSharePermissionRequest(region_id=REGION, image_id=image_id, **options)
    return code_of(account.new_sdk().modify_image_share_permission, request)


def list_shares(account, image_id):
    request = m.DescribeImageSharePermissionRequest(region_id=REGION, image_id=image_id)
    body = account.new_sdk().describe_image_share_permission(request).body
    assert body.total_count == len(body.accounts.account)
    return [each.aliyun_id for each in body.accounts.account]


def test_b43_an_image_is_shared_and_unshared(account, stranger):
    snapshot_id = make_snapshot(account)
    tag = m.CreateImageRequestTag(key="stage", value="test")
    image_id = create_image(account, snapshot_id=snapshot_id, tag=[tag])
    assert find_image(stranger, image_id) is None
    share_image(account, image_id, add=[stranger.account_id])
    assert list_shares(account, image_id) == [stranger.account_id]
    assert list_ids(stranger, image_owner_alias="others") == [image_id]
    seen = find_image(stranger, image_id)
    [disk] = seen.disk_device_mappings.disk_device_mapping
    assert (seen.image_owner_alias, seen.image_owner_id, seen.is_self_shared) == (
        "others",
        int(account.account_id),
        "",
    )
    assert (disk.snapshot_id, seen.tags.tag) == ("", [])
    assert stranger.describe("Snapshot", snapshot_id) is None
    assert list_ids(stranger, snapshot_id=snapshot_id) == []
    assert find_image(account, image_id).is_self_shared == "True"
    instance_id = make_instance(stranger, image_id=image_id)
    [disk_id] = list_disks_of(stranger, instance_id)
    assert stranger.read(disk_id, len(SYSTEM)) == SYSTEM
    share_image(account, image_id, remove=[stranger.account_id])
    assert (list_shares(account, image_id), find_image(stranger, image_id)) == ([], None)
    assert stranger.read(disk_id, len(SYSTEM)) == SYSTEM


def test_b43_a_shared_image_is_neither_deleted_nor_deprecated(account, stranger):
    image_id = create_image(account, snapshot_id=make_snapshot(account))
    share_image(account, image_id, add=[stranger.account_id])
    assert delete_refused(account, image_id, force=True) == (403, "ImageUseShared")
    request = m.ModifyImageAttributeRequest(region_id=REGION, image_id=image_id, status="Deprecated")
    assert code_of(account.new_sdk().modify_image_attribute, request) == (403, "ImageUseShared")
    share_image(account, image_id, remove=[stranger.account_id])
    account.new_sdk().modify_image_attribute(request)
    assert share_refused(account, image_id, add_account=[stranger.account_id]) == (
        400,
        "IncorrectImageStatus",
    )
    delete_image(account, image_id)
    assert find_image(account, image_id) is None


def test_b43_whom_an_image_is_not_shared_with(account, stranger):
    image_id = create_image(account, snapshot_id=make_snapshot(account))
    other = stranger.account_id
    for options, code in (
        ({"add_account": [account.account_id]}, (404, "InvalidAccount.Forbbiden")),
        ({"add_account": ["1234567890123456"]}, (404, "InvalidAccount.NotFound")),
        ({"is_public": True}, (403, "InvalidParameter.IsPublic")),
        ({"add_account": [other], "dry_run": True}, (400, "DryRunOperation")),
    ):
        assert share_refused(account, image_id, **options) == code
    assert share_refused(stranger, image_id, add_account=[other]) == (404, "InvalidImageId.NotFound")
    assert share_refused(account, IMAGE, add_account=[other]) == (404, "InvalidImageId.NotFound")
    request = m.DescribeImageSharePermissionRequest(region_id=REGION, image_id=image_id)
    refused = code_of(stranger.new_sdk().describe_image_share_permission, request)
    assert refused == (404, "InvalidImageId.NotFound")
    share_image(account, image_id)  # neither list: nothing happens
    assert list_shares(account, image_id) == []


def test_b43_ten_accounts_in_a_call_and_fifty_for_an_image(account, service):
    image_id = create_image(account, snapshot_id=make_snapshot(account))
    accounts = [service.add_account().account_id for _ in range(51)]
    share_image(account, image_id, add=accounts[:11])  # what goes beyond ten is ignored
    assert set(list_shares(account, image_id)) == set(accounts[:10])
    for at in range(10, 50, 10):
        share_image(account, image_id, add=accounts[at : at + 10])
    refused = share_refused(account, image_id, add_account=accounts[50:])
    assert refused == (403, "QuotaExceed.ShareImageUser")


def test_the_operator_publishes_an_image(account, stranger):
    def run(verb, image):
        folder = account.service.data_dir
        return subprocess.run(
            [LAMINA, "image", verb, image, "--data", folder],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    image_id = create_image(account, snapshot_id=make_snapshot(account))
    assert run("publish", image_id).returncode == 0
    seen = find_image(stranger, image_id)
    assert (seen.image_owner_alias, seen.is_public) == ("system", True)
    assert find_image(account, image_id).image_owner_alias == "self"
    assert image_id in list_ids(stranger, image_owner_alias="system", page_size=100)
    assert delete_refused(account, image_id, force=True) == (403, "ImageIsPublic")
    assert make_instance(stranger, image_id=image_id)
    assert run("unpublish", image_id).returncode == 0
    assert find_image(stranger, image_id) is None
    assert run("publish", "m-none").returncode != 0
    assert "built in" in run("unpublish", IMAGE).stderr
    assert describe_images(stranger, image_id=IMAGE).total_count == 1
