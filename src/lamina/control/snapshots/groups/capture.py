"""The task that takes the snapshots of a group. How, and what an interruption does: `together`."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.snapshots.groups.together import (
    COPY_STEP,
    Together,
    copy_together,
    freeze_together,
    settle_together,
    thaw_together,
    tidy_together,
    uncopy_together,
)
from lamina.control.snapshots.records import GroupRecord
from lamina.control.snapshots.states import GroupState
from lamina.ids import AccountId, DiskId, RegionId, SnapshotGroupId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.task import COPY, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArguments:
    """Which group; the members' snapshots by their disks."""

    account_id: AccountId
    region_id: RegionId
    group_id: SnapshotGroupId
    members: dict[DiskId, SnapshotId]

    @property
    def together(self) -> Together:
        """What is captured at one instant."""
        return Together(
            account_id=self.account_id,
            region_id=self.region_id,
            whole_id=self.group_id,
            members=self.members,
        )


def _freeze(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    freeze_together(plant, task.together)


def _thaw(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    thaw_together(plant, task.together)


def _copy(plant: Installation, task: GroupArguments, context: StepContext) -> None:
    copy_together(plant, task.together, context)


def _uncopy(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    uncopy_together(plant, task.together)


def _tidy(plant: Installation, task: GroupArguments, _context: StepContext) -> None:
    tidy_together(plant, task.together)


def _settle(plant: Installation, session: Session, task: GroupArguments, outcome: Outcome) -> None:
    settle_together(plant, session, task.together, outcome)
    group = session.get(GroupRecord, task.group_id)
    if group is None or group.state is not GroupState.PROGRESSING:
        return  # it was deleted meanwhile
    if outcome.failure is None:
        group.move_to(GroupState.ACCOMPLISHED)
    else:
        group.move_to(GroupState.FAILED)
        group.failure = outcome.failure.message


CAPTURE_GROUP: Final = TaskKind(
    name="capture-group",
    arguments=GroupArguments,
    lane=COPY,
    steps=(
        Step(name="freeze", run=_freeze, undo=_thaw),
        Step(name=COPY_STEP, run=_copy, undo=_uncopy),
        Step(name="tidy", run=_tidy),
    ),
    settle=_settle,
)
