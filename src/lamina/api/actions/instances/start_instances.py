"""StartInstances."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import MISSING_PARAMETER, ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import KEY_USED
from lamina.api.shapes.instance_batch import (
    ALL_TOGETHER,
    AT_ONCE_MAX,
    SUCCESS_FIRST,
    InstanceResponseShape,
    do_for_each,
)
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskConnectedError, DiskStateError
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceExpiredError,
    InstanceNotFoundError,
    InstancePendingError,
    InstanceSecurityLockError,
    InstanceStateError,
    SystemDiskMissingError,
)
from lamina.control.provisioning.start import start_instance
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import InstanceId, RegionId
from lamina.tasks.errors import TaskBusyError

_DISK_ERROR: Final = Code(403, "DiskError")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstancesRequest:
    """Parameters."""

    region_id: RegionId
    instance_id: tuple[InstanceId, ...] = param(default=(), at_most=AT_ONCE_MAX)
    batch_optimization: str = param(default=ALL_TOGETHER, choices=(ALL_TOGETHER, SUCCESS_FIRST))
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstancesAnswer:
    """One entry per instance."""

    instance_responses: tuple[InstanceResponseShape, ...] = param(wire="InstanceResponses/InstanceResponse")


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
        RegionNotFoundError,
        InstanceNotFoundError,
        InstanceSecurityLockError,
        InstanceArrearsError,
        InstanceStateError,
        SystemDiskMissingError,
        TaskBusyError,
    ),
    errors={
        InstanceExpiredError: Code(403, "InstanceExpired"),
        InstancePendingError: Code(403, "InstanceNotReady"),
        DiskStateError: _DISK_ERROR,
        DiskConnectedError: _DISK_ERROR,
    },
    answers=(MISSING_PARAMETER,),
    resource="instance_id",
    not_offered={
        "an instance whose account is overdue gives InstanceExpiredOrInArrears": ("InsufficientBalance",),
        "instances are not sold, so nothing is out of stock": (
            "OperationDenied.NoStock",
            "OperationDenied.SpotPriceLowerThanPublicPrice",
        ),
    },
)
def start_instances(_call: Call, scope: Scope, request: StartInstancesRequest) -> StartInstancesAnswer:
    """Start several stopped instances; each is `Running` soon after."""
    if not request.instance_id:
        raise ApiError(MISSING_PARAMETER, "The parameter InstanceId.N is mandatory and is missing")
    start = partial(start_instance, scope)
    return StartInstancesAnswer(
        instance_responses=do_for_each(
            scope, start_instances, request.batch_optimization, request.instance_id, start
        )
    )
