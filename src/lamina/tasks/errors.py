"""Refusals of the task room, and the two signals that end an attempt without ending the task."""

from lamina.failures import Cancelled, Refusal
from lamina.ids import TaskId


class TaskBusyError(Refusal):
    """Another task is working on the same thing.

    Attributes:
        key: what both want.
        task_id: the task that has it.
    """

    def __init__(self, key: str, task_id: TaskId) -> None:
        super().__init__(f"task {task_id} is working on {key}; wait for it to end or cancel it")
        self.key = key
        self.task_id = task_id


class LeaseLostError(Cancelled):
    """Another owner has the task now; whatever this one still does is refused by the fence."""


class WorkerStoppingError(Cancelled):
    """The process is shutting down; the task goes back to the queue and continues where it was."""
