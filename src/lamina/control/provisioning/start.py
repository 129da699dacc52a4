"""Start an instance (StartInstance)."""

from typing import Final

from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.disks.queries import find_connection, list_attached
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.errors import InstancePendingError, SystemDiskMissingError
from lamina.control.instances.locks import require_unlocked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import InstanceState, StoppedMode
from lamina.control.keys.queries import require_enabled
from lamina.control.provisioning.power import start_starting
from lamina.control.scope import Scope
from lamina.ids import InstanceId

_ALLOWED: Final = (InstanceState.STOPPED,)
_READY: Final = (DiskState.IN_USE,)


def start_instance(scope: Scope, instance_id: InstanceId) -> None:
    """Start starting an instance; it is `Starting`, and `Running` when its task has ended.

    Raises:
        InstanceNotFoundError: the account has no such instance.
        InstanceSecurityLockError, InstanceArrearsError: it is locked.
        InstancePendingError: it is still being made.
        InstanceStateError: it is not `Stopped`.
        SystemDiskMissingError: its system disk was detached.
        DiskStateError: something is being done with one of its disks.
        KeyNotEnabledError, KeyDestroyedError: the key of one of its disks cannot be used now.
        DiskConnectedError: one of its disks is open through a connection.
        TaskBusyError: its system disk is being replaced.
    """
    instance = get_instance(scope, instance_id)
    _prepare(scope, instance)
    instance.task_id = start_starting(scope.session, scope.clock, instance_id)


def start_made_instance(scope: Scope, instance: InstanceRecord) -> None:
    """The same for an instance whose disks were made this moment, by a task that has not ended yet.

    Raises:
        Refusal: as `start_instance`; the instance is left as it is.
    """
    _prepare(scope, instance)
    instance.task_id = start_starting(scope.session, scope.clock, instance.id, is_first=True)


def _prepare(scope: Scope, instance: InstanceRecord) -> None:
    require_unlocked(scope, instance)
    if instance.state is InstanceState.PENDING:
        raise InstancePendingError(instance.id)
    require_state(instance, _ALLOWED)
    disks = list_attached(scope.session, instance.id)
    if all(disk.role is not DiskRole.SYSTEM for disk in disks):
        raise SystemDiskMissingError(instance.id)
    for disk in disks:
        if disk.state not in _READY:
            raise DiskStateError(disk.id, disk.state, _READY)
        require_enabled(scope.session, disk.key_id)
        connection = find_connection(scope, disk.id)
        if connection is not None:
            raise DiskConnectedError(disk.id, connection.id)
    instance.stopped_mode = StoppedMode.NOT_APPLICABLE
    instance.move_to(InstanceState.STARTING)
