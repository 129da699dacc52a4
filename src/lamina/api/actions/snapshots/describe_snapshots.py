"""DescribeSnapshots."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.paging import INVALID_TOKEN, MAX_PAGE_NUMBER
from lamina.api.schema import param
from lamina.api.shapes.filters import BAD_FILTER_VALUE, UNKNOWN_FILTER_KEY, Filter, read_creation_window
from lamina.api.shapes.snapshot import SnapshotShape, show_snapshot
from lamina.api.shapes.tags import MAX_TAGS, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.disks.states import DiskRole
from lamina.control.paging import Page
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import find_disk_of_chain
from lamina.control.snapshots.queries import SnapshotFilter, SnapshotView, list_snapshots
from lamina.control.snapshots.states import SnapshotCategory, SnapshotKind, SnapshotState, SnapshotUsage
from lamina.ids import DiskId, InstanceId, KeyId, RegionId, SnapshotId

_BAD_IDS: Final = Code(403, "InvalidSnapshotIds.Malformed")
_CATEGORIES: Final = {
    "standard": (SnapshotCategory.STANDARD, SnapshotCategory.ARCHIVING),
    "flash": (),
    "archive": (SnapshotCategory.ARCHIVE,),
}
_UNKNOWN_LINK: Final = Code(404, "InvalidSnapshotLinkId.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotsRequest:
    """Parameters; all filters must match."""

    region_id: RegionId
    snapshot_ids: tuple[SnapshotId, ...] | None = param(
        default=None, form="json", at_most=100, malformed=_BAD_IDS
    )
    disk_id: DiskId | None = None
    instance_id: InstanceId | None = None
    snapshot_link_id: str | None = None
    snapshot_name: str | None = None
    status: str | None = param(
        default=None,
        choices=("progressing", "accomplished", "failed", "all"),
        malformed=Code(404, "InvalidStatus.NotFound"),
    )
    snapshot_type: str | None = param(
        default=None,
        choices=("auto", "user", "all"),
        malformed=Code(404, "InvalidSnapshotType.NotFound"),
    )
    usage: str | None = param(
        default=None,
        choices=("image", "disk", "image_disk", "none"),
        malformed=Code(404, "InvalidUsage"),
    )
    source_disk_type: str | None = param(
        default=None, choices=("system", "data"), malformed=Code(404, "InvalidSourceDiskType")
    )
    category: str | None = param(
        default=None,
        choices=("standard", "flash", "archive"),
        malformed=Code(403, "InvalidSnapshotCategory.Malformed"),
    )
    encrypted: bool | None = None
    kms_key_id: str | None = param(default=None, wire="KMSKeyId")
    resource_group_id: str | None = None
    filter: tuple[Filter, ...] = ()
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(400, "InvalidTagCount"))
    dry_run: bool = False
    page_number: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    page_size: int | None = param(default=None, between=(1, MAX_PAGE_NUMBER))
    next_token: str | None = None
    max_results: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotsAnswer:
    """One page of snapshots, newest first."""

    snapshots: tuple[SnapshotShape, ...] = param(wire="Snapshots/Snapshot")
    total_count: int
    page_number: int
    page_size: int
    next_token: str


@action(
    kind=Kind.READS,
    raises=(RegionNotFoundError,),
    answers=(_UNKNOWN_LINK, UNKNOWN_FILTER_KEY, BAD_FILTER_VALUE, INVALID_TOKEN),
)
def describe_snapshots(
    call: Call, scope: Scope, request: DescribeSnapshotsRequest
) -> DescribeSnapshotsAnswer:
    """List snapshots. An id that does not exist is left out and is no error."""
    pager = call.pager()
    wanted = pager.read(request)
    page: Page[SnapshotView] = Page(items=(), total_count=0, next_key=None)
    filters = _read_filter(request)
    if filters is not None:
        page = list_snapshots(scope, filters, wanted)
    facts = pager.describe(request, wanted, page)
    return DescribeSnapshotsAnswer(
        snapshots=tuple(show_snapshot(view) for view in page.items),
        total_count=facts.total_count,
        page_number=facts.page_number,
        page_size=facts.page_size,
        next_token=facts.next_token,
    )


def _read_filter(request: DescribeSnapshotsRequest) -> SnapshotFilter | None:
    """What to look for; `None` when nothing can match."""
    disk_id = request.disk_id
    if request.snapshot_link_id is not None:
        of_chain = find_disk_of_chain(request.snapshot_link_id)
        if of_chain is None:
            raise ApiError(_UNKNOWN_LINK, f"there is no snapshot chain {request.snapshot_link_id}")
        if disk_id not in (None, of_chain):
            return None
        disk_id = of_chain
    window = read_creation_window(request.filter)
    if request.resource_group_id:
        return None
    return SnapshotFilter(
        snapshot_ids=request.snapshot_ids,
        disk_id=disk_id,
        name=request.snapshot_name,
        state=SnapshotState(request.status) if request.status not in (None, "all") else None,
        kind=SnapshotKind(request.snapshot_type) if request.snapshot_type not in (None, "all") else None,
        categories=_CATEGORIES[request.category] if request.category else None,
        instance_id=request.instance_id,
        usage=SnapshotUsage(request.usage) if request.usage else None,
        disk_role=DiskRole(request.source_disk_type) if request.source_disk_type else None,
        is_encrypted=request.encrypted,
        key_id=KeyId(request.kms_key_id) if request.kms_key_id else None,
        tags={tag.key: tag.value for tag in request.tag},
        created_from=window.start,
        created_to=window.end,
    )
