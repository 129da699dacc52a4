"""The tasks that start, stop and reboot a machine."""

from collections.abc import Collection
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

_STARTS: Final = (InstanceState.STARTING,)
_STOPS: Final = (InstanceState.STOPPING,)
_REBOOTS: Final = (InstanceState.STOPPING, InstanceState.STARTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartArguments:
    """Which instance."""

    instance_id: InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class StopArguments:
    """Which instance, and whether its guest is asked."""

    instance_id: InstanceId
    is_forced: bool


def start_starting(
    session: Session, clock: Clock, instance_id: InstanceId, *, is_first: bool = False
) -> TaskId:
    """Have a machine started; for the first time, by the very transaction that ends the task of its making."""
    key = f"{instance_id}/first-start" if is_first else instance_id
    return enqueue(session, clock, START_INSTANCE, StartArguments(instance_id=instance_id), key=key)


def start_stopping(session: Session, clock: Clock, instance_id: InstanceId, *, is_forced: bool) -> TaskId:
    """Have a machine stopped."""
    arguments = StopArguments(instance_id=instance_id, is_forced=is_forced)
    return enqueue(session, clock, STOP_INSTANCE, arguments, key=instance_id)


def start_rebooting(session: Session, clock: Clock, instance_id: InstanceId, *, is_forced: bool) -> TaskId:
    """Have a machine stopped and started."""
    arguments = StopArguments(instance_id=instance_id, is_forced=is_forced)
    return enqueue(session, clock, REBOOT_INSTANCE, arguments, key=instance_id)


def _power_on(plant: Installation, task: StartArguments, _context: StepContext) -> None:
    _boot(plant, task.instance_id)


def _power_off(plant: Installation, task: StartArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=True)


def _power_on_again(plant: Installation, task: StopArguments, _context: StepContext) -> None:
    _boot(plant, task.instance_id)


def _power_off_again(plant: Installation, task: StopArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=True)


def _boot(plant: Installation, instance_id: InstanceId) -> None:
    machine = _describe_machine(plant, instance_id)
    for drive in machine.drives:
        # a last write of an ended connection may still be on its way, and the guest must not meet it
        plant.volumes.end_turn(drive.disk_id)
    plant.machines.start(machine)


def _shut_down(plant: Installation, task: StopArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=task.is_forced)


def _shut_down_for_reboot(plant: Installation, task: StopArguments, context: StepContext) -> None:
    """Stop the machine, and then say so: the state tells the end of the task where a failure left the machine."""
    _shut_down(plant, task, context)
    with context.transaction() as session:
        instance = session.get(InstanceRecord, task.instance_id)
        if instance is not None and instance.state is InstanceState.STOPPING:
            instance.move_to(InstanceState.STARTING)


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
    instance = _find_waiting(plant, session, task.instance_id, _STARTS)
    if instance is not None:
        _finish_start(plant, session, instance, outcome)


def _settle_reboot(plant: Installation, session: Session, task: StopArguments, outcome: Outcome) -> None:
    instance = _find_waiting(plant, session, task.instance_id, _REBOOTS)
    if instance is None:
        return
    if instance.state is InstanceState.STOPPING:  # it could not be stopped, and so it runs
        instance.move_to(InstanceState.RUNNING)
    else:
        _finish_start(plant, session, instance, outcome)


def _settle_stop(plant: Installation, session: Session, task: StopArguments, outcome: Outcome) -> None:
    instance = _find_waiting(plant, session, task.instance_id, _STOPS)
    if instance is not None:
        instance.move_to(InstanceState.STOPPED if outcome.failure is None else InstanceState.RUNNING)


def _finish_start(plant: Installation, session: Session, instance: InstanceRecord, outcome: Outcome) -> None:
    if outcome.failure is not None:
        instance.move_to(InstanceState.STOPPED)
        return
    instance.move_to(InstanceState.RUNNING)
    instance.started_at = plant.clock.now()
    for disk in list_attached(session, instance.id):
        disk.was_attached = True


def _find_waiting(
    plant: Installation, session: Session, instance_id: InstanceId, states: Collection[InstanceState]
) -> InstanceRecord | None:
    """The instance, if it still waits for this task; one that was released by force meanwhile goes on to its end."""
    instance = session.get(InstanceRecord, instance_id)
    if instance is not None and instance.state is InstanceState.RELEASING:
        start_releasing(session, plant.clock, instance)
        return None
    return instance if instance is not None and instance.state in states else None


START_INSTANCE: Final = TaskKind(
    name="start-instance",
    arguments=StartArguments,
    lane=QUICK,
    steps=(Step(name="power-on", run=_power_on, undo=_power_off),),
    settle=_settle_start,
)

REBOOT_INSTANCE: Final = TaskKind(
    name="reboot-instance",
    arguments=StopArguments,
    lane=QUICK,
    steps=(
        Step(name="shut-down", run=_shut_down_for_reboot),
        Step(name="power-on", run=_power_on_again, undo=_power_off_again),
    ),
    settle=_settle_reboot,
)

STOP_INSTANCE: Final = TaskKind(
    name="stop-instance",
    arguments=StopArguments,
    lane=QUICK,
    steps=(Step(name="shut-down", run=_shut_down),),
    settle=_settle_stop,
)
