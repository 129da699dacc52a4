"""AddTags: the older form of TagResources, for one resource."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, RESOURCE_TYPES, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.resources.tag import tag_resources
from lamina.control.scope import Scope
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import RegionId

_BAD_COUNT: Final = Code(400, "InvalidTagCount")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTagsRequest:
    """Parameters."""

    region_id: RegionId
    resource_type: str = param(choices=RESOURCE_TYPES, malformed=Code(404, "InvalidResourceType.NotFound"))
    resource_id: str
    tag: tuple[Tag, ...] = param(at_most=MAX_TAGS, malformed=_BAD_COUNT, missing=_BAD_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddTagsAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(ResourceNotFoundError, TagKeyError, TagValueError),
    answers=(DUPLICATE_TAG,),
    errors={TagQuotaError: Code(400, "OperationDenied.QuotaExceed")},
    resource="resource_id",
    not_offered={
        "a tag without a key gets InvalidTagKey.Malformed": ("InvalidTag.Mismatch",),
        "all resources carry tags": ("InvalidResourceId.NotSupported",),
    },
)
def add_tags(_call: Call, scope: Scope, request: AddTagsRequest) -> AddTagsAnswer:
    """Put tags on one resource; a key that it has already gets the new value."""
    tag_resources(scope, request.resource_type, [request.resource_id], read_tags(request.tag))
    return AddTagsAnswer()
