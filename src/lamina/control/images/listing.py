"""Lists of the images that an account sees, by every filter of the API."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, false, func, or_, select

from lamina.control.disks.records import DiskRecord
from lamina.control.images.queries import BUILT_IN_ID, USABLE, is_system_disk, is_visible
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import Architecture, ImageOrigin, ImageState, OsType
from lamina.control.images.viewing import ImageView, Ownership, view_images
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.tags.queries import has_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import ImageId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFilter:
    """Which images that the account sees in the region are wanted; what is None does not matter.

    Attributes:
        image_ids: only these; an empty list matches nothing.
        name: exactly this one; a `*` in it stands for any text, and then case does not matter.
        states: only images that stand at one of these.
        ownership: whose.
        owner_id: of this account.
        snapshot_id: images of the account that contain this snapshot.
        architectures: one of these.
        is_used: the account has instances that were created from it, or none.
        is_public: the operator made it public.
        is_usable: instances can be created from it now.
        tags: key to value; None as a value matches any. Only the owner sees an image's tags.
        created_from: not before this instant.
        created_to: not after this instant.
    """

    image_ids: Sequence[ImageId] | None = None
    name: str | None = None
    family: str | None = None
    states: Collection[ImageState] | None = None
    ownership: Ownership | None = None
    owner_id: str | None = None
    snapshot_id: SnapshotId | None = None
    os_type: OsType | None = None
    architectures: Collection[Architecture] | None = None
    is_used: bool | None = None
    is_public: bool | None = None
    is_usable: bool | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    created_from: datetime | None = None
    created_to: datetime | None = None


def list_images(scope: Scope, wanted: ImageFilter, part: Slice) -> Page[ImageView]:
    """The images that the account sees in the region and that match, newest first."""
    query = select(ImageRecord).where(
        ImageRecord.region_id == scope.region_id, is_visible(scope), *_match(scope, wanted)
    )
    order = AgeOrder(created_at=ImageRecord.created_at, id=ImageRecord.id)
    images, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=view_images(scope, images),
        total_count=total,
        next_key=PageKey(created_at=images[-1].created_at, id=images[-1].id) if has_more else None,
    )


def _has_ownership(scope: Scope, wanted: Ownership) -> ColumnElement[bool]:
    is_foreign = or_(ImageRecord.account_id.is_(None), ImageRecord.account_id != scope.account_id)
    match wanted:
        case Ownership.SELF:
            return ImageRecord.account_id == scope.account_id
        case Ownership.SYSTEM:
            return and_(is_foreign, ImageRecord.is_public)
        case Ownership.OTHERS:
            return and_(is_foreign, ~ImageRecord.is_public)
        case Ownership.MARKETPLACE:
            return false()


def _match(scope: Scope, wanted: ImageFilter) -> list[ColumnElement[bool]]:
    plain = (
        (ImageRecord.family, wanted.family),
        (ImageRecord.account_id, wanted.owner_id),
        (ImageRecord.os_type, wanted.os_type),
        (ImageRecord.is_public, wanted.is_public),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in plain if value is not None]
    if wanted.image_ids is not None:
        conditions.append(_has_id(wanted.image_ids))
    if wanted.name is not None:
        conditions.append(_has_name(wanted.name))
    if wanted.states is not None:
        conditions.append(ImageRecord.state.in_(wanted.states))
    if wanted.architectures is not None:
        conditions.append(ImageRecord.architecture.in_(wanted.architectures))
    if wanted.is_usable is not None:
        is_usable = ImageRecord.state.in_(USABLE)
        conditions.append(is_usable if wanted.is_usable else ~is_usable)
    if wanted.ownership is not None:
        conditions.append(_has_ownership(scope, wanted.ownership))
    if wanted.created_from is not None:
        conditions.append(ImageRecord.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(ImageRecord.created_at <= wanted.created_to)
    return conditions + _match_elsewhere(scope, wanted)


def _match_elsewhere(scope: Scope, wanted: ImageFilter) -> list[ColumnElement[bool]]:
    """Conditions that look at other tables."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.snapshot_id is not None:
        of_snapshot = ImageDiskRecord.snapshot_id == wanted.snapshot_id
        conditions += [
            ImageRecord.account_id == scope.account_id,
            ImageRecord.id.in_(select(ImageDiskRecord.image_id).where(of_snapshot)),
        ]
    if wanted.is_used is not None:
        conditions.append(_made_instances(scope) if wanted.is_used else ~_made_instances(scope))
    if wanted.tags:
        conditions += [
            ImageRecord.account_id == scope.account_id,
            *has_tags(ResourceType.IMAGE, ImageRecord.id, wanted.tags),
        ]
    return conditions


def _has_id(wanted: Sequence[ImageId]) -> ColumnElement[bool]:
    is_one = ImageRecord.id.in_(wanted)
    return or_(is_one, ImageRecord.origin == ImageOrigin.BUILT_IN) if BUILT_IN_ID in wanted else is_one


def _has_name(wanted: str) -> ColumnElement[bool]:
    if "*" not in wanted:
        return ImageRecord.name == wanted
    pattern = wanted.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("*", "%")
    return func.lower(ImageRecord.name).like(func.lower(pattern), escape="\\")


def _made_instances(scope: Scope) -> ColumnElement[bool]:
    """A condition for a query of images: the system disk of an instance of the account was made from it."""
    return select(DiskRecord.id).where(DiskRecord.image_id == ImageRecord.id, *is_system_disk(scope)).exists()
