"""Ask a task to stop."""

from lamina.control.scope import Scope
from lamina.control.shown_tasks.errors import TaskEndedError, TaskNotCancellableError
from lamina.control.shown_tasks.queries import get_task
from lamina.ids import TaskId
from lamina.tasks.queue import request_cancel


def cancel_task(scope: Scope, task_id: TaskId) -> None:
    """Have a task stop at its next check and undo what it did.

    Raises:
        TaskNotFoundError: the account has no such task.
        TaskNotCancellableError: tasks of its kind run to their end.
        TaskEndedError: it has ended.
    """
    view = get_task(scope, task_id)
    if not view.shown.action.can_be_cancelled:
        raise TaskNotCancellableError(task_id, view.shown.action)
    if not request_cancel(scope.session, task_id):
        raise TaskEndedError(task_id)
