"""The task that releases an instance: the machine stops, its disks go or stay, its row goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.attachment import leave_instance
from lamina.control.disks.queries import find_connection, list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.start import has_task, start_removal
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.leave import drop_instance
from lamina.control.scope import Scope
from lamina.control.snapshots.release import cancel_unfinished_snapshot, release_automatic_snapshots
from lamina.ids import InstanceId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
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


def list_left(session: Session, instance_id: InstanceId) -> Sequence[DiskRecord]:
    """The disks that an instance was made with as system disks, and that it does not have now."""
    return session.scalars(
        select(DiskRecord).where(
            DiskRecord.origin_instance_id == instance_id,
            or_(DiskRecord.instance_id.is_(None), DiskRecord.instance_id != instance_id),
        )
    ).all()


def _power_off(plant: Installation, task: ReleaseArguments, _context: StepContext) -> None:
    plant.machines.stop(task.instance_id, is_forced=True)


def _settle(plant: Installation, session: Session, task: ReleaseArguments, outcome: Outcome) -> None:
    instance = session.get(InstanceRecord, task.instance_id)
    if instance is None or instance.state is not InstanceState.RELEASING or outcome.failure is not None:
        return  # it stays `Releasing`, and a reconciler tries again
    for disk in list_attached(session, task.instance_id):
        leave_instance(disk, plant)
        _let_go(plant, session, disk)
    session.flush()
    for disk in list_left(session, task.instance_id):
        if _lies_about(plant.scope(session, disk.account_id, disk.region_id), disk):
            _let_go(plant, session, disk)
        else:  # it is a data disk by now, or somebody took it up since the release was asked for
            disk.origin_instance_id = None
            disk.role = DiskRole.DATA
    session.flush()
    drop_instance(session, instance)


RELEASE_INSTANCE: Final = TaskKind(
    name="release-instance",
    arguments=ReleaseArguments,
    lane=QUICK,
    steps=(Step(name="power-off", run=_power_off),),
    settle=_settle,
)


def _lies_about(scope: Scope, disk: DiskRecord) -> bool:
    """Whether a disk that an instance left behind is still its system disk, and nothing is being done with it."""
    return (
        disk.role is DiskRole.SYSTEM
        and disk.state is DiskState.AVAILABLE
        and find_connection(scope, disk.id) is None
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
    if not has_task(session, disk):  # otherwise a reconciler removes it once that has ended
        disk.task_id = start_removal(session, plant.clock, disk)
