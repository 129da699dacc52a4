"""Change the category or performance level of a disk (ModifyDiskSpec).

Every category lies on the same file system here, so the bytes stay where they are: what changes is what the disk is
called, which sizes it may have, and what it is billed as.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.disks.categories import DiskCategory, PerformanceLevel, check_size, choose_level
from lamina.control.disks.errors import DiskStateError, SameSpecError
from lamina.control.disks.host import require_host_settled
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.scope import Scope
from lamina.control.shown_tasks.show import show_task
from lamina.control.shown_tasks.states import TaskAction
from lamina.control.snapshots.errors import SnapshotInProgressError
from lamina.control.snapshots.queries import find_unfinished
from lamina.ids import DiskId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind

_ALLOWED: Final = (DiskState.AVAILABLE, DiskState.IN_USE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RespecArguments:
    """Which disk, and what it becomes."""

    disk_id: DiskId
    category: DiskCategory
    performance_level: PerformanceLevel | None


def respec_disk(
    scope: Scope,
    disk_id: DiskId,
    category: DiskCategory | None = None,
    performance_level: PerformanceLevel | None = None,
) -> TaskId:
    """Start changing what a disk is; what is None stays, and an ESSD gets PL1 unless told otherwise.

    Returns:
        The task; the disk has its new category when the task has ended.

    Raises:
        DiskNotFoundError: the account has no such disk.
        InstanceSecurityLockError, InstanceArrearsError: its instance is locked.
        InstanceStateError: its instance is neither `Running` nor `Stopped`.
        DiskStateError: it is neither `Available` nor `In_use`.
        SnapshotInProgressError: a snapshot of it is being created.
        SameSpecError: it is that already.
        DiskCategoryError: it is a local disk, or would be one.
        DiskSizeError: the new category or level has no disks of its size.
        TaskBusyError: it is being changed already.
    """
    disk = get_disk(scope, disk_id)
    require_host_settled(scope, disk)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk_id, disk.state, _ALLOWED)
    unfinished = find_unfinished(scope, disk_id)
    if unfinished is not None:
        raise SnapshotInProgressError(disk_id, unfinished.id)
    new_category = category or disk.category
    kept_level = disk.performance_level if new_category is disk.category else None
    new_level = choose_level(new_category, performance_level or kept_level)
    if (new_category, new_level) == (disk.category, disk.performance_level):
        raise SameSpecError(disk_id)
    check_size(disk.category, disk.performance_level, disk.size_gib)
    check_size(new_category, new_level, disk.size_gib)
    arguments = RespecArguments(disk_id=disk_id, category=new_category, performance_level=new_level)
    task_id = enqueue(scope.session, scope.clock, RESPEC_DISK, arguments, key=disk_id)
    show_task(scope, task_id, TaskAction.MODIFY_DISK_SPEC, resource_id=disk_id, region_id=disk.region_id)
    disk.task_id = task_id
    return task_id


def _look(plant: Installation, task: RespecArguments, _context: StepContext) -> None:
    with plant.volumes.open(task.disk_id):
        pass


def _settle(_plant: Installation, session: Session, task: RespecArguments, outcome: Outcome) -> None:
    disk = session.get(DiskRecord, task.disk_id)
    if disk is not None and outcome.failure is None:
        disk.category = task.category
        disk.performance_level = task.performance_level


RESPEC_DISK: Final = TaskKind(
    name="modify-disk-spec",
    arguments=RespecArguments,
    lane=QUICK,
    steps=(Step(name="look", run=_look),),
    settle=_settle,
)
