"""Putting tasks into the queue, looking at them, and asking them to stop."""

from datetime import datetime
from typing import Final, TypeVar

import msgspec
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.database import announce
from lamina.ids import TaskId, mint_task_id
from lamina.tasks.errors import TaskBusyError
from lamina.tasks.records import CANCEL_TOPIC, TaskRecord, name_lane_topic
from lamina.tasks.states import ACTIVE, TaskState
from lamina.tasks.task import TaskKind

# built once: it is part of everything that starts a task
_ACTIVE_OF: Final = select(TaskRecord).where(TaskRecord.key == bindparam("key"), TaskRecord.state.in_(ACTIVE))

P = TypeVar("P")
A = TypeVar("A")


def enqueue(
    session: Session,
    clock: Clock,
    kind: TaskKind[P, A],
    arguments: A,
    *,
    key: str,
    is_background: bool | None = None,
) -> TaskId:
    """Add a task, in the caller's transaction: it exists if and only if the resource's row does.

    Args:
        session: of the transaction that writes the resource.
        clock: for the time of creation.
        kind: what is to be done.
        arguments: with what.
        key: what it works on, such as a disk id.
        is_background: nobody waits for it; by default, whatever the kind says.

    Raises:
        TaskBusyError: another active task has the key.
    """
    require_free(session, key)
    task_id = mint_task_id()
    session.add(
        TaskRecord(
            id=task_id,
            kind=kind.name,
            lane=kind.lane,
            is_background=kind.is_background if is_background is None else is_background,
            key=key,
            arguments=msgspec.json.encode(arguments).decode(),
            state=TaskState.QUEUED,
            created_at=clock.now(),
        )
    )
    session.flush()
    announce(session, name_lane_topic(kind.lane))
    return task_id


def require_free(session: Session, key: str) -> None:
    """Let nothing pass that a task is working on.

    Raises:
        TaskBusyError: an active task has the key.
    """
    active = find_active(session, key)
    if active is not None:
        raise TaskBusyError(key, active.id)


def find_active(session: Session, key: str) -> TaskRecord | None:
    """The queued or running task of `key`, if there is one."""
    return session.scalars(_ACTIVE_OF, {"key": key}).one_or_none()


def is_active(session: Session, task_id: TaskId | None) -> bool:
    """Whether a task exists and has not ended."""
    if task_id is None:
        return False
    state = session.scalar(select(TaskRecord.state).where(TaskRecord.id == task_id))
    return state in ACTIVE


def request_cancel(session: Session, task_id: TaskId) -> bool:
    """Ask a task to stop and undo itself; it does so at its next check.

    Returns:
        Whether the task was still active.
    """
    lane = session.scalar(
        update(TaskRecord)
        .where(TaskRecord.id == task_id, TaskRecord.state.in_(ACTIVE))
        .values(is_cancel_requested=True, run_at=None)  # a task that pauses between attempts stops at once
        .returning(TaskRecord.lane)
    )
    if lane is None:
        return False
    announce(session, CANCEL_TOPIC)
    announce(session, name_lane_topic(lane))
    return True


def forget_finished(session: Session, *, before: datetime, at_most: int) -> int:
    """Drop the rows of tasks that ended before an instant, so many at most; answers how many."""
    some = select(TaskRecord.id).where(TaskRecord.finished_at < before).limit(at_most)
    gone = session.scalars(delete(TaskRecord).where(TaskRecord.id.in_(some)).returning(TaskRecord.id))
    return len(gone.all())
