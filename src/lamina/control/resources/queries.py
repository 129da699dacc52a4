"""Lists of tags: of some resources, and of the resources that have certain tags."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, aliased

from lamina.control.resources.kinds import TABLES
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType, TagRecord

_COUNTED: Final = 2000  # a millisecond or so along an index


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a key or a value must be: exactly a text, or something that begins with it or holds it.

    Attributes:
        text: the text; with `*` behind it, it is a beginning, with `*` around it, it may be anywhere.
        is_exact: a `*` is nothing but a `*`.
    """

    text: str
    is_exact: bool = False

    def match(self, column: InstrumentedAttribute[str]) -> ColumnElement[bool]:
        """The condition for a column. Case matters, other than for SQLite's LIKE."""
        if self.is_exact or not self.text.endswith("*"):
            return column == self.text
        if not self.text.startswith("*"):
            words = self.text[:-1]
            return func.substr(column, 1, len(words)) == words
        words = self.text[1:-1]
        # Every database has `replace`, and each has another function that finds a text in a text.
        return func.replace(column, words, "") != column if words else true()


@dataclass(frozen=True, slots=True, kw_only=True)
class TagCondition:
    """A tag that a resource must have.

    Attributes:
        key: what its key is.
        values: what its value may be; none is any.
    """

    key: Pattern
    values: Sequence[Pattern] = ()

    def match(self, tag: type[TagRecord]) -> list[ColumnElement[bool]]:
        """What a row of tags must be."""
        found = [self.key.match(tag.key)]
        if self.values:
            found.append(or_(*(value.match(tag.value) for value in self.values)))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedFilter:
    """Which resources' tags are wanted.

    Attributes:
        resource_type: of which kind.
        resource_ids: only these; None is no condition, and then there must be others.
        conditions: they must meet all of these.
    """

    resource_type: ResourceType
    resource_ids: Sequence[str] | None = None
    conditions: Sequence[TagCondition] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TagKeyset:
    """The place of a tag in a list of tags: behind this one the next slice begins."""

    resource_id: str
    key: str


def list_tagged(
    scope: Scope, wanted: TaggedFilter, *, limit: int, after: TagKeyset | None = None
) -> tuple[Sequence[TagRecord], TagKeyset | None]:
    """All tags of the matching resources, in the order of resource and key, and where the next slice begins."""
    found = _find_tagged(scope, wanted, limit + 1, after)
    # Whose they are was looked at; saying it here once more would lead SQLite away from the primary key.
    query = (
        select(TagRecord)
        .where(TagRecord.resource_type == wanted.resource_type, TagRecord.resource_id.in_(found))
        .order_by(TagRecord.resource_id, TagRecord.key)
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(
            or_(
                TagRecord.resource_id > after.resource_id,
                and_(TagRecord.resource_id == after.resource_id, TagRecord.key > after.key),
            )
        )
    rows = scope.session.scalars(query).all()
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], TagKeyset(resource_id=rows[limit - 1].resource_id, key=rows[limit - 1].key)


def _find_tagged(scope: Scope, wanted: TaggedFilter, limit: int, after: TagKeyset | None) -> Sequence[str]:
    """The next resources that match, in order."""
    if wanted.resource_ids is not None:
        return _find_among(scope, wanted, wanted.resource_ids)
    driver = _choose_driver(scope, wanted)
    table = TABLES[wanted.resource_type]
    query = (
        select(TagRecord.resource_id)
        .where(*_belongs(scope, wanted.resource_type), *driver.match(TagRecord))
        .where(select(table.id).where(table.id == TagRecord.resource_id, table.is_there).exists())
        .distinct()
        .order_by(TagRecord.resource_id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(TagRecord.resource_id >= after.resource_id)
    for condition in wanted.conditions:
        if condition is not driver:
            query = query.where(_has_tag(wanted.resource_type, TagRecord.resource_id, condition))
    return scope.session.scalars(query).all()


def _find_among(scope: Scope, wanted: TaggedFilter, resource_ids: Sequence[str]) -> Sequence[str]:
    table = TABLES[wanted.resource_type]
    query = select(table.id).where(
        table.id.in_(resource_ids),
        table.account_id == scope.account_id,
        table.region_id == scope.region_id,
        table.is_there,
        *(_has_tag(wanted.resource_type, table.id, condition) for condition in wanted.conditions),
    )
    return scope.session.scalars(query).all()


def _has_tag(
    kind: ResourceType, resource_id: InstrumentedAttribute[Any], condition: TagCondition
) -> ColumnElement[bool]:
    tag = aliased(TagRecord)
    rows = select(tag.key).where(tag.resource_type == kind, tag.resource_id == resource_id)
    return rows.where(*condition.match(tag)).exists()


def _choose_driver(scope: Scope, wanted: TaggedFilter) -> TagCondition:
    """The condition that the fewest resources meet, as far as counting a few thousand of them tells.

    The matching resources are found along its index, and the other conditions are looked up for each of them.
    """

    def count(condition: TagCondition) -> int:
        query = select(TagRecord.key).where(
            *_belongs(scope, wanted.resource_type), *condition.match(TagRecord)
        )
        in_order = query.order_by(
            TagRecord.key, TagRecord.value, TagRecord.resource_id
        )  # of the index; see `tags`
        few = in_order.limit(_COUNTED).subquery()
        return scope.session.scalar(select(func.count()).select_from(few)) or 0

    conditions = wanted.conditions
    return conditions[0] if len(conditions) == 1 else min(conditions, key=count)


def _belongs(scope: Scope, kind: ResourceType) -> tuple[ColumnElement[bool], ...]:
    return (
        TagRecord.account_id == scope.account_id,
        TagRecord.region_id == scope.region_id,
        TagRecord.resource_type == kind,
    )
