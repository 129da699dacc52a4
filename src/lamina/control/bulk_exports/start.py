"""Start a bulk export. What it consists of is written down here, and carried out by `drive`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.queries import find_bucket
from lamina.control.bulk_exports.errors import (
    BulkConcurrencyError,
    BulkExportQuotaError,
    BulkItemQuotaError,
    BulkSourceMissingError,
)
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord
from lamina.control.bulk_exports.states import UNFINISHED, BulkState, ItemState, SourceKind
from lamina.control.images.errors import ImageNotFoundError
from lamina.control.images.file_errors import ForeignImageError
from lamina.control.images.plan import plan_system_disk
from lamina.control.images.queries import find_visible_image
from lamina.control.instances.errors import InstanceNotFoundError
from lamina.control.instances.queries import get_instance
from lamina.control.scope import Scope
from lamina.ids import ImageId, InstanceId, SnapshotId, mint_bulk_export_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBulkExport:
    """A bulk export to be; what is named twice is exported once.

    Attributes:
        instance_ids: an image of all disks of each is made and exported.
        snapshot_ids: of system disks; an image of each is made and exported.
        image_ids: these are exported, and stay in any case.
        bucket: where to; one of the account in the scope's region.
        prefix: what the names of the objects begin with; checked by whoever asks.
        concurrency: so many items are worked on at once; by default as many as images are exported at once.
        deletes_images: images that are made for it go afterwards, with the snapshots that are taken for them.
    """

    instance_ids: Sequence[InstanceId] = ()
    snapshot_ids: Sequence[SnapshotId] = ()
    image_ids: Sequence[ImageId] = ()
    bucket: str
    prefix: str | None = None
    format: ImageFormat = ImageFormat.RAW
    concurrency: int | None = None
    deletes_images: bool = False


def start_bulk_export(scope: Scope, new: NewBulkExport) -> BulkExportRecord:
    """Start a bulk export of what is there now; whether it is in a fit state counts when its turn comes.

    Raises:
        BulkSourceMissingError, BulkItemQuotaError: it has no items, or too many.
        BulkConcurrencyError: it shall work on too many at once.
        BucketNotFoundError: the account has no such bucket in this region.
        InstanceNotFoundError, ImageNotFoundError: the account has no such instance or image in this region.
        SnapshotNotFoundError and further: no image can be made of a snapshot; see `images.plan`.
        ForeignImageError: an image is not the account's.
        BulkExportQuotaError: too many bulk exports are under way.
    """
    sources = list(dict.fromkeys(_list_sources(new)))
    if not sources:
        raise BulkSourceMissingError
    limits = scope.limits
    if len(sources) > limits.bulk_export_items:
        raise BulkItemQuotaError(len(sources), limits.bulk_export_items)
    concurrency = limits.concurrent_exports if new.concurrency is None else new.concurrency
    if not 1 <= concurrency <= limits.bulk_export_concurrency:
        raise BulkConcurrencyError(concurrency, limits.bulk_export_concurrency)
    bucket = find_bucket(scope, new.bucket)
    for kind, source_id in sources:
        _check(scope, kind, source_id)
    if _count_unfinished(scope) >= limits.bulk_exports:
        raise BulkExportQuotaError(limits.bulk_exports)
    bulk = BulkExportRecord(
        id=mint_bulk_export_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        bucket=bucket.name,
        prefix=new.prefix,
        format=new.format,
        concurrency=concurrency,
        deletes_images=new.deletes_images,
        state=BulkState.RUNNING,
        created_at=scope.clock.now(),
    )
    scope.session.add(bulk)
    scope.session.flush()
    for number, (kind, source_id) in enumerate(sources, start=1):
        item = BulkItemRecord(bulk_export_id=bulk.id, number=number, source_kind=kind, source_id=source_id)
        item.state = ItemState.WAITING
        scope.session.add(item)
    scope.session.flush()
    return bulk


def _list_sources(new: NewBulkExport) -> Iterator[tuple[SourceKind, str]]:
    yield from ((SourceKind.INSTANCE, each) for each in new.instance_ids)
    yield from ((SourceKind.SNAPSHOT, each) for each in new.snapshot_ids)
    yield from ((SourceKind.IMAGE, each) for each in new.image_ids)


def _check(scope: Scope, kind: SourceKind, source_id: str) -> None:
    match kind:
        case SourceKind.INSTANCE:
            instance = get_instance(scope, InstanceId(source_id))
            if instance.region_id != scope.region_id:
                raise InstanceNotFoundError(instance.id)
        case SourceKind.SNAPSHOT:
            plan_system_disk(scope, SnapshotId(source_id))
        case SourceKind.IMAGE:
            image = find_visible_image(scope, source_id)
            if image is None:
                raise ImageNotFoundError(source_id)
            if image.account_id != scope.account_id:
                raise ForeignImageError(image.id)


def _count_unfinished(scope: Scope) -> int:
    query = select(func.count()).where(
        BulkExportRecord.account_id == scope.account_id,
        BulkExportRecord.region_id == scope.region_id,
        BulkExportRecord.state.in_(UNFINISHED),
    )
    return scope.session.scalar(query) or 0
