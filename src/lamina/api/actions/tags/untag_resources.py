"""UntagResources."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.tags import DUPLICATE_TAG, MAX_TAGS, RESOURCE_TYPES
from lamina.api.spec import Kind, action
from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.resources.tag import untag_resources as remove
from lamina.control.scope import Scope
from lamina.ids import RegionId

_NOTHING_NAMED: Final = Code(404, "MissingParameter.Tags")
_NO_REGION: Final = Code(404, "MissingParameter.RegionId")


@dataclass(frozen=True, slots=True, kw_only=True)
class UntagResourcesRequest:
    """Parameters; `All` counts only where no `TagKey.N` is given."""

    region_id: RegionId = param(missing=_NO_REGION)  # noqa: RUF009 - a field, as `field()` is
    resource_type: str = param(
        choices=RESOURCE_TYPES,
        malformed=Code(404, "InvalidResourceType.NotFound"),
        missing=Code(404, "MissingParameter.ResourceType"),
    )
    resource_id: tuple[str, ...] = param(at_most=50, malformed=Code(400, "NumberExceed.ResourceIds"))
    tag_key: tuple[str, ...] = param(default=(), at_most=MAX_TAGS, malformed=Code(400, "NumberExceed.Tags"))
    all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UntagResourcesAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(ResourceNotFoundError,),
    answers=(DUPLICATE_TAG, _NOTHING_NAMED),
    resource="resource_id",
    not_offered={
        "a key that no tag can have is one that no resource has": (
            "InvalidTag.Mismatch",
            "InvalidTagCount",
            "InvalidTagKey.Malformed",
            "InvalidTagValue.Malformed",
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
def untag_resources(_call: Call, scope: Scope, request: UntagResourcesRequest) -> UntagResourcesAnswer:
    """Take tags away from up to 50 resources, or from none of them; what one does not have is no error."""
    if len(set(request.tag_key)) != len(request.tag_key):
        raise ApiError(DUPLICATE_TAG, "a tag key is given twice; give each of them once")
    if not request.tag_key and not request.all:
        raise ApiError(_NOTHING_NAMED, "name the tags by TagKey.N, or say All=true to remove every tag")
    remove(scope, request.resource_type, request.resource_id, request.tag_key or None)
    return UntagResourcesAnswer()
