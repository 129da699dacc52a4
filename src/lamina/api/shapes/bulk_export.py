"""A bulk export, as DescribeBulkExports and DescribeBulkExport show it."""

from dataclasses import dataclass
from datetime import datetime

from lamina.api.schema import param
from lamina.control.bulk_exports.queries import BulkExportView, BulkItemView
from lamina.control.bulk_exports.states import ItemState
from lamina.ids import BulkExportId, ImageId, RegionId, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkExportShape:
    """One bulk export.

    Attributes:
        status: Running, Cancelling, Finished or Cancelled.
        item_count: how many items it has.
        ended_count: how many of them have ended, in whatever way.
    """

    bulk_export_id: BulkExportId
    region_id: RegionId
    status: str
    oss_bucket: str = param(wire="OSSBucket")
    oss_prefix: str = param(wire="OSSPrefix")
    image_format: str
    concurrency: int
    delete_images: bool
    item_count: int
    ended_count: int
    finished_count: int
    failed_count: int
    cancelled_count: int
    creation_time: datetime
    finished_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkObjectShape:
    """One object that an item left in the bucket; sizes in bytes.

    Attributes:
        e_tag: what the bucket service says of its content: its MD5 where an S3 service took it in one piece.
    """

    object_key: str
    size: int
    e_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItemShape:
    """One item.

    Attributes:
        number: its place, from 1.
        source_type: Instance, Snapshot or Image.
        status: Waiting, CreatingImage, Ready, Exporting, Finished, Failed or Cancelled.
        progress: measured, in percent.
        failure: why it failed.
        note: what else there is to know of it.
        seconds: for how long it was worked on.
    """

    number: int
    source_type: str
    source_id: str
    status: str
    progress: int
    image_id: ImageId | None
    task_id: TaskId | None
    failure: str | None
    note: str | None
    started_time: datetime | None
    finished_time: datetime | None
    seconds: float | None
    objects: tuple[BulkObjectShape, ...] = param(wire="Objects/Object")


def show_bulk_export(view: BulkExportView) -> BulkExportShape:
    """A bulk export on the wire."""
    bulk, counts = view.bulk, view.counts
    return BulkExportShape(
        bulk_export_id=bulk.id,
        region_id=bulk.region_id,
        status=bulk.state.value,
        oss_bucket=bulk.bucket,
        oss_prefix=bulk.prefix or "",
        image_format=bulk.format.value,
        concurrency=bulk.concurrency,
        delete_images=bulk.deletes_images,
        item_count=view.item_count,
        ended_count=view.ended_count,
        finished_count=counts.get(ItemState.FINISHED, 0),
        failed_count=counts.get(ItemState.FAILED, 0),
        cancelled_count=counts.get(ItemState.CANCELLED, 0),
        creation_time=bulk.created_at,
        finished_time=bulk.finished_at,
    )


def show_bulk_item(view: BulkItemView) -> BulkItemShape:
    """One of its items on the wire."""
    item = view.item
    seconds = None
    if item.started_at is not None and item.finished_at is not None:
        seconds = (item.finished_at - item.started_at).total_seconds()
    return BulkItemShape(
        number=item.number,
        source_type=item.source_kind.value,
        source_id=item.source_id,
        status=item.state.value,
        progress=view.progress_percent,
        image_id=item.image_id,
        task_id=item.export_task_id,
        failure=item.failure,
        note=item.note,
        started_time=item.started_at,
        finished_time=item.finished_at,
        seconds=seconds,
        objects=tuple(
            BulkObjectShape(object_key=each.key, size=each.size_bytes, e_tag=each.etag)
            for each in item.objects
        ),
    )
