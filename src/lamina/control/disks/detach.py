"""Detach a disk from its instance (DetachDisk)."""

from typing import Final

from lamina.control.disks.attachment import start_detachment
from lamina.control.disks.errors import (
    AttachedElsewhereError,
    DiskConnectedError,
    DiskPortableError,
    DiskStateError,
    NotAttachedError,
)
from lamina.control.disks.host import SETTLED
from lamina.control.disks.queries import find_connection, get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.locks import require_not_security_locked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.states import InstanceState
from lamina.control.scope import Scope
from lamina.ids import DiskId, InstanceId

_ALLOWED: Final = (DiskState.IN_USE,)


def detach_disk(
    scope: Scope, disk_id: DiskId, instance_id: InstanceId, *, delete_with_instance: bool | None = None
) -> DiskRecord:
    """Start detaching a disk; it is `Detaching`, and `Available` when its task has ended.

    A system disk still belongs to its instance in one respect: by default it goes when the instance does.

    Raises:
        DiskNotFoundError: the account has no such disk.
        InstanceNotFoundError: the account has no such instance.
        NotAttachedError: it belongs to no instance.
        AttachedElsewhereError: it belongs to another one.
        DiskPortableError: it is a local disk.
        InstanceSecurityLockError: the instance is locked. Overdue payments do not matter here.
        InstanceStateError: the instance is neither `Running` nor `Stopped`; for a system disk, not `Stopped`.
        DiskStateError: it is not `In_use`.
        DiskConnectedError: it is open through a connection.
    """
    disk = get_disk(scope, disk_id)
    instance = get_instance(scope, instance_id)
    if disk.instance_id is None:
        raise NotAttachedError(disk_id)
    if disk.instance_id != instance_id:
        raise AttachedElsewhereError(disk_id, instance_id)
    if not disk.category.is_portable:
        raise DiskPortableError(disk_id)
    require_not_security_locked(instance)
    is_system = disk.role is DiskRole.SYSTEM
    require_state(instance, (InstanceState.STOPPED,) if is_system else SETTLED)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk_id, disk.state, _ALLOWED)
    connection = find_connection(scope, disk_id)
    if connection is not None:
        raise DiskConnectedError(disk_id, connection.id)
    disk.delete_with_instance = is_system if delete_with_instance is None else delete_with_instance
    disk.move_to(DiskState.DETACHING)
    disk.task_id = start_detachment(scope.session, scope.clock, disk)
    return disk
