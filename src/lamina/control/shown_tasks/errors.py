"""Refusals about tasks that are looked at or cancelled through the API."""

from lamina.control.shown_tasks.states import TaskAction
from lamina.failures import Refusal
from lamina.ids import TaskId


class TaskNotFoundError(Refusal):
    """The account has no such task."""

    def __init__(self, task_id: TaskId) -> None:
        super().__init__(f"there is no task {task_id}")
        self.task_id = task_id


class TaskNotCancellableError(Refusal):
    """Tasks of this kind run to their end."""

    def __init__(self, task_id: TaskId, action: TaskAction) -> None:
        super().__init__(f"task {task_id} is a {action.value}, which cannot be cancelled; wait for its end")
        self.task_id = task_id
        self.action = action


class TaskEndedError(Refusal):
    """The task has ended already."""

    def __init__(self, task_id: TaskId) -> None:
        super().__init__(f"task {task_id} has ended, so there is nothing to cancel")
        self.task_id = task_id
