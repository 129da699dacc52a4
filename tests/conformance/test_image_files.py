"""Images to files in buckets and back, through the official clients: rows B45, E02 and E35."""

import json
import os
import secrets
import subprocess
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import alibabacloud_ecs20140526.models as m
import pytest
from Tea.exceptions import TeaException

from tests.conformance.conftest import REGION, wait_until

IN_REGION = {"RegionId": REGION}
CONTENT = os.urandom(300_000) + bytes(400_000) + os.urandom(100_000)
DRIVERS = {"qcow2": "qcow2", "vhd": "vpc", "vmdk": "vmdk", "vdi": "vdi"}


def call(account, action, **parameters):
    return account.lamina().call(action, {**IN_REGION, **parameters})


@pytest.fixture
def bucket(account):
    name = f"bucket-{secrets.token_hex(8)}"
    call(account, "CreateBucket", BucketName=name)
    return name


@pytest.fixture
def image(account):
    return make_image(account)


def make_image(account, *, disks=1):
    snapshots = [
        account.make_snapshot(account.make_disk(CONTENT, DiskType="data" if index else "system"))
        for index in range(disks)
    ]
    if disks == 1:
        return call(account, "CreateImage", SnapshotId=snapshots[0])["ImageId"]
    return call(account, "CreateImage", DiskDeviceMapping=[{"SnapshotId": each} for each in snapshots])[
        "ImageId"
    ]


