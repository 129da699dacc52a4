"""Slices of long lists: by offset, or from the place where the last slice ended."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, Tuple, false, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from lamina.control.long_lists import FAR, PageKey
from lamina.control.scope import Scope

__all__ = ["AgeOrder", "Page", "PageKey", "Slice", "fetch_counted_slice", "fetch_slice"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Which rows are wanted.

    Attributes:
        limit: how many at most.
        offset: how many to skip; for page numbers.
        after: only rows behind this one; for tokens.
    """

    limit: int
    offset: int = 0
    after: PageKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A slice of a list.

    Attributes:
        items: the rows, newest first.
        total_count: how many rows the whole list has.
        next_key: where the next slice starts; None on the last one.
    """

    items: tuple[T, ...]
    total_count: int
    next_key: PageKey | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeOrder:
    """The two columns that a list is sorted by: descending creation, and the id among equals."""

    created_at: InstrumentedAttribute[datetime]
    id: InstrumentedAttribute[Any]  # an id of any kind


def fetch_slice(
    scope: Scope,
    query: Select[T],
    order: AgeOrder,
    wanted: Slice,
    *,
    filters: object = None,
    is_short: bool = False,
) -> tuple[list[T], int, bool]:
    """The rows of one slice, the length of the whole list, and whether there is more behind the slice.

    Args:
        scope: the caller.
        query: the whole list.
        order: how it is sorted.
        wanted: the slice.
        filters: for a list that can be long, all that `query` depends on beside the caller: what it came to is
            remembered under that. Without it everything is counted each time.
        is_short: all matching rows are looked at to find a slice, so they are counted on the way.
    """
    record: Any = order.id.class_
    if is_short and wanted.after is None and wanted.offset < FAR:
        found = scope.session.execute(_select_ids_and_total(query, order, wanted)).all()
        if found:
            ids = [row_id for row_id, _ in found[: wanted.limit]]
            by_id = {row.id: row for row in scope.session.scalars(select(record).where(order.id.in_(ids)))}
            return [by_id[row_id] for row_id in ids], found[0][1], len(found) > wanted.limit
    counted = query.order_by(None).with_only_columns(func.count(), maintain_column_froms=True)
    key = None if filters is None else _name(scope, order, filters)
    return _fetch(scope, _List(query=query, counted=counted, order=order, key=key), wanted)


def fetch_counted_slice(
    scope: Scope, query: Select[T], order: AgeOrder, wanted: Slice, *, counted: Select[int], filters: object
) -> tuple[list[T], int, bool]:
    """The same for a list that is counted more cheaply than walked.

    Args:
        scope: the caller.
        query: the whole list.
        order: how it is sorted.
        wanted: the slice.
        counted: how long the list is.
        filters: as for `fetch_slice`.
    """
    whole = _List(query=query, counted=counted, order=order, key=_name(scope, order, filters))
    return _fetch(scope, whole, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _List(Generic[T]):
    """A whole list; `key` is what is remembered of it under, if anything is."""

    query: Select[T]
    counted: Select[int]
    order: AgeOrder
    key: Hashable | None


def _name(scope: Scope, order: AgeOrder, filters: object) -> Hashable:
    record: Any = order.id.class_
    return record.__tablename__, scope.account_id, scope.region_id, repr(filters)


def _fetch(scope: Scope, whole: _List[T], wanted: Slice) -> tuple[list[T], int, bool]:
    order = whole.order
    newest_first = whole.query.order_by(order.created_at.desc(), order.id.desc())
    if wanted.after is not None:
        part = newest_first.where(_place(order) < _row(wanted.after))
    elif wanted.offset < FAR:
        part = newest_first.offset(wanted.offset)
    else:
        start = _find_start(scope, whole, wanted.offset)
        part = newest_first.where(_place(order) <= _row(start)) if start else newest_first.where(false())
    rows = scope.session.scalars(part.limit(wanted.limit + 1)).all()
    has_more = len(rows) > wanted.limit
    is_end = not has_more and wanted.after is None and (bool(rows) or wanted.offset == 0)
    if is_end and wanted.offset < FAR:
        return list(rows), wanted.offset + len(rows), False
    return list(rows[: wanted.limit]), _count(scope, whole), has_more


def _count(scope: Scope, whole: _List[Any]) -> int:
    def count() -> int:
        return scope.session.scalar(whole.counted) or 0

    return count() if whole.key is None else scope.lists.count(whole.key, count)


def _select_ids_and_total(query: Select[Any], order: AgeOrder, wanted: Slice) -> Select[Any, int]:
    """The ids of a slice, each with the length of the whole list.

    Only ids, since to sort a thousand whole rows takes as long again as to find them. And all of them at first, by a
    name that is used twice: PostgreSQL would count on a window to end early, and walk through a million rows for that.
    """
    ids = query.with_only_columns(order.created_at, order.id).order_by(None).cte("ids")
    total = select(func.count()).select_from(ids).scalar_subquery()
    page = select(ids.c.id, total).order_by(ids.c.created_at.desc(), ids.c.id.desc())
    return page.offset(wanted.offset).limit(wanted.limit + 1)


def _find_start(scope: Scope, whole: _List[Any], offset: int) -> PageKey | None:
    """The row at a large offset, from the nearest place that is known; only the index is read on the way.

    The end of the list is such a place, too: the last page is asked for most, and SQLite takes 0.6 s to walk to it
    through a million rows.
    """
    order = whole.order
    behind = _count(scope, whole) - 1 - offset
    if behind < 0:
        return None
    skipped, place = (None if whole.key is None else scope.lists.find_place(whole.key, offset)) or (0, None)
    if behind < offset - skipped:
        walk = whole.query.order_by(order.created_at, order.id).offset(behind)
    else:
        walk = whole.query.order_by(order.created_at.desc(), order.id.desc()).offset(offset - skipped)
        walk = walk if place is None else walk.where(_place(order) <= _row(place))
    found = scope.session.execute(walk.with_only_columns(order.created_at, order.id).limit(1)).first()
    if found is None:
        return None
    start = PageKey(created_at=found[0], id=found[1])
    if whole.key is not None:
        scope.lists.keep_place(whole.key, offset, start)
    return start


def _place(order: AgeOrder) -> Tuple:
    return tuple_(order.created_at, order.id)


def _row(key: PageKey) -> tuple[datetime, str]:
    return key.created_at, key.id
