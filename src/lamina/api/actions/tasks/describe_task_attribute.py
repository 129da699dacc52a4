"""DescribeTaskAttribute."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import Code
from lamina.api.schema import param
from lamina.api.shapes.task import show_minute, show_support
from lamina.api.spec import Kind, action
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.shown_tasks.errors import TaskNotFoundError
from lamina.control.shown_tasks.queries import TaskView, get_task
from lamina.control.shown_tasks.states import TaskStatus
from lamina.ids import RegionId, TaskId

_OPERATIONS: Final = {
    TaskStatus.PROCESSING: "Processing",
    TaskStatus.FINISHED: "Success",
    TaskStatus.FAILED: "Failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTaskAttributeRequest:
    """Parameters."""

    region_id: RegionId
    task_id: TaskId


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedItemShape:
    """What an operation works on."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationProgressShape:
    """How a part of the task stands: one of its files, or the whole task if it has none."""

    operation_status: str
    error_code: str
    error_msg: str
    related_item_set: tuple[RelatedItemShape, ...] = param(wire="RelatedItemSet/RelatedItem")


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTaskAttributeAnswer:
    """One task in detail."""

    task_id: TaskId
    region_id: RegionId
    task_action: str
    task_status: str
    task_process: str
    support_cancel: str
    total_count: int
    success_count: int
    failed_count: int
    creation_time: str
    finished_time: str
    operation_progress_set: tuple[OperationProgressShape, ...] = param(
        wire="OperationProgressSet/OperationProgress"
    )


@action(
    kind=Kind.READS,
    raises=(TaskNotFoundError,),
    errors={RegionNotFoundError: Code(400, "InvalidRegionId.NotFound")},
    resource="task_id",
)
def describe_task_attribute(
    _call: Call, scope: Scope, request: DescribeTaskAttributeRequest
) -> DescribeTaskAttributeAnswer:
    """Tell how far a task has come, and why it failed if it did."""
    view = get_task(scope, request.task_id)
    operations = _show_operations(view)
    statuses = [operation.operation_status for operation in operations]
    return DescribeTaskAttributeAnswer(
        task_id=view.shown.task_id,
        region_id=view.shown.region_id,
        task_action=view.shown.action.value,
        task_status=view.status.value,
        task_process=f"{view.progress_percent}%",
        support_cancel=show_support(view),
        total_count=len(operations),
        success_count=statuses.count(_OPERATIONS[TaskStatus.FINISHED]),
        failed_count=statuses.count(_OPERATIONS[TaskStatus.FAILED]),
        creation_time=show_minute(view.shown.created_at),
        finished_time=show_minute(view.finished_at),
        operation_progress_set=operations,
    )


def _show_operations(view: TaskView) -> tuple[OperationProgressShape, ...]:
    """The files of an export or import, each with its place; of any other task what it works on."""
    if not view.files:
        return (_show_operation(view, view.status, ResourceId=view.shown.resource_id),)
    return tuple(
        _show_operation(
            view,
            TaskStatus.FINISHED if index < view.files_done else view.status,
            OSSBucket=file.bucket,
            OSSObject=file.key,
            ImageFormat=file.format,
        )
        for index, file in enumerate(view.files)
    )


def _show_operation(view: TaskView, status: TaskStatus, **related: str) -> OperationProgressShape:
    failure = view.failure
    return OperationProgressShape(
        operation_status=_OPERATIONS[status],
        error_code="" if failure is None else "OperationFailed",
        error_msg="" if failure is None else failure.told,
        related_item_set=tuple(RelatedItemShape(name=name, value=value) for name, value in related.items()),
    )
