"""StopInstance."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.encryption import EXACT_KEY_CODES
from lamina.api.spec import Kind, action
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.instances.states import StoppedMode
from lamina.control.provisioning.stop import stop_instance as stop
from lamina.control.scope import Scope
from lamina.ids import InstanceId

_NO_HIBERNATION: Final = Code(403, "HibernationConfigured.NotEnabled")


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInstanceRequest:
    """Parameters; `ConfirmStop` is for local disks, which no instance has."""

    instance_id: InstanceId
    force_stop: bool = False
    confirm_stop: bool = False
    hibernate: bool = False
    stopped_mode: str = param(
        default=StoppedMode.KEEP_CHARGING.value, choices=tuple(mode.value for mode in StoppedMode)
    )
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopInstanceAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(InstanceNotFoundError, InstanceSecurityLockError, InstanceArrearsError, InstanceStateError),
    answers=(_NO_HIBERNATION,),
    resource="instance_id",
    not_offered={
        "a machine with a broken disk can be stopped": ("DiskError",),
        "no instance has local disks": ("InstanceType.ParameterMismatch",),
        "every instance can be stopped": (
            "InvalidInstanceId.NotSupport",
            "OperationDenied.SystemInstanceNotSupport",
        ),
        EXACT_KEY_CODES: (
            "InvalidParameter.Encrypted.KmsNotEnable",
            "InvalidParameter.KMSKeyId.CMKNotEnabled",
            "InvalidParameter.KMSKeyId.KMSUnauthorized",
        ),
        "a service that cannot answer says ServiceUnavailable": ("LimitedOperation.ServiceUnavailable",),
    },
)
def stop_instance(_call: Call, scope: Scope, request: StopInstanceRequest) -> StopInstanceAnswer:
    """Stop a running instance; it is `Stopped` soon after."""
    if request.hibernate:
        raise ApiError(_NO_HIBERNATION, "hibernation is not offered; stop the instance without Hibernate")
    stop(
        scope,
        request.instance_id,
        is_forced=request.force_stop,
        stopped_mode=StoppedMode(request.stopped_mode),
    )
    return StopInstanceAnswer()
