"""Refusals about snapshots."""

from collections.abc import Sequence
from datetime import datetime

from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Refusal
from lamina.ids import DiskId, RegionId, SnapshotGroupId, SnapshotId


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


class SnapshotLockedError(Refusal):
    """The snapshot is locked; nobody deletes it before its lock expires.

    Attributes:
        snapshot_id: the snapshot.
        until: when the lock expires; None while the snapshot is being created.
    """

    def __init__(self, snapshot_id: SnapshotId, until: datetime | None) -> None:
        when = "when its lock expires" if until is None else f"from {until:%Y-%m-%dT%H:%M:%SZ} on"
        super().__init__(f"snapshot {snapshot_id} is locked; it can be deleted {when}")
        self.snapshot_id = snapshot_id
        self.until = until


class SnapshotBeingCopiedError(Refusal):
    """Copies of the snapshot are being made.

    Attributes:
        snapshot_id: the snapshot.
        copy_ids: the unfinished copies.
    """

    def __init__(self, snapshot_id: SnapshotId, copy_ids: Sequence[SnapshotId]) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is being copied to {', '.join(copy_ids)}; wait for that or delete the copies"
        )
        self.snapshot_id = snapshot_id
        self.copy_ids = tuple(copy_ids)


class SnapshotArchivingError(Refusal):
    """The snapshot is being archived at this moment."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(f"snapshot {snapshot_id} is being archived; wait until that ends")
        self.snapshot_id = snapshot_id


class SnapshotUnfinishedError(Refusal):
    """The snapshot is not accomplished, so nothing about it can be changed.

    Attributes:
        snapshot_id: the snapshot.
        state: its state.
    """

    def __init__(self, snapshot_id: SnapshotId, state: SnapshotState) -> None:
        super().__init__(f"snapshot {snapshot_id} is {state.value}; only an accomplished one can be changed")
        self.snapshot_id = snapshot_id
        self.state = state


class RetentionDecreaseError(Refusal):
    """Retention can only grow. None as the present retention is for ever.

    Attributes:
        snapshot_id: the snapshot.
        present_days: how long it is kept.
    """

    def __init__(self, snapshot_id: SnapshotId, present_days: int | None, asked_days: int) -> None:
        kept = "for ever" if present_days is None else f"for {present_days} days"
        super().__init__(
            f"snapshot {snapshot_id} is kept {kept}, and {asked_days} days would be shorter; delete it instead"
        )
        self.snapshot_id = snapshot_id
        self.present_days = present_days


class SnapshotArchivedError(Refusal):
    """The snapshot is archived already, or the work on it is under way."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(f"snapshot {snapshot_id} is archived already; an archived snapshot stays one")
        self.snapshot_id = snapshot_id


class EncryptedArchiveError(Refusal):
    """An encrypted snapshot is not archived."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(f"snapshot {snapshot_id} is encrypted, and encrypted ones are not archived")
        self.snapshot_id = snapshot_id


class EncryptedCopyError(Refusal):
    """The copy of an encrypted snapshot would not be encrypted."""

    def __init__(self, snapshot_id: SnapshotId, region_id: RegionId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is encrypted; set Encrypted, and KMSKeyId to a key of region {region_id} or leave "
            "it out for the service's own"
        )
        self.snapshot_id = snapshot_id


class SnapshotAgeError(Refusal):
    """The snapshot is too young to be archived."""

    def __init__(self, snapshot_id: SnapshotId, minimum_days: int) -> None:
        super().__init__(
            f"snapshot {snapshot_id} can be archived when it is {minimum_days} days old, not before"
        )
        self.snapshot_id = snapshot_id
        self.minimum_days = minimum_days


class ArchivingQuotaError(Refusal):
    """As many snapshots of the disk are being archived as may be at one time."""

    def __init__(self, disk_id: DiskId, maximum: int) -> None:
        super().__init__(f"{maximum} snapshots of disk {disk_id} are being archived; wait for one to end")
        self.disk_id = disk_id
        self.maximum = maximum


class CopyNotOfferedError(Refusal):
    """The installation does not copy snapshots between regions."""

    def __init__(self) -> None:
        super().__init__(
            "snapshots are not copied between regions here; copy an image, or have the operator set"
            " copy_snapshots = true in lamina.toml"
        )


class SameRegionError(Refusal):
    """A snapshot is copied to another region only."""

    def __init__(self, snapshot_id: SnapshotId, region_id: RegionId) -> None:
        super().__init__(f"snapshot {snapshot_id} is in region {region_id} already; name another region")
        self.snapshot_id = snapshot_id
        self.region_id = region_id


class ArchivedCopyError(Refusal):
    """An archived snapshot is not copied."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is archived and not copied; make a disk from it, and a snapshot of that disk"
        )
        self.snapshot_id = snapshot_id


