"""Destroy keys whose waiting period is over, and clear away what nobody can read from then on.

    shred      the material, for good; with this everything that the key protected is gone, wherever copies of it are
    disks      the files of its disks
    snapshots  are marked: their data is missing
    objects    those of its repository

The rows of disks, snapshots and images stay until their owner deletes them. There is no way back from the first step:
a task that fails is started again until all is done. So is one that met a snapshot in the making, which opened the
repository while it could: what that still writes is cleared away when it has ended.
"""

import logging
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.disks.records import DiskRecord
from lamina.control.installation import Installation
from lamina.control.keys.records import KeyRecord
from lamina.control.keys.states import KeyState
from lamina.control.repositories import Place
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import AccountId, DiskId, KeyId, RegionId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue, find_active
from lamina.tasks.task import QUICK, Step, TaskKind
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_SNAPSHOTS: Final = "snapshots"
_UNFINISHED: Final = (
    SnapshotState.PROGRESSING,
    SnapshotState.DELETING,
)  # a deleted one may be in the making, too


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyArguments:
    """Which key, and whose."""

    account_id: AccountId
    region_id: RegionId
    key_id: KeyId


@dataclass(frozen=True, slots=True, kw_only=True)
class _Met:
    """Checkpoint: whether somebody may still write into the key's repository."""

    has_writers: bool


def destroy_due_keys(plant: Installation) -> None:
    """Start the destruction of every key whose waiting period is over, and let go of what others destroyed."""
    plant.repositories.forget_destroyed()
    with plant.database.reading() as session:
        due = session.scalars(select(KeyRecord.id).where(KeyRecord.deletes_at <= plant.clock.now())).all()
    for key_id in due:
        with plant.database.transaction() as session:
            is_news = _start(plant, session, key_id)
        if is_news:
            log(_LOGGER, logging.WARNING, "a key is destroyed: its waiting period is over", key_id=key_id)


def _start(plant: Installation, session: Session, key_id: KeyId) -> bool:
    """Start the task, unless there is nothing to do now; answers whether it is the first one of the key."""
    key = session.get_one(KeyRecord, key_id)
    if key.deletes_at is None or key.deletes_at > plant.clock.now():
        return False  # it was cancelled in the last moment, or all is done
    if find_active(session, key_id) is not None:
        return False  # it is being destroyed, or its last rotation ends first
    is_first = key.state is KeyState.PENDING_DELETION
    if is_first:
        key.move_to(KeyState.DESTROYED)
    arguments = DestroyArguments(account_id=key.account_id, region_id=key.region_id, key_id=key.id)
    key.task_id = enqueue(session, plant.clock, DESTROY_KEY, arguments, key=key.id)
    return is_first


def _shred(plant: Installation, task: DestroyArguments, _context: StepContext) -> None:
    plant.keys.destroy(task.key_id)
    plant.repositories.forget_destroyed()


def _remove_disks(plant: Installation, task: DestroyArguments, _context: StepContext) -> None:
    for disk_id in _list_disks(plant, task.key_id):
        plant.volumes.remove(disk_id)


def _list_disks(plant: Installation, key_id: KeyId) -> list[DiskId]:
    with plant.database.reading() as session:
        return list(session.scalars(select(DiskRecord.id).where(DiskRecord.key_id == key_id)))


def _mark_snapshots(plant: Installation, task: DestroyArguments, context: StepContext) -> None:
    readable = select(SnapshotRecord).where(
        SnapshotRecord.key_id == task.key_id,
        SnapshotRecord.state == SnapshotState.ACCOMPLISHED,
        SnapshotRecord.is_data_missing.is_(False),
    )
    unfinished = select(SnapshotRecord.id).where(
        SnapshotRecord.key_id == task.key_id, SnapshotRecord.state.in_(_UNFINISHED)
    )
    with context.transaction() as session:
        for snapshot in session.scalars(readable).all():
            snapshot.is_data_missing = True
            sum_up_chain(session, snapshot, plant.clock.now())
        has_writers = session.scalars(unfinished.limit(1)).first() is not None
    context.save(_Met(has_writers=has_writers))


def _remove_objects(plant: Installation, task: DestroyArguments, _context: StepContext) -> None:
    place = Place(account_id=task.account_id, region_id=task.region_id, key_id=task.key_id)
    count = plant.repositories.remove(place)
    log(_LOGGER, logging.INFO, "the objects of a destroyed key were removed", key_id=task.key_id, count=count)


def _settle(_plant: Installation, session: Session, task: DestroyArguments, outcome: Outcome) -> None:
    key = session.get(KeyRecord, task.key_id)
    met = outcome.checkpoints.load(_SNAPSHOTS, _Met)
    if key is not None and outcome.failure is None and met is not None and not met.has_writers:
        key.deletes_at = None  # otherwise the reconciler starts it again


DESTROY_KEY: Final = TaskKind(
    name="destroy-key",
    arguments=DestroyArguments,
    lane=QUICK,
    steps=(
        Step(name="shred", run=_shred),
        Step(name="disks", run=_remove_disks),
        Step(name=_SNAPSHOTS, run=_mark_snapshots),
        Step(name="objects", run=_remove_objects),
    ),
    settle=_settle,
)
