"""Refusals about disks."""

from collections.abc import Collection

from lamina.control.disks.states import DiskState
from lamina.failures import Refusal
from lamina.ids import ConnectionId, DiskId, SnapshotId


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
