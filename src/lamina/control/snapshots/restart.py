"""Snapshots in a state that only a task ends, without such a task: settle them by what the store has."""

import logging
from typing import Final

from sqlalchemy import or_, select

from lamina.control.installation import Installation
from lamina.control.snapshots.adopt import describe_manifest
from lamina.control.snapshots.archive import start_archiving
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.lock import drop_lock, start_lock
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import start_removal
from lamina.control.snapshots.states import SnapshotCategory, SnapshotState
from lamina.control.snapshots.stored import find_repository_to_tidy
from lamina.engine.manifest import Manifest
from lamina.engine.repository import SnapshotNotFoundError
from lamina.tasks.queue import is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_UNSETTLED: Final = (SnapshotState.PROGRESSING, SnapshotState.DELETING)


def restart_snapshots(plant: Installation) -> None:
    """Settle captures that nobody works on, and go on with removals that nobody works on.

    Raises:
        Fault: a store failed.
    """
    with plant.database.reading() as session:
        is_archiving = SnapshotRecord.category == SnapshotCategory.ARCHIVING
        query = select(SnapshotRecord).where(or_(SnapshotRecord.state.in_(_UNSETTLED), is_archiving))
        unsettled = session.scalars(query).all()
        stranded = [each for each in unsettled if not is_active(session, each.task_id)]
    for snapshot in stranded:
        manifest = _find_manifest(plant, snapshot) if snapshot.state is SnapshotState.PROGRESSING else None
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
