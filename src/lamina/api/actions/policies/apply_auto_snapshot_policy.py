"""ApplyAutoSnapshotPolicy."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import SUSPENDED, ApiError
from lamina.api.schema import param
from lamina.api.shapes.policy import BAD_POLICY
from lamina.api.spec import Kind, action
from lamina.control.disks.errors import DiskCategoryError, DiskNotFoundError
from lamina.control.policies.apply import apply_policy
from lamina.control.policies.errors import PartlyUnsupportedError, PolicyNotFoundError
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAutoSnapshotPolicyRequest:
    """Parameters."""

    region_id: RegionId = param(wire="regionId")  # noqa: RUF009 - a field, as `field()` is
    auto_snapshot_policy_id: PolicyId = param(wire="autoSnapshotPolicyId")  # noqa: RUF009 - the same
    disk_ids: tuple[DiskId, ...] = param(wire="diskIds", form="json", malformed=BAD_POLICY)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyAutoSnapshotPolicyAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(PolicyNotFoundError, DiskNotFoundError, DiskCategoryError, PartlyUnsupportedError),
    answers=(SUSPENDED, BAD_POLICY),
    resource="auto_snapshot_policy_id",
    not_offered={
        "an unknown policy is ParameterInvalid": ("InvalidAutoSnapshotPolicyId.NotFound",),
        "the service is never inactive for an account": ("InvalidAccountStatus.SnapshotServiceUnavailable",),
        "a disk has one policy, and a new one takes the place of the old one": (
            "InvalidOperation.AutoSnapshotPolicyConflict",
            "QuotaExceed.AppliedAutoSnapshotPolicyQuota",
        ),
        "a policy can be applied whatever snapshots a disk has": (
            "InvalidOperation.SnapshotAlreadyCreatedUnsupported",
        ),
    },
)
def apply_auto_snapshot_policy(
    call: Call, scope: Scope, request: ApplyAutoSnapshotPolicyRequest
) -> ApplyAutoSnapshotPolicyAnswer:
    """Apply a policy to disks, in the place of the policy that they had."""
    if not request.disk_ids:
        raise ApiError(BAD_POLICY, "diskIds must name one disk at least")
    call.require_snapshot_service()
    apply_policy(scope, request.auto_snapshot_policy_id, request.disk_ids)
    return ApplyAutoSnapshotPolicyAnswer()
