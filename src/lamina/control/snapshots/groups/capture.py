"""The task that takes the snapshots of a group. How, and what an interruption does: `together`."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.installation import Installation
from lamina.control.snapshots.groups.together import Together, capture_together
from lamina.control.snapshots.records import GroupRecord
from lamina.control.snapshots.states import GroupState
from lamina.ids import AccountId, DiskId, RegionId, SnapshotGroupId, SnapshotId
from lamina.tasks.outcome import Outcome


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


def _settle(_plant: Installation, session: Session, task: GroupArguments, outcome: Outcome) -> None:
    group = session.get(GroupRecord, task.group_id)
    if group is None or group.state is not GroupState.PROGRESSING:
        return  # it was deleted meanwhile
    if outcome.failure is None:
        group.move_to(GroupState.ACCOMPLISHED)
    else:
        group.move_to(GroupState.FAILED)
        group.failure = outcome.failure.message


CAPTURE_GROUP: Final = capture_together("capture-group", GroupArguments, _settle)
