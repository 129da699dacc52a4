"""The steps of one item of a bulk export.

Each is one transaction, in which the item's row and the image or the task that it is about change together: whatever
is interrupted, no image and no export is made twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import func, select

from lamina.control.accounts.records import AccountRecord
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord, ExportedObject
from lamina.control.bulk_exports.states import UNDER_WAY, BulkState, ItemState, SourceKind
from lamina.control.images.add import ImageFacts
from lamina.control.images.create import NewImage, create_image
from lamina.control.images.delete import delete_image
from lamina.control.images.errors import (
    ImageBusyError,
    ImageCopyingError,
    ImageExportingError,
    ImageQuotaError,
)
from lamina.control.images.export import NewExport, export_image
from lamina.control.images.file_errors import ExportQuotaError
from lamina.control.images.queries import list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.scope import Scope
from lamina.control.snapshots.delete import delete_snapshot
from lamina.control.snapshots.errors import (
    SnapshotArchivingError,
    SnapshotBeingCopiedError,
    SnapshotBusyError,
    SnapshotInProgressError,
    SnapshotQuotaError,
)
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.failures import Refusal
from lamina.ids import ImageId, InstanceId, SnapshotId, TaskId
from lamina.tasks.errors import TaskBusyError
from lamina.tasks.outcome import Failure
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE, TaskState

# what ends by itself: the item tries again later
_PASSING: Final = (
    ExportQuotaError,
    ImageExportingError,
    ImageBusyError,
    ImageCopyingError,
    SnapshotInProgressError,
    SnapshotBusyError,
    SnapshotBeingCopiedError,
    SnapshotArchivingError,
    TaskBusyError,
)
_FULL: Final = (ImageQuotaError, SnapshotQuotaError)
_UNFINISHED: Final = (ImageState.WAITING, ImageState.CREATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An item within its bulk export, and what is to be done about it in one transaction.

    Attributes:
        scope: writes for the account, in the region of the bulk export.
        bulk: the bulk export.
        item: the item.
    """

    scope: Scope
    bulk: BulkExportRecord
    item: BulkItemRecord

    def end(self, state: ItemState, failure: str | None = None) -> None:
        """Nothing follows but the removal of the image, if it was made for this and shall go."""
        self.item.move_to(state)
        self.item.failure = failure
        self.item.finished_at = self.scope.clock.now()
        is_made = self.item.image_id is not None and self.item.source_kind is not SourceKind.IMAGE
        self.item.is_removal_due = is_made and self.bulk.deletes_images


def begin(place: Place) -> bool:
    """`Waiting`: have an image made, if the bulk export has room for one item more; answers whether it had.

    Raises:
        Refusal: there is nothing to make an image of, or it is in no fit state.
    """
    scope, bulk, item = place.scope, place.bulk, place.item
    if bulk.state is not BulkState.RUNNING or _is_suspended(scope) or not _has_room(place):
        return False
    item.started_at = scope.clock.now()
    if item.source_kind is SourceKind.IMAGE:
        item.image_id = ImageId(item.source_id)
        item.move_to(ItemState.READY)
        return True
    facts = ImageFacts(description=f"Made for bulk export {bulk.id}")
    if item.source_kind is SourceKind.INSTANCE:
        new = NewImage(facts=facts, instance_id=InstanceId(item.source_id))
    else:
        new = NewImage(facts=facts, snapshot_id=SnapshotId(item.source_id))
    item.image_id = create_image(scope, new).id
    item.move_to(ItemState.CREATING)
    return True


def look_at_image(place: Place) -> bool:
    """`CreatingImage`: go on when the image is there, or not to be had; answers whether it did."""
    item, image = place.item, _find_image(place)
    if image is not None and image.state in _UNFINISHED:
        return False
    if place.bulk.state is not BulkState.RUNNING:
        place.end(ItemState.CANCELLED)
        item.is_removal_due = image is not None and (
            item.is_removal_due or image.state is ImageState.CREATE_FAILED
        )
    elif image is None:
        place.end(ItemState.FAILED, f"image {item.image_id} was deleted")
    elif image.state is ImageState.CREATE_FAILED:
        known = _find_failure(place, image.task_id)
        reason = image.failure if known is None else known.told
        place.end(ItemState.FAILED, reason or "its image could not be created")
    else:
        item.move_to(ItemState.READY)
    return True


