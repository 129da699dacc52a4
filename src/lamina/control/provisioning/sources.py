"""Where the bytes of a disk come from: nowhere, a snapshot of its account, or a snapshot of its image's owner."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from lamina.control.disks.copying import copy_to_disk, open_data
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.unlock import make_volume, open_volume
from lamina.control.images.errors import ImageNotFoundError
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.installation import Installation
from lamina.ids import AccountId, DiskId, SnapshotId
from lamina.tasks.context import StepContext


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSource:
    """A snapshot, and in whose repository it is; the region is the disk's.

    Attributes:
        account_id: the owner of the snapshot: the disk's, or the owner of an image that is shared or public.
    """

    account_id: AccountId
    snapshot_id: SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskToMake:
    """A disk that gets the bytes that it is made with.

    Attributes:
        source: whose bytes; None leaves it empty.
    """

    disk_id: DiskId
    size_bytes: int
    source: DiskSource | None


def find_source(session: Session, disk: DiskRecord) -> DiskSource | None:
    """What a disk is made from; None is an empty one. Whether its account may still see the image does not matter.

    Raises:
        ImageNotFoundError: the image is gone. Not while the disk is being made from it: until then it is not deleted.
    """
    if disk.source_snapshot_id is not None:
        return DiskSource(account_id=disk.account_id, snapshot_id=disk.source_snapshot_id)
    if disk.image_id is None:
        return None
    image = session.get(ImageRecord, disk.image_id)
    of_image = session.get(ImageDiskRecord, (disk.image_id, disk.image_device))
    if image is None or of_image is None:
        raise ImageNotFoundError(disk.image_id)
    if of_image.snapshot_id is None:
        return None
    assert image.account_id is not None, "an image of nobody has empty disks only"
    return DiskSource(account_id=image.account_id, snapshot_id=of_image.snapshot_id)


def describe_task(session: Session, disk: DiskRecord) -> DiskToMake:
    """A disk for the task that makes it.

    Raises:
        ImageNotFoundError: its image is gone.
    """
    return DiskToMake(disk_id=disk.id, size_bytes=disk.size_bytes, source=find_source(session, disk))


def empty_disk(plant: Installation, disk: DiskToMake) -> None:
    """Make the file of a disk, without a byte; one that is there is emptied."""
    with make_volume(plant, disk.disk_id, disk.size_bytes) as target:
        target.flush()


def fill_disk(plant: Installation, disk: DiskToMake, context: StepContext) -> None:
    """Give a disk its bytes; one without a source stays as it is.

    Raises:
        Cancelled: the step was told to stop; the disk is half written.
        Corruption: the snapshot is damaged or gone.
        Fault: the store or the disk failed.
    """
    if disk.source is None:
        return
    snapshot_id = disk.source.snapshot_id
    repository = open_data(plant, snapshot_id)
    with open_volume(plant, disk.disk_id) as target:
        copy_to_disk(repository, snapshot_id, target, context, plant.settings.workers)
