"""Release an instance (DeleteInstance)."""

from typing import Final

from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.disks.queries import find_connection, list_attached
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.start import has_task
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.errors import (
    DeletionProtectionError,
    InstancePendingError,
    InstancePrepaidError,
)
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.release_task import list_left, start_releasing
from lamina.control.scope import Scope
from lamina.ids import InstanceId
from lamina.tasks.queue import is_active, request_cancel

_ALLOWED: Final = (InstanceState.STOPPED,)


def delete_instance(
    scope: Scope, instance_id: InstanceId, *, force: bool = False, ends_subscription: bool = False
) -> None:
    """Release an instance: it is gone for the account at once, and its disks soon.

    Disks with `delete_with_instance` go, with their automatic snapshots if they say so; the others become
    `Available` data disks. Manual snapshots stay; one that is still being created goes with its disk. Locks do not
    matter here. A disk whose rolling back failed for good is a reason to refuse, unless it goes with the instance.

    Args:
        scope: who asks.
        instance_id: which one.
        force: whatever its state.
        ends_subscription: also one that was paid for in advance and has expired.

    Raises:
        InstanceNotFoundError: the account has no such instance.
        DeletionProtectionError: it is protected.
        InstancePrepaidError: it is paid for in advance, and has not expired or was not meant to end.
        InstancePendingError: it is still being made.
        InstanceStateError: it is not `Stopped`, and there is no `force`.
        DiskStateError: something is being done with one of its disks, or with its detached system disk.
        DiskConnectedError: one of these is open through a connection.
    """
    instance = get_instance(scope, instance_id)
    if instance.is_deletion_protected:
        raise DeletionProtectionError(instance_id)
    if instance.expires_at is not None and not (ends_subscription and instance.is_expired(scope.clock.now())):
        raise InstancePrepaidError(instance_id, instance.expires_at)
    if instance.state is not InstanceState.PENDING and not force:
        require_state(instance, _ALLOWED)
    release_instance(scope, instance)


def release_instance(scope: Scope, instance: InstanceRecord) -> None:
    """The same, whatever state an instance is in, how it is paid for, and whether it is protected.

    Raises:
        InstancePendingError, DiskStateError, DiskConnectedError: as `delete_instance`.
    """
    if instance.state is InstanceState.PENDING:
        raise InstancePendingError(instance.id)
    disks = list_attached(scope.session, instance.id)
    for disk in disks:
        if not _is_given_up(scope, disk):
            _require_idle(scope, disk, DiskState.IN_USE)
    for disk in list_left(scope.session, instance.id):
        if disk.role is DiskRole.SYSTEM and disk.delete_with_instance:
            _require_idle(scope, disk, DiskState.AVAILABLE)
    for disk in disks:
        disk.move_to(DiskState.DETACHING)
        disk.task_id = None
    instance.move_to(InstanceState.RELEASING)
    if instance.task_id is not None and is_active(scope.session, instance.task_id):
        request_cancel(scope.session, instance.task_id)  # when it has ended, it starts the releasing
    else:
        start_releasing(scope.session, scope.clock, instance)


def _is_given_up(scope: Scope, disk: DiskRecord) -> bool:
    """Whether a disk goes with its instance although its bytes are half replaced, since nobody goes on with that."""
    return (
        disk.state is DiskState.REINITING and disk.delete_with_instance and not has_task(scope.session, disk)
    )


def _require_idle(scope: Scope, disk: DiskRecord, state: DiskState) -> None:
    if disk.state is not state:
        raise DiskStateError(disk.id, disk.state, (state,))
    connection = find_connection(scope, disk.id)
    if connection is not None:
        raise DiskConnectedError(disk.id, connection.id)
