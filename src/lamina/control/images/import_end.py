"""What the end of an import means for the rows: of the image, of its disks, and of their snapshots."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.images.delete import drop_image
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.installation import Installation
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import drop_snapshot, start_removal
from lamina.control.snapshots.settle import Copied, settle_success
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import SnapshotId
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_UNFINISHED: Final = (ImageState.WAITING, ImageState.CREATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDisk:
    """Checkpoint: what became of the file of one disk.

    Attributes:
        snapshot_id: the snapshot that has its bytes now.
        size_gib: the size of the disk, in whole GiB.
        copied: what the capture measured.
    """

    snapshot_id: SnapshotId
    size_gib: int
    copied: Copied


def finish_import(session: Session, clock: Clock, image: ImageRecord, disks: Sequence[ImportedDisk]) -> None:
    """All files are snapshots: the image is `Available`."""
    rows = {disk.snapshot_id: disk for disk in list_image_disks(session, image.id)}
    for disk in disks:
        snapshot = session.get(SnapshotRecord, disk.snapshot_id)
        assert snapshot is not None, "the image holds its snapshots while they are made"
        snapshot.disk_size_gib = rows[disk.snapshot_id].size_gib = disk.size_gib
        settle_success(session, clock, snapshot, disk.copied)
    image.move_to(ImageState.AVAILABLE)


def fail_import(scope: Scope, image: ImageRecord, reason: str) -> None:
    """The image stays, to tell why there is nothing in it; its snapshots, whose data are undone, are gone."""
    for disk in list_image_disks(scope.session, image.id):
        _drop_snapshot(scope, disk)
    image.failure = reason
    image.move_to(ImageState.CREATE_FAILED)


def forget_import(scope: Scope, image: ImageRecord) -> None:
    """Somebody cancelled it: nothing is left."""
    for disk in list_image_disks(scope.session, image.id):
        _drop_snapshot(scope, disk)
    drop_image(scope, image)


def restart_imports(plant: Installation) -> None:
    """Fail every unfinished import whose task is gone, and have what it stored removed."""
    unfinished = select(ImageRecord).where(
        ImageRecord.state.in_(_UNFINISHED), ImageRecord.origin == ImageOrigin.IMPORTED
    )
    with plant.database.reading() as session:
        stranded = [each.id for each in session.scalars(unfinished) if not is_active(session, each.task_id)]
    for image_id in stranded:
        with plant.database.transaction() as session:
            image = session.scalars(unfinished.where(ImageRecord.id == image_id)).one_or_none()
            if image is None or image.account_id is None or is_active(session, image.task_id):
                continue
            for disk in list_image_disks(session, image.id):
                _remove_snapshot(plant, session, disk)
            image.failure = "its task ended without telling how"
            image.move_to(ImageState.CREATE_FAILED)
        log(_LOGGER, logging.WARNING, "a stranded import was failed", image_id=image_id)


def _drop_snapshot(scope: Scope, disk: ImageDiskRecord) -> None:
    snapshot = _release(scope.session, disk)
    if snapshot is not None:
        sum_up_chain(scope.session, snapshot, scope.clock.now())
        drop_snapshot(scope.session, snapshot)


def _remove_snapshot(plant: Installation, session: Session, disk: ImageDiskRecord) -> None:
    snapshot = _release(session, disk)
    if snapshot is not None:
        sum_up_chain(session, snapshot, plant.clock.now())
        start_removal(session, plant.clock, snapshot)


def _release(session: Session, disk: ImageDiskRecord) -> SnapshotRecord | None:
    """The snapshot of a disk, which is `deleting` now and belongs to the disk no longer."""
    if disk.snapshot_id is None:
        return None
    snapshot = session.get(SnapshotRecord, disk.snapshot_id)
    disk.snapshot_id = None
    if snapshot is not None and snapshot.state is not SnapshotState.DELETING:
        snapshot.move_to(SnapshotState.DELETING)
    return snapshot
