"""DescribeTasks."""

from dataclasses import dataclass
from typing import Final

from lamina.api.call import Call
from lamina.api.codes import INVALID_PARAMETER, Code
from lamina.api.paging import MAX_PAGE_NUMBER, MAX_PAGE_SIZE
from lamina.api.schema import param
from lamina.api.shapes.filters import BAD_FILTER_VALUE, parse_time
from lamina.api.shapes.task import TaskShape, show_task
from lamina.api.spec import Kind, action
from lamina.control.paging import Slice
from lamina.control.regions.errors import RegionNotFoundError
from lamina.control.scope import Scope
from lamina.control.shown_tasks.queries import TaskFilter, list_tasks
from lamina.control.shown_tasks.states import TaskAction, TaskStatus
from lamina.ids import RegionId, TaskId

_DEFAULT_SIZE: Final = 10
_STATUSES: Final = {status.value.casefold(): status for status in TaskStatus}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTasksRequest:
    """Parameters; all filters must match. A status that is not known is no filter, as the reference says."""

    region_id: RegionId
    task_ids: tuple[TaskId, ...] | None = param(default=None, form="comma", at_most=100)
    resource_ids: tuple[str, ...] | None = param(default=None, at_most=100)
    task_action: str | None = param(default=None, choices=tuple(each.value for each in TaskAction))
    task_status: str | None = None
    task_group_id: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    page_number: int = param(default=1, between=(1, MAX_PAGE_NUMBER))
    page_size: int = param(default=_DEFAULT_SIZE, between=(1, MAX_PAGE_NUMBER))


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeTasksAnswer:
    """One page of tasks, newest first."""

    task_set: tuple[TaskShape, ...] = param(wire="TaskSet/Task")
    total_count: int
    page_number: int
    page_size: int
    region_id: RegionId


@action(
    kind=Kind.READS,
    answers=(INVALID_PARAMETER, BAD_FILTER_VALUE),
    errors={RegionNotFoundError: Code(400, "InvalidRegionId.NotFound")},
)
def describe_tasks(_call: Call, scope: Scope, request: DescribeTasksRequest) -> DescribeTasksAnswer:
    """List the tasks of a region that are visible to the account. An id that does not exist is left out."""
    size = min(request.page_size, MAX_PAGE_SIZE)
    wanted = TaskFilter(
        # a task is never part of a group here
        task_ids=() if request.task_group_id is not None else request.task_ids,
        resource_ids=request.resource_ids,
        action=TaskAction(request.task_action) if request.task_action else None,
        status=_STATUSES.get((request.task_status or "").casefold()),
        created_from=parse_time(request.start_time) if request.start_time else None,
        created_to=parse_time(request.end_time) if request.end_time else None,
    )
    page = list_tasks(scope, wanted, Slice(limit=size, offset=(request.page_number - 1) * size))
    return DescribeTasksAnswer(
        task_set=tuple(show_task(view) for view in page.items),
        total_count=page.total_count,
        page_number=request.page_number,
        page_size=size,
        region_id=scope.region_id,
    )
