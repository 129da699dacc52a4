"""Replace the system disk of an instance (ReplaceSystemDisk): a new disk with the bytes of an image takes its place.

The new disk is made beside the old one, which stays the instance's until the very transaction in which they change
places. So there is no moment without a system disk: when the new one cannot be made, the old one is as it was.

    old disk   In_use -> ReIniting -> released         In_use, when the new one cannot be made
    new disk              Creating -> In_use           gone, when it cannot be made
"""

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.disks.attach import SYSTEM_DEVICE
from lamina.control.disks.attachment import leave_instance
from lamina.control.disks.leave import drop_disk
from lamina.control.disks.queries import list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.start import start_removal
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.images.queries import find_usable_image, list_image_disks
from lamina.control.images.records import ImageRecord
from lamina.control.installation import Installation
from lamina.control.instances.locks import require_paid
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.keys.choose import AS_SOURCE, Encryption
from lamina.control.provisioning.create import add_disk
from lamina.control.provisioning.errors import NoSystemDiskError
from lamina.control.provisioning.idle import require_idle
from lamina.control.provisioning.plan import InstanceDisk, plan_system_disk, require_machine
from lamina.control.provisioning.sources import DiskToMake, describe_task, empty_disk, fill_disk
from lamina.control.scope import Scope
from lamina.control.snapshots.release import release_automatic_snapshots
from lamina.ids import DiskId, InstanceId, RegionId, TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue, find_active
from lamina.tasks.task import COPY, Step, TaskKind

_STOPPED: Final = (InstanceState.STOPPED,)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceArguments:
    """Which instance, its disk, and the one that takes its place; the image's snapshots are in `region_id`."""

    instance_id: InstanceId
    region_id: RegionId
    old_disk_id: DiskId
    new_disk: DiskToMake


def replace_system_disk(
    scope: Scope,
    instance_id: InstanceId,
    image_id: str,
    size_gib: int | None = None,
    encryption: Encryption = AS_SOURCE,
) -> DiskRecord:
    """Start replacing the system disk; answers the new one, which is `Creating`, and `In_use` when its task has ended.

    It has the category, name and fate of the old one, and a new id; a policy has to be applied to it again. The old
    one is released then: its manual snapshots stay, the automatic ones go with it unless it says otherwise. A security
    lock does not matter here.

    Args:
        scope: who asks.
        instance_id: a stopped instance.
        image_id: whose bytes the new disk gets.
        size_gib: how large it is; by default as large as the old one, or as the image needs.
        encryption: how it is encrypted; by default as the image, and otherwise as the old one.

    Raises:
        InstanceNotFoundError: the account has no such instance.
        InstanceArrearsError: the account's payments are overdue, or the instance has expired.
        InstanceStateError: it is not `Stopped`.
        NoSystemDiskError: it has no system disk.
        DiskConnectedError: the old disk is open through a connection.
        DiskStateError: something is being done with the old disk.
        SnapshotInProgressError: a snapshot of the old disk is being created.
        ImageNotFoundError: the account sees no such image in the instance's region.
        ImageStateError: disks cannot be made from it now.
        ImageArchitectureError: the type of instance does not run it.
        DiskBelowImageError: the new disk would be smaller than the image's.
        DiskSizeError: the category has no disks of this size.
        KeyWithoutEncryptionError and further: it cannot be encrypted so; see `keys.choose`.
        TaskBusyError: a task of the instance has not ended.
    """
    instance = get_instance(scope, instance_id)
    require_paid(scope, instance)
    require_state(instance, _STOPPED)
    old = _find_system_disk(scope, instance_id)
    require_idle(scope, old)
    image = find_usable_image(replace(scope, region_id=instance.region_id), image_id)
    require_machine(image, instance.instance_type)
    asked = InstanceDisk(size_gib=size_gib, encryption=encryption)
    new = _add_disk(replace(scope, region_id=instance.region_id), instance, old, image, asked)
    old.move_to(DiskState.REINITING)
    start_replacing(scope.session, scope.clock, old, new)
    return new


def start_replacing(session: Session, clock: Clock, old: DiskRecord, new: DiskRecord) -> TaskId:
    """Have a disk in state `Creating` made, which then takes the place of one in state `ReIniting`.

    Raises:
        ImageNotFoundError: the image is gone.
        TaskBusyError: a task of the instance has not ended.
    """
    assert old.instance_id is not None, "the disk of an instance"
    arguments = ReplaceArguments(
        instance_id=old.instance_id,
        region_id=old.region_id,
        old_disk_id=old.id,
        new_disk=describe_task(session, new),
    )
    old.task_id = new.task_id = enqueue(
        session, clock, REPLACE_SYSTEM_DISK, arguments, key=old.instance_id
    )  # of the instance: it does not start meanwhile, and the removal of the old disk can follow at once
    return new.task_id


