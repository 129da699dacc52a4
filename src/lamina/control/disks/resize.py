"""Make a disk larger (ResizeDisk)."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.disks.categories import check_size
from lamina.control.disks.errors import DiskShrinkError, DiskStateError
from lamina.control.disks.host import describe_drive, find_host, require_host_settled
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.instances.errors import InstanceNotRunningError
from lamina.control.instances.states import InstanceState
from lamina.control.keys.queries import require_enabled
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.queries import find_unfinished
from lamina.ids import DiskId, InstanceId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind
from lamina.units import GIB

_ALLOWED: Final = (DiskState.AVAILABLE, DiskState.IN_USE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeArguments:
    """Which disk, and its size before and after.

    Attributes:
        told_instance_id: the running machine that is told at once; None if the guest learns of it at its next start.
    """

    disk_id: DiskId
    old_size_gib: int
    new_size_gib: int
    told_instance_id: InstanceId | None


def resize_disk(scope: Scope, disk_id: DiskId, size_gib: int, *, is_online: bool = False) -> DiskRecord:
    """Start making a disk larger; it has the new size when its task has ended. What is new reads as zero.

    Args:
        scope: who asks.
        disk_id: which disk.
        size_gib: its new size.
        is_online: tell the running machine of it.

    Raises:
        DiskNotFoundError: the account has no such disk.
        InstanceSecurityLockError, InstanceArrearsError: its instance is locked.
        InstanceStateError: its instance is neither `Running` nor `Stopped`.
        InstanceNotRunningError: `is_online`, and no running machine has the disk.
        DiskStateError: it is neither `Available` nor `In_use`.
        SnapshotInProgressError: a snapshot of it is being created.
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        DiskShrinkError: it has that size, or is larger.
        DiskCategoryError: it is a local disk.
        DiskSizeError: its category has no disks of that size.
        TaskBusyError: it is being resized already.
    """
    disk = get_disk(scope, disk_id)
    require_host_settled(scope, disk)
    host = find_host(scope, disk)
    is_running = host is not None and host.state is InstanceState.RUNNING
    if is_online and not is_running:
        raise InstanceNotRunningError(disk_id)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk_id, disk.state, _ALLOWED)
    unfinished = find_unfinished(scope, disk_id)
    if unfinished is not None:
        raise SnapshotInProgressError(disk_id, unfinished.id)
    require_enabled(scope.session, disk.key_id)
    if size_gib <= disk.size_gib:
        raise DiskShrinkError(disk_id, disk.size_gib, size_gib)
    check_size(disk.category, disk.performance_level, size_gib)
    arguments = ResizeArguments(
        disk_id=disk_id,
        old_size_gib=disk.size_gib,
        new_size_gib=size_gib,
        told_instance_id=disk.instance_id if is_online else None,
    )
    disk.task_id = enqueue(scope.session, scope.clock, RESIZE_DISK, arguments, key=disk_id)
    return disk


def _grow(plant: Installation, task: ResizeArguments, _context: StepContext) -> None:
    plant.volumes.resize(task.disk_id, task.new_size_gib * GIB)


def _shrink(plant: Installation, task: ResizeArguments, _context: StepContext) -> None:
    # nobody was told of the new bytes yet, so nothing was written there
    plant.volumes.resize(task.disk_id, task.old_size_gib * GIB)


def _tell(plant: Installation, task: ResizeArguments, _context: StepContext) -> None:
    if task.told_instance_id is None:
        return
    with plant.database.reading() as session:
        disk = session.get(DiskRecord, task.disk_id)
    if disk is not None and disk.instance_id == task.told_instance_id:
        drive = describe_drive(plant.volumes, disk)
        plant.machines.resize(task.told_instance_id, drive)


def _settle(_plant: Installation, session: Session, task: ResizeArguments, outcome: Outcome) -> None:
    disk = session.get(DiskRecord, task.disk_id)
    if disk is not None and outcome.failure is None:
        disk.size_gib = task.new_size_gib


RESIZE_DISK: Final = TaskKind(
    name="resize-disk",
    arguments=ResizeArguments,
    lane=QUICK,
    steps=(Step(name="grow", run=_grow, undo=_shrink), Step(name="tell", run=_tell)),
    settle=_settle,
)
