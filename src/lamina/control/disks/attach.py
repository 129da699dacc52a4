"""Attach a disk to an instance (AttachDisk)."""

import string
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lamina.control.disks.attachment import Before, start_attachment
from lamina.control.disks.errors import (
    DeviceTakenError,
    DiskCategoryError,
    DiskConnectedError,
    DiskLimitError,
    DiskStateError,
    ForeignSystemDiskError,
    NotBootableError,
    ZoneMismatchError,
)
from lamina.control.disks.host import SETTLED
from lamina.control.disks.queries import find_connection, get_disk, list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.locks import require_unlocked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.keys.queries import require_enabled
from lamina.control.scope import Scope
from lamina.ids import DiskId, InstanceId

SYSTEM_DEVICE: Final = "/dev/xvda"
DATA_DEVICES: Final = tuple(f"/dev/xvd{letter}" for letter in string.ascii_lowercase[1:])
_ALLOWED: Final = (DiskState.AVAILABLE,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """How a disk is to be attached.

    Attributes:
        disk_id: which disk.
        instance_id: to which instance.
        device: its name there; a free one by default.
        delete_with_instance: whether it goes when the instance is released; a system disk does by default.
        is_bootable: as the system disk.
    """

    disk_id: DiskId
    instance_id: InstanceId
    device: str | None = None
    delete_with_instance: bool | None = None
    is_bootable: bool = False


def attach_disk(scope: Scope, wanted: Attachment) -> DiskRecord:
    """Start attaching a disk; it is `Attaching`, and `In_use` when its task has ended.

    A system disk that is attached without `is_bootable` becomes a data disk.

    Raises:
        DiskNotFoundError: the account has no such disk.
        InstanceNotFoundError: the account has no such instance.
        DiskCategoryError: it is a local disk.
        InstanceSecurityLockError, InstanceArrearsError: the instance is locked.
        DiskStateError: it is not `Available`.
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        DiskConnectedError: it is open through a connection.
        ZoneMismatchError: it lies in another zone.
        InstanceStateError: the instance is neither `Running` nor `Stopped`; for a system disk, not `Stopped`.
        NotBootableError, ForeignSystemDiskError: it cannot be the system disk.
        DiskLimitError: the instance has as many data disks as it may have.
        DeviceTakenError: the device name is taken; with a system disk, by that.
    """
    disk = get_disk(scope, wanted.disk_id)
    instance = get_instance(scope, wanted.instance_id)
    _check_disk(scope, disk, instance)
    present = list_attached(scope.session, instance.id)
    if wanted.is_bootable:
        _check_system_disk(disk, instance, present)
        device = SYSTEM_DEVICE
    else:
        device = choose_device(instance.id, wanted.device, present, scope.limits.data_disks_per_instance)
    before = Before.of(disk)
    disk.role = DiskRole.SYSTEM if wanted.is_bootable else DiskRole.DATA
    if wanted.is_bootable:
        disk.origin_instance_id = instance.id
    disk.instance_id = instance.id
    disk.device = device
    given = wanted.delete_with_instance
    disk.delete_with_instance = wanted.is_bootable if given is None else given
    disk.was_attached = disk.was_attached or instance.started_at is not None
    disk.move_to(DiskState.ATTACHING)
    disk.task_id = start_attachment(scope.session, scope.clock, disk, before)
    return disk


def choose_device(
    instance_id: InstanceId, wanted: str | None, present: Collection[DiskRecord], maximum: int
) -> str:
    """The device of a further data disk: the one asked for, or the first that is free.

    Raises:
        DiskLimitError: there are as many data disks as there may be.
        DeviceTakenError: the device is taken.
    """
    if sum(disk.device != SYSTEM_DEVICE for disk in present) >= maximum:
        raise DiskLimitError(instance_id, maximum)
    taken = {disk.device for disk in present}
    if wanted is None:
        return next(device for device in DATA_DEVICES if device not in taken)
    if wanted in taken:
        raise DeviceTakenError(instance_id, wanted)
    return wanted


def _check_disk(scope: Scope, disk: DiskRecord, instance: InstanceRecord) -> None:
    if not disk.category.is_portable:
        raise DiskCategoryError(disk.category.value)
    require_unlocked(scope, instance)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk.id, disk.state, _ALLOWED)
    require_enabled(scope.session, disk.key_id)
    connection = find_connection(scope, disk.id)
    if connection is not None:
        raise DiskConnectedError(disk.id, connection.id)
    if disk.zone_id != instance.zone_id:
        raise ZoneMismatchError(disk.id, disk.zone_id, instance.id, instance.zone_id)
    require_state(instance, SETTLED)


def _check_system_disk(disk: DiskRecord, instance: InstanceRecord, present: Collection[DiskRecord]) -> None:
    if disk.role is not DiskRole.SYSTEM:
        raise NotBootableError(disk.id)
    if disk.origin_instance_id not in (None, instance.id):  # an imported system disk has had no instance yet
        raise ForeignSystemDiskError(disk.id, disk.origin_instance_id)
    require_state(instance, (InstanceState.STOPPED,))
    if any(other.device == SYSTEM_DEVICE for other in present):
        raise DeviceTakenError(instance.id, SYSTEM_DEVICE)
