"""The task that removes the bytes of a deleted disk, and then its row."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.disks.leave import drop_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.installation import Installation
from lamina.ids import DiskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import QUICK, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDiskArguments:
    """Which disk."""

    disk_id: DiskId


def _remove(plant: Installation, task: RemoveDiskArguments, _context: StepContext) -> None:
    plant.volumes.remove(task.disk_id)


def _settle(_plant: Installation, session: Session, task: RemoveDiskArguments, outcome: Outcome) -> None:
    disk = session.get(DiskRecord, task.disk_id)
    if disk is not None and outcome.failure is None:
        drop_disk(session, disk)  # otherwise it stays `Deleting`, and a reconciler tries again


REMOVE_DISK: Final = TaskKind(
    name="remove-disk",
    arguments=RemoveDiskArguments,
    lane=QUICK,
    steps=(Step(name="remove", run=_remove),),
    settle=_settle,
)
