"""The task that makes the disks of a new instance: all of them, or nothing is left of the instance."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.leave import drop_disk
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.leave import drop_instance
from lamina.control.provisioning.sources import DiskToMake, describe_task, empty_disk, fill_disk
from lamina.control.provisioning.start import start_made_instance
from lamina.failures import Refusal
from lamina.ids import AccountId, InstanceId, RegionId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.task import COPY, QUICK, Step, TaskKind


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildInstanceArguments:
    """Which instance, and its disks; the snapshots are in `region_id`."""

    account_id: AccountId
    region_id: RegionId
    instance_id: InstanceId
    disks: tuple[DiskToMake, ...]


def start_building(
    session: Session, clock: Clock, instance: InstanceRecord, disks: Sequence[DiskRecord]
) -> None:
    """Have the disks of an instance made; the instance is `Stopped` when they are, or is started then.

    Raises:
        ImageNotFoundError: the image of a disk is gone.
    """
    to_make = tuple(describe_task(session, disk) for disk in disks)
    arguments = BuildInstanceArguments(
        account_id=instance.account_id,
        region_id=instance.region_id,
        instance_id=instance.id,
        disks=to_make,
    )
    has_copies = any(disk.source is not None for disk in to_make)
    kind = BUILD_INSTANCE_FROM_SNAPSHOTS if has_copies else BUILD_INSTANCE
    instance.task_id = enqueue(session, clock, kind, arguments, key=instance.id)
    for disk in disks:
        disk.task_id = instance.task_id


def _make(plant: Installation, task: BuildInstanceArguments, _context: StepContext) -> None:
    for disk in task.disks:
        empty_disk(plant, disk)


def _unmake(plant: Installation, task: BuildInstanceArguments, _context: StepContext) -> None:
    for disk in task.disks:
        plant.volumes.remove(disk.disk_id)


def _fill(plant: Installation, task: BuildInstanceArguments, context: StepContext) -> None:
    for disk in task.disks:
        fill_disk(plant, disk, context)


def _settle(plant: Installation, session: Session, task: BuildInstanceArguments, outcome: Outcome) -> None:
    instance = session.get(InstanceRecord, task.instance_id)
    if instance is None or instance.state is not InstanceState.PENDING:
        return
    disks = list_attached(session, task.instance_id)
    if outcome.failure is not None:
        for disk in disks:
            drop_disk(session, disk)
        drop_instance(session, instance)
        return
    for disk in disks:
        disk.move_to(DiskState.IN_USE)
        disk.attached_at = plant.clock.now()
    instance.move_to(InstanceState.STOPPED)
    session.flush()
    if instance.starts_when_made:
        scope = plant.scope(session, task.account_id, task.region_id)
        with contextlib.suppress(Refusal):  # it was locked meanwhile: it is left `Stopped`
            start_made_instance(scope, instance)


BUILD_INSTANCE: Final = TaskKind(
    name="build-instance",
    arguments=BuildInstanceArguments,
    lane=QUICK,
    steps=(Step(name="make", run=_make, undo=_unmake),),
    settle=_settle,
)

BUILD_INSTANCE_FROM_SNAPSHOTS: Final = TaskKind(
    name="build-instance-from-snapshots",
    arguments=BuildInstanceArguments,
    lane=COPY,
    steps=(Step(name="make", run=_make, undo=_unmake), Step(name="fill", run=_fill)),
    settle=_settle,
)
