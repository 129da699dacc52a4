"""The task that exports an image: every disk of it becomes one object in a bucket.

    raw          restored by ourselves: into a sparse file that the bucket takes over, or, where it takes none over,
                 as a stream that needs no room here
    the others   `qemu-img` reads the snapshot from our own NBD server, so that no raw copy is made, and writes a
                 file in a scratch folder; the bucket takes that over, or it is uploaded

An object gets its name when it is complete, and the names have the task's id in them: undoing removes exactly these.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sqlalchemy.orm import Session

from lamina.blockio.qemu.formats import ImageFormat
from lamina.blockio.qemu.image_tool import FileSource, ImageTool
from lamina.blockio.raw_file import RawFileTarget
from lamina.control.buckets.bucket_service import BucketService
from lamina.control.disks.copying import open_data
from lamina.control.images.own_bucket import open_own_bucket
from lamina.control.images.part import Part
from lamina.control.images.scratch import (
    FILES,
    ScratchProgress,
    clear_scratch,
    drop_scratch,
    find_scratch,
    require_room,
    watch,
)
from lamina.control.images.served import serving
from lamina.control.installation import Installation
from lamina.engine.repository import Repository
from lamina.ids import AccountId, ImageId, RegionId, SnapshotId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import Step, TaskKind
from lamina.transfer.progress import Progress
from lamina.transfer.restore import RestoreRequest, restore
from lamina.transfer.stream import stream
from lamina.units import GIB, MIB

_EXPORT: Final = "export"
_ZEROS: Final = bytes(MIB)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedDisk:
    """One disk of the image.

    Attributes:
        snapshot_id: whose bytes; None for an empty disk.
        size_gib: the size of an empty one; any other is as large as its snapshot.
    """

    snapshot_id: SnapshotId | None
    size_gib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportArguments:
    """Which image, where to and how. The system disk comes first."""

    account_id: AccountId
    region_id: RegionId
    image_id: ImageId
    bucket: str
    prefix: str | None
    format: ImageFormat
    disks: tuple[ExportedDisk, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Checkpoint: so many of the disks are in the bucket."""

    disks: int


def name_object(task: ExportArguments, task_id: TaskId, index: int) -> str:
    """The key of a disk's object; 0 is the system disk."""
    prefix = [task.prefix] if task.prefix else []
    number = ["data", str(index)] if index else []
    return "_".join([*prefix, task.image_id, task_id, *number]) + f".{task.format.value}"


def _export(plant: Installation, task: ExportArguments, context: StepContext) -> None:
    done = context.load(Exported)
    for index in range(done.disks if done is not None else 0, len(task.disks)):
        _export_disk(plant, task, context, index)
        context.save(Exported(disks=index + 1))
    drop_scratch(_find_scratch(plant, task, context))


def _unexport(plant: Installation, task: ExportArguments, context: StepContext) -> None:
    drop_scratch(_find_scratch(plant, task, context))
    service = plant.buckets.service(task.region_id)
    for index in range(len(task.disks)):
        service.delete(task.bucket, name_object(task, context.lease.task_id, index))


def _settle(_plant: Installation, _session: Session, _task: ExportArguments, _outcome: Outcome) -> None:
    """Nothing: the image is as it was, and its `export_task_id` tells how this ended."""


EXPORT_IMAGE: Final = TaskKind(
    name="export-image",
    arguments=ExportArguments,
    lane=FILES,
    steps=(Step(name=_EXPORT, run=_export, undo=_unexport),),
    settle=_settle,
)


def _export_disk(plant: Installation, task: ExportArguments, context: StepContext, index: int) -> None:
    """Have one disk in the bucket.

    Raises:
        ProgramMissingError: qemu-img is needed and not installed.
        BucketNotFoundError, BucketFullError, BucketForbiddenError: the bucket does not take it.
        ScratchFullError: there is no room to convert it.
        Corruption: the snapshot is damaged.
        Fault: a store, the file system or the program failed.
        Cancelled: the step was told to stop.
    """
    service = _open_bucket(plant, task)
    key = name_object(task, context.lease.task_id, index)
    source = _open(plant, task.disks[index])
    part = Part(context=context, index=index, count=len(task.disks))
    if task.format is ImageFormat.RAW and service.scratch() is None:
        with service.writing(task.bucket, key) as out:
            _stream(source, out, part)
        return
    folder = find_scratch(plant, context.lease.task_id, service)
    clear_scratch(folder)
    require_room(folder, source.used_bytes)
    file = FileSource(path=folder / f"disk.{task.format.value}", format=task.format)
    if task.format is ImageFormat.RAW:
        _restore(source, file.path, part)
    else:
        _convert(source, folder, file, part)
    context.check()
    _open_bucket(plant, task).put(task.bucket, key, file.path)  # hours may have passed
    drop_scratch(folder)


def _open_bucket(plant: Installation, task: ExportArguments) -> BucketService:
    return open_own_bucket(plant, task.account_id, task.region_id, task.bucket)


def _find_scratch(plant: Installation, task: ExportArguments, context: StepContext) -> Path:
    return find_scratch(plant, context.lease.task_id, plant.buckets.service(task.region_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """The bytes of a disk.

    Attributes:
        size_bytes: how large it is.
        used_bytes: how much room a file with its data takes at least.
        stored: where they are; None if there are none.
        request: how they are fetched.
    """

    size_bytes: int
    used_bytes: int = 0
    stored: tuple[Repository, SnapshotId] | None = None
    request: RestoreRequest


def _open(plant: Installation, disk: ExportedDisk) -> _Source:
    request = RestoreRequest(workers=plant.settings.workers)
    if disk.snapshot_id is None:
        return _Source(size_bytes=disk.size_gib * GIB, request=request)
    repository = open_data(plant, disk.snapshot_id)
    manifest = repository.read_manifest(disk.snapshot_id)
    return _Source(
        size_bytes=manifest.size_bytes,
        used_bytes=manifest.used_bytes,
        stored=(repository, disk.snapshot_id),
        request=request,
    )


def _stream(source: _Source, out: IO[bytes], part: Part) -> None:
    """Write a disk from its first byte to its last."""
    if source.stored is None:
        for _ in range(source.size_bytes // MIB):
            part.context.check()
            out.write(_ZEROS)
        return

    def write(data: bytes | memoryview) -> None:
        out.write(data)

    progress = Progress()
    with part.following(progress):
        stream(*source.stored, write, source.request, progress)


def _restore(source: _Source, path: Path, part: Part) -> None:
    """Write a disk into a sparse file."""
    with RawFileTarget.create(path, source.size_bytes) as target:
        if source.stored is not None:
            progress = ScratchProgress(path.parent)
            with part.following(progress):
                restore(*source.stored, target, source.request, progress)
        target.flush()


def _convert(source: _Source, folder: Path, file: FileSource, part: Part) -> None:
    """Have `qemu-img` make a file of a disk, and check what it made."""
    tool = ImageTool(folder)
    if source.stored is None:
        tool.create(file.path, file.format, source.size_bytes)
        return
    look = watch(folder, part.context, part.report)
    with serving(*source.stored, folder) as disk:
        tool.convert(disk, file, source.size_bytes, look)
    tool.check(file)
