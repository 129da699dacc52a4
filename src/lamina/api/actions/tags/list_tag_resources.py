"""ListTagResources."""

from dataclasses import dataclass
from typing import Final

import msgspec

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.paging import INVALID_TOKEN
from lamina.api.schema import param
from lamina.api.shapes.tags import MAX_TAGS, RESOURCE_TYPES, TagFilter
from lamina.api.spec import Kind, action
from lamina.control.resources.find import find_type
from lamina.control.resources.queries import Pattern, TagCondition, TaggedFilter, TagKeyset, list_tagged
from lamina.control.scope import Scope
from lamina.ids import RegionId

_PAGE: Final = 50
_MAX_FUZZY: Final = 5
_NOTHING_NAMED: Final = Code(404, "MissingParameter.Tags")
_CONTRADICTION: Final = Code(400, "InvalidTag.Mismatch")
_TOO_MANY: Final = Code(400, "NumberExceed.Tags")
_NO_REGION: Final = Code(404, "MissingParameter.RegionId")


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzyFilter:
    """`TagFilter.N`: a key with `*`, or an exact key with values that may have `*`."""

    tag_key: str = param(missing=_CONTRADICTION)
    tag_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTagResourcesRequest:
    """Parameters; all conditions must be met. `Tag.N` and `TagFilter.N` exclude each other."""

    region_id: RegionId = param(missing=_NO_REGION)  # noqa: RUF009 - a field, as `field()` is
    resource_type: str = param(
        choices=RESOURCE_TYPES,
        malformed=Code(404, "InvalidResourceType.NotFound"),
        missing=Code(404, "MissingParameter.ResourceType"),
    )
    resource_id: tuple[str, ...] = param(
        default=(), at_most=50, malformed=Code(400, "NumberExceed.ResourceIds")
    )
    tag: tuple[TagFilter, ...] = param(default=(), at_most=MAX_TAGS, malformed=_TOO_MANY)
    tag_filter: tuple[FuzzyFilter, ...] = param(default=(), at_most=_MAX_FUZZY, malformed=_TOO_MANY)
    next_token: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagResourceShape:
    """One tag of one resource."""

    resource_id: str
    resource_type: str
    tag_key: str
    tag_value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTagResourcesAnswer:
    """Up to 50 tags, in the order of resources and keys."""

    tag_resources: tuple[TagResourceShape, ...] = param(wire="TagResources/TagResource")
    next_token: str


@action(
    kind=Kind.READS,
    answers=(_NOTHING_NAMED, _CONTRADICTION, INVALID_TOKEN),
    resource="resource_id",
    not_offered={
        "a key or value that no tag can have is one that no resource has": (
            "Duplicate.TagKey",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
            "OperationDenied.QuotaExceed",
        ),
        "a resource that does not exist is left out": ("InvalidResourceId.NotFound",),
        "whose tags they are follows from the access key": (
            "Invalid.Scope",
            "MissingParameter.TagOwnerBid",
            "MissingParameter.TagOwnerUid",
            "PermissionDenied.Scope",
            "PermissionDenied.TagOwnerUid",
        ),
        "all resources carry tags": ("InvalidResourceId.NotSupported",),
        "a key without the permission gets Forbidden.RAM": ("NoPermission.Tag",),
    },
)
def list_tag_resources(call: Call, scope: Scope, request: ListTagResourcesRequest) -> ListTagResourcesAnswer:
    """List the tags of resources, found by id or by their tags. What does not exist is left out."""
    conditions = _read_conditions(request)
    if not conditions and not request.resource_id:
        raise ApiError(_NOTHING_NAMED, "name resources by ResourceId.N, or tags by Tag.N or TagFilter.N")
    pager, after = call.pager(), None
    if request.next_token is not None:
        resource_id, key = msgspec.json.decode(
            pager.unseal(request.next_token, request), type=tuple[str, str]
        )
        after = TagKeyset(resource_id=resource_id, key=key)
    resource_type = find_type(request.resource_type)
    if resource_type is None:
        return ListTagResourcesAnswer(tag_resources=(), next_token="")
    wanted = TaggedFilter(
        resource_type=resource_type, resource_ids=request.resource_id or None, conditions=conditions
    )
    tags, following = list_tagged(scope, wanted, limit=_PAGE, after=after)
    token = ""
    if following is not None:
        token = pager.seal(msgspec.json.encode((following.resource_id, following.key)), request)
    return ListTagResourcesAnswer(
        tag_resources=tuple(
            TagResourceShape(
                resource_id=tag.resource_id,
                resource_type=tag.resource_type.value,
                tag_key=tag.key,
                tag_value=tag.value,
            )
            for tag in tags
        ),
        next_token=token,
    )


def _read_conditions(request: ListTagResourcesRequest) -> tuple[TagCondition, ...]:
    if request.tag and request.tag_filter:
        raise ApiError(_CONTRADICTION, "Tag.N and TagFilter.N exclude each other; give one of them")
    exact = tuple(
        TagCondition(
            key=Pattern(text=tag.key, is_exact=True),
            values=() if tag.value is None else (Pattern(text=tag.value, is_exact=True),),
        )
        for tag in request.tag
    )
    for given in request.tag_filter:
        if given.tag_values and given.tag_key.endswith("*"):
            raise ApiError(_CONTRADICTION, "a TagFilter with TagValues needs an exact TagKey, without *")
    fuzzy = tuple(
        TagCondition(
            key=Pattern(text=given.tag_key), values=tuple(Pattern(text=value) for value in given.tag_values)
        )
        for given in request.tag_filter
    )
    return exact + fuzzy
