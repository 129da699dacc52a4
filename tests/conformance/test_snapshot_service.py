"""Snapshots as the FAQ promises them: sizes, deletion, locks, archives, links, usage (rows B03 to B17, E3 to E36)."""

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from lamina.control.installation import open_metadata
from lamina.control.snapshots.holds import place_hold, release_holds
from lamina.control.snapshots.states import HolderKind
from tests.conformance.conftest import REGION, wait_until

BLOCK = 64 << 10


def code_of(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value.status_code, refused.value.code


@contextmanager
def used_by_image(service, snapshot_id):
    """As if an image had been made from a snapshot."""
    with open_metadata(service.data_dir) as (database, _), database.transaction() as session:
        place_hold(session, snapshot_id, HolderKind.IMAGE, "m-conformance")
    yield
    with open_metadata(service.data_dir) as (database, _), database.transaction() as session:
        release_holds(session, HolderKind.IMAGE, "m-conformance")


def delete(account, snapshot_id, **options):
    return account.new_sdk().delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=snapshot_id, **options))


def find_link(account, disk_id):
    request = m.DescribeSnapshotLinksRequest(region_id=REGION, disk_ids=json.dumps([disk_id]))
    return account.new_sdk().describe_snapshot_links(request).body.snapshot_links.snapshot_link[0]


def sizes_of(account, *snapshot_ids):
    def look():
        parameters = {"RegionId": REGION, "SnapshotIds": json.dumps(snapshot_ids)}
        return account.lamina().call("DescribeSnapshotSizes", parameters)["SnapshotSizes"]["SnapshotSize"]

    found = wait_until(look, lambda rows: all("ExclusiveBytes" in row for row in rows))
    return {row["SnapshotId"]: row for row in found}


def test_b03_the_first_snapshot_is_as_large_as_the_used_capacity_and_later_ones_add_what_changed(account):
    disk_id = account.make_disk(os.urandom(20 * BLOCK))
    first = account.make_snapshot(disk_id)
    assert account.describe("Snapshot", first)["FullSnapshotSizeInBytes"] == 20 * BLOCK
    link = find_link(account, disk_id)
    assert (link.total_size, link.total_count, link.source_disk_id) == (20 * BLOCK, 1, disk_id)
    account.write(disk_id, os.urandom(3 * BLOCK), offset=5 * BLOCK)
    account.make_snapshot(disk_id)
    link = find_link(account, disk_id)
    assert (link.total_size, link.total_count, link.snapshot_link_id) == (23 * BLOCK, 2, f"sl-{disk_id[2:]}")


def test_b04_deleting_files_frees_nothing_and_a_discard_does(account):
    disk_id = account.make_disk(os.urandom(8 * BLOCK))
    account.make_snapshot(disk_id)
    account.write(disk_id, b"the directory entry is gone" * 100)  # what deleting a file writes
    second = account.make_snapshot(disk_id)
    assert account.describe("Snapshot", second)["FullSnapshotSizeInBytes"] == 8 * BLOCK
    client = account.lamina()
    connection = client.call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
    zero = {"ConnectionId": connection, "Offset": 0, "Length": 4 * BLOCK, "MayPunch": True}
    client.call("ZeroDiskData", zero)
    client.call("DisconnectDisk", {"ConnectionId": connection})
    third = account.make_snapshot(disk_id)
    assert account.describe("Snapshot", third)["FullSnapshotSizeInBytes"] == 4 * BLOCK


