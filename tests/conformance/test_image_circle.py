"""The whole circle through the official client: from an instance to files, and from the files to an instance."""

import os

import alibabacloud_ecs20140526.models as m

from tests.conformance.conftest import REGION
from tests.conformance.instances import list_disks_of, run_instances, stop, wait_instance
from tests.conformance.test_buckets import make_bucket
from tests.conformance.test_image_files import describe_operations, export, finish, send, settle_image
from tests.conformance.test_images import create_image, make_used_instance, wait_image

SYSTEM = os.urandom(300_000) + bytes(2 << 20) + os.urandom(50_000)
DATA = bytes(1 << 20) + os.urandom(400_000)
FAR = 700 << 20  # bytes far from all others


def test_b41_b45_e02_an_instance_goes_out_as_files_and_comes_back_with_every_byte(account, tmp_path):
    bucket = make_bucket(account)
    instance_id = make_used_instance(account, SYSTEM, DATA)
    account.write(list_disks_of(account, instance_id)[1], b"far away" * 64, FAR)
    image_id = create_image(account, instance_id=instance_id)
    wait_image(account, image_id)
    task_id = export(account, image_id, bucket, image_format="qcow2", ossprefix="circle").task_id
    finish(account, task_id)
    keys = [operation["OSSObject"] for operation in describe_operations(account, task_id)]
    assert keys == [f"circle_{image_id}_{task_id}.qcow2", f"circle_{image_id}_{task_id}_data_1.qcow2"]
    for index, key in enumerate(keys):
        path = tmp_path / f"{index}.qcow2"
        path.write_bytes(send("GET", account, bucket, key))
        send("PUT", account, bucket, f"back/{index}.qcow2", path.read_bytes())
    imported = import_files(account, bucket, "back/0.qcow2", "back/1.qcow2")
    assert settle_image(account, imported).status == "Available"
    [copy_id] = run_instances(account, image_id=imported)
    wait_instance(account, copy_id, "Running")
    stop(account, copy_id)
    system, data = list_disks_of(account, copy_id)
    assert account.read(system, len(SYSTEM) + 4096) == SYSTEM + bytes(4096)
    assert account.read(data, len(DATA) + 4096) == DATA + bytes(4096)
    assert account.read(data, 1024, FAR - 256) == bytes(256) + b"far away" * 64 + bytes(256)
    sizes = [account.describe("Disk", disk)["Size"] for disk in (system, data)]
    assert sizes == [20, 20], "a data disk of an image is as large as its category asks for at least"


def import_files(account, bucket, *keys):
    disks = [m.ImportImageRequestDiskDeviceMapping(ossbucket=bucket, ossobject=key) for key in keys]
    request = m.ImportImageRequest(region_id=REGION, disk_device_mapping=disks)
    return account.new_sdk().import_image(request).body.image_id
