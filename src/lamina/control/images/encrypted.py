"""Images with encrypted snapshots, and what is not done with them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.images.records import ImageDiskRecord
from lamina.control.preferences import Compatibility
from lamina.control.scope import Scope
from lamina.control.snapshots.records import SnapshotRecord
from lamina.failures import Refusal
from lamina.ids import ImageId, RegionId, SnapshotId


class EncryptedSystemSnapshotError(Refusal):
    """An image would be made of the encrypted snapshot of a system disk."""

    def __init__(self, snapshot_id: SnapshotId) -> None:
        super().__init__(
            f"snapshot {snapshot_id} of a system disk is encrypted, and no image is made of it; create the image of "
            'the instance instead, or let the installation be `compatibility = "2026"`'
        )
        self.snapshot_id = snapshot_id


class EncryptedImageError(Refusal):
    """The image has encrypted snapshots, which are their owner's alone."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(
            f"image {image_id} has encrypted snapshots and stays its owner's; use snapshots that are not encrypted for "
            "an image that others may see"
        )
        self.image_id = image_id


class EncryptedImageCopyError(Refusal):
    """The copy of an image with encrypted snapshots would not be encrypted."""

    def __init__(self, image_id: ImageId, region_id: RegionId) -> None:
        super().__init__(
            f"image {image_id} has encrypted snapshots; set Encrypted, and KMSKeyId to a key of region {region_id} or "
            "leave it out for the service's own"
        )
        self.image_id = image_id


class EncryptedExportError(Refusal):
    """An image with encrypted snapshots is not exported."""

    def __init__(self, image_id: ImageId) -> None:
        super().__init__(f"image {image_id} has encrypted snapshots and is not exported")
        self.image_id = image_id


def is_encrypted(session: Session, image_id: ImageId) -> bool:
    """Whether a snapshot of an image has a key."""
    query = (
        select(ImageDiskRecord.device)
        .join(SnapshotRecord, SnapshotRecord.id == ImageDiskRecord.snapshot_id)
        .where(ImageDiskRecord.image_id == image_id, SnapshotRecord.key_id.is_not(None))
        .limit(1)
    )
    return session.scalar(query) is not None


def require_shareable(session: Session, image_id: ImageId) -> None:
    """Let only an image pass that others may see (FAQ: images of encrypted snapshots cannot be shared).

    Raises:
        EncryptedImageError: it has encrypted snapshots.
    """
    if is_encrypted(session, image_id):
        raise EncryptedImageError(image_id)


def refuse_encrypted_system(scope: Scope, snapshot: SnapshotRecord) -> None:
    """Keep images from being made of encrypted snapshots of system disks, as the API of the FAQ's time does.

    Raises:
        EncryptedSystemSnapshotError: the snapshot is encrypted.
    """
    if snapshot.key_id is not None and scope.compatibility is Compatibility.FAQ:
        raise EncryptedSystemSnapshotError(snapshot.id)