def restart_replacing(session: Session, clock: Clock, new: DiskRecord) -> TaskId:
    """Go on with a replacement whose task is gone; if the old disk was rolled back meanwhile, the new one goes.

    Raises:
        ImageNotFoundError: the image is gone.
        TaskBusyError: a task of the instance has not ended.
    """
    old = session.scalars(
        select(DiskRecord).where(
            DiskRecord.instance_id == new.instance_id,
            DiskRecord.role == DiskRole.SYSTEM,
            DiskRecord.state == DiskState.REINITING,
            DiskRecord.reset_snapshot_id.is_(None),
        )
    ).one_or_none()
    if old is not None:
        return start_replacing(session, clock, old, new)
    new.instance_id = new.origin_instance_id = None
    new.move_to(DiskState.DELETING)
    return start_removal(session, clock, new)


def _find_system_disk(scope: Scope, instance_id: InstanceId) -> DiskRecord:
    for disk in list_attached(scope.session, instance_id):
        if disk.role is DiskRole.SYSTEM:
            return disk
    raise NoSystemDiskError(instance_id)


def _add_disk(
    scope: Scope, instance: InstanceRecord, old: DiskRecord, image: ImageRecord, asked: InstanceDisk
) -> DiskRecord:
    of_image = next(
        disk for disk in list_image_disks(scope.session, image.id) if disk.role is DiskRole.SYSTEM
    )
    wanted = replace(
        asked,
        category=old.category,
        performance_level=old.performance_level,
        size_gib=asked.size_gib or max(old.size_gib, of_image.size_gib),
        name=old.name,
        description=old.description,
        delete_with_instance=old.delete_with_instance,
    )
    plan = plan_system_disk(scope, wanted, of_image)
    if plan.key_id is None and asked.encryption == AS_SOURCE and old.key_id is not None:
        as_old = Encryption(is_encrypted=True, key_id=old.key_id)
        plan = plan_system_disk(scope, replace(wanted, encryption=as_old), of_image)
    new = add_disk(scope, instance, image, plan, SYSTEM_DEVICE)
    new.delete_auto_snapshot = old.delete_auto_snapshot
    new.enable_auto_snapshot = old.enable_auto_snapshot
    return new


def _make(plant: Installation, task: ReplaceArguments, _context: StepContext) -> None:
    empty_disk(plant, task.new_disk)


def _unmake(plant: Installation, task: ReplaceArguments, _context: StepContext) -> None:
    plant.volumes.remove(task.new_disk.disk_id)


def _fill(plant: Installation, task: ReplaceArguments, context: StepContext) -> None:
    fill_disk(plant, task.new_disk, context)


def _settle(plant: Installation, session: Session, task: ReplaceArguments, outcome: Outcome) -> None:
    old = session.get(DiskRecord, task.old_disk_id)
    new = session.get(DiskRecord, task.new_disk.disk_id)
    if old is None or new is None or new.state is not DiskState.CREATING:
        return
    if outcome.failure is not None:
        drop_disk(session, new)
        old.move_to(DiskState.IN_USE)
        return
    new.move_to(DiskState.IN_USE)
    new.attached_at = plant.clock.now()
    instance = session.get(InstanceRecord, task.instance_id)
    image = session.get(ImageRecord, new.image_id)
    assert instance is not None, "an instance is not released while its system disk is being replaced"
    instance.image_id, instance.image_family = new.image_id, None
    if image is not None:
        instance.os_name, instance.os_type = image.platform, image.os_type.value
    _release(plant, session, old)


def _release(plant: Installation, session: Session, old: DiskRecord) -> None:
    leave_instance(old, plant)
    old.origin_instance_id = None
    release_automatic_snapshots(plant.scope(session, old.account_id, old.region_id), old)
    old.move_to(DiskState.DELETING)
    if find_active(session, old.id) is None:  # otherwise a reconciler removes it once that task has ended
        old.task_id = start_removal(session, plant.clock, old)


REPLACE_SYSTEM_DISK: Final = TaskKind(
    name="replace-system-disk",
    arguments=ReplaceArguments,
    lane=COPY,
    steps=(Step(name="make", run=_make, undo=_unmake), Step(name="fill", run=_fill)),
    settle=_settle,
)
