"""DescribeSnapshotGroups."""

from dataclasses import dataclass
from typing import ClassVar, Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.snapshot_group import SnapshotGroupShape, show_group
from lamina.api.shapes.tags import MAX_TAGS, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.paging import Page
from lamina.control.scope import Scope
from lamina.control.snapshots.groups.queries import GroupFilter, GroupView, list_groups
from lamina.control.snapshots.states import GroupState
from lamina.ids import InstanceId, RegionId, SnapshotGroupId

_STATES: Final = tuple(state.value for state in GroupState)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotGroupsRequest:
    """Parameters; all filters must match. The vendor knows no `AdditionalAttributes` that would matter here."""

    region_id: RegionId
    snapshot_group_id: tuple[SnapshotGroupId, ...] | None = param(default=None, at_most=10)
    instance_id: InstanceId | None = None
    name: str | None = None
    status: tuple[str, ...] | None = param(
        default=None, at_most=3, choices=_STATES, malformed=Code(403, "InvalidStatus.ValueNotSupported")
    )
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS)
    additional_attributes: tuple[str, ...] = ()
    resource_group_id: str | None = None
    next_token: str | None = None
    max_results: int | None = None
    page_number: ClassVar[None] = None
    page_size: ClassVar[None] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeSnapshotGroupsAnswer:
    """One page of groups, newest first."""

    snapshot_groups: tuple[SnapshotGroupShape, ...] = param(wire="SnapshotGroups/SnapshotGroup")
    next_token: str


@action(kind=Kind.READS, answers=(INVALID_TOKEN,))
def describe_snapshot_groups(
    call: Call, scope: Scope, request: DescribeSnapshotGroupsRequest
) -> DescribeSnapshotGroupsAnswer:
    """List snapshot groups with their members."""
    pager = call.pager()
    wanted = pager.read(request)
    page: Page[GroupView] = Page(items=(), total_count=0, next_key=None)
    if request.resource_group_id is None:  # there are none, so that nothing matches
        page = list_groups(scope, _read_filter(request), wanted)
    return DescribeSnapshotGroupsAnswer(
        snapshot_groups=tuple(show_group(view) for view in page.items),
        next_token=pager.describe(request, wanted, page).next_token,
    )


def _read_filter(request: DescribeSnapshotGroupsRequest) -> GroupFilter:
    return GroupFilter(
        group_ids=request.snapshot_group_id,
        instance_id=request.instance_id,
        name=request.name,
        states=None if request.status is None else [GroupState(state) for state in request.status],
        tags={tag.key: tag.value for tag in request.tag},
    )