def send(method, account, bucket, key, body=None, **headers):
    link = call(account, "CreateBucketLink", BucketName=bucket, ObjectKey=key, Method=method)["Link"]
    parts = urlsplit(link)
    with closing(HTTPConnection(parts.netloc or account.service.host, timeout=20)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        reply = connection.getresponse()
        assert reply.status in (200, 206), reply.read()
        return reply.read()


def list_keys(account, bucket):
    found = call(account, "ListBucketObjects", BucketName=bucket)
    return [each["ObjectKey"] for each in found["Objects"]["Object"]]


def export(account, image, bucket, **options):
    request = m.ExportImageRequest(region_id=REGION, image_id=image, ossbucket=bucket, **options)
    return account.new_sdk().export_image(request).body


def describe_task(account, task_id):
    request = m.DescribeTasksRequest(region_id=REGION, task_ids=task_id)
    (task,) = account.new_sdk().describe_tasks(request).body.task_set.task
    return task


def describe_attribute(account, task_id):
    request = m.DescribeTaskAttributeRequest(region_id=REGION, task_id=task_id)
    return account.new_sdk().describe_task_attribute(request).body


def describe_operations(account, task_id):
    """What the parts of a task work on, by name."""
    parts = describe_attribute(account, task_id).operation_progress_set.operation_progress
    return [{item.name: item.value for item in part.related_item_set.related_item} for part in parts]


def finish(account, task_id, status="Finished"):
    task = wait_until(
        lambda: describe_task(account, task_id), lambda found: found.task_status != "Processing"
    )
    assert task.task_status == status
    return task


def import_image(account, bucket, key, **options):
    mapping = m.ImportImageRequestDiskDeviceMapping(
        ossbucket=bucket,
        ossobject=key,
        format=options.pop("format", None),
        disk_image_size=options.pop("size", None),
    )
    request = m.ImportImageRequest(region_id=REGION, disk_device_mapping=[mapping], **options)
    return account.new_sdk().import_image(request).body


def describe_image(account, image_id):
    request = m.DescribeImagesRequest(
        region_id=REGION, image_id=image_id, status="Waiting,Creating,Available,CreateFailed"
    )
    found = account.new_sdk().describe_images(request).body.images.image
    return found[0] if found else None


def settle_image(account, image_id):
    return wait_until(
        lambda: describe_image(account, image_id), lambda found: found.status not in ("Waiting", "Creating")
    )


def refused(function, *arguments, **options):
    with pytest.raises(TeaException) as caught:
        function(*arguments, **options)
    return caught.value.statusCode, caught.value.code


@pytest.mark.parametrize("image_format", ["qcow2", "vdi", "vhd", "vmdk"])
def test_b45_e02_an_image_is_exported_downloaded_and_imported_again(
    account, bucket, image, tmp_path, image_format
):
    answer = export(account, image, bucket, ossprefix="my", image_format=image_format)
    assert answer.region_id == REGION
    task = finish(account, answer.task_id)
    assert (task.task_action, task.resource_id, task.support_cancel) == ("ExportImage", image, "false")
    key = f"my_{image}_{answer.task_id}.{image_format}"
    assert list_keys(account, bucket) == [key]
    path = tmp_path / key
    path.write_bytes(send("GET", account, bucket, key))
    driver = DRIVERS[image_format]
    told = subprocess.run(
        ["qemu-img", "info", "-f", driver, "--output=json", path], capture_output=True, check=True
    )
    assert json.loads(told.stdout)["virtual-size"] == 1 << 30
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-f", driver, "-O", "raw", path, raw], check=True)
    with raw.open("rb") as file:
        assert file.read(len(CONTENT) + 4096) == CONTENT + bytes(4096)
    made = import_image(account, bucket, key)
    found = settle_image(account, made.image_id)
    assert (found.status, found.progress) == ("Available", "100%")
    (mapping,) = found.disk_device_mappings.disk_device_mapping
    assert (mapping.import_ossbucket, mapping.import_ossobject) == (bucket, key)
    disk = call(
        account,
        "CreateDisk",
        ZoneId="cn-hangzhou-h",
        DiskCategory="cloud_auto",
        SnapshotId=mapping.snapshot_id,
    )
    account.wait_disk(disk["DiskId"])
    assert account.read(disk["DiskId"], len(CONTENT) + 512) == CONTENT + bytes(512)


def test_b45_a_raw_export_is_the_default_and_has_the_bytes_of_the_disk(account, bucket, image):
    task_id = export(account, image, bucket).task_id
    finish(account, task_id)
    head = send("GET", account, bucket, f"{image}_{task_id}.raw", Range="bytes=0-999999")
    assert head == CONTENT + bytes(1_000_000 - len(CONTENT))


def test_e02_an_image_of_several_disks_becomes_one_object_each(account, bucket):
    image = make_image(account, disks=2)
    task_id = export(account, image, bucket).task_id
    finish(account, task_id)
    keys = [f"{image}_{task_id}.raw", f"{image}_{task_id}_data_1.raw"]
    assert list_keys(account, bucket) == keys
    told = describe_attribute(account, task_id)
    assert (told.task_process, told.total_count, told.success_count, told.failed_count) == ("100%", 2, 2, 0)
    parts = told.operation_progress_set.operation_progress
    assert [(part.operation_status, part.error_code, part.error_msg) for part in parts] == [
        ("Success", "", "")
    ] * 2
    assert describe_operations(account, task_id) == [
        {"OSSBucket": bucket, "OSSObject": key, "ImageFormat": "raw"} for key in keys
    ]


def test_b46_many_images_are_made_and_exported_in_one_go(account, bucket):
    images = [make_image(account) for _ in range(3)]
    tasks = [export(account, image, bucket, image_format="qcow2").task_id for image in images]
    for task_id in tasks:
        finish(account, task_id)
    pairs = zip(images, tasks, strict=True)
    assert sorted(list_keys(account, bucket)) == sorted(
        f"{image}_{task_id}.qcow2" for image, task_id in pairs
    )


def export_all(account, images, bucket):
    """Start exports until one is refused. Some may end meanwhile, and then there is room for others."""
    tasks = []
    for image in images:
        try:
            tasks.append(export(account, image, bucket, image_format="qcow2").task_id)
        except TeaException as refusal:
            return tasks, refusal
    pytest.fail("there is room for all of them")


def test_e35a_more_exports_at_once_than_an_account_may_have_are_refused(account, stranger, bucket):
    snapshot = account.make_snapshot(account.make_disk(CONTENT, DiskType="system"))
    images = [call(account, "CreateImage", SnapshotId=snapshot)["ImageId"] for _ in range(16)]
    tasks, refusal = export_all(account, images, bucket)
    assert (refusal.statusCode, refusal.code) == (403, "ConcurrentQuotaExceed.ExportImage")
    assert len(tasks) >= 5
    own = f"bucket-{secrets.token_hex(8)}"
    call(stranger, "CreateBucket", BucketName=own)
    finish(stranger, export(stranger, make_image(stranger), own).task_id)
    for task_id in tasks:
        finish(account, task_id)
    finish(account, export(account, images[-1], bucket).task_id)


def test_e02_making_an_image_puts_nothing_into_a_bucket(account, bucket, image):
    assert list_keys(account, bucket) == []


def test_e35_a_snapshot_is_not_exported_and_an_image_of_it_is(account, bucket, image):
    (mapping,) = describe_image(account, image).disk_device_mappings.disk_device_mapping
    request = m.ExportSnapshotRequest(region_id=REGION, snapshot_id=mapping.snapshot_id, oss_bucket=bucket)
    assert refused(account.new_sdk().export_snapshot, request) == (403, "UserNotInTheWhiteList")
    assert list_keys(account, bucket) == []
    finish(account, export(account, image, bucket).task_id)
    assert len(list_keys(account, bucket)) == 1


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"bucket": "no-such-bucket"}, (400, "InvalidOSSBucket.NotFound")),
        ({"image": "m-unknown"}, (404, "InvalidImageId.NotFound")),
        ({"image": "lamina_empty_x86_64.vhd"}, (403, "InvalidImageCategory.NotSupported")),
        ({"ossprefix": "a_b"}, (400, "InvalidOSSPrefix.Malformed")),
        ({"ossprefix": "a" * 31}, (400, "InvalidOSSPrefix.Malformed")),
        ({"image_format": "iso"}, (400, "InvalidImageFormat.Malformed")),
        ({"dry_run": True}, (400, "DryRunOperation")),
    ],
)
def test_e02_what_an_export_is_refused_for(account, bucket, image, options, answer):
    options = {"image": image, "bucket": bucket} | options
    assert refused(export, account, options.pop("image"), options.pop("bucket"), **options) == answer


