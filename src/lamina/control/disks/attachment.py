"""The tasks that give a disk to an instance and take it away: the machine is told, if it runs.

They work on the attachment and not on the bytes, so that a snapshot under way does not hold them up.
"""

from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.host import describe_drive
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.installation import Installation
from lamina.ids import DiskId, InstanceId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import QUICK, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What a disk was before it was to be attached, and is again if it cannot be."""

    role: DiskRole
    origin_instance_id: InstanceId | None
    delete_with_instance: bool
    was_attached: bool

    @classmethod
    def of(cls, disk: DiskRecord) -> Self:
        """What a disk is now."""
        return cls(
            role=disk.role,
            origin_instance_id=disk.origin_instance_id,
            delete_with_instance=disk.delete_with_instance,
            was_attached=disk.was_attached,
        )

    def bring_back(self, disk: DiskRecord) -> None:
        """Make a disk that again; the system disk of an instance that was released meanwhile is one no more."""
        if self.origin_instance_id is None or disk.origin_instance_id is not None:
            disk.role = self.role
            disk.origin_instance_id = self.origin_instance_id
        disk.delete_with_instance = self.delete_with_instance
        disk.was_attached = self.was_attached


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentArguments:
    """Which disk, and which instance.

    Attributes:
        before: None if nobody knows any more, and when it is detached.
    """

    disk_id: DiskId
    instance_id: InstanceId
    before: Before | None = None


def start_attachment(
    session: Session, clock: Clock, disk: DiskRecord, before: Before | None = None
) -> TaskId:
    """Have a disk given to its instance."""
    return _start(session, clock, ATTACH_DISK, disk, before)


def start_detachment(session: Session, clock: Clock, disk: DiskRecord) -> TaskId:
    """Have a disk taken from its instance."""
    return _start(session, clock, DETACH_DISK, disk)


def leave_instance(disk: DiskRecord, plant: Installation) -> None:
    """The disk belongs to no instance any more; from now on it counts as attached before."""
    disk.instance_id = None
    disk.device = None
    disk.detached_at = plant.clock.now()
    disk.was_attached = True


def _start(
    session: Session,
    clock: Clock,
    kind: TaskKind[Installation, AttachmentArguments],
    disk: DiskRecord,
    before: Before | None = None,
) -> TaskId:
    assert disk.instance_id is not None, "the verb names the instance"
    arguments = AttachmentArguments(disk_id=disk.id, instance_id=disk.instance_id, before=before)
    return enqueue(session, clock, kind, arguments, key=f"{disk.id}/attachment")


def _attach(plant: Installation, task: AttachmentArguments, _context: StepContext) -> None:
    # a last write of an ended connection may still be on its way, and the guest must not meet it
    plant.volumes.end_turn(task.disk_id)
    with plant.database.reading() as session:
        disk = session.get(DiskRecord, task.disk_id)
        assert disk is not None, "a disk is not deleted while it is attached"
        drive = describe_drive(plant.volumes, disk)
    plant.machines.attach(task.instance_id, drive)


def _detach(plant: Installation, task: AttachmentArguments, _context: StepContext) -> None:
    plant.machines.detach(task.instance_id, task.disk_id)


def _settle_attaching(
    plant: Installation, session: Session, task: AttachmentArguments, outcome: Outcome
) -> None:
    disk = session.get(DiskRecord, task.disk_id)
    if disk is None or disk.state is not DiskState.ATTACHING:
        return
    if outcome.failure is None:
        disk.attached_at = plant.clock.now()
    else:
        disk.instance_id = disk.device = None
        if task.before is not None:
            task.before.bring_back(disk)
    disk.move_to(disk.rest_state)


def _settle_detaching(
    plant: Installation, session: Session, task: AttachmentArguments, outcome: Outcome
) -> None:
    disk = session.get(DiskRecord, task.disk_id)
    if disk is None or disk.state is not DiskState.DETACHING:
        return
    if outcome.failure is None:
        leave_instance(disk, plant)
    disk.move_to(disk.rest_state)


ATTACH_DISK: Final = TaskKind(
    name="attach-disk",
    arguments=AttachmentArguments,
    lane=QUICK,
    steps=(Step(name="attach", run=_attach, undo=_detach),),
    settle=_settle_attaching,
)

DETACH_DISK: Final = TaskKind(
    name="detach-disk",
    arguments=AttachmentArguments,
    lane=QUICK,
    steps=(Step(name="detach", run=_detach, undo=_attach),),
    settle=_settle_detaching,
)
