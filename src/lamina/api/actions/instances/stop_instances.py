"""StopInstances."""

from dataclasses import dataclass
from functools import partial

from lamina.api.call import Call
from lamina.api.codes import MISSING_PARAMETER, ApiError
from lamina.api.schema import param
from lamina.api.shapes.instance_batch import (
    ALL_TOGETHER,
    AT_ONCE_MAX,
    SUCCESS_FIRST,
    InstanceResponseShape,
    do_for_each,
)
from lamina.api.spec import Kind, action
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.instances.states import StoppedMode
from lamina.control.provisioning.stop import stop_instance
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import InstanceId, RegionId
from lamina.tasks.errors import TaskBusyError


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInstancesRequest:
    """Parameters."""

    region_id: RegionId
    instance_id: tuple[InstanceId, ...] = param(default=(), at_most=AT_ONCE_MAX)
    batch_optimization: str = param(default=ALL_TOGETHER, choices=(ALL_TOGETHER, SUCCESS_FIRST))
    force_stop: bool = False
    stopped_mode: str = param(
        default=StoppedMode.KEEP_CHARGING.value, choices=tuple(mode.value for mode in StoppedMode)
    )
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInstancesAnswer:
    """One entry per instance."""

    instance_responses: tuple[InstanceResponseShape, ...] = param(wire="InstanceResponses/InstanceResponse")


@action(
    kind=Kind.WRITES,
    raises=(
        RegionNotFoundError,
        InstanceNotFoundError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        InstanceStateError,
        TaskBusyError,
    ),
    answers=(MISSING_PARAMETER,),
    resource="instance_id",
)
def stop_instances(_call: Call, scope: Scope, request: StopInstancesRequest) -> StopInstancesAnswer:
    """Stop several running instances; each is `Stopped` soon after."""
    if not request.instance_id:
        raise ApiError(MISSING_PARAMETER, "The parameter InstanceId.N is mandatory and is missing")
    stop = partial(
        stop_instance,
        scope,
        is_forced=request.force_stop,
        stopped_mode=StoppedMode(request.stopped_mode),
    )
    return StopInstancesAnswer(
        instance_responses=do_for_each(
            scope, stop_instances, request.batch_optimization, request.instance_id, stop
        )
    )
