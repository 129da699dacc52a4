"""Long lists of resources that are found by tags, among other things.

A condition on tags has two shapes, and neither kind of database always picks the right one by itself. Where few
resources carry a tag, they are looked up one by one, and then sorted: 1 ms for a thousand. Where many do, the list
is walked in its order and each row's tag looked up, which ends as soon as the page is full: walking for a rare tag
instead would visit a million rows, and sorting half a million for a page of ten takes seconds.

Where one tag is the only condition, an index of the tags has the resources in the order of the list, however many
they are: a page of ten costs ten looks at resources, and the length is counted along the index.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute

from lamina.control.paging import AgeOrder, Slice, fetch_counted_slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.tags.queries import has_tags
from lamina.control.tags.records import ResourceType, TagRecord
from lamina.ids import AccountId, RegionId

T = TypeVar("T")

_FEW: Final = 2000  # counting so many index entries takes a third of a millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class LongList(Generic[T]):
    """The rows of a kind of resource of which an account may have a million.

    Attributes:
        record: their class.
        resource_type: the kind.
        id: the column of their ids.
        account_id: that of their owners.
        region_id: that of their regions.
        created_at: that of the instants at which they were created.
        is_gone: of a row that is there no more for anybody who asks; few are at a time.
    """

    record: type[T]
    resource_type: ResourceType
    id: InstrumentedAttribute[Any]  # an id of any kind
    account_id: InstrumentedAttribute[AccountId]
    region_id: InstrumentedAttribute[RegionId]
    created_at: InstrumentedAttribute[datetime]
    is_gone: ColumnElement[bool]


def fetch_long_list(
    scope: Scope,
    whole: LongList[T],
    tags: Mapping[str, str | None],
    conditions: Sequence[ColumnElement[bool]],
    part: Slice,
    *,
    filters: object,
) -> tuple[list[T], int, bool]:
    """A slice of the caller's resources in the region, newest first; see `fetch_slice`.

    Args:
        scope: the caller.
        whole: all resources of the kind.
        tags: key to value; None as a value matches any.
        conditions: what else is asked for.
        part: the slice.
        filters: what the total is remembered under: all that `tags` and `conditions` were made of.
    """
    tag = _find_only_tag(tags)
    if tag is not None and not conditions:
        return _fetch_tagged(scope, whole, tag, part, filters)
    tagged, is_rare = _has_tags(scope, whole, tags)
    query = select(whole.record).where(
        whole.account_id == scope.account_id,
        whole.region_id == scope.region_id,
        ~whole.is_gone,
        *conditions,
        *tagged,
    )
    order = AgeOrder(created_at=whole.created_at, id=whole.id)
    return fetch_slice(scope, query, order, part, filters=filters, is_short=is_rare)


def _find_only_tag(tags: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Key and value, if that is all that is asked for."""
    if len(tags) != 1:
        return None
    [(key, value)] = tags.items()
    return None if value is None else (key, value)


def _fetch_tagged(
    scope: Scope, whole: LongList[T], tag: tuple[str, str], part: Slice, filters: object
) -> tuple[list[T], int, bool]:
    """A slice of all that have a tag with this value."""
    carries = _carries(scope, whole.resource_type, *tag)
    walk = (
        select(whole.record)
        .select_from(TagRecord)
        .join(whole.record, whole.id == TagRecord.resource_id)
        .where(*carries, ~whole.is_gone)
    )
    gone = select(whole.id).where(
        whole.is_gone, whole.account_id == scope.account_id, whole.region_id == scope.region_id
    )
    counted = select(func.count()).select_from(TagRecord).where(*carries, TagRecord.resource_id.not_in(gone))
    order = AgeOrder(created_at=TagRecord.created_at, id=TagRecord.resource_id)
    return fetch_counted_slice(scope, walk, order, part, counted=counted, filters=filters)


def _has_tags(
    scope: Scope, whole: LongList[T], tags: Mapping[str, str | None]
) -> tuple[list[ColumnElement[bool]], bool]:
    """Conditions for a query, and whether few resources are looked at then, and all of those."""
    rest = dict(tags)
    for key, value in tags.items():
        carriers = select(TagRecord.resource_id).where(*_carries(scope, whole.resource_type, key, value))
        # in the order of an index: otherwise PostgreSQL may read the table from its beginning, in the hope of many hits
        first = carriers.order_by(TagRecord.resource_id).limit(_FEW + 1)
        counted = select(func.count()).select_from(first.subquery())
        if (scope.session.scalar(counted) or 0) <= _FEW:
            del rest[key]
            return [whole.id.in_(carriers), *has_tags(whole.resource_type, whole.id, rest)], True
    return has_tags(whole.resource_type, whole.id, tags), False


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
