"""CancelAutoSnapshotPolicy."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import ApiError
from lamina.api.schema import param
from lamina.api.shapes.policy import BAD_POLICY
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskNotFoundError
from lamina.control.policies.cancel import cancel_policy
from lamina.control.policies.errors import PolicyNotFoundError
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAutoSnapshotPolicyRequest:
    """Parameters; without a policy any policy is taken off."""

    region_id: RegionId = param(wire="regionId")  # noqa: RUF009 - a field, as `field()` is
    disk_ids: tuple[DiskId, ...] = param(wire="diskIds", form="json", malformed=BAD_POLICY)
    auto_snapshot_policy_id: PolicyId | None = param(default=None, wire="autoSnapshotPolicyId")  # noqa: RUF009 - the same


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelAutoSnapshotPolicyAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(PolicyNotFoundError, DiskNotFoundError),
    answers=(BAD_POLICY,),
    resource="auto_snapshot_policy_id",
)
def cancel_auto_snapshot_policy(
    _call: Call, scope: Scope, request: CancelAutoSnapshotPolicyRequest
) -> CancelAutoSnapshotPolicyAnswer:
    """Take policies off disks; a disk without one stays as it is."""
    if not request.disk_ids:
        raise ApiError(BAD_POLICY, "diskIds must name one disk at least")
    cancel_policy(scope, request.disk_ids, request.auto_snapshot_policy_id)
    return CancelAutoSnapshotPolicyAnswer()
