"""DescribeAutoSnapshotPolicyAssociations."""

from dataclasses import dataclass
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.policies.queries import Coverage, list_covered_disks
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyAssociationsRequest:
    """Parameters; both filters must match."""

    region_id: RegionId
    auto_snapshot_policy_id: PolicyId | None = None
    disk_id: DiskId | None = None
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationShape:
    """A policy and a disk."""

    auto_snapshot_policy_id: PolicyId
    disk_id: DiskId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyAssociationsAnswer:
    """One page of pairs, the newest disk first."""

    auto_snapshot_policy_associations: tuple[AssociationShape, ...] = param(
        wire="AutoSnapshotPolicyAssociations/AutoSnapshotPolicyAssociation"
    )
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_auto_snapshot_policy_associations(
    call: Call, scope: Scope, request: DescribeAutoSnapshotPolicyAssociationsRequest
) -> DescribeAutoSnapshotPolicyAssociationsAnswer:
    """List which policy is applied to which disk."""
    pager = call.pager()
    wanted = pager.read(request)
    of = Coverage(policy_id=request.auto_snapshot_policy_id, disk_id=request.disk_id)
    page = list_covered_disks(scope, of, wanted)
    return DescribeAutoSnapshotPolicyAssociationsAnswer(
        auto_snapshot_policy_associations=tuple(
            AssociationShape(auto_snapshot_policy_id=disk.policy_id, disk_id=disk.id)
            for disk in page.items
            if disk.policy_id is not None
        ),
        next_token=pager.describe(request, wanted, page).next_token,
    )
