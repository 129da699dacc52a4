"""Delete an image (DeleteImage). Its snapshots stay, and are then like any other."""

from typing import Final

from sqlalchemy import delete, select

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.images.errors import (
    ImageBusyError,
    ImageCopyingError,
    ImageCreatingError,
    ImageExportingError,
    ImageImportingError,
    ImageInUseError,
    ImagePublicError,
    ImageSharedError,
)
from lamina.control.images.queries import get_own_image, is_system_disk, lock_to_delete
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.share import list_sharers
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.scope import Scope
from lamina.control.snapshots.holds import release_holds
from lamina.control.snapshots.states import HolderKind
from lamina.control.tags.put import drop_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import ImageId
from lamina.tasks.queue import is_active

_UNFINISHED: Final = (ImageState.WAITING, ImageState.CREATING)
_BEING_FILLED: Final = (DiskState.CREATING, DiskState.REINITING)


def delete_image(scope: Scope, image_id: str, *, force: bool = False) -> None:
    """Delete an image. Whom it is shared with or what works on it must be ended before, with or without `force`.

    Raises:
        ImageNotFoundError: the account has no such image in the region.
        ImagePublicError: the operator made it public.
        ImageSharedError: it is shared with other accounts.
        ImageCreatingError, ImageImportingError: it is not finished.
        ImageCopyingError: it is being copied, or is an unfinished copy.
        ImageExportingError: it is being exported.
        ImageBusyError: disks get their bytes from it at this moment.
        ImageInUseError: instances were created from it, and there is no `force`.
    """
    image = get_own_image(scope, image_id)
    lock_to_delete(scope.session, image.id)
    if image.is_public:
        raise ImagePublicError(image.id)
    sharers = list_sharers(scope.session, image.id)
    if sharers:
        raise ImageSharedError(image.id, sharers)
    _require_idle(scope, image)
    _require_unread(scope, image.id)
    instances = _list_instances(scope, image.id)
    if instances and not force:
        raise ImageInUseError(image.id, instances)
    drop_image(scope, image)


def drop_image(scope: Scope, image: ImageRecord) -> None:
    """Forget an image, whatever its state; its snapshots are not held by it any more."""
    release_holds(scope.session, HolderKind.IMAGE, image.id)
    drop_tags(scope.session, ResourceType.IMAGE, image.id)
    scope.session.execute(delete(ImageShareRecord).where(ImageShareRecord.image_id == image.id))
    scope.session.execute(delete(ImageDiskRecord).where(ImageDiskRecord.image_id == image.id))
    scope.session.delete(image)
    scope.session.flush()


def _require_idle(scope: Scope, image: ImageRecord) -> None:
    """Let only an image pass that no task works on."""
    if image.state in _UNFINISHED:
        match image.origin:
            case ImageOrigin.COPIED:
                raise ImageCopyingError(image.id)
            case ImageOrigin.IMPORTED:
                raise ImageImportingError(image.id)
            case _:
                raise ImageCreatingError(image.id)
    copies = select(ImageRecord.id).where(
        ImageRecord.source_image_id == image.id, ImageRecord.state.in_(_UNFINISHED)
    )
    if scope.session.scalars(copies.limit(1)).first() is not None:
        raise ImageCopyingError(image.id)
    if is_active(scope.session, image.export_task_id):
        raise ImageExportingError(image.id)


def _require_unread(scope: Scope, image_id: ImageId) -> None:
    """Let only an image pass from which no disk gets its bytes, of any account that it was shared with."""
    readers = scope.session.execute(
        select(DiskRecord.id, DiskRecord.account_id)
        .where(DiskRecord.image_id == image_id, DiskRecord.state.in_(_BEING_FILLED))
        .order_by(DiskRecord.id)
    ).all()
    if readers:
        own = [disk_id for disk_id, account_id in readers if account_id == scope.account_id]
        raise ImageBusyError(image_id, own, others=len(readers) - len(own))


def _list_instances(scope: Scope, image_id: ImageId) -> list[str]:
    """The account's instances whose system disks were made from the image."""
    found = scope.session.scalars(
        select(DiskRecord.instance_id).where(DiskRecord.image_id == image_id, *is_system_disk(scope))
    )
    return sorted(instance_id for instance_id in found if instance_id is not None)
