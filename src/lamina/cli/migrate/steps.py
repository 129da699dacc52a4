"""The first four of the five steps; the fifth is `clean_up`."""

from collections.abc import Sequence
from typing import Any

from lamina.cli.migrate.migration import (
    INSTANCE_TAG,
    ORIGIN_TAG,
    TAG,
    Migration,
    list_snapshots,
    wait_for_image,
    wait_for_instances,
)
from lamina.cli.migrate.plan import SYSTEM_DEVICE, Passenger
from lamina.cli.session import list_all, wait_for_disk, wait_for_snapshot
from lamina.failures import Fault, Refusal
from lamina.units import GIB


def make_image(
    migration: Migration, passengers: Sequence[Passenger], instance_id: str | None
) -> dict[str, Any]:
    """Step 1: an image of an instance, or of snapshots and an empty system disk if none of them is of one."""
    source = migration.source
    new: dict[str, object] = {"RegionId": source.region_id, "ClientToken": f"{migration.id}-image"}
    if instance_id is not None:
        new["InstanceId"] = instance_id
        new["Tag"] = [*migration.tags, {"Key": INSTANCE_TAG, "Value": instance_id}]
    else:
        disks = [{"SnapshotId": each.origin, "Device": each.device} for each in passengers]
        if all(each.device != SYSTEM_DEVICE for each in passengers):
            disks.insert(0, {"SnapshotId": _make_empty_snapshot(migration), "Device": SYSTEM_DEVICE})
        new["DiskDeviceMapping"], new["Tag"] = disks, migration.tags
    image_id = source.call("CreateImage", new)["ImageId"]
    image = wait_for_image(migration)
    if image is None or image["Status"] != "Available":
        raise Fault(f"image {image_id} could not be created; the service's log says why", retryable=True)
    if instance_id is not None:
        migration.mark(source, list_snapshots(image))
    return image


def share_image(migration: Migration, image_id: str, account_id: str) -> None:
    """Step 2: the other account sees the image.

    Raises:
        Refusal: the keys of the other profile are not that account's.
    """
    given = {"RegionId": migration.source.region_id, "ImageId": image_id}
    migration.source.call("ModifyImageSharePermission", {**given, "AddAccount": [account_id]})
    seen = migration.target.call(
        "DescribeImages", {"RegionId": migration.target.region_id, "ImageId": image_id}
    )
    if not seen["Images"]["Image"]:
        raise Refusal(
            f"the account of --to does not see image {image_id}, which is shared with account {account_id}: "
            "it must be that account, in the same region of the same service"
        )


def run_instance(migration: Migration, image_id: str, instance_type: str) -> dict[str, str]:
    """Step 3: an instance of the image in the other account; answers its disks by device.

    Raises:
        Fault: it went while it was being made.
    """
    target = migration.target
    new = {
        "RegionId": target.region_id,
        "ImageId": image_id,
        "InstanceType": instance_type,
        "InstanceChargeType": "PostPaid",
        "InstanceName": migration.id,
        "Tag": migration.tags,
        "ClientToken": f"{migration.id}-instance",
    }
    (instance_id,) = target.call("RunInstances", new)["InstanceIdSets"]["InstanceIdSet"]
    if not wait_for_instances(migration):
        raise Fault(f"instance {instance_id} could not be made; the service's log says why", retryable=True)
    return {disk["Device"]: disk["DiskId"] for disk in list_all(target, "Disk", {"InstanceId": instance_id})}


def take_snapshots(
    migration: Migration, passengers: Sequence[Passenger], disks: dict[str, str]
) -> dict[str, str]:
    """Step 4: snapshots of the instance's disks; answers them by what they are copies of."""
    made = {}
    for each in passengers:
        new = {
            "DiskId": disks[each.device],
            "SnapshotName": each.name,
            "Description": each.description,
            "Tag": [*migration.tags, {"Key": ORIGIN_TAG, "Value": each.origin}],
            "ClientToken": f"{migration.id}-{each.device.rpartition('/')[2]}",
        }
        made[each.origin] = migration.target.call("CreateSnapshot", new)["SnapshotId"]
    for snapshot_id in made.values():
        wait_for_snapshot(migration.target, snapshot_id, lambda _: None, migration.clock)
    return made


def keep_snapshots(migration: Migration, snapshot_ids: Sequence[str]) -> None:
    """Take the mark off the new snapshots, off all of them in one call: from now on they stay."""
    given = {"ResourceType": "snapshot", "ResourceId": list(snapshot_ids), "TagKey": [TAG]}
    migration.target.call("UntagResources", {"RegionId": migration.target.region_id, **given})


def _make_empty_snapshot(migration: Migration) -> str:
    """A snapshot of an empty system disk; both are the migration's own."""
    source = migration.source
    zones = source.call("DescribeZones", {"RegionId": source.region_id})["Zones"]["Zone"]
    disk = {
        "RegionId": source.region_id,
        "ZoneId": zones[0]["ZoneId"],
        "SizeInBytes": GIB,
        "DiskType": "system",
        "Tag": migration.tags,
        "ClientToken": f"{migration.id}-disk",
    }
    disk_id = source.call("ImportDisk", disk)["DiskId"]
    wait_for_disk(source, disk_id, migration.clock)
    new = {"DiskId": disk_id, "Tag": migration.tags, "ClientToken": f"{migration.id}-empty"}
    snapshot_id: str = source.call("CreateSnapshot", new)["SnapshotId"]
    wait_for_snapshot(source, snapshot_id, lambda _: None, migration.clock)
    return snapshot_id
