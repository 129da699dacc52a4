"""The states of a task."""

from enum import Enum
from typing import Final


class TaskState(Enum):
    """Where a task stands."""

    QUEUED = "queued"  # waits for a worker, or for its next attempt
    RUNNING = "running"  # a worker holds the lease, or held it until it died
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # its steps were undone, and the reason is recorded
    CANCELLED = "cancelled"  # its steps were undone on request


ACTIVE: Final = (TaskState.QUEUED, TaskState.RUNNING)

TRANSITIONS: Final[dict[TaskState, frozenset[TaskState]]] = {
    TaskState.QUEUED: frozenset({TaskState.RUNNING}),
    # to QUEUED: a retry or a graceful stop; to RUNNING: another owner takes over
    TaskState.RUNNING: frozenset(TaskState),
    TaskState.SUCCEEDED: frozenset(),
    TaskState.FAILED: frozenset(),
    TaskState.CANCELLED: frozenset(),
}
