"""Which tags are in use, and how often.

An account may have a million tagged resources and few tags, or as many tags as resources. So the tags are not found
by looking at what carries them: from one tag, the index leads to the next one, whatever lies in between. How often a
tag is used can only be counted, and that is remembered like the length of any long list.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import (
    CTE,
    ColumnElement,
    ScalarSelect,
    Select,
    Subquery,
    case,
    func,
    literal,
    select,
    union,
)
from sqlalchemy.orm import aliased

from lamina.control.resources.kinds import TABLES
from lamina.control.scope import Scope
from lamina.control.tags.records import ResourceType, TagRecord


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

    @property
    def kinds(self) -> Collection[ResourceType]:
        """The kinds of resources that are looked at."""
        return TABLES if self.resource_type is None else (self.resource_type,)


def count_tags(
    scope: Scope, wanted: TagCountFilter, *, limit: int, offset: int
) -> tuple[list[TagCount], int]:
    """Tags with how often they are used, sorted by key and value, and how many tags there are altogether.

    A resource that was deleted counts until it is removed.
    """
    if wanted.resource_id is not None:
        found = _list_tags_of(scope, wanted, wanted.resource_id)
        return found[offset : offset + limit], len(found)
    total = _recall(
        scope, ("tags in use", repr(wanted)), select(func.count()).select_from(_find(scope, wanted))
    )
    if offset >= total:
        return [], total
    pairs = _find(scope, wanted, at_most=offset + limit)
    query = select(pairs.c.key, pairs.c.value).order_by(pairs.c.key, pairs.c.value)
    page = scope.session.execute(query.limit(limit).offset(offset)).all()
    return [_count(scope, wanted.kinds, key, value) for key, value in page], total


def _count(scope: Scope, kinds: Collection[ResourceType], key: str, value: str) -> TagCount:
    counts = {
        kind: _recall(
            scope,
            ("uses of a tag", kind, key, value),
            select(func.count()).where(
                *_belongs(scope, TagRecord, kind), TagRecord.key == key, TagRecord.value == value
            ),
        )
        for kind in kinds
    }
    return TagCount(key=key, value=value, counts=counts)


def _recall(scope: Scope, key: tuple[object, ...], counting: Select[int]) -> int:
    """A number that takes long to count, remembered for a while if it is large."""
    owner = (scope.account_id, scope.region_id)
    return scope.lists.count((*key, *owner), lambda: scope.session.scalar(counting) or 0)


def _list_tags_of(scope: Scope, wanted: TagCountFilter, resource_id: str) -> list[TagCount]:
    """The tags of one resource, which are few; whose they are is looked at here, so that the id leads to them."""
    rows = scope.session.execute(
        select(TagRecord.resource_type, TagRecord.key, TagRecord.value).where(
            TagRecord.resource_type.in_(wanted.kinds),
            TagRecord.resource_id == resource_id,
            func.coalesce(TagRecord.account_id, "") == scope.account_id,
            func.coalesce(TagRecord.region_id, "") == scope.region_id,
        )
    )
    counts: dict[tuple[str, str], dict[ResourceType, int]] = defaultdict(dict)
    for kind, key, value in rows:
        if not wanted.tags or (key in wanted.tags and wanted.tags[key] in (None, value)):
            counts[key, value][kind] = 1
    return [TagCount(key=key, value=value, counts=counts[key, value]) for key, value in sorted(counts)]


def _find(scope: Scope, wanted: TagCountFilter, *, at_most: int | None = None) -> Subquery:
    """The distinct tags in use; with `at_most`, the first ones in order are among them."""
    walks: list[_Walk] = []
    for kind in wanted.kinds:
        chosen = wanted.tags.items() if wanted.tags else ((None, None),)
        walks += (_Walk(scope, kind, key, value) for key, value in chosen)
    return union(*(walk.select(at_most) for walk in walks)).subquery()


class _Walk:
    """The distinct tags of one kind of resource, in order: each step is a look into the index.

    Args:
        scope: whose.
        kind: of which resources.
        key: only tags with this key.
        value: and only with this value.
    """

    def __init__(self, scope: Scope, kind: ResourceType, key: str | None, value: str | None) -> None:
        self._scope = scope
        self._kind = kind
        self._key = key
        self._value = value

    def select(self, at_most: int | None) -> Select[str, str]:
        """Keys and values; with `at_most`, only so many from the first one on."""
        key = self._first_key() if self._key is None else literal(self._key)
        first = select(literal(1).label("number"), key.label("key"), self._first_value(key).label("value"))
        if self._value is not None:
            only = first.subquery()
            return select(only.c.key, only.c.value).where(only.c.value.is_not(None))
        walk = first.cte(recursive=True)
        step = select(walk.c.number + 1, *self._step(walk)).where(walk.c.value.is_not(None))
        if at_most is not None:
            step = step.where(walk.c.number < at_most)
        whole = walk.union_all(step)
        return select(whole.c.key, whole.c.value).where(whole.c.value.is_not(None))

    def _step(self, walk: CTE) -> tuple[ColumnElement[str], ColumnElement[str]]:
        """From a tag to the next one: the next value of its key, else the first value of the next key."""
        following = self._first_value(walk.c.key, behind=walk)
        if self._key is not None:
            return walk.c.key, following
        next_key = self._first_key(behind=walk)
        key = case((following.is_not(None), walk.c.key), else_=next_key)
        return key, func.coalesce(following, self._first_value(next_key, within=walk))

    def _first_key(self, *, behind: CTE | None = None) -> ScalarSelect[str]:
        """The first key, or the first one behind that of the walk's place."""
        tag = aliased(TagRecord)
        query = select(func.min(tag.key)).where(*_belongs(self._scope, tag, self._kind))
        if behind is not None:
            query = query.where(tag.key > behind.c.key)
        return query.correlate(behind).scalar_subquery()

    def _first_value(
        self, key: ColumnElement[str], *, behind: CTE | None = None, within: CTE | None = None
    ) -> ScalarSelect[str]:
        """The first value of a key, or the first one behind that of the walk's place; None if there is none."""
        tag = aliased(TagRecord)
        query = select(func.min(tag.value)).where(*_belongs(self._scope, tag, self._kind), tag.key == key)
        if behind is not None:
            query = query.where(tag.value > behind.c.value)
        if self._value is not None:
            query = query.where(tag.value == self._value)
        return query.correlate(behind if within is None else within).scalar_subquery()


def _belongs(scope: Scope, tag: type[TagRecord], kind: ResourceType) -> tuple[ColumnElement[bool], ...]:
    return (
        tag.account_id == scope.account_id,
        tag.region_id == scope.region_id,
        tag.resource_type == kind,
    )
