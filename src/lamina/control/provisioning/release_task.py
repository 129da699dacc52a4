"""The task that releases an instance: the machine stops, its disks go or stay, its row goes."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.attachment import leave_instance
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.start import start_removal
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.leave import drop_instance
from lamina.control.snapshots.release import cancel_unfinished_snapshot, release_automatic_snapshots
from lamina.ids import InstanceId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue, find_active
from lamina.tasks.task import QUICK, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseArguments:
    """Which instance."""

    instance_id: InstanceId


def start_releasing(session: Session, clock: Clock, instance: InstanceRecord) -> None:
    """Have an instance in state `Releasing` stopped and taken apart."""
    arguments = ReleaseArguments(instance_id=instance.id)
    # a key of its own: this follows a start or stop in the very transaction that ends that
    key = f"{instance.id}/release"
    instance.task_id = enqueue(session, clock, RELEASE_INSTANCE, arguments, key=key)


def _power_off(plant: Installation, task: ReleaseArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=True)


def _settle(plant: Installation, session: Session, task: ReleaseArguments, outcome: Outcome) -> None:
    instance = session.get(InstanceRecord, task.instance_id)
    if instance is None or instance.state is not InstanceState.RELEASING or outcome.failure is not None:
        return  # it stays `Releasing`, and a reconciler tries again
    for disk in list_attached(session, task.instance_id):
        leave_instance(disk, plant)
        _let_go(plant, session, disk)
    for disk in _list_detached_system_disks(session, task.instance_id):
        _let_go(plant, session, disk)
    session.flush()
    drop_instance(session, instance)


RELEASE_INSTANCE: Final = TaskKind(
    name="release-instance",
    arguments=ReleaseArguments,
    lane=QUICK,
    steps=(Step(name="power-off", run=_power_off),),
    settle=_settle,
)


def _let_go(plant: Installation, session: Session, disk: DiskRecord) -> None:
    """A disk goes with its instance, or becomes a data disk on its own."""
    disk.origin_instance_id = None
    if not disk.delete_with_instance:
        disk.role = DiskRole.DATA
        if disk.state is not DiskState.AVAILABLE:
            disk.move_to(DiskState.AVAILABLE)
        return
    scope = plant.scope(session, disk.account_id, disk.region_id)
    cancel_unfinished_snapshot(scope, disk)
    release_automatic_snapshots(scope, disk)
    disk.move_to(DiskState.DELETING)
    if find_active(session, disk.id) is None:  # otherwise a reconciler removes it once that task has ended
        disk.task_id = start_removal(session, plant.clock, disk)


def _list_detached_system_disks(session: Session, instance_id: InstanceId) -> list[DiskRecord]:
    """System disks that the instance was made with and that lie about detached; busy ones stay as they are."""
    return list(
        session.scalars(
            select(DiskRecord).where(
                DiskRecord.origin_instance_id == instance_id,
                DiskRecord.instance_id.is_(None),
                DiskRecord.role == DiskRole.SYSTEM,
                DiskRecord.state == DiskState.AVAILABLE,
            )
        )
    )
