"""Copy a disk into a new one (CloneDisks): freeze it, make the new disk, copy what holds data, drop the freeze."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy.orm import Session

from lamina.blockio.extents import ExtentKind
from lamina.blockio.file_volume import FrozenVolume, forget
from lamina.blockio.source import BlockSource
from lamina.control.disks.categories import DiskCategory, PerformanceLevel, check_size, choose_level
from lamina.control.disks.empty import settle_creation
from lamina.control.disks.errors import DiskShrinkError
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.disks.unlock import find_sealing, make_volume
from lamina.control.disks.volumes import Volume
from lamina.control.installation import Installation
from lamina.control.keys.choose import AS_SOURCE, Encryption, choose_key
from lamina.control.scope import Scope
from lamina.control.snapshots.create import check_disk
from lamina.control.snapshots.states import SnapshotKind
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import DiskId, mint_disk_id
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import COPY, Step, TaskKind
from lamina.units import MIB

_PIECE_BYTES: Final = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskClone:
    """A copy to be. Its name was checked by whoever asks.

    Attributes:
        source_id: what is copied.
        category: what the copy is.
        performance_level: of an ESSD; PL1 unless given.
        size_gib: how large; not smaller than the source.
        encryption: how it is encrypted; as its source by default.
        tags: key to value.
    """

    source_id: DiskId
    category: DiskCategory
    performance_level: PerformanceLevel | None = None
    size_gib: int
    encryption: Encryption = AS_SOURCE
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneArguments:
    """Which disk, the new one, and its size."""

    source_id: DiskId
    disk_id: DiskId
    size_bytes: int


def clone_disk(scope: Scope, new: DiskClone) -> DiskRecord:
    """Start copying a disk; the copy is `Creating`, and `Available` when its task has ended.

    Until then nothing else is done with the source: no snapshot, no rolling back, no deletion.

    Raises:
        DiskNotFoundError: the account has no such disk.
        InstanceSecurityLockError: its instance is locked.
        InstanceStateError: its instance is neither `Running` nor `Stopped`.
        DiskNeverUsedError, NeverAttachedError: nothing can have been written to it.
        DiskStateError: it is neither `Available` nor `In_use`.
        SnapshotInProgressError: a snapshot of it is being created.
        DiskShrinkError: the copy would be smaller than its source.
        DiskCategoryError, DiskSizeError: such disks cannot be created.
        KeyWithoutEncryptionError and further: it cannot be encrypted so; see `keys.choose`.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
        TaskBusyError: something else is being done with it.
    """
    source = get_disk(scope, new.source_id)
    check_disk(scope, source, SnapshotKind.AUTO)  # as for a snapshot, without the quota of manual ones
    if new.size_gib < source.size_gib:
        raise DiskShrinkError(source.id, source.size_gib, new.size_gib)
    level = choose_level(new.category, new.performance_level)
    check_size(new.category, level, new.size_gib)
    disk = DiskRecord(
        id=mint_disk_id(),
        account_id=scope.account_id,
        region_id=source.region_id,
        zone_id=source.zone_id,
        name=new.name,
        role=DiskRole.DATA,
        category=new.category,
        performance_level=level,
        size_gib=new.size_gib,
        state=DiskState.CREATING,
        was_attached=False,
        source_disk_id=source.id,
        key_id=choose_key(replace(scope, region_id=source.region_id), new.encryption, source.key_id),
        created_at=scope.clock.now(),
    )
    scope.session.add(disk)
    scope.session.flush()
    put_tags(scope, ResourceType.DISK, disk, new.tags)
    arguments = CloneArguments(source_id=source.id, disk_id=disk.id, size_bytes=disk.size_bytes)
    disk.task_id = enqueue(scope.session, scope.clock, CLONE_DISK, arguments, key=source.id)
    return disk


def _freeze(plant: Installation, task: CloneArguments, _context: StepContext) -> None:
    with plant.volumes.exclusive(task.source_id):
        _take(plant, task).close()


def _thaw(plant: Installation, task: CloneArguments, _context: StepContext) -> None:
    forget(plant.volumes.frozen_folder(task.source_id), task.disk_id)


def _copy(plant: Installation, task: CloneArguments, context: StepContext) -> None:
    with (
        _take(plant, task) as frozen,
        make_volume(plant, task.disk_id, task.size_bytes) as target,
    ):
        _copy_data(frozen.source, target, context)
        target.flush()


def _remove_copy(plant: Installation, task: CloneArguments, _context: StepContext) -> None:
    plant.volumes.remove(task.disk_id)


def _settle(_plant: Installation, session: Session, task: CloneArguments, outcome: Outcome) -> None:
    settle_creation(session, task.disk_id, outcome)


CLONE_DISK: Final = TaskKind(
    name="clone-disk",
    arguments=CloneArguments,
    lane=COPY,
    steps=(
        Step(name="freeze", run=_freeze, undo=_thaw),
        Step(name="copy", run=_copy, undo=_remove_copy),
        Step(name="thaw", run=_thaw),
    ),
    settle=_settle,
)


def _take(plant: Installation, task: CloneArguments) -> FrozenVolume:
    find_sealing(plant, task.source_id)  # refuses a key that cannot be used now
    return plant.volumes.freeze(task.source_id, task.disk_id, None)


def _copy_data(source: BlockSource, target: Volume, context: StepContext) -> None:
    extents = [each for each in source.list_extents(0, source.size_bytes) if each.kind is ExtentKind.DATA]
    known = sum(each.length for each in extents)
    done = 0
    for extent in extents:
        for offset in range(extent.offset, extent.end, _PIECE_BYTES):
            context.check()
            piece = bytearray(min(_PIECE_BYTES, extent.end - offset))
            source.read_into(offset, [piece])
            target.write(offset, [piece])
            done += len(piece)
            context.progress(done, known)
