"""Refusals about disks."""

from collections.abc import Collection

from lamina.control.disks.states import DiskState
from lamina.failures import Refusal
from lamina.ids import ConnectionId, DiskId, InstanceId, SnapshotId, ZoneId


class DiskNotFoundError(Refusal):
    """The account has no such disk."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"there is no disk {disk_id}")
        self.disk_id = disk_id


class DiskStateError(Refusal):
    """The disk is in a state in which this cannot be done.

    Attributes:
        disk_id: the disk.
        state: its state.
        allowed: the states in which it could be done.
    """

    def __init__(self, disk_id: DiskId, state: DiskState, allowed: Collection[DiskState]) -> None:
        names = " or ".join(sorted(each.value for each in allowed))
        super().__init__(f"disk {disk_id} is {state.value}; it must be {names}")
        self.disk_id = disk_id
        self.state = state
        self.allowed = tuple(allowed)


class DiskResetInProgressError(Refusal):
    """The disk is being rolled back already."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} is being rolled back; wait until it is Available again")
        self.disk_id = disk_id


class DiskCategoryError(Refusal):
    """The category does not support what was asked."""

    def __init__(self, category: str) -> None:
        super().__init__(f"disks of the category {category} do not support this; use a cloud disk")
        self.category = category


class DiskSizeError(Refusal):
    """The size is out of the category's range. Sizes are in GiB."""

    def __init__(self, category: str, size_gib: int | None, low_gib: int, high_gib: int) -> None:
        size = "no size was given" if size_gib is None else f"{size_gib} GiB does not fit"
        super().__init__(f"{size}: a disk of the category {category} has {low_gib} to {high_gib} GiB")
        self.category = category
        self.size_gib = size_gib
        self.low_gib = low_gib
        self.high_gib = high_gib


class NeverAttachedError(Refusal):
    """The disk was never attached nor imported, so there is nothing to snapshot."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} was never attached; attach it and write to it first")
        self.disk_id = disk_id


class DiskConnectedError(Refusal):
    """The disk is open for writing through a connection.

    Attributes:
        disk_id: the disk.
        connection_id: the connection; it ends when its client disconnects or does not renew it.
    """

    def __init__(self, disk_id: DiskId, connection_id: ConnectionId) -> None:
        super().__init__(f"disk {disk_id} is open through connection {connection_id}; close that first")
        self.disk_id = disk_id
        self.connection_id = connection_id


class ConnectionNotFoundError(Refusal):
    """The account has no such connection, or it was not renewed in time."""

    def __init__(self, connection_id: ConnectionId) -> None:
        super().__init__(f"there is no connection {connection_id}, or it has ended; connect again")
        self.connection_id = connection_id


class DiskRangeError(Refusal):
    """A range of bytes does not lie within the disk."""

    def __init__(self, disk_id: DiskId, offset: int, length: int, size_bytes: int) -> None:
        super().__init__(
            f"bytes {offset} to {offset + length} do not lie within disk {disk_id} of {size_bytes} bytes"
        )
        self.disk_id = disk_id
        self.offset = offset
        self.length = length
        self.size_bytes = size_bytes


class SnapshotMismatchError(Refusal):
    """The snapshot was taken of another disk."""

    def __init__(self, disk_id: DiskId, snapshot_id: SnapshotId, source_disk_id: DiskId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} was taken of disk {source_disk_id}; disk {disk_id} cannot be rolled back "
            "to it. Create a disk from the snapshot instead"
        )
        self.disk_id = disk_id
        self.snapshot_id = snapshot_id
        self.source_disk_id = source_disk_id


class DiskNeverUsedError(Refusal):
    """The disk's instance was never started, so nothing can have been written to the disk."""

    def __init__(self, disk_id: DiskId, instance_id: InstanceId) -> None:
        super().__init__(
            f"disk {disk_id} was never used: start instance {instance_id} once, or connect the disk and write to it"
        )
        self.disk_id = disk_id
        self.instance_id = instance_id


class DiskAttachedError(Refusal):
    """The disk belongs to an instance.

    Attributes:
        disk_id: the disk.
        instance_id: its instance; detach the disk first.
    """

    def __init__(self, disk_id: DiskId, instance_id: InstanceId) -> None:
        super().__init__(f"disk {disk_id} is attached to instance {instance_id}; detach it first")
        self.disk_id = disk_id
        self.instance_id = instance_id


