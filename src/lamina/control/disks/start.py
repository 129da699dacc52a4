"""Starting the tasks of disks; also for disks in a state that only a task ends, when that task is gone."""

import logging
from typing import Final

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.attachment import start_attachment, start_detachment
from lamina.control.disks.build import BUILD_DISK, BuildArguments
from lamina.control.disks.empty import MAKE_EMPTY_DISK, EmptyArguments
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.remove import REMOVE_DISK, RemoveDiskArguments
from lamina.control.disks.roll_back import ROLL_BACK_DISK, RollBackArguments
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.snapshots.queries import is_unfinished
from lamina.control.snapshots.records import SnapshotRecord
from lamina.ids import TaskId
from lamina.tasks.queue import enqueue, find_active, is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_UNSETTLED: Final = (
    DiskState.CREATING,
    DiskState.ATTACHING,
    DiskState.DETACHING,
    DiskState.REINITING,
    DiskState.DELETING,
)

# Disks that are made with their instance, emptied to how they were made, or released with their instance, which tells
# whether they go or stay: `provisioning` sees to these.
_IS_SEEN_TO_ELSEWHERE: Final = or_(
    and_(DiskRecord.state == DiskState.CREATING, DiskRecord.instance_id.is_not(None)),
    and_(DiskRecord.state == DiskState.REINITING, DiskRecord.reset_snapshot_id.is_(None)),
    and_(
        DiskRecord.state == DiskState.DETACHING,
        exists().where(
            InstanceRecord.id == DiskRecord.instance_id, InstanceRecord.state == InstanceState.RELEASING
        ),
    ),
)
_IS_UNSETTLED: Final = and_(DiskRecord.state.in_(_UNSETTLED), ~_IS_SEEN_TO_ELSEWHERE)


def start_empty(session: Session, clock: Clock, disk: DiskRecord) -> TaskId:
    """Have an empty disk made."""
    arguments = EmptyArguments(disk_id=disk.id, size_bytes=disk.size_bytes)
    return enqueue(session, clock, MAKE_EMPTY_DISK, arguments, key=disk.id)


def start_build(session: Session, clock: Clock, disk: DiskRecord, snapshot: SnapshotRecord) -> TaskId:
    """Have a disk made from a snapshot."""
    arguments = BuildArguments(
        account_id=disk.account_id,
        region_id=snapshot.region_id,
        disk_id=disk.id,
        size_bytes=disk.size_bytes,
        snapshot_id=snapshot.id,
    )
    return enqueue(session, clock, BUILD_DISK, arguments, key=disk.id)


def start_roll_back(
    session: Session, clock: Clock, disk: DiskRecord, snapshot: SnapshotRecord, *, is_touched: bool
) -> TaskId:
    """Have a disk rolled back; `is_touched` when an earlier task may have begun to replace its bytes."""
    arguments = RollBackArguments(
        account_id=disk.account_id,
        region_id=snapshot.region_id,
        disk_id=disk.id,
        snapshot_id=snapshot.id,
        is_touched=is_touched,
    )
    return enqueue(session, clock, ROLL_BACK_DISK, arguments, key=disk.id)


def start_removal(session: Session, clock: Clock, disk: DiskRecord) -> TaskId:
    """Have the bytes of a disk removed."""
    return enqueue(session, clock, REMOVE_DISK, RemoveDiskArguments(disk_id=disk.id), key=disk.id)


def restart_disks(plant: Installation) -> None:
    """Give every stranded disk the task that its state needs; a disk that instances make is not this room's."""
    with plant.database.reading() as session:
        unsettled = session.scalars(select(DiskRecord.id).where(_IS_UNSETTLED)).all()
    for disk_id in unsettled:
        with plant.database.transaction() as session:
            disk = session.scalars(
                select(DiskRecord).where(DiskRecord.id == disk_id, _IS_UNSETTLED)
            ).one_or_none()
            if disk is None or has_task(session, disk):
                continue
            disk.task_id = _start(session, plant.clock, disk)
        log(_LOGGER, logging.WARNING, "a stranded disk was taken up", disk_id=disk_id)


def has_task(session: Session, disk: DiskRecord) -> bool:
    """Whether something is being done with a disk's bytes at this moment, or will be."""
    # the tasks of groups and images go by other keys
    being_taken = select(SnapshotRecord.id).where(SnapshotRecord.disk_id == disk.id, is_unfinished()).limit(1)
    return (
        is_active(session, disk.task_id)
        or find_active(session, disk.id) is not None
        or session.scalar(being_taken) is not None
    )


def _start(session: Session, clock: Clock, disk: DiskRecord) -> TaskId:
    if disk.state is DiskState.ATTACHING:
        return start_attachment(session, clock, disk)
    if disk.state is DiskState.DETACHING:
        return start_detachment(session, clock, disk)
    if disk.state is DiskState.CREATING and disk.source_disk_id is not None:
        disk.move_to(DiskState.DELETING)  # its source may have changed since: there is nothing left to copy
    if disk.state is DiskState.DELETING:
        return start_removal(session, clock, disk)
    source_id = disk.reset_snapshot_id if disk.state is DiskState.REINITING else disk.source_snapshot_id
    if source_id is None:
        return start_empty(session, clock, disk)
    source = session.get(SnapshotRecord, source_id)
    assert source is not None, "a snapshot is not deleted while it is being read"
    if disk.state is DiskState.REINITING:
        return start_roll_back(session, clock, disk, source, is_touched=True)
    return start_build(session, clock, disk, source)
