"""DescribeSnapshotsUsage."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.spec import Kind, action
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.usage import measure_usage
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotsUsageRequest:
    """Parameters."""

    region_id: RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotsUsageAnswer:
    """All snapshots of the account in the region; the size is in bytes."""

    snapshot_count: int
    snapshot_size: int


@action(kind=Kind.READS, errors={RegionNotFoundError: Code(403, "InvalidParam.RegionId")})
def describe_snapshots_usage(
    _call: Call,
    scope: Scope,
    request: DescribeSnapshotsUsageRequest,  # noqa: ARG001 - its class is what is decoded
) -> DescribeSnapshotsUsageAnswer:
    """Tell how many snapshots the account has in a region, and how large they are together."""
    usage = measure_usage(scope)
    return DescribeSnapshotsUsageAnswer(snapshot_count=usage.snapshot_count, snapshot_size=usage.size_bytes)
