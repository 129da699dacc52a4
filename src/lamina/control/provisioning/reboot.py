"""Reboot an instance (RebootInstance)."""

from typing import Final

from lamina.control.disks.errors import DiskStateError
from lamina.control.disks.queries import list_attached
from lamina.control.disks.states import DiskState
from lamina.control.instances.locks import require_unlocked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.states import InstanceState
from lamina.control.provisioning.power import start_rebooting
from lamina.control.scope import Scope
from lamina.ids import InstanceId

_ALLOWED: Final = (InstanceState.RUNNING,)
_READY: Final = (DiskState.IN_USE,)


def reboot_instance(scope: Scope, instance_id: InstanceId, *, is_forced: bool = False) -> None:
    """Start rebooting an instance; it is `Stopping`, then `Starting`, and `Running` when its task has ended.

    Args:
        scope: who asks.
        instance_id: which one.
        is_forced: cut its power instead of asking the guest to shut down.

    Raises:
        InstanceNotFoundError: the account has no such instance.
        InstanceSecurityLockError, InstanceArrearsError: it is locked.
        InstanceStateError: it is not `Running`.
        DiskStateError: a disk is being attached to it or detached from it.
    """
    instance = get_instance(scope, instance_id)
    require_unlocked(scope, instance)
    require_state(instance, _ALLOWED)
    for disk in list_attached(scope.session, instance_id):
        if disk.state not in _READY:
            raise DiskStateError(disk.id, disk.state, _READY)
    instance.move_to(InstanceState.STOPPING)
    instance.task_id = start_rebooting(scope.session, scope.clock, instance_id, is_forced=is_forced)