class CopyRegionError(Refusal):
    """There is no such region to copy to."""

    def __init__(self, region_id: RegionId) -> None:
        super().__init__(f"there is no region {region_id} to copy a snapshot to")
        self.region_id = region_id


class LockNotFoundError(Refusal):
    """The snapshot has no lock, or one that has expired."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(f"snapshot {snapshot_id} is not locked")
        self.snapshot_id = snapshot_id


class CoolOffOverError(Refusal):
    """The cool-off period of the lock is over: it can only grow from now on."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"the cool-off period of the lock on snapshot {snapshot_id} is over; "
            "its duration can be made longer with CoolOffPeriod=0, and nothing else"
        )
        self.snapshot_id = snapshot_id


class LockDurationError(Refusal):
    """The lock would outlast the snapshot's retention."""

    def __init__(self, snapshot_id: SnapshotId, duration_days: int, retention_days: int) -> None:
        super().__init__(
            f"snapshot {snapshot_id} is kept for {retention_days} days; it cannot be locked for {duration_days}"
        )
        self.snapshot_id = snapshot_id


class CoolOffError(Refusal):
    """The cool-off period would be longer than the lock."""

    def __init__(self, cool_off_hours: int, duration_days: int) -> None:
        super().__init__(
            f"a cool-off period of {cool_off_hours} hours is longer than the lock of {duration_days} days"
        )


class SnapshotNotLockableError(Refusal):
    """The snapshot failed, so there is nothing to lock."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(f"snapshot {snapshot_id} failed and holds nothing; it cannot be locked")
        self.snapshot_id = snapshot_id


class GroupNotFoundError(Refusal):
    """The account has no such snapshot group in this region."""

    def __init__(self, group_id: SnapshotGroupId) -> None:
        super().__init__(f"there is no snapshot group {group_id}")
        self.group_id = group_id


class GroupWithoutDisksError(Refusal):
    """The group would have no member."""

    def __init__(self) -> None:
        super().__init__("a snapshot group needs at least one disk; name disks, or an instance that has some")


class GroupSizeError(Refusal):
    """More disks than one group may have."""

    def __init__(self, count: int, maximum: int) -> None:
        super().__init__(f"{count} disks are too many for one snapshot group; at most {maximum} are taken")


class GroupCapacityError(Refusal):
    """The disks are larger, together, than those of one group may be."""

    def __init__(self, size_gib: int, maximum_gib: int) -> None:
        super().__init__(f"the disks have {size_gib} GiB together; a snapshot group takes {maximum_gib} GiB")


class GroupZoneError(Refusal):
    """The disks are not all in one zone."""

    def __init__(self) -> None:
        super().__init__("the disks of a snapshot group must all be in one zone")


class RetentionBelowLockError(Refusal):
    """The snapshot would not be kept for as long as it is locked."""

    def __init__(self, snapshot_id: SnapshotId, retention_days: int) -> None:
        super().__init__(
            f"the lock on snapshot {snapshot_id} ends later than {retention_days} days from its creation;"
            " keep the snapshot longer"
        )
        self.snapshot_id = snapshot_id
