"""Looking at bulk exports: how far they have come, and what they left in the bucket."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from lamina.control.bulk_exports.errors import BulkExportNotFoundError
from lamina.control.bulk_exports.records import BulkExportRecord, BulkItemRecord
from lamina.control.bulk_exports.states import BulkState, ItemState, SourceKind
from lamina.control.images.records import ImageRecord
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.ids import BulkExportId, TaskId
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState

_ORDER: Final = AgeOrder(created_at=BulkExportRecord.created_at, id=BulkExportRecord.id)
_PERCENT: Final = 100
_HALF: Final = (
    50  # of an item that an image is captured for first: as many bytes are read for it as are exported
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkExportView:
    """One bulk export, and how many of its items stand where."""

    bulk: BulkExportRecord
    counts: Mapping[ItemState, int]

    @property
    def item_count(self) -> int:
        """How many items it has."""
        return sum(self.counts.values())

    @property
    def ended_count(self) -> int:
        """How many of them have ended, in whatever way."""
        return sum(count for state, count in self.counts.items() if state.has_ended)


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkItemView:
    """One item, and how much of its work is done, as its tasks measure it."""

    item: BulkItemRecord
    progress_percent: int


def get_bulk_export(scope: Scope, bulk_export_id: BulkExportId) -> BulkExportRecord:
    """One bulk export of the account, in any region.

    Raises:
        BulkExportNotFoundError: the account has no such bulk export, or it was forgotten.
    """
    bulk = scope.session.get(BulkExportRecord, bulk_export_id)
    if bulk is None or bulk.account_id != scope.account_id:
        raise BulkExportNotFoundError(bulk_export_id)
    return bulk


def list_bulk_exports(scope: Scope, part: Slice, state: BulkState | None = None) -> Page[BulkExportView]:
    """The account's bulk exports in the region, newest first."""
    query = select(BulkExportRecord).where(
        BulkExportRecord.account_id == scope.account_id, BulkExportRecord.region_id == scope.region_id
    )
    if state is not None:
        query = query.where(BulkExportRecord.state == state)
    rows, total, has_more = fetch_slice(scope, query, _ORDER, part)
    counts = _count_items(scope.session, [bulk.id for bulk in rows])
    return Page(
        items=tuple(BulkExportView(bulk=bulk, counts=counts[bulk.id]) for bulk in rows),
        total_count=total,
        next_key=PageKey(created_at=rows[-1].created_at, id=rows[-1].id) if has_more else None,
    )


def list_items(session: Session, bulk_export_id: BulkExportId) -> Sequence[BulkItemRecord]:
    """All items of a bulk export, in order."""
    query = select(BulkItemRecord).where(BulkItemRecord.bulk_export_id == bulk_export_id)
    return session.scalars(query.order_by(BulkItemRecord.number)).all()


def view_bulk_export(bulk: BulkExportRecord, items: Sequence[BulkItemView]) -> BulkExportView:
    """A bulk export whose items were looked at already."""
    return BulkExportView(bulk=bulk, counts=Counter(view.item.state for view in items))


def view_items(scope: Scope, bulk: BulkExportRecord) -> tuple[BulkItemView, ...]:
    """All items of a bulk export, in order, with their progress."""
    items = list_items(scope.session, bulk.id)
    creating = [item.image_id for item in items if item.state is ItemState.CREATING]
    query = select(ImageRecord.id, ImageRecord.task_id).where(ImageRecord.id.in_(creating))
    by_image = {row.id: row.task_id for row in scope.session.execute(query)}
    of_items = [by_image.get(item.image_id, item.export_task_id) for item in items]
    wanted = [task_id for task_id in of_items if task_id is not None]
    found = scope.session.scalars(select(TaskRecord).where(TaskRecord.id.in_(wanted)))
    tasks: dict[TaskId | None, TaskRecord] = {task.id: task for task in found}
    return tuple(
        BulkItemView(item=item, progress_percent=_measure(item, tasks.get(task_id)))
        for item, task_id in zip(items, of_items, strict=True)
    )


def measure_all(items: Sequence[BulkItemView]) -> int:
    """How much of a bulk export is done in percent; what failed or was cancelled is done as well."""
    done = sum(_PERCENT if view.item.state.has_ended else view.progress_percent for view in items)
    return done // len(items)


def forget_bulk_exports(session: Session, *, before: datetime) -> None:
    """Drop those that ended before an instant. What they left in buckets stays."""
    old = select(BulkExportRecord.id).where(BulkExportRecord.finished_at < before)
    session.execute(delete(BulkItemRecord).where(BulkItemRecord.bulk_export_id.in_(old)))
    session.execute(delete(BulkExportRecord).where(BulkExportRecord.finished_at < before))


def _count_items(
    session: Session, ids: Sequence[BulkExportId]
) -> Mapping[BulkExportId, Mapping[ItemState, int]]:
    counted: dict[BulkExportId, Counter[ItemState]] = {bulk_id: Counter() for bulk_id in ids}
    query = (
        select(BulkItemRecord.bulk_export_id, BulkItemRecord.state, func.count())
        .where(BulkItemRecord.bulk_export_id.in_(ids))
        .group_by(BulkItemRecord.bulk_export_id, BulkItemRecord.state)
    )
    for bulk_id, state, count in session.execute(query):
        counted[bulk_id][state] = count
    return counted


def _measure(item: BulkItemRecord, task: TaskRecord | None) -> int:
    half = _HALF if item.source_kind is SourceKind.INSTANCE else 0
    match item.state:
        case ItemState.CREATING:
            return int(half * _measure_task(task))
        case ItemState.READY:
            return half
        case ItemState.EXPORTING:
            return min(_PERCENT - 1, half + int((_PERCENT - half) * _measure_task(task)))
        case ItemState.FINISHED:
            return _PERCENT
        case _:
            return 0


def _measure_task(task: TaskRecord | None) -> float:
    if task is not None and task.state is TaskState.SUCCEEDED:
        return 1
    return 0 if task is None or task.progress_known == 0 else task.progress_done / task.progress_known