def test_b05_sizes_per_snapshot_per_chain_and_per_account(account):
    disk_id = account.make_disk(os.urandom(10 * BLOCK))
    first = account.make_snapshot(disk_id)
    account.write(disk_id, os.urandom(4 * BLOCK))
    second = account.make_snapshot(disk_id)
    sizes = sizes_of(account, first, second)
    assert [sizes[each]["IncrementalBytes"] for each in (first, second)] == [10 * BLOCK, 4 * BLOCK]
    assert [round(sizes[each]["ExclusiveBytes"] / BLOCK) for each in (first, second)] == [4, 4]
    usage = account.new_sdk().describe_snapshots_usage(m.DescribeSnapshotsUsageRequest(region_id=REGION))
    assert (usage.body.snapshot_count, usage.body.snapshot_size) == (2, 14 * BLOCK)
    delete(account, second)
    wait_until(
        lambda: sizes_of(account, first)[first],
        lambda row: round(row["ExclusiveBytes"] / BLOCK) == 10,
    )
    usage = account.new_sdk().describe_snapshots_usage(m.DescribeSnapshotsUsageRequest(region_id=REGION))
    assert (usage.body.snapshot_count, usage.body.snapshot_size) == (1, 10 * BLOCK)


def test_e03_the_series_of_stored_bytes(account):
    sdk = account.new_sdk()
    now = datetime.now(UTC)

    def ask(hours=1, period=60, start=None):
        start = start or now - timedelta(hours=hours)
        request = m.DescribeSnapshotMonitorDataRequest(
            region_id=REGION,
            start_time=f"{start:%Y-%m-%dT%H:%M:%SZ}",
            end_time=f"{now:%Y-%m-%dT%H:%MZ}",
            period=period,
        )
        return sdk.describe_snapshot_monitor_data(request)

    points = ask().body.monitor_data.data_point
    assert len(points) in (60, 61)
    assert {point.size for point in points} == {0}
    assert all(point.time_stamp.endswith(":00Z") for point in points)
    assert code_of(ask, 7) == (400, "InvalidParameter.TooManyDataQueried")
    assert code_of(ask, 1, 61) == (400, "InvalidPeriod.ValueNotSupported")
    assert code_of(ask, 24 * 31, 3600) == (400, "InvalidStartTime.TooEarly")
    assert ask(24 * 16, 3600).status_code == 200


def test_b06_local_disks_have_no_snapshots(account):
    disk_id = account.make_disk(DiskCategory="local_ssd_pro")
    sdk = account.new_sdk()
    expected = (400, "DiskCategory.OperationNotSupported")
    assert code_of(sdk.create_snapshot, m.CreateSnapshotRequest(disk_id=disk_id)) == expected
    group = m.CreateSnapshotGroupRequest(region_id=REGION, disk_id=[disk_id])
    assert code_of(sdk.create_snapshot_group, group) == expected


def test_b10_manual_snapshots_stay_when_the_disk_is_released(account):
    disk_id = account.make_disk(b"kept" * BLOCK)
    snapshot_id = account.make_snapshot(disk_id)
    account.new_sdk().delete_disk(m.DeleteDiskRequest(disk_id=disk_id))
    wait_until(lambda: account.describe("Disk", disk_id), lambda found: found is None)
    found = account.describe("Snapshot", snapshot_id)
    assert (found["Status"], found["SourceDiskId"], found["Available"]) == ("accomplished", disk_id, True)
    assert find_link(account, disk_id).total_count == 1


@pytest.mark.parametrize("force", [None, True])
def test_b15_a_snapshot_that_an_image_uses_cannot_be_deleted(account, force):
    snapshot_id = account.make_snapshot(account.make_disk(b"image"))
    with used_by_image(account.service, snapshot_id):
        with pytest.raises(ClientException) as refused:
            delete(account, snapshot_id, force=force)
        assert (refused.value.status_code, refused.value.code) == (403, "SnapshotCreatedImage")
        assert "m-conformance" in refused.value.message  # the image is named
        assert refused.value.request_id == refused.value.data["RequestId"]
        assert refused.value.request_id in refused.value.message
        assert account.describe("Snapshot", snapshot_id)["Usage"] == "image"
    delete(account, snapshot_id)
    assert account.describe("Snapshot", snapshot_id) is None


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_b17_deleting_any_snapshot_of_a_chain_leaves_the_others_restorable(account, gone):
    disk_id, content, contents, chain = account.make_disk(), bytearray(4 * BLOCK), [], []
    for index in range(3):
        for place in (index, 3):  # one block that stays, and one that every snapshot has anew
            content[place * BLOCK : (place + 1) * BLOCK] = os.urandom(BLOCK)
        account.write(disk_id, content)
        contents.append(bytes(content))
        chain.append(account.make_snapshot(disk_id))
    delete(account, chain[gone])
    for index, snapshot_id in enumerate(chain):
        if index == gone:
            continue
        account.lamina().call("ResetDisk", {"DiskId": disk_id, "SnapshotId": snapshot_id})
        account.wait_disk(disk_id)
        assert account.read(disk_id, 4 * BLOCK) == contents[index]


