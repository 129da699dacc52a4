"""Looking at tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import ColumnElement, select

from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.shown_tasks.errors import TaskNotFoundError
from lamina.control.shown_tasks.files import ShownFile, decode_files
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.states import STATES, TaskAction, TaskStatus, find_status
from lamina.ids import TaskId
from lamina.tasks.outcome import Failure
from lamina.tasks.records import TaskRecord

_PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Which tasks of the scope's account and region are wanted; what is None does not matter.

    Attributes:
        task_ids: only these.
        resource_ids: only those that work on one of these.
        created_from: not before this instant.
        created_to: not after this instant.
    """

    task_ids: Sequence[TaskId] | None = None
    resource_ids: Sequence[str] | None = None
    action: TaskAction | None = None
    status: TaskStatus | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """One task as its account sees it.

    Attributes:
        shown: whose it is, and what it is called.
        status: how it stands.
        progress_percent: how much is done, as measured; 100 only when it is finished.
        files: which files it writes or reads, in its order.
        files_done: with how many of them it is done; with none if it failed, which undoes what it did.
        finished_at: when it ended.
        failure: why it failed; None while it has not.
        can_be_cancelled: whether CancelTask would stop it now.
    """

    shown: ShownTaskRecord
    status: TaskStatus
    progress_percent: int
    files: tuple[ShownFile, ...]
    files_done: int
    finished_at: datetime | None
    failure: Failure | None
    can_be_cancelled: bool


def list_tasks(scope: Scope, wanted: TaskFilter, part: Slice) -> Page[TaskView]:
    """The tasks of the account in the region that match, newest first."""
    query = (
        select(ShownTaskRecord)
        .join(TaskRecord, TaskRecord.id == ShownTaskRecord.task_id)
        .where(
            ShownTaskRecord.account_id == scope.account_id,
            ShownTaskRecord.region_id == scope.region_id,
            *_match(wanted),
        )
    )
    order = AgeOrder(created_at=ShownTaskRecord.created_at, id=ShownTaskRecord.task_id)
    shown, total, has_more = fetch_slice(scope, query, order, part)
    ids = [each.task_id for each in shown]
    tasks = {
        task.id: task for task in scope.session.scalars(select(TaskRecord).where(TaskRecord.id.in_(ids)))
    }
    return Page(
        items=tuple(_view(each, tasks[each.task_id]) for each in shown),
        total_count=total,
        next_key=PageKey(created_at=shown[-1].created_at, id=shown[-1].task_id) if has_more else None,
    )


def get_task(scope: Scope, task_id: TaskId) -> TaskView:
    """One task of the account, in any region.

    Raises:
        TaskNotFoundError: the account has no such task, or it ended so long ago that it was forgotten.
    """
    found = scope.session.execute(
        select(ShownTaskRecord, TaskRecord)
        .join(TaskRecord, TaskRecord.id == ShownTaskRecord.task_id)
        .where(ShownTaskRecord.task_id == task_id, ShownTaskRecord.account_id == scope.account_id)
    ).one_or_none()
    if found is None:
        raise TaskNotFoundError(task_id)
    return _view(*found)


def _view(shown: ShownTaskRecord, task: TaskRecord) -> TaskView:
    status = find_status(task.state)
    percent = _PERCENT * task.progress_done // task.progress_known if task.progress_known else 0
    is_open = status is TaskStatus.PROCESSING
    files = decode_files(shown.files)
    return TaskView(
        shown=shown,
        status=status,
        progress_percent=_PERCENT if status is TaskStatus.FINISHED else min(percent, _PERCENT - 1),
        files=files,
        files_done=_count_done(len(files), status, task),
        finished_at=task.finished_at,
        failure=None if is_open or task.failure is None else msgspec.json.decode(task.failure, type=Failure),
        can_be_cancelled=is_open and shown.action.can_be_cancelled,
    )


def _count_done(files: int, status: TaskStatus, task: TaskRecord) -> int:
    match status:
        case TaskStatus.FINISHED:
            return files
        case TaskStatus.FAILED:
            return 0
        case TaskStatus.PROCESSING:
            has_begun = task.progress_known and not task.is_undoing
            return files * task.progress_done // task.progress_known if has_begun else 0


def _match(wanted: TaskFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.task_ids is not None:
        conditions.append(ShownTaskRecord.task_id.in_(wanted.task_ids))
    if wanted.resource_ids is not None:
        conditions.append(ShownTaskRecord.resource_id.in_(wanted.resource_ids))
    if wanted.action is not None:
        conditions.append(ShownTaskRecord.action == wanted.action)
    if wanted.status is not None:
        conditions.append(TaskRecord.state.in_(STATES[wanted.status]))
    if wanted.created_from is not None:
        conditions.append(ShownTaskRecord.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(ShownTaskRecord.created_at <= wanted.created_to)
    return conditions
