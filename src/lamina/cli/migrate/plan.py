"""Which disk of the image each of what migrates is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lamina.cli.client import EcsClient
from lamina.cli.session import get_snapshot, list_all
from lamina.failures import Refusal

SYSTEM_DEVICE: Final = "/dev/xvda"
"""What an instance calls its system disk."""

_DATA_DISKS: Final = 16
_DATA_DEVICES: Final = tuple(f"/dev/xvd{letter}" for letter in "bcdefghijklmnopq")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passenger:
    """What a new snapshot is made of.

    Attributes:
        device: which disk of the image and of the instance it is.
        origin: the id of the snapshot, or of the disk of an instance.
        name: of the snapshot, if it has one that may be given.
        description: of the snapshot, if it has one.
    """

    device: str
    origin: str
    name: str | None = None
    description: str | None = None


def plan_snapshots(source: EcsClient, snapshot_ids: Sequence[str]) -> list[Passenger]:
    """Which disk of the image each snapshot is.

    Raises:
        Refusal: one of them cannot migrate, or not all of them together.
    """
    found = [get_snapshot(source, each) for each in dict.fromkeys(snapshot_ids)]
    for each in found:
        _require_fit(each)
    system = [each for each in found if each["SourceDiskType"] == "system"]
    data = [each for each in found if each["SourceDiskType"] != "system"]
    if len(system) > 1 or len(data) > _DATA_DISKS:
        raise Refusal(
            f"one snapshot of a system disk and {_DATA_DISKS} of data disks migrate together at most; "
            "migrate the others by themselves"
        )
    named = [(SYSTEM_DEVICE, each) for each in system] + list(zip(_DATA_DEVICES, data, strict=False))
    return [
        Passenger(
            device=device,
            origin=each["SnapshotId"],
            name=_keep_name(each.get("SnapshotName")),
            description=each.get("Description") or None,
        )
        for device, each in named
    ]


def plan_instance(source: EcsClient, instance_id: str) -> list[Passenger]:
    """The disks of an instance.

    Raises:
        Refusal: there is no such instance, or a disk of it cannot migrate.
    """
    disks = list_all(source, "Disk", {"InstanceId": instance_id})
    if not disks:
        raise Refusal(f"there is no instance {instance_id} with disks in {source.region_id}")
    for disk in disks:
        if disk["Encrypted"]:
            raise Refusal(_refuse_encrypted(f"disk {disk['DiskId']}"))
    disks.sort(key=lambda disk: str(disk["Device"]))
    return [Passenger(device=disk["Device"], origin=disk["DiskId"]) for disk in disks]


def _require_fit(snapshot: dict[str, Any]) -> None:
    name = f"snapshot {snapshot['SnapshotId']}"
    if snapshot["Encrypted"]:
        raise Refusal(_refuse_encrypted(name))
    if snapshot["Status"] != "accomplished":
        raise Refusal(f"{name} is {snapshot['Status']}; only a snapshot that is accomplished migrates")


def _refuse_encrypted(name: str) -> str:
    return (
        f"{name} is encrypted with a key of its account, which no other account can read: it does not migrate. "
        "Copy its data to a disk that is not encrypted, and migrate a snapshot of that"
    )


def _keep_name(name: str | None) -> str | None:
    """The name, unless it is kept for automatic snapshots."""
    return None if not name or name.lower().startswith("auto") else name
