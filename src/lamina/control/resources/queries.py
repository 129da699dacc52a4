"""Lists of tags: of some resources, of the resources that have certain tags, and how often each tag is used."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true, tuple_, union_all
from sqlalchemy.orm import InstrumentedAttribute

from lamina.control.resources.kinds import TABLES
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType, TagRecord


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggedFilter:
    """Which resources' tags are wanted.

    Attributes:
        resource_type: of which kind.
        resource_ids: only these; None is no condition.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TagCount:
    """How many resources of each kind have one tag."""

    key: str
    value: str
    counts: Mapping[ResourceType, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TagCountFilter:
    """Which tags are counted; what is None does not matter.

    Attributes:
        resource_type: only on resources of this kind.
        resource_id: only on this resource.
        tags: only these keys, with these values where one is given; empty is no condition.
    """

    resource_type: ResourceType | None = None
    resource_id: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)


def list_tagged(
    scope: Scope, wanted: TaggedFilter, *, limit: int, after: TagKeyset | None = None
) -> tuple[Sequence[TagRecord], TagKeyset | None]:
    """All tags of the matching resources, in the order of resource and key, and where the next slice begins."""
    table = TABLES[wanted.resource_type]
    query = (
        select(TagRecord)
        .where(*_belongs(scope, wanted.resource_type), table.id == TagRecord.resource_id)
        .order_by(TagRecord.resource_id, TagRecord.key)
        .limit(limit + 1)
    )
    if wanted.resource_ids is not None:
        query = query.where(TagRecord.resource_id.in_(wanted.resource_ids))
    for condition in wanted.conditions:
        query = query.where(TagRecord.resource_id.in_(_find_tagged(scope, wanted.resource_type, condition)))
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


def count_tags(
    scope: Scope, wanted: TagCountFilter, *, limit: int, offset: int
) -> tuple[list[TagCount], int]:
    """Tags with how often they are used, sorted by key and value, and how many tags there are altogether."""
    conditions = _match(wanted)
    kinds = [wanted.resource_type] if wanted.resource_type else list(TABLES)
    used = union_all(*(_count_uses(scope, kind, conditions) for kind in kinds)).subquery()
    pairs = select(used.c.key, used.c.value).distinct()
    total = scope.session.scalar(select(func.count()).select_from(pairs.subquery())) or 0
    page = scope.session.execute(pairs.order_by(used.c.key, used.c.value).limit(limit).offset(offset)).all()
    shown = [(key, value) for key, value in page]
    conditions.append(tuple_(TagRecord.key, TagRecord.value).in_(shown))
    counts: dict[tuple[str, str], dict[ResourceType, int]] = defaultdict(dict)
    for kind in kinds:
        for key, value, count in scope.session.execute(_count_uses(scope, kind, conditions)):
            counts[key, value][kind] = count
    return [TagCount(key=key, value=value, counts=counts[key, value]) for key, value in shown], total


def _find_tagged(scope: Scope, kind: ResourceType, condition: TagCondition) -> Select[str]:
    query = select(TagRecord.resource_id).where(
        TagRecord.account_id == scope.account_id,
        TagRecord.resource_type == kind,
        condition.key.match(TagRecord.key),
    )
    if condition.values:
        query = query.where(or_(*(value.match(TagRecord.value) for value in condition.values)))
    return query


def _count_uses(
    scope: Scope, kind: ResourceType, conditions: Sequence[ColumnElement[bool]]
) -> Select[str, str, int]:
    return (
        select(TagRecord.key, TagRecord.value, func.count())
        .where(*_belongs(scope, kind), TABLES[kind].id == TagRecord.resource_id, *conditions)
        .group_by(TagRecord.key, TagRecord.value)
    )


def _belongs(scope: Scope, kind: ResourceType) -> tuple[ColumnElement[bool], ...]:
    table = TABLES[kind]
    return (
        TagRecord.account_id == scope.account_id,
        TagRecord.resource_type == kind,
        table.region_id == scope.region_id,
        table.is_there,
    )


def _match(wanted: TagCountFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.resource_id is not None:
        conditions.append(TagRecord.resource_id == wanted.resource_id)
    if wanted.tags:
        conditions.append(
            or_(
                *(
                    TagRecord.key == key
                    if value is None
                    else and_(TagRecord.key == key, TagRecord.value == value)
                    for key, value in wanted.tags.items()
                )
            )
        )
    return conditions
