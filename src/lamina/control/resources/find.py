"""Whether resources exist."""

from collections.abc import Sequence

from sqlalchemy import select

from lamina.control.resources.errors import ResourceNotFoundError
from lamina.control.resources.kinds import TABLES
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType


def require_resources(scope: Scope, kind: str, resource_ids: Sequence[str]) -> ResourceType:
    """The type that a kind of resource is stored as, if all of these exist.

    Args:
        scope: in whose account and region.
        kind: as the API names it; of some kinds that it knows there are none here.
        resource_ids: which ones.

    Raises:
        ResourceNotFoundError: the account has no such resource in the region.
    """
    resource_type = find_type(kind)
    if resource_type is None:
        raise ResourceNotFoundError(resource_ids[0], kind)
    table = TABLES[resource_type]
    found = set(
        scope.session.scalars(
            select(table.id).where(
                table.id.in_(resource_ids),
                table.account_id == scope.account_id,
                table.region_id == scope.region_id,
                table.is_there,
            )
        )
    )
    for resource_id in resource_ids:
        if resource_id not in found:
            raise ResourceNotFoundError(resource_id, kind)
    return resource_type


def find_type(kind: str) -> ResourceType | None:
    """The type that a kind of resource is stored as; None if there are none of that kind."""
    return next((found for found in ResourceType if found.value == kind), None)
