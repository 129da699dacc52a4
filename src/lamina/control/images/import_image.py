"""Import an image from files in buckets (ImportImage)."""

from collections.abc import Sequence
from dataclasses import dataclass

from lamina.blockio.qemu.formats import HEAD_BYTES, ImageFormat, detect_format, find_format
from lamina.control.buckets.bucket_service import BucketService
from lamina.control.disks.attach import DATA_DEVICES, SYSTEM_DEVICE
from lamina.control.disks.states import DiskRole
from lamina.control.images.add import ImageFacts, ImageSource, add_image
from lamina.control.images.errors import (
    ImageDeviceError,
    ImageDeviceTakenError,
    ImageDiskCountError,
    ImageSourceMissingError,
)
from lamina.control.images.file_errors import ImportDataDiskSizeError, ImportSizeError
from lamina.control.images.import_data import ImportArguments, ImportedFile
from lamina.control.images.importing import IMPORT_IMAGE
from lamina.control.images.records import ImageDiskRecord, ImageRecord
from lamina.control.images.states import ImageOrigin, ImageState
from lamina.control.scope import Scope
from lamina.control.shown_tasks.files import ShownFile
from lamina.control.shown_tasks.show import show_task
from lamina.control.shown_tasks.states import TaskAction
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import HolderKind, SnapshotCategory, SnapshotKind, SnapshotState
from lamina.ids import mint_disk_id, mint_snapshot_id
from lamina.tasks.queue import enqueue
from lamina.units import GIB, count_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class FileToImport:
    """One file of an image to be; the first one of an image is that of the system disk.

    Attributes:
        bucket: of the account, in the scope's region.
        key: the object in it.
        format: what it is.
        size_bytes: its length now.
        size_gib: the size of the disk that it holds, at most; None if the caller does not say.
        device: what an instance calls the disk; by default that of the system disk, or the first that is free.
    """

    bucket: str
    key: str
    format: ImageFormat
    size_bytes: int
    size_gib: int | None = None
    device: str | None = None


def look_at_object(service: BucketService, bucket: str, key: str) -> tuple[int, ImageFormat]:
    """The length of an object, and its format by its name or else by its first bytes. To be asked once, and kept.

    Raises:
        BucketNotFoundError: the service does not have the bucket.
        ObjectNotFoundError: the bucket does not have the object.
        ObjectKeyError: no object has such a name.
        BucketForbiddenError: the service does not let us.
        Fault: the service failed.
    """
    size = service.stat(bucket, key).size_bytes
    named = find_format(key)
    if named is not None:
        return size, named
    with service.reading(bucket, key) as stream:
        return size, detect_format(stream.read(HEAD_BYTES))


def import_image(scope: Scope, facts: ImageFacts, files: Sequence[FileToImport]) -> ImageRecord:
    """Start an import; the image is `Waiting`, `Creating`, and `Available` or `CreateFailed` when its task has ended.

    Raises:
        ImageSourceMissingError: there is no file.
        ImageDiskCountError, ImageDeviceError, ImageDeviceTakenError: a disk is one too many, or misnamed.
        ImportSizeError: a disk may be larger than any.
        ImageNameTakenError and further: there is no room for the image; see `add.add_image`.
    """
    if not files:
        raise ImageSourceMissingError
    if len(files) - 1 > scope.limits.data_disks_per_instance:
        raise ImageDiskCountError(len(files) - 1, scope.limits.data_disks_per_instance)
    devices = _choose_devices(files)
    for device, file in zip(devices, files, strict=True):
        if file.size_gib is not None and file.size_gib > scope.limits.import_disk_gib:
            kind = ImportSizeError if device == SYSTEM_DEVICE else ImportDataDiskSizeError
            raise kind(device, file.size_gib, scope.limits.import_disk_gib)
    image = add_image(scope, facts, ImageSource(origin=ImageOrigin.IMPORTED), ImageState.WAITING)
    snapshots = [_add_disk(scope, image, device, file) for device, file in zip(devices, files, strict=True)]
    arguments = ImportArguments(
        account_id=scope.account_id,
        region_id=image.region_id,
        image_id=image.id,
        limit_gib=scope.limits.import_disk_gib,
        files=tuple(
            ImportedFile(
                device=device,
                snapshot_id=snapshot.id,
                bucket=file.bucket,
                key=file.key,
                format=file.format,
                size_gib=file.size_gib,
            )
            for device, file, snapshot in zip(devices, files, snapshots, strict=True)
        ),
    )
    image.task_id = enqueue(scope.session, scope.clock, IMPORT_IMAGE, arguments, key=image.id)
    for snapshot in snapshots:
        snapshot.task_id = image.task_id
    scope.session.flush()
    show_task(
        scope,
        image.task_id,
        TaskAction.IMPORT_IMAGE,
        resource_id=image.id,
        region_id=image.region_id,
        files=[ShownFile(bucket=file.bucket, key=file.key, format=file.format.value) for file in files],
    )
    return image


def _choose_devices(files: Sequence[FileToImport]) -> list[str]:
    """The device of each file's disk: as asked for, or the first that is free."""
    asked = [file.device for file in files if file.device is not None]
    free = iter([device for device in DATA_DEVICES if device not in asked])
    devices = [files[0].device or SYSTEM_DEVICE, *(file.device or next(free) for file in files[1:])]
    for index, device in enumerate(devices):
        if device not in (DATA_DEVICES if index else (SYSTEM_DEVICE,)):
            raise ImageDeviceError(device)
        if devices.count(device) > 1:
            raise ImageDeviceTakenError(device)
    return devices


def _add_disk(scope: Scope, image: ImageRecord, device: str, file: FileToImport) -> SnapshotRecord:
    """The rows of a disk and of its snapshot. Until the file is read, its length stands for the disk's size."""
    now = scope.clock.now()
    size_gib = file.size_gib or max(1, count_steps(file.size_bytes, GIB))
    role = DiskRole.SYSTEM if device == SYSTEM_DEVICE else DiskRole.DATA
    snapshot = SnapshotRecord(
        id=mint_snapshot_id(),
        account_id=scope.account_id,
        region_id=image.region_id,
        name=image.name,
        description=f"Imported for image {image.id}",
        kind=SnapshotKind.USER,
        category=SnapshotCategory.STANDARD,
        state=SnapshotState.PROGRESSING,
        disk_id=mint_disk_id(),
        disk_size_gib=size_gib,
        disk_role=role,
        created_at=now,
        modified_at=now,
    )
    scope.session.add(snapshot)
    scope.session.flush()
    sum_up_chain(scope.session, snapshot, now)
    scope.session.add(
        ImageDiskRecord(
            image_id=image.id,
            device=device,
            role=role,
            size_gib=size_gib,
            snapshot_id=snapshot.id,
            bucket=file.bucket,
            object_key=file.key,
            format=file.format.value.upper(),
        )
    )
    scope.session.flush()
    place_hold(scope.session, snapshot.id, HolderKind.IMAGE, image.id)
    return snapshot
