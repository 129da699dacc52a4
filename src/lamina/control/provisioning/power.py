"""The tasks that start and stop a machine."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.host import describe_drive
from lamina.control.disks.queries import list_attached
from lamina.control.installation import Installation
from lamina.control.instances.driver import Machine
from lamina.control.instances.machine_types import get_machine_type
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.release_task import start_releasing
from lamina.ids import InstanceId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind
from lamina.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class StartArguments:
    """Which instance."""

    instance_id: InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopArguments:
    """Which instance, and whether its guest is asked."""

    instance_id: InstanceId
    is_forced: bool


def start_starting(session: Session, clock: Clock, instance_id: InstanceId) -> TaskId:
    """Have a machine started."""
    return enqueue(session, clock, START_INSTANCE, StartArguments(instance_id=instance_id), key=instance_id)


def start_stopping(session: Session, clock: Clock, instance_id: InstanceId, *, is_forced: bool) -> TaskId:
    """Have a machine stopped."""
    arguments = StopArguments(instance_id=instance_id, is_forced=is_forced)
    return enqueue(session, clock, STOP_INSTANCE, arguments, key=instance_id)


def _power_on(plant: Installation, task: StartArguments, _context: StepContext) -> None:
    machine = _describe_machine(plant, task.instance_id)
    for drive in machine.drives:
        # a last write of an ended connection may still be on its way, and the guest must not meet it
        plant.volumes.end_turn(drive.disk_id)
    plant.machines.start(machine)


def _power_off(plant: Installation, task: StartArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=True)


def _shut_down(plant: Installation, task: StopArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=task.is_forced)


def _describe_machine(plant: Installation, instance_id: InstanceId) -> Machine:
    with plant.database.reading() as session:
        instance = session.get(InstanceRecord, instance_id)
        assert instance is not None, "an instance's row outlives its tasks"
        kind = get_machine_type(instance.instance_type)
        drives = tuple(describe_drive(plant.volumes, disk) for disk in list_attached(session, instance_id))
    return Machine(
        instance_id=instance_id, cores=kind.cores, memory_bytes=kind.memory_gib * GIB, drives=drives
    )


def _settle_start(plant: Installation, session: Session, task: StartArguments, outcome: Outcome) -> None:
    instance = _find_waiting(plant, session, task.instance_id, InstanceState.STARTING)
    if instance is None:
        return
    if outcome.failure is not None:
        instance.move_to(InstanceState.STOPPED)
        return
    instance.move_to(InstanceState.RUNNING)
    instance.started_at = plant.clock.now()
    for disk in list_attached(session, task.instance_id):
        disk.was_attached = True


def _settle_stop(plant: Installation, session: Session, task: StopArguments, outcome: Outcome) -> None:
    instance = _find_waiting(plant, session, task.instance_id, InstanceState.STOPPING)
    if instance is None:
        return
    instance.move_to(InstanceState.STOPPED if outcome.failure is None else InstanceState.RUNNING)


def _find_waiting(
    plant: Installation, session: Session, instance_id: InstanceId, state: InstanceState
) -> InstanceRecord | None:
    """The instance, if it still waits for this task; one that was released by force meanwhile goes on to its end."""
    instance = session.get(InstanceRecord, instance_id)
    if instance is not None and instance.state is InstanceState.RELEASING:
        start_releasing(session, plant.clock, instance)
        return None
    return instance if instance is not None and instance.state is state else None


START_INSTANCE: Final = TaskKind(
    name="start-instance",
    arguments=StartArguments,
    lane=QUICK,
    steps=(Step(name="power-on", run=_power_on, undo=_power_off),),
    settle=_settle_start,
)

STOP_INSTANCE: Final = TaskKind(
    name="stop-instance",
    arguments=StopArguments,
    lane=QUICK,
    steps=(Step(name="shut-down", run=_shut_down),),
    settle=_settle_stop,
)
