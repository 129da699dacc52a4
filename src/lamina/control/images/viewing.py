"""Images as one account sees them: what only the owner may know is left out for others."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sqlalchemy import select

from lamina.clock import Clock
from lamina.control.disks.records import DiskRecord
from lamina.control.images.queries import is_system_disk
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.states import ImageState
from lamina.control.scope import Scope
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import ImageId, SnapshotId
from lamina.tasks.records import TaskRecord

_UNFINISHED: Final = frozenset({ImageState.WAITING, ImageState.CREATING})


class Ownership(Enum):
    """Whose an image is, from the viewer's side (`ImageOwnerAlias`)."""

    SELF = "self"
    SYSTEM = "system"  # public
    OTHERS = "others"  # shared with the viewer
    MARKETPLACE = "marketplace"  # there is none here


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """An image with what is kept elsewhere about it.

    Attributes:
        image: its row.
        disks: its disks, the system disk first.
        ownership: whose it is.
        is_shared: whether its owner shares it; None where the viewer is not the owner.
        is_used: whether the viewer has instances that were created from it.
        encrypted: the snapshots of it that have a key.
        tags: its tags; none where the viewer is not the owner.
        progress_percent: how much of the work on it is done, as measured; 100 only when that is all.
        remaining_seconds: how long the rest takes at the speed so far; None when that is not known.
    """

    image: ImageRecord
    disks: Sequence[ImageDiskRecord]
    ownership: Ownership
    is_shared: bool | None
    is_used: bool
    encrypted: Collection[SnapshotId]
    tags: Mapping[str, str]
    progress_percent: int
    remaining_seconds: int | None

    @property
    def is_own(self) -> bool:
        """Whether the viewer owns it, and may know which snapshots it consists of."""
        return self.ownership is Ownership.SELF


def view_images(scope: Scope, images: Sequence[ImageRecord]) -> tuple[ImageView, ...]:
    """What the scope's account sees of images that are visible to it."""
    ids = [image.id for image in images]
    own = [image.id for image in images if image.account_id == scope.account_id]
    disks = _list_disks(scope, ids)
    shared = _find_shared(scope, own)
    used = _find_used(scope, ids)
    encrypted = _find_encrypted(scope, ids)
    tags = list_tags(scope.session, ResourceType.IMAGE, own)
    views = []
    for image in images:
        ownership = find_ownership(scope, image)
        task = scope.session.get(TaskRecord, image.task_id) if image.task_id is not None else None
        percent, remaining = measure_progress(image.state, task, scope.clock)
        views.append(
            ImageView(
                image=image,
                disks=disks[image.id],
                ownership=ownership,
                is_shared=image.id in shared if ownership is Ownership.SELF else None,
                is_used=image.id in used,
                encrypted=encrypted,
                tags=tags.get(image.id, {}),
                progress_percent=percent,
                remaining_seconds=remaining,
            )
        )
    return tuple(views)


def find_ownership(scope: Scope, image: ImageRecord) -> Ownership:
    """Whose an image is, to the scope's account."""
    if image.account_id == scope.account_id:
        return Ownership.SELF
    return Ownership.SYSTEM if image.is_public else Ownership.OTHERS


def measure_progress(state: ImageState, task: TaskRecord | None, clock: Clock) -> tuple[int, int | None]:
    """How far the making of an image is in percent, and how many seconds the rest takes at the speed so far."""
    if state not in _UNFINISHED:
        return (0, None) if state is ImageState.CREATE_FAILED else (100, 0)
    if task is None or task.started_at is None or task.progress_known == 0:
        return 0, None
    done, known = task.progress_done, task.progress_known
    elapsed = (clock.now() - task.started_at).total_seconds()
    remaining = round(elapsed * (known - done) / done) if done and elapsed > 0 else None
    return min(99, done * 100 // known), remaining


def _list_disks(scope: Scope, image_ids: Sequence[ImageId]) -> Mapping[ImageId, list[ImageDiskRecord]]:
    found: dict[ImageId, list[ImageDiskRecord]] = defaultdict(list)
    rows = scope.session.scalars(
        select(ImageDiskRecord)
        .where(ImageDiskRecord.image_id.in_(image_ids))
        .order_by(ImageDiskRecord.role.desc(), ImageDiskRecord.device)
    )
    for row in rows:
        found[row.image_id].append(row)
    return found


def _find_shared(scope: Scope, image_ids: Sequence[ImageId]) -> set[ImageId]:
    query = select(ImageShareRecord.image_id).where(ImageShareRecord.image_id.in_(image_ids)).distinct()
    return set(scope.session.scalars(query))


def _find_encrypted(scope: Scope, image_ids: Sequence[ImageId]) -> frozenset[SnapshotId]:
    query = (
        select(SnapshotRecord.id)
        .join(ImageDiskRecord, ImageDiskRecord.snapshot_id == SnapshotRecord.id)
        .where(ImageDiskRecord.image_id.in_(image_ids), SnapshotRecord.key_id.is_not(None))
    )
    return frozenset(scope.session.scalars(query))


def _find_used(scope: Scope, image_ids: Sequence[ImageId]) -> set[str]:
    query = (
        select(DiskRecord.image_id)
        .where(DiskRecord.image_id.in_(image_ids), *is_system_disk(scope))
        .distinct()
    )
    return {image_id for image_id in scope.session.scalars(query) if image_id is not None}
