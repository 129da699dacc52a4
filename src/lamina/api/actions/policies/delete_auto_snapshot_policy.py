"""DeleteAutoSnapshotPolicy."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.policies.delete import delete_policy
from lamina.control.policies.errors import PolicyNotFoundError
from lamina.control.scope import Scope
from lamina.ids import PolicyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAutoSnapshotPolicyRequest:
    """Parameters."""

    region_id: RegionId = param(wire="regionId")  # noqa: RUF009 - a field, as `field()` is
    auto_snapshot_policy_id: PolicyId = param(wire="autoSnapshotPolicyId")  # noqa: RUF009 - the same


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAutoSnapshotPolicyAnswer:
    """Nothing but the request id."""


@action(kind=Kind.WRITES, raises=(PolicyNotFoundError,), resource="auto_snapshot_policy_id")
def delete_auto_snapshot_policy(
    _call: Call, scope: Scope, request: DeleteAutoSnapshotPolicyRequest
) -> DeleteAutoSnapshotPolicyAnswer:
    """Delete a policy and take it off its disks; the snapshots that it made stay."""
    delete_policy(scope, request.auto_snapshot_policy_id)
    return DeleteAutoSnapshotPolicyAnswer()
