"""Many images made and exported in one go: rows B46 and E35A. Called through the official SDK, by name."""

import json
import os
import subprocess

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions
from Tea.exceptions import TeaException

from tests.conformance.conftest import REGION, wait_until
from tests.conformance.instances import code_of, make_instance, start, stop
from tests.conformance.test_buckets import list_keys, make_bucket
from tests.conformance.test_image_files import describe_task, export, import_image, send, settle_image

SYSTEM, DATA = os.urandom(300_000), os.urandom(200_000)


def call(account, action, **query):
    """An action that the SDK has no method for."""
    params = Params(
        action=action,
        version="2014-05-26",
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    request = OpenApiRequest(query={"RegionId": REGION, **query})
    return account.new_sdk().call_api(params, request, RuntimeOptions())["body"]


def describe(account, bulk_id):
    return call(account, "DescribeBulkExport", BulkExportId=bulk_id)


def finish(account, bulk_id):
    return wait_until(
        lambda: describe(account, bulk_id),
        lambda found: found["BulkExport"]["Status"] not in ("Running", "Cancelling"),
    )


def make_snapshots(account, count):
    return [account.make_snapshot(account.make_disk(SYSTEM, DiskType="system")) for _ in range(count)]


def make_image(account, snapshot):
    request = m.CreateImageRequest(region_id=REGION, snapshot_id=snapshot)
    return account.new_sdk().create_image(request).body.image_id


def export_all(account, images, bucket):
    for image in images:
        export(account, image, bucket, image_format="vmdk")


def list_images(account):
    request = m.DescribeImagesRequest(region_id=REGION, image_owner_alias="self", page_size=100)
    return [each.image_id for each in account.new_sdk().describe_images(request).body.images.image]


@pytest.fixture
def bucket(account):
    return make_bucket(account)


def test_b46_images_of_instances_and_snapshots_are_made_and_exported(account, bucket, tmp_path):
    instance = make_instance(account)
    start(account, instance)
    stop(account, instance)
    [snapshot] = make_snapshots(account, 1)
    query = {"InstanceId.1": instance, "SnapshotId.1": snapshot, "OSSBucket": bucket, "OSSPrefix": "bulk"}
    bulk_id = call(account, "StartBulkExport", ImageFormat="qcow2", **query)["BulkExportId"]
    found = finish(account, bulk_id)
    bulk, items = found["BulkExport"], found["Items"]["Item"]
    assert (bulk["Status"], bulk["FinishedCount"], found["Progress"]) == ("Finished", 2, 100)
    keys = [each["ObjectKey"] for item in items for each in item["Objects"]["Object"]]
    assert sorted(keys) == sorted(list_keys(account, bucket))
    assert sorted(list_images(account)) == sorted(item["ImageId"] for item in items)
    assert describe_task(account, items[1]["TaskId"]).task_status == "Finished"
    file, raw = tmp_path / "disk.qcow2", tmp_path / "disk.raw"
    file.write_bytes(send("GET", account, bucket, keys[1]))
    assert file.stat().st_size == items[1]["Objects"]["Object"][0]["Size"]
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", file, raw], check=True)
    with raw.open("rb") as opened:
        assert opened.read(len(SYSTEM) + 512) == SYSTEM + bytes(512)
    again = import_image(account, bucket, keys[1])
    assert settle_image(account, again.image_id).status == "Available"


def test_b46_one_failure_stops_no_other_and_images_go(account, bucket):
    snapshots = make_snapshots(account, 2)
    image = make_image(account, snapshots[0])
    never_started = make_instance(account)  # so that there is nothing to capture
    query = {"SnapshotId.1": snapshots[1], "InstanceId.1": never_started, "ImageId.1": image}
    bulk_id = call(account, "StartBulkExport", OSSBucket=bucket, DeleteImages="true", **query)["BulkExportId"]
    found = finish(account, bulk_id)
    items = found["Items"]["Item"]
    assert [item["Status"] for item in items] == ["Failed", "Finished", "Finished"]
    assert "never" in items[0]["Failure"]
    assert (found["BulkExport"]["FailedCount"], found["BulkExport"]["FinishedCount"]) == (1, 2)
    assert list_images(account) == [image]
    assert {each["Status"] for each in account_snapshots(account)} == {"accomplished"}
    assert len(account_snapshots(account)) == 2


def account_snapshots(account):
    return account.lamina().call("DescribeSnapshots", {"RegionId": REGION})["Snapshots"]["Snapshot"]


def test_e35a_a_bulk_export_waits_where_a_single_one_is_refused(account, bucket):
    snapshots = make_snapshots(account, 1)
    images = [make_image(account, snapshots[0]) for _ in range(9)]
    query = {f"ImageId.{n}": image for n, image in enumerate(images, start=1)}
    bulk_id = call(
        account, "StartBulkExport", OSSBucket=bucket, ImageFormat="vmdk", Concurrency="9", **query
    )["BulkExportId"]
    wait_until(
        lambda: [item["Status"] for item in describe(account, bulk_id)["Items"]["Item"]],
        lambda states: "Ready" in states or "Finished" in states,
    )
    found = finish(account, bulk_id)
    assert found["BulkExport"]["FinishedCount"] == 9
    assert len(list_keys(account, bucket)) == 9


def test_e35a_more_than_five_exports_at_once_are_refused(account, bucket):
    [snapshot] = make_snapshots(account, 1)
    images = [make_image(account, snapshot) for _ in range(12)]
    with pytest.raises(TeaException) as refused:
        export_all(account, images, bucket)
    assert (refused.value.statusCode, refused.value.code) == (403, "ConcurrentQuotaExceed.ExportImage")
    wait_until(
        lambda: account.lamina().call("DescribeTasks", {"RegionId": REGION})["TaskSet"]["Task"],
        lambda tasks: all(task["TaskStatus"] == "Finished" for task in tasks),
    )


def test_b46_a_bulk_export_is_cancelled(account, bucket):
    snapshots = make_snapshots(account, 3)
    query = {f"SnapshotId.{n}": each for n, each in enumerate(snapshots, start=1)}
    bulk_id = call(
        account, "StartBulkExport", OSSBucket=bucket, Concurrency="1", DeleteImages="true", **query
    )["BulkExportId"]
    call(account, "CancelBulkExport", BulkExportId=bulk_id)
    found = finish(account, bulk_id)
    assert found["BulkExport"]["Status"] == "Cancelled"
    assert found["BulkExport"]["CancelledCount"] + found["BulkExport"]["FinishedCount"] == 3
    assert len(list_keys(account, bucket)) == found["BulkExport"]["FinishedCount"]
    assert list_images(account) == []
    refused = code_of(lambda: call(account, "CancelBulkExport", BulkExportId=bulk_id))
    assert refused == (403, "InvalidBulkExportId.IncorrectStatus")


def test_what_a_bulk_export_is_refused_for(account, stranger, bucket):
    [theirs] = make_snapshots(stranger, 1)
    [mine] = make_snapshots(account, 1)

    def refused(**query):
        return code_of(lambda: call(account, "StartBulkExport", **{"OSSBucket": bucket, **query}))

    assert refused() == (400, "MissingParameter")
    assert refused(**{"SnapshotId.1": theirs}) == (404, "InvalidSnapshotId.NotFound")
    assert refused(**{"SnapshotId.1": mine, "OSSBucket": "none"}) == (400, "InvalidOSSBucket.NotFound")
    assert refused(**{"SnapshotId.1": mine, "Concurrency": "21"}) == (
        400,
        "InvalidConcurrency.ValueNotSupported",
    )
    assert refused(**{"SnapshotId.1": mine, "OSSPrefix": "a/b"}) == (400, "InvalidOSSPrefix.Malformed")
    many = {f"ImageId.{n}": f"m-{n}" for n in range(1, 102)}
    assert refused(**many) == (400, "NumberExceed.BulkExportItems")
    assert call(account, "DescribeBulkExports")["TotalCount"] == 0


def test_bulk_exports_by_the_command_line(account, bucket):
    snapshots = make_snapshots(account, 2)
    options = ("--snapshot", snapshots[0], "--snapshot", snapshots[1], "--bucket", bucket, "--prefix", "cli")
    done = account.run("image", "bulk-export", *options, "--delete-images")
    assert "2 exported, 0 failed" in done.stdout
    assert done.stderr.count("is Finished") == 2
    keys = list_keys(account, bucket)
    assert all(key in done.stdout for key in keys)
    assert list_images(account) == []
    (listed,) = json.loads(account.run("image", "bulk-list", "--json").stdout)
    assert (listed["Status"], listed["FinishedCount"]) == ("Finished", 2)
    shown = json.loads(account.run("image", "bulk-show", listed["BulkExportId"], "--json").stdout)
    assert (
        sorted(each["ObjectKey"] for item in shown["Items"]["Item"] for each in item["Objects"]["Object"])
        == keys
    )
    assert account.run("image", "bulk-cancel", listed["BulkExportId"], check=False).returncode == 2


def test_a_bulk_export_of_tagged_instances_tells_what_failed(account, bucket):
    instance = make_instance(account)  # never started, so that there is nothing to capture
    account.lamina().call(
        "TagResources",
        {
            "RegionId": REGION,
            "ResourceType": "instance",
            "ResourceId": [instance],
            "Tag": [{"Key": "a", "Value": "b"}],
        },
    )
    done = account.run("image", "bulk-export", "--tag", "a=b", "--bucket", bucket, check=False)
    assert (done.returncode, "1 of 1 items were not exported" in done.stderr) == (1, True)
    assert instance in done.stdout
    none = account.run("image", "bulk-export", "--tag", "a=c", "--bucket", bucket, check=False)
    assert (none.returncode, "carries a=c" in none.stderr) == (2, True)
    bulk_id = account.run(
        "image", "bulk-export", "--instance", instance, "--bucket", bucket, "--no-wait"
    ).stdout
    again = account.run("image", "bulk-show", bulk_id.strip(), "--wait", "--json", check=False)
    assert again.returncode == 1
    assert json.loads(again.stdout)["Items"]["Item"][0]["SourceId"] == instance
