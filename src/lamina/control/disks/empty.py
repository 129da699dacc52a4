"""The task that makes an empty disk."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.disks.leave import drop_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.disks.unlock import make_volume
from lamina.control.installation import Installation
from lamina.ids import DiskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import QUICK, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyArguments:
    """Which disk, and how large."""

    disk_id: DiskId
    size_bytes: int


def _make(plant: Installation, task: EmptyArguments, _context: StepContext) -> None:
    with make_volume(plant, task.disk_id, task.size_bytes) as target:
        target.flush()


def _unmake(plant: Installation, task: EmptyArguments, _context: StepContext) -> None:
    plant.volumes.remove(task.disk_id)


def settle_creation(session: Session, disk_id: DiskId, outcome: Outcome) -> None:
    """A new disk becomes `Available`; one that could not be made leaves nothing behind."""
    disk = session.get(DiskRecord, disk_id)
    if disk is None:
        return
    if outcome.failure is None:
        disk.move_to(DiskState.AVAILABLE)
    else:
        drop_disk(session, disk)


def _settle(_plant: Installation, session: Session, task: EmptyArguments, outcome: Outcome) -> None:
    settle_creation(session, task.disk_id, outcome)


MAKE_EMPTY_DISK: Final = TaskKind(
    name="make-empty-disk",
    arguments=EmptyArguments,
    lane=QUICK,
    steps=(Step(name="make", run=_make, undo=_unmake),),
    settle=_settle,
)
