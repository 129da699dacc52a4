"""DescribeSnapshotSizes."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN, MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.scope import Scope
from lamina.control.snapshots.queries import SnapshotFilter, list_snapshots
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.control.snapshots.usage import measure_usage
from lamina.ids import DiskId, RegionId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotSizesRequest:
    """Parameters; all filters must match. Only accomplished snapshots have sizes."""

    region_id: RegionId
    snapshot_ids: tuple[SnapshotId, ...] | None = param(
        default=None, form="json", at_most=100, malformed=Code(403, "InvalidSnapshotIds.Malformed")
    )
    disk_id: DiskId | None = None
    page_number: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    page_size: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    next_token: str | None = None
    max_results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSizeShape:
    """The sizes of one snapshot, all in bytes.

    Attributes:
        used_bytes: the used capacity of the disk at that time: all blocks that hold data.
        incremental_bytes: those that the snapshot before it in the chain does not have; all of them for the first.
        stored_bytes: what its creation added to the object store, after deduplication and compression.
        exclusive_bytes: stored bytes that no other snapshot needs: what deleting it frees, once the space is swept
            and compacted. Absent until the chain is counted, a moment after it changed.
    """

    snapshot_id: SnapshotId
    source_disk_id: DiskId
    used_bytes: int | None
    incremental_bytes: int | None
    stored_bytes: int | None
    exclusive_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotSizesAnswer:
    """One page of sizes, the newest snapshot first, and what the region comes to."""

    snapshot_sizes: tuple[SnapshotSizeShape, ...] = param(wire="SnapshotSizes/SnapshotSize")
    region_snapshot_count: int
    region_bytes: int
    total_count: int
    page_number: int
    page_size: int
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_snapshot_sizes(
    call: Call, scope: Scope, request: DescribeSnapshotSizesRequest
) -> DescribeSnapshotSizesAnswer:
    """Tell how large snapshots are: used, added, stored, and what deleting each would free."""
    pager = call.pager()
    wanted = pager.read(request)
    filters = SnapshotFilter(
        snapshot_ids=request.snapshot_ids, disk_id=request.disk_id, state=SnapshotState.ACCOMPLISHED
    )
    page = list_snapshots(scope, filters, wanted)
    facts, usage = pager.describe(request, wanted, page), measure_usage(scope)
    return DescribeSnapshotSizesAnswer(
        snapshot_sizes=tuple(_show(view.snapshot) for view in page.items),
        region_snapshot_count=usage.snapshot_count,
        region_bytes=usage.size_bytes,
        total_count=facts.total_count,
        page_number=facts.page_number,
        page_size=facts.page_size,
        next_token=facts.next_token,
    )


def _show(snapshot: SnapshotRecord) -> SnapshotSizeShape:
    return SnapshotSizeShape(
        snapshot_id=snapshot.id,
        source_disk_id=snapshot.disk_id,
        used_bytes=snapshot.used_bytes,
        incremental_bytes=snapshot.incremental_bytes,
        stored_bytes=snapshot.stored_bytes,
        exclusive_bytes=snapshot.exclusive_bytes,
    )
