"""How the API calls kinds of tasks, and how far they have come."""

from enum import Enum
from typing import Final

from lamina.tasks.states import TaskState


class TaskAction(Enum):
    """Kinds of tasks that the API shows (ECS API, DescribeTasks)."""

    IMPORT_IMAGE = "ImportImage"
    EXPORT_IMAGE = "ExportImage"
    REDEPLOY_INSTANCE = "RedeployInstance"
    MODIFY_DISK_SPEC = "ModifyDiskSpec"
    ARCHIVE_SNAPSHOT = "ArchiveSnapshot"

    @property
    def can_be_cancelled(self) -> bool:
        """Whether CancelTask stops such a task."""
        return self in (TaskAction.IMPORT_IMAGE, TaskAction.EXPORT_IMAGE)


class TaskStatus(Enum):
    """What the API says about a task."""

    PROCESSING = "Processing"
    FINISHED = "Finished"
    FAILED = "Failed"


STATES: Final[dict[TaskStatus, tuple[TaskState, ...]]] = {
    TaskStatus.PROCESSING: (TaskState.QUEUED, TaskState.RUNNING),
    TaskStatus.FINISHED: (TaskState.SUCCEEDED,),
    # the API has no word for a task that was cancelled
    TaskStatus.FAILED: (TaskState.FAILED, TaskState.CANCELLED),
}


def find_status(state: TaskState) -> TaskStatus:
    """What the API says about a task in this state."""
    return next(status for status, states in STATES.items() if state in states)
