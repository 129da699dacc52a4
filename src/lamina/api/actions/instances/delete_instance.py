"""DeleteInstance."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.instances.errors import (
    DeletionProtectionError,
    InstanceNotFoundError,
    InstancePendingError,
    InstancePrepaidError,
    InstanceStateError,
)
from lamina.control.provisioning.release import delete_instance as delete
from lamina.control.scope import Scope
from lamina.ids import InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteInstanceRequest:
    """Parameters; `TerminateSubscription` is for an expired instance, `ForceStop` changes nothing."""

    instance_id: InstanceId
    force: bool = False
    force_stop: bool = False
    terminate_subscription: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteInstanceAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        InstanceNotFoundError,
        DeletionProtectionError,
        InstancePrepaidError,
        InstancePendingError,
        InstanceStateError,
        DiskStateError,
        DiskConnectedError,
    ),
    resource="instance_id",
    not_offered={
        "there are no networks that could hold an instance": (
            "DependencyViolation.RouteEntry",
            "DependencyViolation.SLBConfiguring",
            "InvalidOperation.EniLinked",
        ),
        "a locked instance can be released, as the appendix on locked resources says": (
            "InstanceLockedForSecurity",
        ),
        "nothing is kept to chosen accounts": (
            "InvalidOperation.NotInWhiteList",
            "OperationDenied.SystemInstanceNotSupport",
        ),
    },
)
def delete_instance(_call: Call, scope: Scope, request: DeleteInstanceRequest) -> DeleteInstanceAnswer:
    """Release an instance; its disks go or stay as each of them says."""
    delete(
        scope,
        request.instance_id,
        force=request.force,
        ends_subscription=request.terminate_subscription,
    )
    return DeleteInstanceAnswer()
