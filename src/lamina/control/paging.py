"""Slices of long lists: by offset, or from the place where the last slice ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKey:
    """The place of a row in a list that is sorted by age, newest first. Stays valid when rows come and go."""

    created_at: datetime
    id: str


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
    session: Session, query: Select[T], order: AgeOrder, wanted: Slice
) -> tuple[list[T], int, bool]:
    """The rows of one slice, the length of the whole list, and whether there is more behind the slice."""
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    if wanted.after is not None:
        query = query.where(_is_behind(order, wanted.after))
    rows = session.scalars(
        query.order_by(order.created_at.desc(), order.id.desc()).offset(wanted.offset).limit(wanted.limit + 1)
    ).all()
    return list(rows[: wanted.limit]), total, len(rows) > wanted.limit


def _is_behind(order: AgeOrder, key: PageKey) -> ColumnElement[bool]:
    return or_(
        order.created_at < key.created_at,
        (order.created_at == key.created_at) & (order.id < key.id),
    )
