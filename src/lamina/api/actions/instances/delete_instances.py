"""DeleteInstances."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import MISSING_PARAMETER, ApiError
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.idempotency.errors import TokenReusedError
from lamina.control.instances.errors import (
    DeletionProtectionError,
    InstanceNotFoundError,
    InstancePendingError,
    InstancePrepaidError,
    InstanceStateError,
)
from lamina.control.provisioning.release import delete_instance
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import InstanceId, RegionId

_AT_ONCE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteInstancesRequest:
    """Parameters; see DeleteInstance."""

    region_id: RegionId
    instance_id: tuple[InstanceId, ...] = param(default=(), at_most=_AT_ONCE)
    force: bool = False
    force_stop: bool = False
    terminate_subscription: bool = False
    client_token: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteInstancesAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        RegionNotFoundError,
        InstanceNotFoundError,
        DeletionProtectionError,
        InstancePrepaidError,
        InstancePendingError,
        InstanceStateError,
        DiskStateError,
        DiskConnectedError,
        TokenReusedError,
    ),
    answers=(MISSING_PARAMETER,),
    resource="instance_id",
    not_offered={
        "there are no networks that could hold an instance": (
            "DependencyViolation.RouteEntry",
            "DependencyViolation.SLBConfiguring",
        ),
        "a locked instance can be released, as the appendix on locked resources says": (
            "InstanceLockedForSecurity",
        ),
        "nothing is kept to chosen accounts": ("InvalidOperation.NotInWhiteList",),
    },
)
def delete_instances(_call: Call, scope: Scope, request: DeleteInstancesRequest) -> DeleteInstancesAnswer:
    """Release several instances: all of them, or none if one is refused."""
    if not request.instance_id:
        raise ApiError(MISSING_PARAMETER, "The parameter InstanceId.N is mandatory and is missing")
    for instance_id in dict.fromkeys(request.instance_id):
        delete_instance(
            scope,
            instance_id,
            force=request.force,
            ends_subscription=request.terminate_subscription,
        )  # a refusal takes the whole transaction back
    return DeleteInstancesAnswer()