def export(place: Place) -> bool:
    """`Ready`: have the image exported; answers whether that was begun.

    Raises:
        Refusal: the image cannot be exported, or not now.
    """
    scope, bulk, item = place.scope, place.bulk, place.item
    if bulk.state is not BulkState.RUNNING or _is_suspended(scope):
        return False
    assert item.image_id is not None, "an item that is ready has an image"
    new = NewExport(image_id=item.image_id, bucket=bulk.bucket, prefix=bulk.prefix, format=bulk.format)
    item.export_task_id = export_image(scope, new)
    item.move_to(ItemState.EXPORTING)
    return True


def look_at_export(place: Place, stored: Sequence[ExportedObject] | None) -> bool:
    """`Exporting`: go on when the task has ended; answers whether it had.

    Args:
        place: the item.
        stored: what it left in the bucket; None if that was not looked up, since the task had not ended then.
    """
    task = place.scope.session.get(TaskRecord, place.item.export_task_id)
    if task is not None and task.state in ACTIVE:
        return False
    if task is None:
        place.end(ItemState.FAILED, "the task that exported it was forgotten")
    elif task.state is TaskState.SUCCEEDED:
        if stored is None:
            return False
        place.item.stored = msgspec.json.encode(stored).decode()
        place.end(ItemState.FINISHED)
    elif task.state is TaskState.CANCELLED and place.bulk.state is not BulkState.RUNNING:
        place.end(ItemState.CANCELLED)
    else:
        failure = _find_failure(place, task.id)
        place.end(ItemState.FAILED, (failure and failure.told) or "its export failed")
    return True


def remove_image(place: Place) -> bool:
    """It has ended, and its image goes: with the snapshots that were taken for it, or not at all.

    Raises:
        Refusal: something needs the image or a snapshot of it.
    """
    scope, item, image = place.scope, place.item, _find_image(place)
    item.is_removal_due = False
    if image is None:
        return True
    taken: list[SnapshotId] = []
    if item.source_kind is SourceKind.INSTANCE:
        disks = list_image_disks(scope.session, image.id)
        taken = [disk.snapshot_id for disk in disks if disk.snapshot_id is not None]
    delete_image(scope, image.id)
    for snapshot_id in taken:
        snapshot = scope.session.get(SnapshotRecord, snapshot_id)
        if snapshot is not None and snapshot.state is not SnapshotState.DELETING:
            delete_snapshot(scope, snapshot_id)
    return True


def note_refusal(place: Place, refused: Refusal) -> bool:
    """What a step could not do: it is tried again if that passes, and ends the item if not; answers which."""
    if isinstance(refused, _PASSING) or (isinstance(refused, _FULL) and _may_get_room(place)):
        return False
    if place.item.state.has_ended:
        place.item.is_removal_due = False
        place.item.note = f"image {place.item.image_id} stays: {refused}"
    else:
        place.end(ItemState.FAILED, str(refused))
    return True


def _find_failure(place: Place, task_id: TaskId | None) -> Failure | None:
    task = place.scope.session.get(TaskRecord, task_id) if task_id is not None else None
    return msgspec.json.decode(task.failure, type=Failure) if task is not None and task.failure else None


def _find_image(place: Place) -> ImageRecord | None:
    image = place.scope.session.get(ImageRecord, place.item.image_id)
    return image if image is not None and image.account_id == place.scope.account_id else None


def _has_room(place: Place) -> bool:
    return _count(place, *UNDER_WAY) < place.bulk.concurrency


def _may_get_room(place: Place) -> bool:
    """Whether images that were made for other items go when those are done."""
    return place.bulk.deletes_images and _count(place, *UNDER_WAY) > 0


def _count(place: Place, *states: ItemState) -> int:
    query = select(func.count()).where(
        BulkItemRecord.bulk_export_id == place.bulk.id, BulkItemRecord.state.in_(states)
    )
    return place.scope.session.scalar(query) or 0


def _is_suspended(scope: Scope) -> bool:
    """Whether the account may have nothing made from snapshots now; its bulk exports wait until it may."""
    account = scope.session.get(AccountRecord, scope.account_id)
    return account is not None and account.standing.is_suspended
