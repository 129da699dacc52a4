"""Stop an instance (StopInstance)."""

from typing import Final

from lamina.control.instances.locks import require_unlocked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.states import InstanceState, StoppedMode
from lamina.control.provisioning.power import start_stopping
from lamina.control.scope import Scope
from lamina.ids import InstanceId

_ALLOWED: Final = (InstanceState.RUNNING,)


def stop_instance(
    scope: Scope,
    instance_id: InstanceId,
    *,
    is_forced: bool = False,
    stopped_mode: StoppedMode = StoppedMode.KEEP_CHARGING,
) -> None:
    """Start stopping an instance; it is `Stopping`, and `Stopped` when its task has ended.

    Args:
        scope: who asks.
        instance_id: which one.
        is_forced: cut its power instead of asking the guest to shut down.
        stopped_mode: what it is to cost meanwhile; recorded.

    Raises:
        InstanceNotFoundError: the account has no such instance.
        InstanceSecurityLockError, InstanceArrearsError: it is locked.
        InstanceStateError: it is not `Running`.
    """
    instance = get_instance(scope, instance_id)
    require_unlocked(scope, instance)
    require_state(instance, _ALLOWED)
    instance.stopped_mode = stopped_mode
    instance.move_to(InstanceState.STOPPING)
    instance.task_id = start_stopping(scope.session, scope.clock, instance_id, is_forced=is_forced)
