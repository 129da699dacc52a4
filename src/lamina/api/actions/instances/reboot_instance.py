"""RebootInstance."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.shapes.encryption import EXACT_KEY_CODES
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskStateError
from lamina.control.instances.errors import (
    InstanceArrearsError,
    InstanceNotFoundError,
    InstanceSecurityLockError,
    InstanceStateError,
)
from lamina.control.provisioning.reboot import reboot_instance as reboot
from lamina.control.scope import Scope
from lamina.ids import InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootInstanceRequest:
    """Parameters."""

    instance_id: InstanceId
    force_stop: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RebootInstanceAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(InstanceNotFoundError, InstanceSecurityLockError, InstanceArrearsError, InstanceStateError),
    errors={DiskStateError: Code(403, "DiskError")},
    resource="instance_id",
    not_offered={
        EXACT_KEY_CODES: ("InvalidParameter.KMSKeyId.KMSUnauthorized",),
    },
)
def reboot_instance(_call: Call, scope: Scope, request: RebootInstanceRequest) -> RebootInstanceAnswer:
    """Stop a running instance and start it; it is `Running` again soon after."""
    reboot(scope, request.instance_id, is_forced=request.force_stop)
    return RebootInstanceAnswer()
