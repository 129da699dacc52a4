"""Looking images up: an account's own, those that are shared with it, and public ones."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, and_, select, union_all
from sqlalchemy.orm import Session, aliased

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.images.errors import ImageNotFoundError, ImageStateError
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.scope import Scope
from lamina.ids import ImageId

BUILT_IN_ID: Final = ImageId("lamina_empty_x86_64.vhd")
"""The built-in image, under the name that every region knows; see `built_in`."""

USABLE: Final = frozenset({ImageState.AVAILABLE, ImageState.DEPRECATED})
"""The states in which an image starts instances."""


def get_own_image(scope: Scope, image_id: str) -> ImageRecord:
    """One image that belongs to the account, in the scope's region, in any state.

    A writing transaction keeps others from changing it; not from using it, see `lock_to_delete`.

    Raises:
        ImageNotFoundError: there is none.
    """
    image = scope.session.scalars(
        select(ImageRecord).where(
            ImageRecord.id == image_id,
            ImageRecord.account_id == scope.account_id,
            ImageRecord.region_id == scope.region_id,
        )
    ).one_or_none()
    if image is None:
        raise ImageNotFoundError(image_id)
    return image


def lock_to_delete(session: Session, image_id: ImageId) -> None:
    """Wait until no other account is about to make something from an image, and let nobody begin with that.

    The transactions of two accounts run side by side where the database can do that, so that the owner would not see
    the disks that are just being ordered. This lock, and the one that whoever uses the image takes, is of its one row;
    neither of the two takes another one behind it, and so nobody waits in a circle.
    """
    session.execute(select(ImageRecord.id).where(ImageRecord.id == image_id).with_for_update())


def find_visible_image(scope: Scope, image_id: str, *, to_use: bool = False) -> ImageRecord | None:
    """One image that the account sees in the scope's region, in any state; None if there is none.

    Args:
        scope: who looks.
        image_id: which image; `BUILT_IN_ID` is that of the region.
        to_use: something is made from it in this transaction: until its end the owner does not delete it.
    """
    is_it = ImageRecord.id == image_id
    if image_id == BUILT_IN_ID:
        is_it = and_(ImageRecord.is_public, ImageRecord.origin == ImageOrigin.BUILT_IN)  # few are public
    query = select(ImageRecord).where(is_it, ImageRecord.region_id == scope.region_id, is_visible(scope))
    if to_use:
        query = query.with_for_update(read=True, key_share=True)  # any number of users; see `lock_to_delete`
    return scope.session.scalars(query).one_or_none()


def find_usable_image(scope: Scope, image_id: str) -> ImageRecord:
    """An image from which the account creates instances in the scope's region, in this transaction.

    Its own, one that is shared with it, or a public one. Its disks are in `list_image_disks`; their bytes are in the
    repository of the image's owner. Until the transaction ends it is not deleted.

    Raises:
        ImageNotFoundError: the account sees no such image in this region.
        ImageStateError: it is neither `Available` nor `Deprecated`.
    """
    image = find_visible_image(scope, image_id, to_use=True)
    if image is None:
        raise ImageNotFoundError(image_id)
    if image.state not in USABLE:
        raise ImageStateError(image.id, image.state)
    return image


def find_newest_of_family(scope: Scope, family: str) -> ImageRecord | None:
    """The newest available image of one of the account's families in the region; None if there is none."""
    return scope.session.scalars(
        select(ImageRecord)
        .where(
            ImageRecord.account_id == scope.account_id,
            ImageRecord.region_id == scope.region_id,
            ImageRecord.family == family,
            ImageRecord.state == ImageState.AVAILABLE,
        )
        .order_by(ImageRecord.created_at.desc(), ImageRecord.id.desc())
        .limit(1)
    ).one_or_none()


def list_image_disks(session: Session, image_id: ImageId) -> Sequence[ImageDiskRecord]:
    """The disks of an image, the system disk first, and the data disks by device."""
    return session.scalars(
        select(ImageDiskRecord)
        .where(ImageDiskRecord.image_id == image_id)
        .order_by(ImageDiskRecord.role.desc(), ImageDiskRecord.device)  # `system` comes behind `data`
    ).all()


def is_visible(scope: Scope) -> ColumnElement[bool]:
    """A condition for a query of images: the account owns it, it is shared with the account, or it is public.

    Each of the three is found along an index; three conditions with OR between them would be tried on every image.
    """
    own, public = aliased(ImageRecord), aliased(ImageRecord)
    return ImageRecord.id.in_(
        union_all(
            select(own.id).where(own.account_id == scope.account_id),
            select(public.id).where(public.is_public),
            select(ImageShareRecord.image_id).where(ImageShareRecord.account_id == scope.account_id),
        )
    )


def is_system_disk(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    """Conditions for a query of disks: it is the system disk of an instance of the account."""
    return (
        DiskRecord.account_id == scope.account_id,
        DiskRecord.role == DiskRole.SYSTEM,
        DiskRecord.instance_id.is_not(None),
        DiskRecord.state != DiskState.DELETING,
    )
