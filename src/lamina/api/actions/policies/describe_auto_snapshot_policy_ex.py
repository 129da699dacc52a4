"""DescribeAutoSnapshotPolicyEx."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.shapes.policy import PolicyShape, show_policy
from lamina.api.shapes.tags import MAX_TAGS, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.paging import Page, Slice
from lamina.control.policies.queries import PolicyFilter, PolicyView, list_policies
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.ids import PolicyId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyExRequest:
    """Parameters; all filters must match. Pages are numbered; this list has no tokens."""

    region_id: RegionId
    auto_snapshot_policy_id: PolicyId | None = None
    auto_snapshot_policy_name: str | None = None
    resource_group_id: str | None = None
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(400, "InvalidTagCount"))
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=10, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeAutoSnapshotPolicyExAnswer:
    """One page of policies, newest first."""

    auto_snapshot_policies: tuple[PolicyShape, ...] = param(wire="AutoSnapshotPolicies/AutoSnapshotPolicy")
    total_count: int
    page_number: int
    page_size: int


@action(kind=Kind.READS, errors={RegionNotFoundError: Code(400, "InvalidRegionId.NotFound")})
def describe_auto_snapshot_policy_ex(
    _call: Call, scope: Scope, request: DescribeAutoSnapshotPolicyExRequest
) -> DescribeAutoSnapshotPolicyExAnswer:
    """List policies. An id that does not exist is left out and is no error."""
    size = min(request.page_size, MAX_PAGE_SIZE)
    page: Page[PolicyView] = Page(items=(), total_count=0, next_key=None)
    if request.resource_group_id is None:  # there are none, so that nothing matches
        wanted = PolicyFilter(
            policy_id=request.auto_snapshot_policy_id,
            name=request.auto_snapshot_policy_name,
            tags={tag.key: tag.value for tag in request.tag},
        )
        page = list_policies(scope, wanted, Slice(limit=size, offset=(request.page_number - 1) * size))
    return DescribeAutoSnapshotPolicyExAnswer(
        auto_snapshot_policies=tuple(show_policy(view) for view in page.items),
        total_count=page.total_count,
        page_number=request.page_number,
        page_size=size,
    )
