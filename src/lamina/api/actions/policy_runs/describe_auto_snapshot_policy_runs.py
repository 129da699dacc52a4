"""DescribeAutoSnapshotPolicyRuns: an extension of Lamina."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from lamina.api.call import Call
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.policies.queries import Coverage, list_runs
from lamina.control.policies.records import RunRecord
from lamina.control.scope import Scope
from lamina.ids import DiskId, PolicyId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyRunsRequest:
    """Parameters; both filters must match."""

    region_id: RegionId
    auto_snapshot_policy_id: PolicyId | None = None
    disk_id: DiskId | None = None
    max_results: int | None = None
    next_token: str | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunShape:
    """What became of one point: for one disk, or without one for the policy as a whole.

    Attributes:
        outcome: started or skipped for a disk; running, finished, failed, missed or suspended for the policy.
    """

    auto_snapshot_policy_id: PolicyId
    disk_id: DiskId | None
    point_time: datetime
    recorded_time: datetime
    outcome: str
    reason: str
    snapshot_id: SnapshotId | None
    copied_snapshot_id: SnapshotId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyRunsAnswer:
    """One page of records, latest point first."""

    runs: tuple[RunShape, ...] = param(wire="Runs/Run")
    total_count: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_auto_snapshot_policy_runs(
    call: Call, scope: Scope, request: DescribeAutoSnapshotPolicyRunsRequest
) -> DescribeAutoSnapshotPolicyRunsAnswer:
    """List what policies did in the last 30 days, and why they did not."""
    pager = call.pager()
    wanted = pager.read(request)
    of = Coverage(policy_id=request.auto_snapshot_policy_id, disk_id=request.disk_id)
    page = list_runs(scope, of, wanted)
    return DescribeAutoSnapshotPolicyRunsAnswer(
        runs=tuple(_show(run) for run in page.items),
        total_count=page.total_count,
        next_token=pager.describe(request, wanted, page).next_token,
    )


def _show(run: RunRecord) -> RunShape:
    return RunShape(
        auto_snapshot_policy_id=run.policy_id,
        disk_id=run.disk_id,
        point_time=run.point,
        recorded_time=run.recorded_at,
        outcome=run.outcome.value,
        reason=run.reason or "",
        snapshot_id=run.snapshot_id,
        copied_snapshot_id=run.copy_id,
    )
