"""A task, as DescribeTasks shows it."""

from dataclasses import dataclass
from datetime import datetime

from lamina.control.shown_tasks.queries import TaskView
from lamina.ids import TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskShape:
    """One task.

    Attributes:
        support_cancel: `true` or `false` as text, as the API documents it.
    """

    task_id: TaskId
    task_action: str
    task_status: str
    support_cancel: str
    creation_time: str
    finished_time: str
    resource_id: str


def show_task(view: TaskView) -> TaskShape:
    """A task for an answer."""
    return TaskShape(
        task_id=view.shown.task_id,
        task_action=view.shown.action.value,
        task_status=view.status.value,
        support_cancel=show_support(view),
        creation_time=show_minute(view.shown.created_at),
        finished_time=show_minute(view.finished_at),
        resource_id=view.shown.resource_id,
    )


def show_support(view: TaskView) -> str:
    """Whether CancelTask would stop it, as text."""
    return "true" if view.can_be_cancelled else "false"


def show_minute(instant: datetime | None) -> str:
    """An instant to the minute, as the API writes times of tasks; nothing for one that has not come."""
    return instant.strftime("%Y-%m-%dT%H:%MZ") if instant is not None else ""
