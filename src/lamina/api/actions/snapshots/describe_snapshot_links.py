"""DescribeSnapshotLinks."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN, MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.spec import Kind, action
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import chain_id, find_disk_of_chain
from lamina.control.snapshots.chain_queries import ChainView, list_chains
from lamina.control.snapshots.states import SnapshotCategory
from lamina.ids import DiskId, InstanceId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotLinksRequest:
    """Parameters; all filters must match. An empty array matches nothing."""

    region_id: RegionId
    disk_ids: tuple[DiskId, ...] | None = param(
        default=None, form="json", at_most=100, malformed=Code(400, "InvalidDiskIds")
    )
    snapshot_link_ids: tuple[str, ...] | None = param(
        default=None, form="json", at_most=100, malformed=Code(400, "InvalidSnapshotLinkIds")
    )
    instance_id: InstanceId | None = None
    page_number: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    page_size: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    next_token: str | None = None
    max_results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotLinkShape:
    """One chain.

    Attributes:
        source_disk_size: GiB.
        total_size: bytes: used capacity of the first snapshot, and what changed with each later one.
        total_count: how many snapshots.
    """

    snapshot_link_id: str
    region_id: RegionId
    source_disk_id: DiskId
    source_disk_name: str
    source_disk_size: int
    source_disk_type: str
    instance_id: str
    instance_name: str
    category: str
    instant_access: bool
    total_size: int
    total_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotLinksAnswer:
    """One page of chains, newest first."""

    snapshot_links: tuple[SnapshotLinkShape, ...] = param(wire="SnapshotLinks/SnapshotLink")
    total_count: int
    page_number: int
    page_size: int
    next_token: str


@action(
    kind=Kind.READS,
    errors={RegionNotFoundError: Code(400, "InvalidRegionId")},
    answers=(INVALID_TOKEN,),
)
def describe_snapshot_links(
    call: Call, scope: Scope, request: DescribeSnapshotLinksRequest
) -> DescribeSnapshotLinksAnswer:
    """List snapshot chains, one per disk, with their sizes in bytes."""
    pager = call.pager()
    wanted = pager.read(request)
    page = list_chains(scope, _choose_disks(request), request.instance_id, wanted)
    facts = pager.describe(request, wanted, page)
    return DescribeSnapshotLinksAnswer(
        snapshot_links=tuple(_show(view) for view in page.items),
        total_count=facts.total_count,
        page_number=facts.page_number,
        page_size=facts.page_size,
        next_token=facts.next_token,
    )


def _choose_disks(request: DescribeSnapshotLinksRequest) -> list[DiskId] | None:
    """The disks that both filters name; None when there is no filter."""
    if request.snapshot_link_ids is None:
        return None if request.disk_ids is None else list(request.disk_ids)
    of_links = [find_disk_of_chain(link_id) for link_id in request.snapshot_link_ids]
    return [
        disk_id
        for disk_id in of_links
        if disk_id is not None and (request.disk_ids is None or disk_id in request.disk_ids)
    ]


def _show(view: ChainView) -> SnapshotLinkShape:
    chain = view.chain
    is_archive = chain.archive_bytes > 0 and chain.standard_bytes == 0
    return SnapshotLinkShape(
        snapshot_link_id=chain_id(chain.disk_id),
        region_id=chain.region_id,
        source_disk_id=chain.disk_id,
        source_disk_name=view.disk_name or "",
        source_disk_size=view.disk_size_gib,
        source_disk_type=view.disk_role.value,
        instance_id=view.instance_id or "",
        instance_name=view.instance_name or "",
        category=(SnapshotCategory.ARCHIVE if is_archive else SnapshotCategory.STANDARD).value,
        instant_access=False,
        total_size=chain.standard_bytes + chain.archive_bytes,
        total_count=chain.snapshot_count,
    )
