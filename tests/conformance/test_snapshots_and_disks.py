"""Disks and snapshots with real bytes, through the official clients."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.conformance.conftest import REGION, ZONE, wait_until

DATA = os.urandom(1 << 20) + bytes(1 << 20) + os.urandom((1 << 20) + 4096)


def code_of(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value.status_code, refused.value.code


def test_b02_b08_the_way_of_a_disk(account):
    """Create, write, snapshot, spoil, roll back, compare, delete: the story of B08."""
    sdk = account.new_sdk()
    created = sdk.create_disk(
        m.CreateDiskRequest(
            region_id=REGION,
            zone_id=ZONE,
            disk_category="cloud_auto",
            size=1,
            disk_name="way",
            client_token="c1",
            tag=[m.CreateDiskRequestTag(key="k", value="v 1")],
        )
    )
    disk_id = created.body.disk_id
    account.wait_disk(disk_id)
    assert code_of(sdk.create_snapshot, m.CreateSnapshotRequest(disk_id=disk_id)) == (
        403,
        "IncorrectDiskStatus.NeverAttached",
    )
    account.write(disk_id, DATA)
    snapshot_id = sdk.create_snapshot(
        m.CreateSnapshotRequest(
            disk_id=disk_id, snapshot_name="before", description="risky work", retention_days=7
        )
    ).body.snapshot_id
    shown = account.wait_snapshot(snapshot_id)
    assert (shown["Progress"], shown["Available"], shown["RemainTime"]) == ("100%", True, 0)
    assert shown["FullSnapshotSizeInBytes"] >= len(DATA) - (1 << 20)
    account.write(disk_id, os.urandom(2 << 20), offset=512 << 10)
    assert account.read(disk_id, len(DATA)) != DATA
    assert sdk.reset_disk(m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id)).status_code == 200
    account.wait_disk(disk_id)
    assert account.read(disk_id, len(DATA)) == DATA
    assert sdk.delete_disk(m.DeleteDiskRequest(disk_id=disk_id)).status_code == 200
    assert account.describe("Disk", disk_id) is None
    assert account.describe("Snapshot", snapshot_id)["SourceDiskId"] == disk_id
    again = sdk.create_disk(
        m.CreateDiskRequest(
            region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", snapshot_id=snapshot_id
        )
    ).body.disk_id
    disk = account.wait_disk(again)
    assert (disk["SourceSnapshotId"], disk["Size"]) == (snapshot_id, 1)
    assert account.read(again, len(DATA)) == DATA
    assert account.describe("Snapshot", snapshot_id)["Usage"] == "disk"
    delete = m.DeleteSnapshotRequest(snapshot_id=snapshot_id)
    assert code_of(sdk.delete_snapshot, delete) == (403, "SnapshotCreatedDisk")
    assert (
        sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=snapshot_id, force=True)).status_code == 200
    )
    assert account.describe("Snapshot", snapshot_id) is None
    assert account.read(again, len(DATA)) == DATA


def test_the_same_way_with_the_older_sdk(account):
    disk_id = account.make_disk(DATA)
    answer = account.old(
        "CreateSnapshot",
        DiskId=disk_id,
        SnapshotName="older",
        Tags=[{"Key": "k", "Value": ""}],
        ClientToken="t",
    )
    account.wait_snapshot(answer["SnapshotId"])
    found = account.old("DescribeSnapshots", SnapshotIds=[answer["SnapshotId"]])
    [snapshot] = found["Snapshots"]["Snapshot"]
    assert snapshot["Tags"]["Tag"] == [{"TagKey": "k", "TagValue": ""}]
    account.write(disk_id, bytes(len(DATA)))
    account.old("ResetDisk", DiskId=disk_id, SnapshotId=answer["SnapshotId"])
    account.wait_disk(disk_id)
    assert account.read(disk_id, len(DATA)) == DATA
    account.old("DeleteSnapshot", SnapshotId=answer["SnapshotId"])
    account.old("DeleteDisk", DiskId=disk_id)
    assert account.old("DescribeDisks")["TotalCount"] == 0


def test_every_field_has_the_documented_type(account):
    disk_id = account.make_disk(b"x" * 4096, DiskName="typed", Tag=[{"Key": "k", "Value": "v"}])
    snapshot_id = account.make_snapshot(disk_id, SnapshotName="typed", RetentionDays=3)
    sdk = account.new_sdk()
    answers = (
        (
            sdk.describe_snapshots(
                m.DescribeSnapshotsRequest(region_id=REGION, snapshot_ids=json.dumps([snapshot_id]))
            ).body.snapshots.snapshot[0],
            m.DescribeSnapshotsResponseBodySnapshotsSnapshot,
            account.describe("Snapshot", snapshot_id),
        ),
        (
            sdk.describe_disks(
                m.DescribeDisksRequest(region_id=REGION, disk_ids=json.dumps([disk_id]))
            ).body.disks.disk[0],
            m.DescribeDisksResponseBodyDisksDisk,
            account.describe("Disk", disk_id),
        ),
    )
    for model, cls, raw in answers:
        assert set(raw) <= set(cls().from_map(raw).to_map()), "fields that the model does not have"
        hints = cls.__init__.__annotations__
        for name, kind in hints.items():
            value = getattr(model, name)
            if kind in (str, int, bool) and value is not None:
                assert type(value) is kind, (name, value)
    now = datetime.now(UTC)
    created = datetime.strptime(answers[0][2]["CreationTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(now - created) < timedelta(minutes=2)
    assert answers[0][0].source_disk_size == "1"


def test_lists_in_both_styles_visit_everything_once(account):
    ids = {account.make_disk() for _ in range(12)}
    sdk = account.new_sdk()
    numbered = []
    for page in range(1, 4):
        request = m.DescribeDisksRequest(region_id=REGION, page_number=page, page_size=5)
        body = sdk.describe_disks(request).body
        assert body.total_count == 12
        numbered += [disk.disk_id for disk in body.disks.disk]
    assert (len(numbered), set(numbered)) == (12, ids)
    by_token, token = [], None
    while token != "":
        request = m.DescribeDisksRequest(region_id=REGION, max_results=1, next_token=token)
        body = sdk.describe_disks(request).body
        by_token += [disk.disk_id for disk in body.disks.disk]
        token = body.next_token
    assert (len(by_token), set(by_token)) == (12, ids)


def test_what_is_locked_cannot_be_changed(account):
    disk_id = account.make_disk(DATA)
    snapshot_id = account.make_snapshot(disk_id)
    sdk = account.new_sdk()
    connection = account.lamina().call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
    reset = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset) == (403, "IncorrectDiskStatus")
    assert code_of(sdk.delete_disk, m.DeleteDiskRequest(disk_id=disk_id)) == (403, "DiskStillAttached")
    account.lamina().call("DisconnectDisk", {"ConnectionId": connection})
    dry = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id, dry_run=True)
    assert code_of(sdk.reset_disk, dry) == (400, "DryRunOperation")
    assert account.describe("Disk", disk_id)["Status"] == "Available"
    other = account.make_disk(DATA)
    mismatch = m.ResetDiskRequest(disk_id=other, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, mismatch) == (403, "InvalidParameter.Mismatch")
    assert code_of(sdk.reset_disk, m.ResetDiskRequest(disk_id=disk_id, snapshot_id="s-no")) == (
        404,
        "InvalidSnapshotId.NotFound",
    )


def test_another_accounts_things_do_not_exist(account, stranger):
    disk_id = account.make_disk(DATA)
    snapshot_id = account.make_snapshot(disk_id)
    connection = account.lamina().call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
    sdk = stranger.new_sdk()
    assert stranger.describe("Disk", disk_id) is None
    assert stranger.describe("Snapshot", snapshot_id) is None
    assert (
        code_of(sdk.create_snapshot, m.CreateSnapshotRequest(disk_id=disk_id))[1] == "InvalidDiskId.NotFound"
    )
    reset = m.ResetDiskRequest(disk_id=disk_id, snapshot_id=snapshot_id)
    assert code_of(sdk.reset_disk, reset)[1] == "InvalidDiskId.NotFound"
    create = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", snapshot_id=snapshot_id
    )
    assert code_of(sdk.create_disk, create)[1] == "InvalidSnapshotId.NotFound"
    read = m.DescribeRegionsRequest()
    assert sdk.describe_regions(read).status_code == 200
    with pytest.raises(Exception, match="InvalidConnectionId"):
        stranger.lamina().read("ReadDiskData", {"ConnectionId": connection, "Offset": 0, "Length": 512})
    assert sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=snapshot_id)).status_code == 200
    assert account.describe("Snapshot", snapshot_id)["Status"] == "accomplished"


def test_one_token_from_many_threads_makes_one_disk(account):
    request = m.CreateDiskRequest(
        region_id=REGION, zone_id=ZONE, disk_category="cloud_auto", size=1, client_token="same"
    )
    barrier = threading.Barrier(8)

    def create(_):
        client = account.new_sdk()
        barrier.wait()
        return client.create_disk(request).body.disk_id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(create, range(8)))
    assert len(ids) == 1
    assert account.new_sdk().describe_disks(m.DescribeDisksRequest(region_id=REGION)).body.total_count == 1


def test_one_snapshot_of_a_disk_at_a_time(account):
    disk_id = account.make_disk(os.urandom(24 << 20))
    sdk = account.new_sdk()
    first = sdk.create_snapshot(m.CreateSnapshotRequest(disk_id=disk_id)).body.snapshot_id
    second = code_of(sdk.create_snapshot, m.CreateSnapshotRequest(disk_id=disk_id))
    assert second == (403, "IncorrectDiskStatus.CreatingSnapshot")
    assert code_of(sdk.delete_disk, m.DeleteDiskRequest(disk_id=disk_id)) == (403, "DiskCreatingSnapshot")
    account.wait_snapshot(first)


def test_a_deleted_snapshot_in_creation_is_cancelled(account):
    disk_id = account.make_disk(os.urandom(32 << 20))
    sdk = account.new_sdk()
    snapshot_id = sdk.create_snapshot(m.CreateSnapshotRequest(disk_id=disk_id)).body.snapshot_id
    assert sdk.delete_snapshot(m.DeleteSnapshotRequest(snapshot_id=snapshot_id)).status_code == 200
    assert account.describe("Snapshot", snapshot_id) is None

    def try_again():
        try:
            return sdk.create_snapshot(m.CreateSnapshotRequest(disk_id=disk_id)).body.snapshot_id
        except ClientException as refused:
            if refused.code != "IncorrectDiskStatus.CreatingSnapshot":
                raise
            return None

    account.wait_snapshot(wait_until(try_again, lambda found: found is not None))
