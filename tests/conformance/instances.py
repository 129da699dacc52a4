"""Instances through the official client: made, waited for, started, stopped."""

import json
from contextlib import contextmanager

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from tests.conformance.conftest import REGION, ZONE, wait_until


def code_of(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value.status_code, refused.value.code


IMAGE = "lamina_empty_x86_64.vhd"


def make_instance(account, *data, image_id=IMAGE, **options):
    """A stopped instance; `data` are data disks."""
    request = m.CreateInstanceRequest(
        region_id=REGION,
        zone_id=ZONE,
        instance_type="ecs.g6.large",
        image_id=image_id,
        data_disk=[m.CreateInstanceRequestDataDisk(**disk) for disk in data],
        **options,
    )
    instance_id = account.new_sdk().create_instance(request).body.instance_id
    wait_instance(account, instance_id, "Stopped")
    return instance_id


def data_disk(**options):
    return {"category": "cloud_auto", "size": 1, **options}


def start(account, instance_id):
    account.new_sdk().start_instance(m.StartInstanceRequest(instance_id=instance_id))
    wait_instance(account, instance_id, "Running")


def stop(account, instance_id):
    account.new_sdk().stop_instance(m.StopInstanceRequest(instance_id=instance_id))
    wait_instance(account, instance_id, "Stopped")


def wait_instance(account, instance_id, status):
    return wait_until(
        lambda: account.describe("Instance", instance_id), lambda found: found and found["Status"] == status
    )


def wait_in_use(account, disk_id):
    return wait_until(
        lambda: account.describe("Disk", disk_id), lambda found: found and found["Status"] == "In_use"
    )


def run_instances(account, *data, amount=1, **options):
    """Instances that are started; `data` are data disks."""
    given = {"image_id": IMAGE, "instance_type": "ecs.g6.large", "zone_id": ZONE, **options}
    disks = [m.RunInstancesRequestDataDisk(**disk) for disk in data]
    request = m.RunInstancesRequest(region_id=REGION, amount=amount, data_disk=disks, **given)
    return account.new_sdk().run_instances(request).body.instance_id_sets.instance_id_set


def make_image(account, system=b"", **data):
    """An image of a system disk with these bytes, and of data disks by the last letter of their device."""
    disks = [_describe_disk(account, system, "/dev/xvda", "system")]
    disks += [
        _describe_disk(account, content, f"/dev/xvd{letter}", "data") for letter, content in data.items()
    ]
    request = m.CreateImageRequest(region_id=REGION, disk_device_mapping=disks)
    return account.new_sdk().create_image(request).body.image_id


def _describe_disk(account, content, device, role):
    disk_id = account.make_disk(content, DiskType=role)
    snapshot_id = account.make_snapshot(disk_id)
    return m.CreateImageRequestDiskDeviceMapping(device=device, snapshot_id=snapshot_id)


def share_image(account, image_id, *, add=(), remove=()):
    request = m.ModifyImageSharePermissionRequest(
        region_id=REGION, image_id=image_id, add_account=list(add), remove_account=list(remove)
    )
    account.new_sdk().modify_image_share_permission(request)


def reinit(account, disk_id):
    account.new_sdk().re_init_disk(m.ReInitDiskRequest(disk_id=disk_id))
    wait_in_use(account, disk_id)


def list_disks_of(account, instance_id):
    """Its disks by device."""
    request = m.DescribeDisksRequest(region_id=REGION, instance_id=instance_id)
    disks = account.new_sdk().describe_disks(request).body.disks.disk
    return [disk.disk_id for disk in sorted(disks, key=lambda disk: disk.device)]


def attach(account, disk_id, instance_id):
    account.new_sdk().attach_disk(m.AttachDiskRequest(disk_id=disk_id, instance_id=instance_id))
    wait_in_use(account, disk_id)


def find(account, noun, ids):
    name = f"{noun}s"
    found = account.lamina().call(f"Describe{name}", {"RegionId": REGION, f"{noun}Ids": json.dumps(ids)})
    return found[name][noun]


@contextmanager
def connected(account, disk_id):
    connection = account.lamina().call("ConnectDisk", {"DiskId": disk_id})["ConnectionId"]
    yield
    account.lamina().call("DisconnectDisk", {"ConnectionId": connection})
