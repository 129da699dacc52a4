"""Snapshots in a state that only a task ends, without such a task: settle them by what the store has."""

import logging
from typing import Final

from sqlalchemy import exists, select

from lamina.control.installation import Installation
from lamina.control.snapshots.adopt import describe_manifest
from lamina.control.snapshots.archive import start_archiving
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.changes import mark_changed
from lamina.control.snapshots.lock import drop_lock, start_lock
from lamina.control.snapshots.records import IS_ARCHIVING, SnapshotRecord
from lamina.control.snapshots.remove import start_removal
from lamina.control.snapshots.states import SnapshotState
from lamina.control.snapshots.stored import find_repository_to_tidy
from lamina.engine.manifest import Manifest
from lamina.engine.repository import SnapshotNotFoundError
from lamina.failures import LaminaError
from lamina.tasks.queue import is_active
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE
from lamina.telemetry import get_logger, log, log_failure

_LOGGER: Final = get_logger(__name__)
_UNSETTLED: Final = (SnapshotState.PROGRESSING, SnapshotState.DELETING)
# of a burst of automatic snapshots ten thousand wait for hours: they are not asked for one by one
_HAS_TASK: Final = exists().where(TaskRecord.id == SnapshotRecord.task_id, TaskRecord.state.in_(ACTIVE))


def restart_snapshots(plant: Installation) -> None:
    """Settle captures that nobody works on, and go on with removals that nobody works on.

    One whose store fails is logged, and waits; the others are settled.
    """
    with plant.database.reading() as session:
        is_unsettled = (SnapshotRecord.state.in_(_UNSETTLED), IS_ARCHIVING)
        stranded = [
            snapshot
            for condition in is_unsettled  # two looks at two indexes: for one that asks for either all are read
            for snapshot in session.scalars(select(SnapshotRecord).where(condition, ~_HAS_TASK))
        ]
    for snapshot in stranded:
        try:
            manifest = (
                _find_manifest(plant, snapshot) if snapshot.state is SnapshotState.PROGRESSING else None
            )
        except LaminaError as failure:
            log_failure(_LOGGER, "a stranded snapshot waits", failure, snapshot_id=snapshot.id)
            continue
        _restart(plant, snapshot, manifest)
        log(_LOGGER, logging.WARNING, "a stranded snapshot was taken up", snapshot_id=snapshot.id)


def _restart(plant: Installation, seen: SnapshotRecord, manifest: Manifest | None) -> None:
    with plant.database.transaction() as session:
        snapshot = session.get(SnapshotRecord, seen.id)
        if snapshot is None or is_active(session, snapshot.task_id):
            return
        if (snapshot.state, snapshot.category) != (seen.state, seen.category):
            return
        if snapshot.state is SnapshotState.DELETING:
            start_removal(session, plant.clock, snapshot)
        elif snapshot.state is SnapshotState.ACCOMPLISHED:
            start_archiving(session, plant.clock, snapshot)
        elif manifest is not None:
            describe_manifest(snapshot, manifest, plant.clock.now())
            snapshot.move_to(SnapshotState.ACCOMPLISHED)
            start_lock(session, snapshot.id, plant.clock.now())
            if snapshot.group_id is not None:
                mark_changed(session, snapshot.id)
        else:
            snapshot.failure = "its task ended without telling how, and the store has no data of it"
            snapshot.modified_at = plant.clock.now()
            snapshot.move_to(SnapshotState.FAILED)
            drop_lock(session, snapshot.id)
        sum_up_chain(session, snapshot, plant.clock.now())


def _find_manifest(plant: Installation, snapshot: SnapshotRecord) -> Manifest | None:
    repository = find_repository_to_tidy(plant, snapshot.id)
    if repository is None:
        return None
    try:
        return repository.read_manifest(snapshot.id)
    except SnapshotNotFoundError:
        return None
