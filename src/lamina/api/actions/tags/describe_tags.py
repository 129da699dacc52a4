"""DescribeTags: the tags in use, with how many resources of each kind have them."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.shapes.tags import MAX_TAGS, RESOURCE_TYPES, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.resources.find import find_type
from lamina.control.resources.tag_counts import TagCount, TagCountFilter, count_tags
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType
from lamina.ids import RegionId

_DEFAULT_SIZE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTagsRequest:
    """Parameters; all filters must match, and one of the tags."""

    region_id: RegionId
    resource_type: str | None = param(
        default=None, choices=RESOURCE_TYPES, malformed=Code(404, "InvalidResourceType.NotFound")
    )
    resource_id: str | None = None
    category: str | None = None
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(400, "InvalidTagCount"))
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=_DEFAULT_SIZE, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTypeCountShape:
    """How many resources of each kind have a tag. Of some kinds there are none here."""

    instance: int
    disk: int
    snapshot: int
    snapshot_policy: int
    image: int
    volume: int = 0
    securitygroup: int = 0
    eni: int = 0
    ddh: int = 0
    key_pair: int = 0
    launch_template: int = 0
    reserved_instance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedTagShape:
    """One tag."""

    tag_key: str
    tag_value: str
    resource_type_count: ResourceTypeCountShape


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTagsAnswer:
    """One page of tags, by key and value."""

    tags: tuple[CountedTagShape, ...] = param(wire="Tags/Tag")
    total_count: int
    page_number: int
    page_size: int


@action(
    kind=Kind.READS,
    resource="resource_id",
    not_offered={
        "a key or value that no tag can have is one that no resource has": (
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
        ),
    },
)
def describe_tags(_call: Call, scope: Scope, request: DescribeTagsRequest) -> DescribeTagsAnswer:
    """List the tags in use in a region, with how many resources of each kind have them."""
    size = min(request.page_size, MAX_PAGE_SIZE)
    kind = find_type(request.resource_type) if request.resource_type else None
    found: list[TagCount] = []
    total = 0
    if kind is not None or request.resource_type is None:
        wanted = TagCountFilter(
            resource_type=kind,
            resource_id=request.resource_id,
            tags={tag.key: tag.value for tag in request.tag},
        )
        found, total = count_tags(scope, wanted, limit=size, offset=(request.page_number - 1) * size)
    return DescribeTagsAnswer(
        tags=tuple(_show(tag) for tag in found),
        total_count=total,
        page_number=request.page_number,
        page_size=size,
    )


def _show(tag: TagCount) -> CountedTagShape:
    return CountedTagShape(
        tag_key=tag.key,
        tag_value=tag.value,
        resource_type_count=ResourceTypeCountShape(
            instance=tag.counts.get(ResourceType.INSTANCE, 0),
            disk=tag.counts.get(ResourceType.DISK, 0),
            snapshot=tag.counts.get(ResourceType.SNAPSHOT, 0),
            snapshot_policy=tag.counts.get(ResourceType.POLICY, 0),
            image=tag.counts.get(ResourceType.IMAGE, 0),
        ),
    )
