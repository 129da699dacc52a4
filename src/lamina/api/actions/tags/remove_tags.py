"""RemoveTags: the older form of UntagResources, for one resource."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.tags import MAX_TAGS, RESOURCE_TYPES
from lamina.api.spec import Kind, action
from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.resources.tag import remove_exact_tags
from lamina.control.scope import Scope
from lamina.ids import RegionId

_BAD_COUNT: Final = Code(400, "InvalidTagCount")
_BAD_KEY: Final = Code(400, "InvalidTagKey.Malformed")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTag:
    """`Tag.N`: with a value, the tag goes only if that is its value."""

    key: str = param(missing=_BAD_KEY)
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTagsRequest:
    """Parameters. Without tags nothing would be removed, so at least one is asked for."""

    region_id: RegionId
    resource_type: str = param(choices=RESOURCE_TYPES, malformed=Code(400, "InvalidResourceType.NotFound"))
    resource_id: str
    tag: tuple[GivenTag, ...] = param(at_most=MAX_TAGS, malformed=_BAD_COUNT, missing=_BAD_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTagsAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(ResourceNotFoundError,),
    resource="resource_id",
    not_offered={"all resources carry tags": ("InvalidResourceId.NotSupported",)},
)
def remove_tags(_call: Call, scope: Scope, request: RemoveTagsRequest) -> RemoveTagsAnswer:
    """Take tags away from one resource; what it does not have is no error."""
    tags = {tag.key: tag.value for tag in request.tag}
    remove_exact_tags(scope, request.resource_type, request.resource_id, tags)
    return RemoveTagsAnswer()
