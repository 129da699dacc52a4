"""Reading tags, and finding resources by them.

A condition on tags has two shapes, and neither kind of database always picks the right one by itself. Where few
resources carry a tag, they are looked up one by one, and then sorted: 1 ms for a thousand. Where many do, the list
is walked in its order and each row's tag looked up, which ends as soon as the page is full: walking for a rare tag
instead would visit a million rows, and sorting half a million for a page of ten takes seconds.

Where one tag is the only condition, an index of the tags has the resources in the order of the list, however many
they are: a page of ten costs ten looks at resources, and the length is counted along the index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lamina.control.paging import AgeOrder, Slice, fetch_counted_slice
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType, TagRecord
from lamina.ids import AccountId, RegionId

T = TypeVar("T")

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
        carriers = select(TagRecord.resource_id).where(*_carries(scope, resource_type, key, value))
        # in the order of an index: otherwise PostgreSQL may read the table from its beginning, in the hope of many hits
        first = carriers.order_by(TagRecord.resource_id).limit(_FEW + 1)
        counted = select(func.count()).select_from(first.subquery())
        if (scope.session.scalar(counted) or 0) <= _FEW:
            del rest[key]
            others = has_tags(resource_type, resource_id, rest)
            return Tagged(conditions=[resource_id.in_(carriers), *others], is_rare=True)
    return Tagged(conditions=has_tags(resource_type, resource_id, tags))


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedKind(Generic[T]):
    """The rows of a kind of resource of which an account may have a million.

    Attributes:
        record: their class.
        resource_type: the kind.
        id: the column of their ids.
        account_id: that of their owners.
        region_id: that of their regions.
        is_gone: of a row that is there no more for anybody who asks; few are at a time.
    """

    record: type[T]
    resource_type: ResourceType
    id: InstrumentedAttribute[Any]  # an id of any kind
    account_id: InstrumentedAttribute[AccountId]
    region_id: InstrumentedAttribute[RegionId]
    is_gone: ColumnElement[bool]


def find_only_tag(tags: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Key and value, if that is all that is asked for."""
    if len(tags) != 1:
        return None
    [(key, value)] = tags.items()
    return None if value is None else (key, value)


def fetch_tagged_slice(
    scope: Scope, kind: TaggedKind[T], tag: tuple[str, str], part: Slice, *, filters: object
) -> tuple[list[T], int, bool]:
    """A slice of all resources of the caller in the region that have a tag with this value; see `fetch_slice`.

    Args:
        scope: the caller.
        kind: of resources.
        tag: key and value.
        part: the slice.
        filters: what the total is remembered under.
    """
    carries = _carries(scope, kind.resource_type, *tag)
    walk = (
        select(kind.record)
        .select_from(TagRecord)
        .join(kind.record, kind.id == TagRecord.resource_id)
        .where(*carries, ~kind.is_gone)
    )
    gone = select(kind.id).where(
        kind.is_gone, kind.account_id == scope.account_id, kind.region_id == scope.region_id
    )
    counted = select(func.count()).select_from(TagRecord).where(*carries, TagRecord.resource_id.not_in(gone))
    order = AgeOrder(created_at=TagRecord.created_at, id=TagRecord.resource_id)
    return fetch_counted_slice(scope, walk, order, part, counted=counted, filters=filters)


def _carries(
    scope: Scope, resource_type: ResourceType, key: str, value: str | None
) -> list[ColumnElement[bool]]:
    """Conditions for tags: of the account's resources in the region, with this key, and this value if there is one."""
    conditions = [
        TagRecord.account_id == scope.account_id,
        TagRecord.region_id == scope.region_id,
        TagRecord.resource_type == resource_type,
        TagRecord.key == key,
    ]
    return conditions if value is None else [*conditions, TagRecord.value == value]
