"""The task that makes a disk from a snapshot: one copy, which goes on where it stopped."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.disks.copying import copy_to_disk, open_data
from lamina.control.disks.empty import settle_creation
from lamina.control.disks.unlock import make_volume, open_volume
from lamina.control.installation import Installation
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildArguments:
    """Which disk, how large, and from which snapshot."""

    account_id: AccountId
    region_id: RegionId
    disk_id: DiskId
    size_bytes: int
    snapshot_id: SnapshotId


def _make(plant: Installation, task: BuildArguments, _context: StepContext) -> None:
    with make_volume(plant, task.disk_id, task.size_bytes) as target:
        target.flush()


def _unmake(plant: Installation, task: BuildArguments, _context: StepContext) -> None:
    plant.volumes.remove(task.disk_id)


def _fill(plant: Installation, task: BuildArguments, context: StepContext) -> None:
    repository = open_data(plant, task.snapshot_id)
    with open_volume(plant, task.disk_id) as target:
        copy_to_disk(repository, task.snapshot_id, target, context, plant.settings.workers)


def _settle(_plant: Installation, session: Session, task: BuildArguments, outcome: Outcome) -> None:
    settle_creation(session, task.disk_id, outcome)


BUILD_DISK: Final = TaskKind(
    name="build-disk-from-snapshot",
    arguments=BuildArguments,
    lane=COPY,
    steps=(Step(name="make", run=_make, undo=_unmake), Step(name="fill", run=_fill)),
    settle=_settle,
)
