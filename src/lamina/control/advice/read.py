"""Reading what advice is made from: rows, and what two snapshots differ by."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.advice.chains import Chain, Link
from lamina.control.advice.findings import UnusedImage
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.images.records import ImageDiskRecord, ImageRecord, ImageShareRecord
from lamina.control.images.states import ImageState
from lamina.control.instances.records import InstanceRecord
from lamina.control.metering.records import StorageClass
from lamina.control.snapshots.holds import is_kept
from lamina.control.snapshots.records import HoldRecord, LockRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotKind, SnapshotState
from lamina.engine.blockmap.diff import diff
from lamina.engine.blockmap.page import Stored
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.repository import Repository
from lamina.ids import AccountId, DiskId, ImageId, KeyId, PolicyId, RegionId, SnapshotId

_ChainKey = tuple[RegionId, DiskId, KeyId | None]


def read_chains(session: Session, account_id: AccountId, now: datetime) -> tuple[Chain, ...]:
    """The chains of an account, of all regions; only what is paid for."""
    links: defaultdict[_ChainKey, list[Link]] = defaultdict(list)
    for key, link in _read_links(session, account_id, now):
        links[key].append(link)
    disks = _read_disks(session, account_id)
    return tuple(
        Chain(
            region_id=region_id,
            disk_id=disk_id,
            key_id=key_id,
            has_disk=disk_id in disks,
            policy_id=disks.get(disk_id),
            links=tuple(found),
        )
        for (region_id, disk_id, key_id), found in links.items()
    )


def _read_links(session: Session, account_id: AccountId, now: datetime) -> Iterator[tuple[_ChainKey, Link]]:
    """The snapshots that are paid for, oldest first, each with its chain."""
    columns = (
        *(SnapshotRecord.region_id, SnapshotRecord.disk_id, SnapshotRecord.key_id, SnapshotRecord.id),
        *(SnapshotRecord.name, SnapshotRecord.category, SnapshotRecord.kind, SnapshotRecord.created_at),
        *(SnapshotRecord.incremental_bytes, SnapshotRecord.exclusive_bytes, is_kept(now).label("is_kept")),
    )
    rows = session.execute(
        select(*columns)
        .where(
            SnapshotRecord.account_id == account_id,
            SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
            SnapshotRecord.is_data_missing.is_(False),
        )
        .order_by(SnapshotRecord.created_at, SnapshotRecord.id)
    )
    for row in rows:
        is_archived = row.category is SnapshotCategory.ARCHIVE
        link = Link(
            id=row.id,
            name=row.name,
            storage_class=StorageClass.ARCHIVE if is_archived else StorageClass.STANDARD,
            incremental_bytes=row.incremental_bytes or 0,
            exclusive_bytes=row.exclusive_bytes,
            created_at=row.created_at,
            is_automatic=row.kind is SnapshotKind.AUTO,
            is_kept=row.is_kept,
        )
        yield (row.region_id, row.disk_id, row.key_id), link


def read_unused_images(session: Session, account_id: AccountId, now: datetime) -> Sequence[UnusedImage]:
    """The images of an account that nothing was made from, that nobody else sees, and that hold snapshots."""
    rows = session.execute(
        select(ImageRecord.id, ImageRecord.region_id, ImageRecord.created_at, ImageDiskRecord.snapshot_id)
        .join(ImageDiskRecord, ImageDiskRecord.image_id == ImageRecord.id)
        .where(
            ImageRecord.account_id == account_id,
            ImageRecord.state == ImageState.AVAILABLE,
            ImageRecord.is_public.is_(False),
            ImageDiskRecord.snapshot_id.is_not(None),
            ~select(ImageShareRecord.image_id).where(ImageShareRecord.image_id == ImageRecord.id).exists(),
            ~select(InstanceRecord.id).where(InstanceRecord.image_id == ImageRecord.id).exists(),
            ~select(DiskRecord.id).where(DiskRecord.image_id == ImageRecord.id).exists(),
        )
        .order_by(ImageRecord.created_at, ImageRecord.id)
    )
    found: defaultdict[tuple[ImageId, RegionId, datetime], list[SnapshotId]] = defaultdict(list)
    for image_id, region_id, created_at, snapshot_id in rows:
        assert snapshot_id is not None, "others were not asked for"
        found[image_id, region_id, created_at].append(snapshot_id)
    images = []
    for (image_id, region_id, created_at), snapshot_ids in found.items():
        free = [each for each in snapshot_ids if _is_held_by(session, each, image_id, now)]
        images.append(
            UnusedImage(id=image_id, region_id=region_id, created_at=created_at, snapshot_ids=tuple(free))
        )
    return images


def measure_gap(repository: Repository, before: SnapshotId | None, after: SnapshotId) -> int:
    """Bytes of the blocks of a snapshot that another one does not have at that place; of all of them, for None.

    The same as the meter counts. No session is entered for it, so nothing is written: a sweep can be in the way only
    when one of the two is deleted at this moment.

    Raises:
        SnapshotNotFoundError: one of them is gone.
        Corruption: a block map is damaged.
        Fault: the store failed.
    """
    root = repository.read_manifest(after).root
    if before is None:
        return root.data_blocks * BLOCK_BYTES
    changes = diff(repository.read_manifest(before).root, root, repository.pages)
    return BLOCK_BYTES * sum(1 for change in changes if isinstance(change.after, Stored))


def _read_disks(session: Session, account_id: AccountId) -> dict[DiskId, PolicyId | None]:
    rows = session.execute(
        select(DiskRecord.id, DiskRecord.policy_id).where(
            DiskRecord.account_id == account_id, DiskRecord.state != DiskState.DELETING
        )
    )
    return {disk_id: policy_id for disk_id, policy_id in rows}  # noqa: C416 - rows are no pairs to the type checker


def _is_held_by(session: Session, snapshot_id: SnapshotId, image_id: ImageId, now: datetime) -> bool:
    """Whether a snapshot is held by the image alone."""
    holders = session.scalars(select(HoldRecord.holder_id).where(HoldRecord.snapshot_id == snapshot_id)).all()
    lock = session.get(LockRecord, snapshot_id)
    is_locked = lock is not None and (lock.expires_at is None or lock.expires_at > now)
    return list(holders) == [image_id] and not is_locked
