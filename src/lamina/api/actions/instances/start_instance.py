"""StartInstance."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.shapes.encryption import EXACT_KEY_CODES, KEY_USED
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
from lamina.control.provisioning.start import start_instance as start
from lamina.control.scope import Scope
from lamina.ids import InstanceId
from lamina.tasks.errors import TaskBusyError

_DISK_ERROR: Final = Code(403, "DiskError")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstanceRequest:
    """Parameters."""

    instance_id: InstanceId
    init_local_disk: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartInstanceAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(
        *KEY_USED,
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
    resource="instance_id",
    not_offered={
        "an instance whose account is overdue gives InstanceExpiredOrInArrears": (
            "DiskInArrears",
            "InsufficientBalance",
        ),
        EXACT_KEY_CODES: ("InvalidParameter.KMSKeyId.KMSUnauthorized",),
        "instances are not sold, so nothing is out of stock or over a purchase quota": (
            "OperationDenied.NoStock",
            "OperationDenied.SpotPriceLowerThanPublicPrice",
            "QuotaExceed.ElasticQuota",
        ),
    },
)
def start_instance(_call: Call, scope: Scope, request: StartInstanceRequest) -> StartInstanceAnswer:
    """Start a stopped instance; it is `Running` soon after."""
    start(scope, request.instance_id)
    return StartInstanceAnswer()
