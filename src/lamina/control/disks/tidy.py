"""Reconcilers of disks: connections that were not renewed, and clones that no capture will ask for."""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import and_, or_, select

from lamina.blockio.file_volume import forget, list_frozen
from lamina.control.disks.queries import is_live
from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.installation import Installation
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import DiskId
from lamina.tasks.queue import find_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)


def close_dead_connections(plant: Installation) -> None:
    """Drop connections whose clients went away; they have not counted since they ended."""
    with plant.database.reading() as session:
        if session.scalars(select(ConnectionRecord.id).limit(1)).one_or_none() is None:
            return
    with plant.database.transaction() as session:
        for connection in session.scalars(select(ConnectionRecord)).all():
            disk = session.get(DiskRecord, connection.disk_id)
            assert disk is not None, "the database keeps the disks of connections"
            if is_live(plant.scope(session, connection.account_id, disk.region_id), connection):
                continue
            if disk.instance_id is None:
                disk.detached_at = min(connection.expires_at, plant.clock.now())
            session.delete(connection)


def forget_leftover_clones(plant: Installation) -> None:
    """Drop clones that no snapshot was captured from; the last capture's is kept for the next one.

    Raises:
        Fault: the file system refused.
    """
    for disk_id in plant.volumes.list_disks():
        folder = plant.volumes.frozen_folder(disk_id)
        tokens = list_frozen(folder)  # before the rows: what is newer than this look is not touched
        if not tokens:
            continue  # as with nearly all of many disks where there is no reflink
        for token in _choose_leftovers(plant, disk_id, tokens):
            forget(folder, token)
            log(_LOGGER, logging.INFO, "a leftover clone was dropped", disk_id=disk_id, token=token)


def report_unknown_volumes(plant: Installation) -> None:
    """Tell about folders of disks that the database does not know. They may be somebody's data: they stay."""
    on_disk = plant.volumes.list_disks()  # before the rows: a folder is made after its row
    with plant.database.reading() as session:
        known = set(session.scalars(select(DiskRecord.id)))
    for disk_id in on_disk:
        # a folder is removed before its row, so one that went meanwhile is not there any more
        if disk_id not in known and plant.volumes.raw_path(disk_id).exists():
            log(_LOGGER, logging.WARNING, "a volume belongs to no disk", disk_id=disk_id)


def _choose_leftovers(plant: Installation, disk_id: DiskId, tokens: Sequence[str]) -> list[str]:
    with plant.database.reading() as session:
        if find_active(session, disk_id) is not None or session.get(DiskRecord, disk_id) is None:
            return []  # a task knows better, or nobody does
        is_base = and_(
            SnapshotRecord.state == SnapshotState.ACCOMPLISHED, SnapshotRecord.tracking.in_(tokens)
        )
        # a clone has the name of its snapshot; the task of a group goes by another key than its disks
        is_wanted = and_(SnapshotRecord.state == SnapshotState.PROGRESSING, SnapshotRecord.id.in_(tokens))
        claimed = session.scalars(
            select(SnapshotRecord.id).where(SnapshotRecord.disk_id == disk_id, or_(is_base, is_wanted))
        ).all()
    return [token for token in tokens if token not in claimed]
