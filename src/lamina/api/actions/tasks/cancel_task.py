"""CancelTask."""

from dataclasses import dataclass

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.spec import Kind, action
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.shown_tasks.cancel import cancel_task as cancel
from lamina.control.shown_tasks.errors import TaskEndedError, TaskNotCancellableError, TaskNotFoundError
from lamina.ids import RegionId, TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTaskRequest:
    """Parameters."""

    region_id: RegionId
    task_id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTaskAnswer:
    """Nothing but the request id."""


@action(
    kind=Kind.WRITES,
    raises=(TaskNotFoundError, TaskNotCancellableError, TaskEndedError),
    errors={RegionNotFoundError: Code(400, "InvalidRegionId.NotFound")},
    resource="task_id",
    not_offered={"a task that can be cancelled stops at its next check": ("CancelTaskFailed",)},
)
def cancel_task(_call: Call, scope: Scope, request: CancelTaskRequest) -> CancelTaskAnswer:
    """Have the import or export of an image stop and undo what it did."""
    cancel(scope, request.task_id)
    return CancelTaskAnswer()