def test_e16_retention_can_only_grow(account):
    snapshot_id = account.make_snapshot(account.make_disk(b"x"), RetentionDays=5)
    sdk = account.new_sdk()

    def modify(**change):
        return sdk.modify_snapshot_attribute(
            m.ModifySnapshotAttributeRequest(snapshot_id=snapshot_id, **change)
        )

    modify(snapshot_name="renamed", description="words", retention_days=6)
    found = account.describe("Snapshot", snapshot_id)
    assert (found["SnapshotName"], found["Description"], found["RetentionDays"]) == ("renamed", "words", 6)
    modify(description="")
    assert "Description" not in account.describe("Snapshot", snapshot_id)
    for change, code in (
        ({}, (400, "NoAttributeToModify")),
        ({"retention_days": 4}, (400, "InvalidOperation.DecreaseRetentionDaysUnsupported")),
        ({"retention_days": 70_000}, (400, "InvalidRetentionDays.Malformed")),
        ({"snapshot_name": "auto-mine"}, (400, "InvalidSnapshotName.Malformed")),
        ({"description": "http://x"}, (404, "InvalidDescription.Malformed")),
    ):
        with pytest.raises(ClientException) as refused:
            modify(**change)
        assert (refused.value.status_code, refused.value.code) == code


def test_e29_snapshots_are_not_copied_between_regions_unless_the_operator_says_so(account):
    snapshot_id = account.make_snapshot(account.make_disk(b"x"))
    request = m.CopySnapshotRequest(
        region_id=REGION,
        snapshot_id=snapshot_id,
        destination_region_id="cn-beijing",
        destination_snapshot_name="copy",
        destination_snapshot_description="copy of it",
    )
    assert code_of(account.new_sdk().copy_snapshot, request) == (403, "InvalidUser.NotInWhiteList")


def test_e35_snapshots_are_not_exported(account):
    snapshot_id = account.make_snapshot(account.make_disk(b"x"))
    request = m.ExportSnapshotRequest(region_id=REGION, snapshot_id=snapshot_id, oss_bucket="bucket")
    assert code_of(account.new_sdk().export_snapshot, request) == (403, "UserNotInTheWhiteList")


def test_a_locked_snapshot_stays_until_its_lock_is_taken_off(account):
    snapshot_id = account.make_snapshot(account.make_disk(b"locked"))
    sdk = account.new_sdk()
    request = m.LockSnapshotRequest(
        region_id=REGION,
        snapshot_id=snapshot_id,
        lock_mode="compliance",
        lock_duration=10,
        cool_off_period=3,
        client_token="lock-1",
    )
    dry = m.LockSnapshotRequest(**{**request.__dict__, "dry_run": True, "client_token": None})
    assert code_of(sdk.lock_snapshot, dry) == (400, "DryRunOperation")
    info = sdk.lock_snapshot(request).body.locked_snapshot_info
    assert (info.lock_status, info.lock_duration, info.cool_off_period) == ("compliance-cooloff", 10, 3)
    assert sdk.lock_snapshot(request).body.locked_snapshot_info.to_map() == info.to_map()
    assert code_of(sdk.delete_snapshot, m.DeleteSnapshotRequest(snapshot_id=snapshot_id, force=True)) == (
        403,
        "InvalidOperation.SnapshotIsLocked",
    )
    listed = sdk.describe_locked_snapshots(
        m.DescribeLockedSnapshotsRequest(region_id=REGION, snapshot_ids=[snapshot_id])
    ).body.locked_snapshots_info
    assert [each.to_map() for each in listed] == [info.to_map()]
    unlock = m.UnlockSnapshotRequest(region_id=REGION, snapshot_id=snapshot_id)
    sdk.unlock_snapshot(unlock)
    assert code_of(sdk.unlock_snapshot, unlock) == (404, "InvalidSnapshotLock.NotFound")
    at_once = m.LockSnapshotRequest(**{**request.__dict__, "cool_off_period": 0, "client_token": None})
    assert sdk.lock_snapshot(at_once).body.locked_snapshot_info.lock_status == "compliance"
    assert code_of(sdk.unlock_snapshot, unlock) == (403, "InvalidOperation.CoolOffPeriodExpired")


