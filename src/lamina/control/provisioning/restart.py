"""Instances in a state that only a task ends, without such a task; and disks that this room works on."""

import logging
from typing import Final

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.images.errors import ImageNotFoundError
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.build import start_building
from lamina.control.provisioning.power import start_starting, start_stopping
from lamina.control.provisioning.reinit import restart_reinit
from lamina.control.provisioning.release_task import start_releasing
from lamina.control.provisioning.replace import restart_replacing
from lamina.ids import DiskId, InstanceId
from lamina.tasks.queue import find_active, is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_UNSETTLED: Final = (
    InstanceState.PENDING,
    InstanceState.STARTING,
    InstanceState.STOPPING,
    InstanceState.RELEASING,
)
_IS_BROUGHT_BACK: Final = and_(
    DiskRecord.state == DiskState.REINITING, DiskRecord.reset_snapshot_id.is_(None)
)
_REPLACES: Final = and_(  # the disks of a new instance are made while that is `Pending`
    DiskRecord.state == DiskState.CREATING,
    DiskRecord.instance_id.in_(
        select(InstanceRecord.id).where(InstanceRecord.state != InstanceState.PENDING)
    ),
)
_IS_OURS: Final = or_(_IS_BROUGHT_BACK, _REPLACES)


def restart_instances(plant: Installation) -> None:
    """Give every stranded instance the task that its state needs."""
    with plant.database.reading() as session:
        unsettled = session.scalars(
            select(InstanceRecord.id).where(InstanceRecord.state.in_(_UNSETTLED))
        ).all()
    for instance_id in unsettled:
        try:
            is_new = _restart_instance(plant, instance_id)
        except ImageNotFoundError as refusal:
            facts = {"instance_id": instance_id, "reason": str(refusal)}
            log(_LOGGER, logging.CRITICAL, "a stranded instance cannot be made", **facts)
            continue
        if is_new:
            log(_LOGGER, logging.WARNING, "a stranded instance was taken up", instance_id=instance_id)


def restart_emptied_disks(plant: Installation) -> None:
    """Go on with disks that are brought back to how they were made, and with system disks that are being replaced.

    Those that get the bytes of a snapshot of their own account are the disks' own business.
    """
    with plant.database.reading() as session:
        unsettled = session.scalars(select(DiskRecord.id).where(_IS_OURS)).all()
    for disk_id in unsettled:
        try:
            is_new = _restart_disk(plant, disk_id)
        except ImageNotFoundError as refusal:
            facts = {"disk_id": disk_id, "reason": str(refusal)}
            log(_LOGGER, logging.CRITICAL, "a stranded disk cannot be made", **facts)
            continue
        if is_new:
            log(_LOGGER, logging.WARNING, "a stranded disk was taken up", disk_id=disk_id)


def _restart_instance(plant: Installation, instance_id: InstanceId) -> bool:
    with plant.database.transaction() as session:
        instance = session.get(InstanceRecord, instance_id)
        if instance is None or instance.state not in _UNSETTLED or is_active(session, instance.task_id):
            return False
        _start(session, plant.clock, instance)
        return True


def _restart_disk(plant: Installation, disk_id: DiskId) -> bool:
    with plant.database.transaction() as session:
        disk = session.scalars(select(DiskRecord).where(DiskRecord.id == disk_id, _IS_OURS)).one_or_none()
        if disk is None or is_active(session, disk.task_id) or find_active(session, disk_id) is not None:
            return False
        if disk.state is DiskState.CREATING:
            disk.task_id = restart_replacing(session, plant.clock, disk)
            return True
        if _has_successor(session, disk):
            return False  # that one's turn comes
        disk.task_id = restart_reinit(session, plant.clock, disk)
        return True


def _has_successor(session: Session, disk: DiskRecord) -> bool:
    others = list_attached(session, disk.instance_id) if disk.instance_id is not None else ()
    return any(other.role is disk.role and other.state is DiskState.CREATING for other in others)


def _start(session: Session, clock: Clock, instance: InstanceRecord) -> None:
    match instance.state:
        case InstanceState.PENDING:
            start_building(session, clock, instance, list_attached(session, instance.id))
        case InstanceState.STARTING:
            instance.task_id = start_starting(session, clock, instance.id)
        case InstanceState.STOPPING:
            instance.task_id = start_stopping(session, clock, instance.id, is_forced=True)
        case _:
            start_releasing(session, clock, instance)
