"""Put tags on a resource, and take all of them away when it goes."""

from collections.abc import Mapping

from sqlalchemy import delete
from sqlalchemy.orm import Session

from lamina.control.scope import Scope
from lamina.control.tags.errors import TagQuotaError
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType, TagRecord
from lamina.control.tags.rules import check_tags


def put_tags(scope: Scope, resource_type: ResourceType, resource_id: str, tags: Mapping[str, str]) -> None:
    """Add tags; a key that the resource has already gets the new value.

    Raises:
        TagKeyError: a key breaks the rules.
        TagValueError: a value breaks the rules.
        TagQuotaError: the resource would have too many tags.
    """
    check_tags(tags)
    present = list_tags(scope.session, resource_type, [resource_id])[resource_id]
    if len(present.keys() | tags.keys()) > scope.limits.tags_per_resource:
        raise TagQuotaError(resource_id, scope.limits.tags_per_resource)
    for key, value in tags.items():
        scope.session.merge(
            TagRecord(resource_type=resource_type, resource_id=resource_id, key=key, value=value)
        )
    scope.session.flush()


def drop_tags(session: Session, resource_type: ResourceType, resource_id: str) -> None:
    """Remove every tag of a resource that is going away."""
    session.execute(
        delete(TagRecord).where(
            TagRecord.resource_type == resource_type, TagRecord.resource_id == resource_id
        )
    )
