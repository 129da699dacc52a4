"""Refusals about snapshots."""

from collections.abc import Sequence

from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Refusal
from lamina.ids import DiskId, SnapshotId


class SnapshotNotFoundError(Refusal):
    """The account has no such snapshot, or not in this region."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(f"there is no snapshot {snapshot_id}")
        self.snapshot_id = snapshot_id


class SnapshotNotReadyError(Refusal):
    """The snapshot is not accomplished, so nothing can be made from it.

    Attributes:
        snapshot_id: the snapshot.
        state: its state.
    """

    def __init__(self, snapshot_id: SnapshotId, state: SnapshotState) -> None:
        super().__init__(f"snapshot {snapshot_id} is {state.value}; wait until it is accomplished")
        self.snapshot_id = snapshot_id
        self.state = state


class SnapshotDataMissingError(Refusal):
    """The object store does not have the snapshot's data at the moment."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"the data of snapshot {snapshot_id} is not in the region's object store; "
            "check that the right store is connected"
        )
        self.snapshot_id = snapshot_id


class SnapshotInProgressError(Refusal):
    """A snapshot of the disk is being created (or its creation is being cancelled).

    Attributes:
        disk_id: the disk.
        snapshot_id: the unfinished snapshot.
    """

    def __init__(self, disk_id: DiskId, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} of disk {disk_id} is not finished; wait for it or delete it"
        )
        self.disk_id = disk_id
        self.snapshot_id = snapshot_id


class SnapshotQuotaError(Refusal):
    """The disk has as many manual snapshots as it may have."""

    def __init__(self, disk_id: DiskId, maximum: int) -> None:
        super().__init__(
            f"disk {disk_id} has {maximum} manual snapshots, the most allowed; delete some first"
        )
        self.disk_id = disk_id
        self.maximum = maximum


class SnapshotHeldByImageError(Refusal):
    """Images use the snapshot; no force removes it.

    Attributes:
        snapshot_id: the snapshot.
        image_ids: the images; delete them first.
    """

    def __init__(self, snapshot_id: SnapshotId, image_ids: Sequence[str]) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is used by {', '.join(image_ids)}; delete these images first"
        )
        self.snapshot_id = snapshot_id
        self.image_ids = tuple(image_ids)


class SnapshotHeldByDiskError(Refusal):
    """Disks were made from the snapshot; it goes only by force, and they can then not be re-initialised.

    Attributes:
        snapshot_id: the snapshot.
        disk_ids: the disks.
    """

    def __init__(self, snapshot_id: SnapshotId, disk_ids: Sequence[str]) -> None:
        super().__init__(
            f"{', '.join(disk_ids)} were made from snapshot {snapshot_id}; "
            "delete it with Force=true if they need not be re-initialised any more"
        )
        self.snapshot_id = snapshot_id
        self.disk_ids = tuple(disk_ids)


class SnapshotBusyError(Refusal):
    """A disk is being made from the snapshot or rolled back to it at this moment.

    Attributes:
        snapshot_id: the snapshot.
        disk_ids: the disks.
    """

    def __init__(self, snapshot_id: SnapshotId, disk_ids: Sequence[str]) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is being read for {', '.join(disk_ids)}; wait until that ends"
        )
        self.snapshot_id = snapshot_id
        self.disk_ids = tuple(disk_ids)
