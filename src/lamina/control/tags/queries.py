"""Reading tags, and finding resources by them."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lamina.control.tags.records import ResourceType, TagRecord


def list_tags(
    session: Session, resource_type: ResourceType, resource_ids: Sequence[str]
) -> dict[str, dict[str, str]]:
    """The tags of several resources of the caller: resource id to key to value; untagged ones are empty."""
    found: dict[str, dict[str, str]] = {resource_id: {} for resource_id in resource_ids}
    rows = session.scalars(
        select(TagRecord)
        .where(TagRecord.resource_type == resource_type, TagRecord.resource_id.in_(resource_ids))
        .order_by(TagRecord.key)
    )
    for row in rows:
        found[row.resource_id][row.key] = row.value
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
