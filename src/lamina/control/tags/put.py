"""Put tags on a resource, and take them away."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from sqlalchemy import delete
from sqlalchemy.orm import Session

from lamina.control.scope import Scope
from lamina.control.tags.errors import TagQuotaError
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType, TagRecord
from lamina.control.tags.rules import check_tags
from lamina.ids import RegionId


class Tagged(Protocol):
    """What has tags: a row, or what is known of it."""

    @property
    def id(self) -> str:
        """Which one it is."""
        ...

    @property
    def region_id(self) -> RegionId:
        """Where it is, which need not be where the call was made."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was created, which never changes."""
        ...


def put_tags(scope: Scope, resource_type: ResourceType, resource: Tagged, tags: Mapping[str, str]) -> None:
    """Add tags; a key that the resource has already gets the new value.

    Args:
        scope: whose resource it is.
        resource_type: of which kind it is.
        resource: which one it is.
        tags: key to value.

    Raises:
        TagKeyError: a key breaks the rules.
        TagValueError: a value breaks the rules.
        TagQuotaError: the resource would have too many tags.
    """
    if not tags:
        return
    check_tags(tags)
    present = list_tags(scope.session, resource_type, [resource.id])[resource.id]
    if len(present.keys() | tags.keys()) > scope.limits.tags_per_resource:
        raise TagQuotaError(resource.id, scope.limits.tags_per_resource)
    for key, value in tags.items():
        scope.session.merge(
            TagRecord(
                resource_type=resource_type,
                resource_id=resource.id,
                key=key,
                value=value,
                account_id=scope.account_id,
                region_id=resource.region_id,
                created_at=resource.created_at,
            )
        )
    scope.session.flush()


def remove_tags(
    scope: Scope, resource_type: ResourceType, resource_ids: Collection[str], keys: Collection[str] | None
) -> None:
    """Remove tags by their keys, whatever their values; None removes every tag. Absent keys are no error."""
    query = delete(TagRecord).where(
        TagRecord.resource_type == resource_type,
        TagRecord.resource_id.in_(resource_ids),
        TagRecord.account_id == scope.account_id,
    )
    scope.session.execute(query if keys is None else query.where(TagRecord.key.in_(keys)))


def remove_tag(scope: Scope, resource_type: ResourceType, resource_id: str, key: str, value: str) -> None:
    """Remove a tag if it has this value."""
    scope.session.execute(
        delete(TagRecord).where(
            TagRecord.resource_type == resource_type,
            TagRecord.resource_id == resource_id,
            TagRecord.key == key,
            TagRecord.value == value,
            TagRecord.account_id == scope.account_id,
        )
    )


def drop_tags(session: Session, resource_type: ResourceType, resource_id: str) -> None:
    """Remove every tag of a resource that is going away."""
    session.execute(
        delete(TagRecord).where(
            TagRecord.resource_type == resource_type, TagRecord.resource_id == resource_id
        )
    )
