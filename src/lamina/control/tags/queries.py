"""Reading tags, and conditions on them. For lists that can have a million rows see `listing`."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lamina.control.tags.records import ResourceType, TagRecord

# Part of nearly every answer, and building such a query takes several times as long as running it.
_TAGS_OF: Final = (
    select(TagRecord.resource_id, TagRecord.key, TagRecord.value)
    .where(
        TagRecord.resource_type == bindparam("resource_type"),
        TagRecord.resource_id.in_(bindparam("resource_ids", expanding=True)),
    )
    .order_by(TagRecord.key)
)


def list_tags(
    session: Session, resource_type: ResourceType, resource_ids: Sequence[str]
) -> dict[str, dict[str, str]]:
    """The tags of several resources of the caller: resource id to key to value; untagged ones are empty."""
    found: dict[str, dict[str, str]] = {resource_id: {} for resource_id in resource_ids}
    if resource_ids:
        wanted = {"resource_type": resource_type, "resource_ids": resource_ids}
        for resource_id, key, value in session.execute(_TAGS_OF, wanted):
            found[resource_id][key] = value
    return found


def has_tags(
    resource_type: ResourceType, resource_id: InstrumentedAttribute[str], tags: Mapping[str, str | None]
) -> list[ColumnElement[bool]]:
    """Conditions for a query of resources: each of `tags` is present, with any value where it says None."""
    conditions: list[ColumnElement[bool]] = []
    for key, value in tags.items():
        query = select(TagRecord.key).where(
            TagRecord.resource_type == resource_type,
            TagRecord.resource_id == resource_id,
            TagRecord.key == key,
        )
        if value is not None:
            query = query.where(TagRecord.value == value)
        conditions.append(query.exists())
    return conditions
