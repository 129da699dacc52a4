"""Snapshot groups through the official clients (rows B41 and E9, and the deletion rule of E20)."""

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.conformance.conftest import REGION, wait_until
from tests.conformance.test_snapshot_service import code_of, used_by_image

ONE, TWO = b"first disk" * 10_000, b"second disk" * 10_000


def find_group(account, group_id):
    request = m.DescribeSnapshotGroupsRequest(region_id=REGION, snapshot_group_id=[group_id])
    return next(
        iter(account.new_sdk().describe_snapshot_groups(request).body.snapshot_groups.snapshot_group), None
    )


def make_group(account, disks, **options):
    request = m.CreateSnapshotGroupRequest(region_id=REGION, disk_id=disks, **options)
    group_id = account.new_sdk().create_snapshot_group(request).body.snapshot_group_id
    return wait_until(lambda: find_group(account, group_id), lambda group: group.status == "accomplished")


def test_b41_the_way_of_a_group(account):
    disks = [account.make_disk(ONE), account.make_disk(TWO)]
    tag = m.CreateSnapshotGroupRequestTag(key="k", value="v")
    group = make_group(account, disks, name="nightly", description="words", client_token="g", tag=[tag])
    raw = group.to_map()
    assert (raw["Name"], raw["Description"], raw["Tags"]) == (
        "nightly",
        "words",
        {"Tag": [{"Key": "k", "Value": "v"}]},
    )
    members = {each.source_disk_id: each.snapshot_id for each in group.snapshots.snapshot}
    assert set(members) == set(disks)
    assert {each.progress for each in group.snapshots.snapshot} == {"100%"}
    sdk = account.new_sdk()
    again = m.CreateSnapshotGroupRequest(
        region_id=REGION, disk_id=disks, name="nightly", description="words", client_token="g", tag=[tag]
    )
    assert sdk.create_snapshot_group(again).body.snapshot_group_id == group.snapshot_group_id
    for disk_id, content in zip(disks, (ONE, TWO), strict=True):
        account.write(disk_id, bytes(len(content)))
        sdk.reset_disk(m.ResetDiskRequest(disk_id=disk_id, snapshot_id=members[disk_id]))
        account.wait_disk(disk_id)
        assert account.read(disk_id, len(content)) == content
    modify = m.ModifySnapshotGroupRequest(
        region_id=REGION, snapshot_group_id=group.snapshot_group_id, name="renamed", description=""
    )
    sdk.modify_snapshot_group(modify)
    found = find_group(account, group.snapshot_group_id)
    assert (found.name, found.description) == ("renamed", "")
    assert find_group(account.service.add_account(), group.snapshot_group_id) is None


def test_e20_a_member_that_an_image_uses_is_kept_when_the_group_goes(account):
    group = make_group(account, [account.make_disk(ONE), account.make_disk(TWO)])
    held, free = (each.snapshot_id for each in group.snapshots.snapshot)
    request = m.DeleteSnapshotGroupRequest(region_id=REGION, snapshot_group_id=group.snapshot_group_id)
    sdk = account.new_sdk()
    with used_by_image(account.service, held):
        progress = sdk.delete_snapshot_group(request).body.operation_progress_set.operation_progress
        outcomes = {
            each.related_item_set.related_item[0].value: (each.operation_status, each.error_code)
            for each in progress
        }
        assert outcomes == {held: ("Failed", "SnapshotCreatedImage"), free: ("Success", "")}
        assert account.describe("Snapshot", held)["Status"] == "accomplished"
    assert account.describe("Snapshot", free) is None
    assert find_group(account, group.snapshot_group_id) is None
    assert code_of(sdk.delete_snapshot_group, request) == (404, "InvalidSnapshotGroupId.NotFound")
    sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=held))


def test_what_no_group_is_made_of(account):
    sdk = account.new_sdk()
    disk_id, old = account.make_disk(ONE), account.make_disk(DiskCategory="cloud_ssd")
    for options, code in (
        ({}, (400, "MissingParamter.InstanceId")),
        (
            {"disk_id": [disk_id], "exclude_disk_id": [disk_id]},
            (400, "InvalidParam.ExcludeDiskIdsAndDiskIds.Conflict"),
        ),
        ({"disk_id": ["d-none"]}, (404, "InvalidDiskId.NotFound")),
        ({"instance_id": "i-none"}, (404, "InvalidInstanceId.NotFound")),
        ({"disk_id": [disk_id], "name": "1"}, (400, "InvalidParameter.Name")),
        (
            {"disk_id": [disk_id, old]},
            (400, "DiskCategory.OperationNotSupported"),
        ),
    ):
        with pytest.raises(ClientException) as refused:
            sdk.create_snapshot_group(m.CreateSnapshotGroupRequest(region_id=REGION, **options))
        assert (refused.value.status_code, refused.value.code) == code
    bad = m.DescribeSnapshotGroupsRequest(region_id=REGION, status=["gone"])
    assert code_of(sdk.describe_snapshot_groups, bad) == (403, "InvalidStatus.ValueNotSupported")
