"""Instances in a state that only a task ends, without such a task; and disks that this room works on."""

import logging
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.build import start_building
from lamina.control.provisioning.power import start_starting, start_stopping
from lamina.control.provisioning.reinit import start_reinit
from lamina.control.provisioning.release_task import start_releasing
from lamina.tasks.queue import find_active, is_active
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_UNSETTLED: Final = (
    InstanceState.PENDING,
    InstanceState.STARTING,
    InstanceState.STOPPING,
    InstanceState.RELEASING,
)


def restart_instances(plant: Installation) -> None:
    """Give every stranded instance the task that its state needs."""
    with plant.database.reading() as session:
        unsettled = session.scalars(
            select(InstanceRecord.id).where(InstanceRecord.state.in_(_UNSETTLED))
        ).all()
    for instance_id in unsettled:
        with plant.database.transaction() as session:
            instance = session.get(InstanceRecord, instance_id)
            if instance is None or instance.state not in _UNSETTLED or is_active(session, instance.task_id):
                continue
            _start(session, plant.clock, instance)
        log(_LOGGER, logging.WARNING, "a stranded instance was taken up", instance_id=instance_id)


def restart_emptied_disks(plant: Installation) -> None:
    """Go on with disks that are being emptied; those that get a snapshot's bytes are the disks' own business."""
    condition = (DiskRecord.state == DiskState.REINITING) & DiskRecord.reset_snapshot_id.is_(None)
    with plant.database.reading() as session:
        unsettled = session.scalars(select(DiskRecord.id).where(condition)).all()
    for disk_id in unsettled:
        with plant.database.transaction() as session:
            disk = session.scalars(
                select(DiskRecord).where(DiskRecord.id == disk_id, condition)
            ).one_or_none()
            if disk is None or find_active(session, disk_id) is not None:
                continue
            disk.task_id = start_reinit(session, plant.clock, disk)
        log(_LOGGER, logging.WARNING, "a stranded disk was taken up", disk_id=disk_id)


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