def test_e02_an_image_that_is_not_available_is_not_exported(account, bucket):
    send("PUT", account, bucket, "bad.qcow2", b"no image")
    made = import_image(account, bucket, "bad.qcow2").image_id
    assert settle_image(account, made).status == "CreateFailed"
    assert refused(export, account, made, bucket) == (400, "IncorrectImageStatus")
    task = finish(account, describe_tasks_of(account, made).task_id, "Failed")
    assert task.task_action == "ImportImage"
    told = describe_attribute(account, task.task_id)
    assert (told.task_status, told.total_count, told.success_count, told.failed_count) == ("Failed", 1, 0, 1)
    (part,) = told.operation_progress_set.operation_progress
    assert (part.operation_status, part.error_code) == ("Failed", "OperationFailed")
    assert "/dev/xvda" in part.error_msg
    assert "no qcow2 image" in part.error_msg
    assert describe_operations(account, task.task_id) == [
        {"OSSBucket": bucket, "OSSObject": "bad.qcow2", "ImageFormat": "qcow2"}
    ]


def describe_tasks_of(account, image_id):
    request = m.DescribeTasksRequest(region_id=REGION, resource_ids=[image_id], task_action="ImportImage")
    (task,) = account.new_sdk().describe_tasks(request).body.task_set.task
    return task


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"bucket": "no-such-bucket"}, (400, "InvalidOSSBucket.NotFound")),
        ({"key": "missing.raw"}, (400, "InvalidOSSObject.NotFound")),
        ({"key": "a//b"}, (400, "InvalidOSSObject.Malformed")),
        ({"format": "ISO"}, (400, "InvalidFormat.Malformed")),
        ({"size": 32 * 1024 + 1}, (400, "InvalidImageSize")),
        ({"image_name": "acs:mine"}, (400, "InvalidImageName.Malformed")),
        ({"architecture": "vax"}, (400, "InvalidArchitecture.Malformed")),
        ({"ostype": "beos"}, (400, "InvalidOSType.Malformed")),
        ({"platform": "BeOS"}, (400, "InvalidPlatform.Malformed")),
        ({"license_type": "stolen"}, (400, "InvalidLicenseType.NotSupported")),
        ({"description": "x"}, (400, "InvalidDescription.Malformed")),
        ({"dry_run": True}, (400, "DryRunOperation")),
    ],
)
def test_b45_what_an_import_is_refused_for(account, bucket, options, answer):
    send("PUT", account, bucket, "system.raw", CONTENT)
    options = {"bucket": bucket, "key": "system.raw"} | options
    assert refused(import_image, account, options.pop("bucket"), options.pop("key"), **options) == answer
    assert call(account, "DescribeImages", ImageOwnerAlias="self")["TotalCount"] == 0


def test_b45_an_import_without_files_is_refused(account):
    request = m.ImportImageRequest(region_id=REGION)
    assert refused(account.new_sdk().import_image, request) == (403, "MissingParameter.DiskDeviceMapping")


def test_b45_the_same_token_imports_once(account, bucket):
    send("PUT", account, bucket, "system.raw", CONTENT)
    first = import_image(account, bucket, "system.raw", client_token="same", image_name="one")
    call(account, "DeleteBucketObject", BucketName=bucket, ObjectKey="system.raw")
    again = import_image(account, bucket, "system.raw", client_token="same", image_name="one")
    assert (first.image_id, first.task_id) == (again.image_id, again.task_id)
    assert (
        refused(import_image, account, bucket, "system.raw", client_token="same", image_name="two")[0] == 400
    )


def test_b45_another_accounts_bucket_is_an_unknown_one(account, stranger, bucket, image):
    send("PUT", account, bucket, "system.raw", CONTENT)
    assert refused(import_image, stranger, bucket, "system.raw") == (400, "InvalidOSSBucket.NotFound")
    assert refused(export, stranger, make_image(stranger), bucket) == (400, "InvalidOSSBucket.NotFound")
    assert refused(export, stranger, image, bucket) == (404, "InvalidImageId.NotFound")


def test_b45_the_older_client_reads_the_task_of_an_import(account, bucket):
    send("PUT", account, bucket, "system.raw", CONTENT)
    answer = account.old(
        "ImportImage", DiskDeviceMappings=[{"OSSBucket": bucket, "OSSObject": "system.raw", "Format": "RAW"}]
    )
    finish(account, answer["TaskId"])
    assert describe_image(account, answer["ImageId"]).status == "Available"
