"""Copy an image to another region, or within its region (CopyImage)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import func, select

from lamina.control.images.add import ImageFacts, ImageSource, add_image
from lamina.control.images.copy_errors import (
    BuiltInCopyError,
    CommunityImageError,
    DestinationRegionError,
    SharedImageRegionError,
)
from lamina.control.images.copying import start_next_copy
from lamina.control.images.encrypted import EncryptedImageCopyError, is_encrypted
from lamina.control.images.errors import ImageNotFoundError, ImageStateError
from lamina.control.images.queries import find_visible_image, list_image_disks
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.keys.choose import AS_SOURCE, Encryption, choose_new_key
from lamina.control.regions.records import RegionRecord
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotQuotaError
from lamina.control.snapshots.queries import require_ready
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotKind, SnapshotState
from lamina.failures import Refusal
from lamina.ids import DiskId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImageCopy:
    """A copy to be. Names and descriptions were checked by whoever asks.

    Attributes:
        image_id: of which image; one that the account sees in the scope's region.
        region_id: where the copy goes.
        name: the copy's id by default.
        encryption: how its snapshots are encrypted, with a key of the region that it goes to.
        tags: of the copy; key to value.
    """

    image_id: str
    region_id: RegionId
    name: str | None = None
    description: str | None = None
    encryption: Encryption = AS_SOURCE
    tags: Mapping[str, str] = field(default_factory=dict)


def copy_image(scope: Scope, new: NewImageCopy) -> ImageRecord:
    """Start a copy: `Waiting` until no other copy of the account goes to that region, then `Creating`.

    The copy is an image of its own, on snapshots of its own, which are `Available` together with it.

    Raises:
        ImageNotFoundError: the account sees no such image in this region.
        BuiltInCopyError, CommunityImageError, SharedImageRegionError: an image of this sort is not copied there.
        ImageStateError: it is not `Available`, or it is another account's and its data is lost.
        DestinationRegionError: there is no such region to copy to.
        KeyWithoutEncryptionError and further: the copy cannot be encrypted so; see `keys.choose`.
        EncryptedImageCopyError: it has encrypted snapshots, and those of the copy would not be.
        SnapshotDataMissingError: the object store does not have the data of one of its disks.
        SnapshotQuotaError: a disk has as many manual snapshots in that region as it may have.
        ImageNameTakenError and further: there is no room for the copy; see `add.add_image`.
    """
    source = _choose_source(scope, new)
    target = replace(scope, region_id=new.region_id)
    disks = list_image_disks(scope.session, source.id)
    for disk in disks:
        snapshot = scope.session.get(SnapshotRecord, disk.snapshot_id) if disk.snapshot_id else None
        if snapshot is not None:
            _require_data(scope, source, snapshot)
            _require_room(target, snapshot)
    key_id = choose_new_key(target, new.encryption)
    if key_id is None and is_encrypted(scope.session, source.id):
        raise EncryptedImageCopyError(source.id, new.region_id)
    facts = ImageFacts(
        name=new.name,
        description=new.description,
        version=source.version,
        platform=source.platform,
        os_type=source.os_type,
        architecture=source.architecture,
        boot_mode=source.boot_mode,
        license_type=source.license_type,
        tags=new.tags,
    )
    origin = ImageSource(origin=ImageOrigin.COPIED, image_id=source.id, region_id=source.region_id)
    copy = add_image(target, facts, origin, ImageState.WAITING)
    copy.copy_key_id = key_id
    scope.session.add_all(
        ImageDiskRecord(image_id=copy.id, device=disk.device, role=disk.role, size_gib=disk.size_gib)
        for disk in disks
    )
    scope.session.flush()
    start_next_copy(target)
    return copy


def _choose_source(scope: Scope, new: NewImageCopy) -> ImageRecord:
    source = find_visible_image(scope, new.image_id, to_use=True)
    if source is None:
        raise ImageNotFoundError(new.image_id)
    if source.origin is ImageOrigin.BUILT_IN:
        raise BuiltInCopyError(source.id)
    if scope.session.get(RegionRecord, new.region_id) is None:
        raise DestinationRegionError(new.region_id)
    if source.account_id != scope.account_id:
        if scope.session.get(ImageShareRecord, (source.id, scope.account_id)) is None:
            raise CommunityImageError(source.id)
        if new.region_id != source.region_id:
            raise SharedImageRegionError(source.id, source.region_id)
    if source.state is not ImageState.AVAILABLE:
        raise ImageStateError(source.id, source.state)
    return source


def _require_data(scope: Scope, source: ImageRecord, snapshot: SnapshotRecord) -> None:
    """Let only an image pass whose data can be read; of another account's snapshots nothing is told."""
    try:
        require_ready(scope.session, snapshot)
    except Refusal as refusal:
        if source.account_id == scope.account_id:
            raise
        raise ImageStateError(source.id, ImageState.UNAVAILABLE) from refusal


def _require_room(target: Scope, snapshot: SnapshotRecord) -> None:
    """In another region the copy is one of the disk's snapshots there; within the region it is of no disk."""
    if target.region_id == snapshot.region_id:
        return
    maximum = target.limits.manual_snapshots_per_disk
    if _count_copies(target, snapshot.disk_id) >= maximum:
        raise SnapshotQuotaError(snapshot.disk_id, maximum)


def _count_copies(target: Scope, disk_id: DiskId) -> int:
    query = select(func.count()).where(
        SnapshotRecord.account_id == target.account_id,
        SnapshotRecord.region_id == target.region_id,
        SnapshotRecord.disk_id == disk_id,
        SnapshotRecord.kind == SnapshotKind.USER,
        SnapshotRecord.state != SnapshotState.DELETING,
    )
    return target.session.scalar(query) or 0
