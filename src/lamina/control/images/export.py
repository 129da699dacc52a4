"""Export an image to a bucket (ExportImage)."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import func, select

from lamina.blockio.qemu.formats import ImageFormat
from lamina.control.buckets.queries import find_bucket
from lamina.control.disks.states import DiskRole
from lamina.control.images.encrypted import EncryptedExportError, is_encrypted
from lamina.control.images.errors import ImageExportingError, ImageNotFoundError, ImageStateError
from lamina.control.images.exporting import EXPORT_IMAGE, ExportArguments, ExportedDisk, name_object
from lamina.control.images.file_errors import ExportQuotaError, ExportSizeError, ForeignImageError
from lamina.control.images.queries import find_visible_image, list_image_disks
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import ImageState
from lamina.control.scope import Scope
from lamina.control.shown_tasks.files import ShownFile
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.show import show_task
from lamina.control.shown_tasks.states import TaskAction
from lamina.ids import ImageId, TaskId
from lamina.tasks.queue import enqueue, is_active
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE

_VHD_GIB_MAX: Final = 2040  # the format's own limit: 32 bits of sectors, less some


@dataclass(frozen=True, slots=True, kw_only=True)
class NewExport:
    """An export to be.

    Attributes:
        image_id: which image.
        bucket: where to; one of the account in the scope's region.
        prefix: what the names of the objects begin with; letters and digits, checked by whoever asks.
        format: what the files are.
    """

    image_id: ImageId
    bucket: str
    prefix: str | None = None
    format: ImageFormat = ImageFormat.RAW


def export_image(scope: Scope, new: NewExport) -> TaskId:
    """Start an export: one object per disk, named `[<prefix>_]<image id>_<task id>[_data_<n>].<format>`.

    Raises:
        ImageNotFoundError: the account sees no such image in this region.
        ForeignImageError: it is not the account's.
        ImageStateError: it is not `Available`.
        EncryptedExportError: it has encrypted snapshots.
        ExportSizeError: it has too many or too large data disks.
        BucketNotFoundError: the account has no such bucket in this region.
        ImageExportingError: it is being exported already.
        ExportQuotaError: too many images are being exported.
    """
    image = find_visible_image(scope, new.image_id)
    if image is None:
        raise ImageNotFoundError(new.image_id)
    if image.account_id != scope.account_id:
        raise ForeignImageError(image.id)
    if image.state is not ImageState.AVAILABLE:
        raise ImageStateError(image.id, image.state)
    if is_encrypted(scope.session, image.id):
        raise EncryptedExportError(image.id)
    disks = list_image_disks(scope.session, image.id)
    _check_sizes(scope, image, [disk for disk in disks if disk.role is DiskRole.DATA])
    if new.format is ImageFormat.VHD and any(disk.size_gib > _VHD_GIB_MAX for disk in disks):
        raise ExportSizeError(image.id, f"a VHD has at most {_VHD_GIB_MAX} GiB; choose another format")
    bucket = find_bucket(scope, new.bucket)
    if is_active(scope.session, image.export_task_id):
        raise ImageExportingError(image.id)
    if _count_exports(scope) >= scope.limits.concurrent_exports:
        raise ExportQuotaError(scope.limits.concurrent_exports)
    arguments = ExportArguments(
        account_id=scope.account_id,
        region_id=image.region_id,
        image_id=image.id,
        bucket=bucket.name,
        prefix=new.prefix,
        format=new.format,
        disks=tuple(ExportedDisk(snapshot_id=disk.snapshot_id, size_gib=disk.size_gib) for disk in disks),
    )
    image.export_task_id = _start(scope, arguments)
    return image.export_task_id


def _start(scope: Scope, arguments: ExportArguments) -> TaskId:
    image_id = arguments.image_id
    task_id = enqueue(scope.session, scope.clock, EXPORT_IMAGE, arguments, key=f"export/{image_id}")
    keys = [name_object(arguments, task_id, index) for index in range(len(arguments.disks))]
    show_task(
        scope,
        task_id,
        TaskAction.EXPORT_IMAGE,
        resource_id=image_id,
        region_id=arguments.region_id,
        files=[ShownFile(bucket=arguments.bucket, key=key, format=arguments.format.value) for key in keys],
    )
    return task_id


def _check_sizes(scope: Scope, image: ImageRecord, disks: list[ImageDiskRecord]) -> None:
    most, largest = scope.limits.export_data_disks, scope.limits.export_data_disk_gib
    if len(disks) > most:
        raise ExportSizeError(image.id, f"it has {len(disks)} data disks, and at most {most} are exported")
    for disk in disks:
        if disk.size_gib > largest:
            reason = (
                f"its data disk {disk.device} has {disk.size_gib} GiB, and at most {largest} are exported"
            )
            raise ExportSizeError(image.id, reason)


def _count_exports(scope: Scope) -> int:
    query = (
        select(func.count())
        .select_from(ShownTaskRecord)
        .join(TaskRecord, TaskRecord.id == ShownTaskRecord.task_id)
        .where(
            ShownTaskRecord.account_id == scope.account_id,
            ShownTaskRecord.region_id == scope.region_id,
            ShownTaskRecord.action == TaskAction.EXPORT_IMAGE,
            TaskRecord.state.in_(ACTIVE),
        )
    )
    return scope.session.scalar(query) or 0
