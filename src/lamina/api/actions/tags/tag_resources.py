"""TagResources."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, RESOURCE_TYPES, Tag, read_tags
from lamina.api.spec import Kind, action
from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.resources.tag import tag_resources as put
from lamina.control.scope import Scope
from lamina.control.tags.errors import TagKeyError, TagQuotaError, TagValueError
from lamina.ids import RegionId

_NO_REGION: Final = Code(404, "MissingParameter.RegionId")


@dataclass(frozen=True, slots=True, kw_only=True)
class TagResourcesRequest:
    """Parameters."""

    region_id: RegionId = param(missing=_NO_REGION)  # noqa: RUF009 - a field, as `field()` is
    resource_type: str = param(
        choices=RESOURCE_TYPES,
        malformed=Code(404, "InvalidResourceType.NotFound"),
        missing=Code(404, "MissingParameter.ResourceType"),
    )
    resource_id: tuple[str, ...] = param(at_most=50, malformed=Code(400, "NumberExceed.ResourceIds"))
    tag: tuple[Tag, ...] = param(
        at_most=MAX_TAGS,
        malformed=Code(400, "NumberExceed.Tags"),
        missing=Code(404, "MissingParameter.Tags"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TagResourcesAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(ResourceNotFoundError, TagKeyError, TagValueError, TagQuotaError),
    answers=(DUPLICATE_TAG,),
    resource="resource_id",
    not_offered={
        "the more exact codes are answered": (
            "InvalidTag.Mismatch",
            "InvalidTagCount",
            "OperationDenied.QuotaExceed",
        ),
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
def tag_resources(_call: Call, scope: Scope, request: TagResourcesRequest) -> TagResourcesAnswer:
    """Put tags on up to 50 resources, or on none of them; a key that one has already gets the new value."""
    put(scope, request.resource_type, request.resource_id, read_tags(request.tag))
    return TagResourcesAnswer()
