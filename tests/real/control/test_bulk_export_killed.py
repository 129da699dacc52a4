"""A served process is killed with SIGKILL in the middle of a bulk export, again and again: everything is made once."""

import json
from contextlib import closing

import pytest

from lamina.cli.client import EcsClient, read_profile
from lamina.clock import SystemClock
from lamina.settings import Settings
from tests.factories.service_process import SECONDS, serving

IN_REGION = {"RegionId": "cn-hangzhou"}
CLOCK = SystemClock()
ITEMS = 4


def open_client(folder):
    """A client of the service that was started last: each one answers at a port of its own."""
    return closing(EcsClient(read_profile(folder / "data" / "credentials.json", Settings())))


def wait_until(look, is_done):
    deadline = CLOCK.monotonic() + SECONDS
    while not is_done(found := look()):
        assert CLOCK.monotonic() < deadline, found
        CLOCK.sleep(0.02)
    return found


def make_snapshots(client):
    for _ in range(ITEMS):
        new = {"ZoneId": "cn-hangzhou-h", "SizeInBytes": 1 << 30, "DiskType": "system"}
        disk = client.call("ImportDisk", {**IN_REGION, **new})["DiskId"]
        wait_until(
            lambda: client.call("DescribeDisks", {**IN_REGION, "Status": "Available", "PageSize": 100}),
            lambda found, disk=disk: disk in {each["DiskId"] for each in found["Disks"]["Disk"]},
        )
        client.call("CreateSnapshot", {"DiskId": disk})
    found = wait_until(
        lambda: client.call("DescribeSnapshots", {**IN_REGION, "Status": "accomplished"}),
        lambda found: found["TotalCount"] == ITEMS,
    )
    return [each["SnapshotId"] for each in found["Snapshots"]["Snapshot"]]


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_a_killed_service_goes_on_with_a_bulk_export(tmp_path, image_format):
    with serving(tmp_path), open_client(tmp_path) as client:
        client.call("CreateBucket", {**IN_REGION, "BucketName": "exports"})
        snapshots = {f"SnapshotId.{n}": each for n, each in enumerate(make_snapshots(client), start=1)}
        new = {"OSSBucket": "exports", "ImageFormat": image_format, "Concurrency": 1, **snapshots}
        bulk_id = client.call("StartBulkExport", {**IN_REGION, **new})["BulkExportId"]

    def describe(client):
        return client.call("DescribeBulkExport", {**IN_REGION, "BulkExportId": bulk_id})

    for ended in range(1, ITEMS):  # each service is killed when it has finished one item more
        with serving(tmp_path), open_client(tmp_path) as client:
            wait_until(
                lambda: describe(client),
                lambda found, ended=ended: found["BulkExport"]["EndedCount"] >= ended,
            )
    with serving(tmp_path), open_client(tmp_path) as client:
        found = wait_until(
            lambda: describe(client), lambda found: found["BulkExport"]["Status"] == "Finished"
        )
        items = found["Items"]["Item"]
        assert [item["Status"] for item in items] == ["Finished"] * ITEMS, json.dumps(items)
        told = sorted(each["ObjectKey"] for item in items for each in item["Objects"]["Object"])
        stored = client.call("ListBucketObjects", {**IN_REGION, "BucketName": "exports"})["Objects"]["Object"]
        assert [each["ObjectKey"] for each in stored] == told
        assert len(told) == ITEMS
        images = client.call("DescribeImages", {**IN_REGION, "ImageOwnerAlias": "self"})["Images"]["Image"]
        assert sorted(each["ImageId"] for each in images) == sorted(item["ImageId"] for item in items)
        tasks = client.call("DescribeTasks", {**IN_REGION, "TaskAction": "ExportImage"})
        assert tasks["TotalCount"] == ITEMS