class SystemDiskKeptError(Refusal):
    """The disk is the detached system disk of an instance that still exists.

    Attributes:
        disk_id: the disk.
        instance_id: the instance; release it, or attach another system disk and let this one be data.
    """

    def __init__(self, disk_id: DiskId, instance_id: InstanceId) -> None:
        super().__init__(
            f"disk {disk_id} is the system disk of instance {instance_id}; it goes with the instance, or after it"
        )
        self.disk_id = disk_id
        self.instance_id = instance_id


class ZoneMismatchError(Refusal):
    """The disk and the instance lie in different zones."""

    def __init__(self, disk_id: DiskId, zone_id: ZoneId, instance_id: InstanceId, other: ZoneId) -> None:
        super().__init__(
            f"disk {disk_id} lies in zone {zone_id} and instance {instance_id} in zone {other}; create the disk "
            "in the instance's zone, from a snapshot if it holds something"
        )
        self.disk_id = disk_id
        self.instance_id = instance_id


class DiskLimitError(Refusal):
    """The instance has as many data disks as it may have."""

    def __init__(self, instance_id: InstanceId, maximum: int) -> None:
        super().__init__(
            f"instance {instance_id} has {maximum} data disks, the most allowed; detach one first"
        )
        self.instance_id = instance_id
        self.maximum = maximum


class DeviceTakenError(Refusal):
    """Another disk of the instance has the device name."""

    def __init__(self, instance_id: InstanceId, device: str) -> None:
        super().__init__(f"{device} of instance {instance_id} is taken; leave Device out to get a free one")
        self.instance_id = instance_id
        self.device = device


class NotBootableError(Refusal):
    """Only a system disk can be attached as one."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} is a data disk; attach it without Bootable")
        self.disk_id = disk_id


class ForeignSystemDiskError(Refusal):
    """The disk was made as the system disk of another instance."""

    def __init__(self, disk_id: DiskId, origin_id: InstanceId) -> None:
        super().__init__(
            f"disk {disk_id} is the system disk of instance {origin_id}; it boots no other one. "
            "Attach it without Bootable to have it as a data disk"
        )
        self.disk_id = disk_id
        self.origin_id = origin_id


class NotAttachedError(Refusal):
    """The disk belongs to no instance."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} is not attached to an instance")
        self.disk_id = disk_id


class AttachedElsewhereError(Refusal):
    """The disk belongs to another instance than was said."""

    def __init__(self, disk_id: DiskId, instance_id: InstanceId) -> None:
        super().__init__(
            f"disk {disk_id} is not attached to instance {instance_id}; DescribeDisks tells to which"
        )
        self.disk_id = disk_id
        self.instance_id = instance_id


class DiskPortableError(Refusal):
    """A local disk cannot leave its machine."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} is a local disk; it goes with its instance")
        self.disk_id = disk_id


class DiskShrinkError(Refusal):
    """A disk only grows. Sizes are in GiB."""

    def __init__(self, disk_id: DiskId, size_gib: int, wanted_gib: int) -> None:
        super().__init__(
            f"disk {disk_id} has {size_gib} GiB and cannot become {wanted_gib} GiB; disks only grow"
        )
        self.disk_id = disk_id
        self.size_gib = size_gib
        self.wanted_gib = wanted_gib


class SourceSnapshotGoneError(Refusal):
    """The snapshot that the disk was made from was deleted.

    Attributes:
        disk_id: the disk; it keeps working, and can be rolled back to its own snapshots.
        snapshot_id: the snapshot that is gone.
    """

    def __init__(self, disk_id: DiskId, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"disk {disk_id} was made from snapshot {snapshot_id}, which was deleted: it cannot be brought back to "
            "that state. Roll it back to a snapshot of its own instead"
        )
        self.disk_id = disk_id
        self.snapshot_id = snapshot_id


class SameSpecError(Refusal):
    """The disk is already what it was to become."""

    def __init__(self, disk_id: DiskId) -> None:
        super().__init__(f"disk {disk_id} has this category and performance level already")
        self.disk_id = disk_id
