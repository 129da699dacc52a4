"""Reading tags, and finding resources by them.

A condition on tags has two shapes, and neither kind of database always picks the right one by itself. Where few
resources carry a tag, they are looked up one by one, and then sorted: 1 ms for a thousand. Where many do, the list
is walked in its order and each row's tag looked up, which ends as soon as the page is full: walking for a rare tag
instead would visit a million rows, and sorting half a million for a page of ten takes seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Select, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType, TagRecord

_FEW: Final = 2000  # counting so many index entries takes a third of a millisecond
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """How a query of resources finds those with certain tags.

    Attributes:
        conditions: for the query.
        is_rare: few resources are looked at, and all of those.
    """

    conditions: Sequence[ColumnElement[bool]]
    is_rare: bool = False


def has_tags_in_long_list(
    scope: Scope,
    resource_type: ResourceType,
    resource_id: InstrumentedAttribute[str],
    tags: Mapping[str, str | None],
) -> Tagged:
    """The same as `has_tags`, for resources of which an account may have a million."""
    rest = dict(tags)
    for key, value in tags.items():
        carriers = _select_carriers(scope, resource_type, key, value)
        # in the order of an index: otherwise PostgreSQL may read the table from its beginning, in the hope of many hits
        first = carriers.order_by(TagRecord.resource_id).limit(_FEW + 1)
        counted = select(func.count()).select_from(first.subquery())
        if (scope.session.scalar(counted) or 0) <= _FEW:
            del rest[key]
            others = has_tags(resource_type, resource_id, rest)
            return Tagged(conditions=[resource_id.in_(carriers), *others], is_rare=True)
    return Tagged(conditions=has_tags(resource_type, resource_id, tags))


def _select_carriers(scope: Scope, resource_type: ResourceType, key: str, value: str | None) -> Select[str]:
    """The ids of the account's resources in the region with a tag; read from one index."""
    query = select(TagRecord.resource_id).where(
        TagRecord.account_id == scope.account_id,
        TagRecord.region_id == scope.region_id,
        TagRecord.resource_type == resource_type,
        TagRecord.key == key,
    )
    return query if value is None else query.where(TagRecord.value == value)
