"""The table of tasks."""

from datetime import datetime
from typing import Final

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from lamina.database import Record, one_of
from lamina.ids import TaskId
from lamina.tasks.states import TaskState

CANCEL_TOPIC: Final = "cancelled-tasks"
"""Announced when somebody asked for a task to be cancelled."""

_ACTIVE: Final = text("state IN ('queued', 'running')")


def name_lane_topic(lane: str) -> str:
    """The topic that is announced when there is something new for the workers of a lane."""
    return f"tasks-of-{lane}"


class TaskRecord(Record):
    """One piece of durable work.

    Attributes:
        kind: the name of its `TaskKind`.
        lane: which worker threads take it.
        is_background: nobody waits for it, so it comes after those of its lane that somebody waits for.
        key: what it works on; at most one active task per key.
        arguments: JSON of the kind's arguments.
        run_at: not before this instant; None is at once.
        owner: the process that holds the lease, as `owner.Owner` writes it.
        fence: counts the owners; a write with an old number is refused.
        lease_until: when the lease ends unless it is renewed.
        attempt: how often the current step was started without being finished.
        is_cancel_requested: somebody wants it to stop.
        is_undoing: it failed or was cancelled, and its steps are being undone.
        steps_done: how many steps are finished; while undoing, how many are left to undo.
        checkpoint: JSON object, what steps saved under their names.
        progress_done: measured work done, in the step's own unit (bytes for copies).
        progress_known: measured work known, in the same unit.
        failure: JSON of the `Failure` that ended it or made it start over.
    """

    __tablename__ = "tasks"
    __table_args__ = (
        Index("uq_tasks_active_key", "key", unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE),
        Index("ix_tasks_key", "key"),
        # walked in this order; the last column is for passing over those that pause without a look at their rows
        Index("ix_tasks_claim", "state", "lane", "is_background", "created_at", "id", "run_at"),
        Index("ix_tasks_finished_at", "finished_at"),
    )

    id: Mapped[TaskId] = mapped_column(primary_key=True)
    kind: Mapped[str]
    lane: Mapped[str]
    is_background: Mapped[bool] = mapped_column(default=False)
    key: Mapped[str]
    arguments: Mapped[str]
    state: Mapped[TaskState] = mapped_column(one_of(TaskState))
    run_at: Mapped[datetime | None]
    owner: Mapped[str | None]
    fence: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    is_cancel_requested: Mapped[bool] = mapped_column(default=False)
    is_undoing: Mapped[bool] = mapped_column(default=False)
    steps_done: Mapped[int] = mapped_column(default=0)
    checkpoint: Mapped[str] = mapped_column(default="{}")
    progress_done: Mapped[int] = mapped_column(default=0)
    progress_known: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
