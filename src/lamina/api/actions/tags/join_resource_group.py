"""JoinResourceGroup."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import ApiError, Code
from lamina.api.schema import param
from lamina.api.shapes.tags import RESOURCE_TYPES
from lamina.api.spec import Kind, action
from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.resources.find import require_resources
from lamina.control.scope import Scope
from lamina.ids import RegionId

_MISSING: Final = Code(403, "MissingParameter")
_NO_GROUP: Final = Code(404, "InvalidResourceGroup.NotFound")


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResourceGroupRequest:
    """Parameters."""

    resource_type: str = param(
        choices=RESOURCE_TYPES, malformed=Code(404, "InvalidResourceType.NotFound"), missing=_MISSING
    )
    resource_id: str = param(missing=_MISSING)
    resource_group_id: str = param(missing=_MISSING)
    region_id: RegionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinResourceGroupAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(ResourceNotFoundError,),
    answers=(_NO_GROUP,),
    resource="resource_id",
    not_offered={"there are no groups that a resource could be in": ("InvalidResourceGroup.Duplicate",)},
)
def join_resource_group(
    _call: Call, scope: Scope, request: JoinResourceGroupRequest
) -> JoinResourceGroupAnswer:
    """Refuse to move a resource into a group: Lamina keeps resources apart by account and by tags."""
    require_resources(scope, request.resource_type, [request.resource_id])
    raise ApiError(
        _NO_GROUP,
        f"there is no resource group {request.resource_group_id}; use tags, or accounts of their own",
    )
