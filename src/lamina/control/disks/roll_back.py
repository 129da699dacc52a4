"""The task that rolls a disk back, in place.

The snapshot is looked at before the first byte of the disk changes: if it cannot be read, the disk is `Available`
again with its bytes untouched. From the first byte on there is only the way forward: the disk stays `ReIniting`,
through crashes, restarts and further tasks, until all of it is the snapshot's. Writing nothing but what differs makes
every attempt continue where the last one stopped.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.disks.copying import copy_to_disk, open_data
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.disks.unlock import open_volume
from lamina.control.installation import Installation
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind

_WRITE: Final = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBackArguments:
    """Which disk, and to which snapshot; `region_id` is the snapshot's.

    Attributes:
        is_touched: an earlier task may have begun to replace the bytes.
    """

    account_id: AccountId
    region_id: RegionId
    disk_id: DiskId
    snapshot_id: SnapshotId
    is_touched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Touched:
    """Checkpoint: bytes of the disk may have changed."""

    has_begun: bool


def _look(plant: Installation, task: RollBackArguments, _context: StepContext) -> None:
    open_data(plant, task.snapshot_id)
    with open_volume(plant, task.disk_id):
        pass


def _write(plant: Installation, task: RollBackArguments, context: StepContext) -> None:
    repository = open_data(plant, task.snapshot_id)
    # nobody is connected any more, but a last write of an ended connection may still be on its way
    plant.volumes.end_turn(task.disk_id)
    context.save(_Touched(has_begun=True))
    with open_volume(plant, task.disk_id) as target:
        copy_to_disk(repository, task.snapshot_id, target, context, plant.settings.workers)


def _settle(_plant: Installation, session: Session, task: RollBackArguments, outcome: Outcome) -> None:
    disk = session.get(DiskRecord, task.disk_id)
    if disk is None or disk.state is not DiskState.REINITING:
        return
    is_touched = task.is_touched or outcome.checkpoints.load(_WRITE, _Touched) is not None
    if outcome.failure is None or not is_touched:
        disk.move_to(disk.rest_state)
        disk.reset_snapshot_id = None


ROLL_BACK_DISK: Final = TaskKind(
    name="roll-back-disk",
    arguments=RollBackArguments,
    lane=COPY,
    steps=(Step(name="look", run=_look), Step(name=_WRITE, run=_write)),
    settle=_settle,
)
