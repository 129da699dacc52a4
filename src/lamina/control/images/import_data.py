"""The way of one file from a bucket into the account's repository: fetched, checked, converted, captured.

The object is fetched into the scratch folder as a whole and checked there: what is checked is what is read later,
whatever becomes of the object meanwhile. Other formats than raw are converted into a second, sparse file, from which
any number of threads can read; both are gone when the disk is captured.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from sqlalchemy import select

from lamina.blockio.qemu.formats import ImageFormat
from lamina.blockio.qemu.headers import ImageFileError, check_headers
from lamina.blockio.qemu.image_tool import FileSource, ImageTool
from lamina.blockio.qemu.running import ProgramFailedError
from lamina.blockio.raw_file import RawFileSource
from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.records import DiskRecord
from lamina.control.images.file_errors import ImportDataError, ImportSizeError
from lamina.control.images.import_end import ImportedDisk
from lamina.control.images.own_bucket import open_own_bucket
from lamina.control.images.part import Part
from lamina.control.images.scratch import clear_scratch, drop_scratch, find_scratch, require_room, watch
from lamina.control.installation import Installation
from lamina.control.regions.records import ZoneRecord
from lamina.control.snapshots.annotations import annotate
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.settle import find_manifest, measure
from lamina.control.snapshots.stored import ensure_repository
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.repository import Repository
from lamina.failures import Fault
from lamina.ids import AccountId, ImageId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.transfer.capture import CaptureRequest, capture
from lamina.transfer.progress import Progress
from lamina.units import GIB, count_steps

_FETCH, _CONVERT, _CAPTURE, _PHASES = 0, 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFile:
    """One disk of the image, and the object that it is imported from.

    Attributes:
        device: what an instance will call it.
        snapshot_id: the snapshot that will have its bytes.
        bucket: where the object is.
        key: what it is called.
        format: what it is.
        size_gib: the largest disk that it may hold, and the least that is made of it; None for the largest there is,
            and as much as it holds.
    """

    device: str
    snapshot_id: SnapshotId
    bucket: str
    key: str
    format: ImageFormat
    size_gib: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportArguments:
    """Which image, and what it is made of.

    Attributes:
        limit_gib: the largest disk that a file may hold.
        files: the system disk's comes first.
    """

    account_id: AccountId
    region_id: RegionId
    image_id: ImageId
    limit_gib: int
    files: tuple[ImportedFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport:
    """One file on its way.

    Attributes:
        plant: the installation.
        task: the import that it is a part of.
        context: of the step.
        index: which of the files.
    """

    plant: Installation
    task: ImportArguments
    context: StepContext
    index: int

    def run(self) -> ImportedDisk:
        """Have the file's disk as a snapshot; one that an earlier attempt captured is not captured again.

        Raises:
            BucketNotFoundError, ObjectNotFoundError, BucketForbiddenError: the object cannot be read.
            ImportDataError: it is not what it was said to be, or damaged, or needs other files.
            ImportSizeError: its disk is larger than was said.
            ProgramMissingError: qemu-img is needed and not installed.
            ScratchFullError: there is no room to convert it.
            Fault: a store or the file system failed.
            Cancelled: the step was told to stop.
        """
        repository = ensure_repository(self.plant, self._file.snapshot_id)
        manifest = find_manifest(repository, self._file.snapshot_id)
        if manifest is None:
            folder = find_scratch(self.plant, self.context.lease.task_id)
            clear_scratch(folder)
            self._capture(repository, self._convert(folder, self._fetch(folder)))
            drop_scratch(folder)
            manifest = repository.read_manifest(self._file.snapshot_id)
        return ImportedDisk(
            snapshot_id=self._file.snapshot_id,
            size_gib=self._choose_size(manifest.size_bytes),
            copied=measure(manifest, tracking=None),
        )

    @property
    def _file(self) -> ImportedFile:
        return self.task.files[self.index]

    def _fetch(self, folder: Path) -> FileSource:
        """The object in the scratch folder; blocks of zeros are holes."""
        file, part = self._file, self._part(_FETCH)
        service = open_own_bucket(self.plant, self.task.account_id, self.task.region_id, file.bucket)
        size = service.stat(file.bucket, file.key).size_bytes
        if file.format is ImageFormat.RAW:
            self._choose_size(size)
        path = folder / "object"
        with service.reading(file.bucket, file.key) as source, _new_file(path) as target:
            done = 0
            while data := source.read(BLOCK_BYTES):
                self.context.check()
                require_room(folder)
                _write_sparse(target, data)
                done += len(data)
                part.report(done / max(size, done))
            target.truncate(done)
        return FileSource(path=path, format=file.format)

    def _convert(self, folder: Path, source: FileSource) -> Path:
        """The raw disk of a file that is checked before."""
        try:
            self._choose_size(check_headers(source.path, source.format))
            if source.format is ImageFormat.RAW:
                return source.path
            tool = ImageTool(folder)
            size = tool.measure(source)
            if size == 0:  # where a format says its size twice, the tool may read the other one
                raise ImportDataError(self._file.device, "its disk has no bytes")
            self._choose_size(size)
            target = FileSource(path=folder / "disk.raw", format=ImageFormat.RAW)
            look = watch(folder, self.context, self._part(_CONVERT).report)
            tool.convert(source, target, size, look)
        except ImageFileError as error:
            raise ImportDataError(self._file.device, str(error)) from error
        except ProgramFailedError as error:
            raise ImportDataError(self._file.device, error.reason) from error
        source.path.unlink()
        return target.path

    def _capture(self, repository: Repository, path: Path) -> None:
        progress = Progress()
        with closing(RawFileSource(path)) as source:
            name, annotations = self._describe(self._choose_size(source.size_bytes))
            request = CaptureRequest(
                snapshot_id=self._file.snapshot_id,
                name=name,
                annotations=annotations,
                workers=self.plant.settings.workers,
                zstd_level=self.plant.settings.zstd_level,
            )
            with self._part(_CAPTURE).following(progress):
                capture(repository, source, request, progress)

    def _describe(self, size_gib: int) -> tuple[str, dict[str, str]]:
        """The name of the snapshot, and its annotations: those of a disk that never was, and could have been."""
        with self.plant.database.reading() as session:
            snapshot = session.get(SnapshotRecord, self._file.snapshot_id)
            assert snapshot is not None, "a snapshot's row outlives its task"
            of_region = select(ZoneRecord.id).where(ZoneRecord.region_id == self.task.region_id)
            disk = DiskRecord(
                id=snapshot.disk_id,
                zone_id=session.scalars(of_region.order_by(ZoneRecord.id).limit(1)).one(),
                role=snapshot.disk_role,
                category=DiskCategory.CLOUD_AUTO,
                size_gib=size_gib,
                created_at=snapshot.created_at,
            )
            return snapshot.name or "", annotate(snapshot, disk, {})

    def _choose_size(self, size_bytes: int) -> int:
        """How large the disk is, in whole GiB.

        Raises:
            ImportSizeError: larger than it may be.
        """
        found = count_steps(size_bytes, GIB)
        allowed = self._file.size_gib or self.task.limit_gib
        if found > allowed:
            raise ImportSizeError(self._file.device, found, allowed)
        return max(found, self._file.size_gib or 1)

    def _part(self, phase: int) -> Part:
        count = len(self.task.files) * _PHASES
        return Part(context=self.context, index=self.index * _PHASES + phase, count=count)


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("wb", buffering=0) as file:
            yield file
    except OSError as error:
        raise Fault(f"{path} cannot be written: {error.strerror}", retryable=True) from error


_ZEROS: Final = bytes(BLOCK_BYTES)


def _write_sparse(file: IO[bytes], data: bytes) -> None:
    if data == _ZEROS[: len(data)]:
        file.seek(len(data), 1)
        return
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
