"""What time does to instances: those paid for in advance stop when that time is over, and are released some time later.

    Running --expires_at--> Stopped and locked (financial) --15 days--> released

Those that are paid by use are released at the instant that their owner chose. Deletion protection does not matter
here: it keeps people from releasing, not the service (ECS API, RunInstances, `DeletionProtection`).
"""

import logging
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, or_, select

from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState, StoppedMode
from lamina.control.provisioning.power import start_stopping
from lamina.control.provisioning.release import release_instance
from lamina.failures import Refusal
from lamina.ids import InstanceId
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_ENDED: Final = (InstanceState.PENDING, InstanceState.RELEASING)


def expire_instances(plant: Installation) -> None:
    """Stop instances that have expired, and release those whose end has come. One that is busy waits for its turn."""
    now = plant.clock.now()
    is_over = or_(
        InstanceRecord.expires_at <= now - plant.limits.expired_instance,
        InstanceRecord.auto_release_at <= now,
    )
    for instance_id in _find(plant, is_over, InstanceRecord.state.not_in(_ENDED)):
        _release(plant, instance_id)
    for instance_id in _find(
        plant, InstanceRecord.expires_at <= now, InstanceRecord.state == InstanceState.RUNNING
    ):
        _stop(plant, instance_id)


def _find(plant: Installation, *conditions: ColumnElement[bool]) -> Sequence[InstanceId]:
    with plant.database.reading() as session:
        return session.scalars(select(InstanceRecord.id).where(*conditions)).all()


def _release(plant: Installation, instance_id: InstanceId) -> None:
    try:
        with plant.database.transaction() as session:
            instance = session.get(InstanceRecord, instance_id)
            if instance is None or instance.state in _ENDED:
                return  # somebody was faster
            release_instance(plant.scope(session, instance.account_id, instance.region_id), instance)
    except Refusal as refusal:
        facts = {"instance_id": instance_id, "reason": str(refusal)}
        log(_LOGGER, logging.WARNING, "an instance whose end has come is busy", **facts)
    else:
        log(_LOGGER, logging.INFO, "an instance was released by itself", instance_id=instance_id)


def _stop(plant: Installation, instance_id: InstanceId) -> None:
    with plant.database.transaction() as session:
        instance = session.get(InstanceRecord, instance_id)
        if instance is None or instance.state is not InstanceState.RUNNING:
            return
        instance.stopped_mode = StoppedMode.NOT_APPLICABLE
        instance.move_to(InstanceState.STOPPING)
        instance.task_id = start_stopping(session, plant.clock, instance_id, is_forced=False)
    log(_LOGGER, logging.INFO, "an instance has expired and is stopped", instance_id=instance_id)
