"""The task that removes the data of a deleted snapshot, and then its row.

Removing is cheap: the manifest is marked, and what only this snapshot used is found by a later sweep.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import delete
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.installation import Installation
from lamina.control.snapshots.holds import drop_holds
from lamina.control.snapshots.records import LockRecord, NoteRecord, SnapshotRecord
from lamina.control.snapshots.stored import find_repository_to_tidy
from lamina.control.tags.put import drop_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.repository import SnapshotNotFoundError
from lamina.ids import AccountId, RegionId, SnapshotId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSnapshotArguments:
    """Which snapshot."""

    account_id: AccountId
    region_id: RegionId
    snapshot_id: SnapshotId


def start_removal(session: Session, clock: Clock, snapshot: SnapshotRecord) -> None:
    """Have the data of a snapshot in state `deleting` removed."""
    arguments = RemoveSnapshotArguments(
        account_id=snapshot.account_id, region_id=snapshot.region_id, snapshot_id=snapshot.id
    )
    snapshot.task_id = enqueue(session, clock, REMOVE_SNAPSHOT, arguments, key=snapshot.id)


def drop_snapshot(session: Session, snapshot: SnapshotRecord) -> None:
    """Forget a snapshot whose data is gone."""
    drop_holds(session, snapshot.id)
    session.execute(delete(LockRecord).where(LockRecord.snapshot_id == snapshot.id))
    session.execute(delete(NoteRecord).where(NoteRecord.snapshot_id == snapshot.id))
    drop_tags(session, ResourceType.SNAPSHOT, snapshot.id)
    session.delete(snapshot)
    session.flush()


def remove_data(plant: Installation, snapshot_id: SnapshotId) -> None:
    """Make the data of a snapshot not exist, whatever its key may be used for; twice does no harm.

    Raises:
        Fault: the store failed.
    """
    repository = find_repository_to_tidy(plant, snapshot_id)
    if repository is None:
        return
    try:
        repository.delete_snapshot(snapshot_id)
    except SnapshotNotFoundError:
        return


def _remove(plant: Installation, task: RemoveSnapshotArguments, _context: StepContext) -> None:
    remove_data(plant, task.snapshot_id)


def _settle(_plant: Installation, session: Session, task: RemoveSnapshotArguments, outcome: Outcome) -> None:
    snapshot = session.get(SnapshotRecord, task.snapshot_id)
    if snapshot is not None and outcome.failure is None:
        drop_snapshot(session, snapshot)  # otherwise it stays `deleting`, and a reconciler tries again


REMOVE_SNAPSHOT: Final = TaskKind(
    name="remove-snapshot",
    arguments=RemoveSnapshotArguments,
    lane=QUICK,
    steps=(Step(name="remove", run=_remove),),
    settle=_settle,
    is_background=True,  # to its owner the snapshot is gone already; a burst of them expires at once
)