def test_only_old_snapshots_are_archived(account):
    snapshot_id = account.make_snapshot(account.make_disk(b"young"))
    sdk = account.new_sdk()
    for change, code in (
        ({"category": "Archive"}, (400, "InvalidStatus.SnapshotAgeLimit")),
        ({"category": "Standard"}, (400, "InvalidParameter.SnapshotCategory")),
        ({"category": "Archive", "retention_days": 73}, (400, "InvalidRetentionDays.Malformed")),
    ):
        request = m.ModifySnapshotCategoryRequest(snapshot_id=snapshot_id, **change)
        assert code_of(sdk.modify_snapshot_category, request) == code


def test_links_in_both_styles_and_with_every_filter(account):
    disks = [account.make_disk(b"x") for _ in range(3)]
    for disk_id in disks:
        account.make_snapshot(disk_id)
    sdk = account.new_sdk()

    def ask(**options):
        return sdk.describe_snapshot_links(m.DescribeSnapshotLinksRequest(region_id=REGION, **options)).body

    page = ask(page_number=2, page_size=2)
    assert (page.total_count, len(page.snapshot_links.snapshot_link)) == (3, 1)
    assert len(ask(max_results=1).snapshot_links.snapshot_link) == 3  # below 10 counts as 10
    link = f"sl-{disks[0][2:]}"
    [only] = ask(snapshot_link_ids=json.dumps([link])).snapshot_links.snapshot_link
    assert (only.snapshot_link_id, only.source_disk_type, only.source_disk_size) == (link, "data", 1)
    assert ask(disk_ids="[]").total_count == 0
    assert ask(instance_id="i-none").total_count == 0
    with pytest.raises(ClientException) as refused:
        ask(disk_ids="no array")
    assert (refused.value.status_code, refused.value.code) == (400, "InvalidDiskIds")


def test_the_service_is_open_and_has_no_packages(account):
    sdk = account.new_sdk()
    assert sdk.open_snapshot_service(m.OpenSnapshotServiceRequest(region_id=REGION)).status_code == 200
    body = sdk.describe_snapshot_package(m.DescribeSnapshotPackageRequest(region_id=REGION)).body
    assert (body.total_count, body.snapshot_packages.snapshot_package) == (0, [])
    usage = m.DescribeSnapshotsUsageRequest(region_id="no-where")
    assert code_of(sdk.describe_snapshots_usage, usage) == (403, "InvalidParam.RegionId")


def test_e08_another_disk_is_free_while_one_is_snapshotted_and_progress_is_measured(account):
    busy, free = account.make_disk(os.urandom(24 << 20)), account.make_disk(b"x")
    sdk = account.new_sdk()
    first = sdk.create_snapshot(m.CreateSnapshotRequest(disk_id=busy)).body.snapshot_id
    again = m.CreateSnapshotRequest(disk_id=busy)
    assert code_of(sdk.create_snapshot, again) == (403, "IncorrectDiskStatus.CreatingSnapshot")
    account.make_snapshot(free)
    seen = []
    wait_until(
        lambda: seen.append(account.describe("Snapshot", first)) or seen[-1],
        lambda found: found["Status"] == "accomplished",
    )
    percents = [int(each["Progress"].rstrip("%")) for each in seen]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert all(type(each["RemainTime"]) is int for each in seen)
