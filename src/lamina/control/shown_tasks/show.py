"""Make a task visible to its account."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from lamina.control.scope import Scope
from lamina.control.shown_tasks.files import ShownFile, encode_files
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.states import TaskAction
from lamina.ids import RegionId, TaskId
from lamina.tasks.records import TaskRecord


def show_task(
    scope: Scope,
    task_id: TaskId,
    action: TaskAction,
    *,
    resource_id: str,
    region_id: RegionId,
    files: Sequence[ShownFile] = (),
) -> None:
    """Let the scope's account see a task; to be called in the transaction that enqueues it.

    Args:
        scope: whose task it is.
        task_id: from `lamina.tasks.queue.enqueue`.
        action: what the API calls it.
        resource_id: what it works on.
        region_id: where that is.
        files: which files it writes or reads, in the order in which it does so; its measure of progress takes them
            to be of one size.
    """
    scope.session.add(
        ShownTaskRecord(
            task_id=task_id,
            account_id=scope.account_id,
            region_id=region_id,
            action=action,
            resource_id=resource_id,
            files=encode_files(files),
            created_at=scope.clock.now(),
        )
    )
    scope.session.flush()


def forget_shown_tasks(session: Session, *, before: datetime) -> None:
    """Drop what was made visible before an instant, unless its task still has a row."""
    has_task = select(TaskRecord.id).where(TaskRecord.id == ShownTaskRecord.task_id).exists()
    session.execute(delete(ShownTaskRecord).where(ShownTaskRecord.created_at < before, ~has_task))
