"""Tasks that the API shows, through the official clients."""

import re
import uuid
from datetime import UTC, datetime

import pytest
from alibabacloud_ecs20140526 import models as m
from alibabacloud_tea_openapi.exceptions import ClientException

from lamina.control.installation import open_metadata
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.states import TaskAction
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState
from tests.conformance.conftest import REGION, wait_until

LATER = datetime(2999, 1, 1, tzinfo=UTC)


def code_of(call, *arguments):
    with pytest.raises(ClientException) as refused:
        call(*arguments)
    return refused.value.status_code, refused.value.code


def list_tasks(account, **filters):
    request = m.DescribeTasksRequest(region_id=REGION, **filters)
    return account.new_sdk().describe_tasks(request).body


@pytest.fixture
def changed(account):
    """A disk whose category was changed, and the task that did it."""
    disk = account.make_disk(size_gib=20)
    request = m.ModifyDiskSpecRequest(disk_id=disk, disk_category="cloud_auto")
    task_id = account.new_sdk().modify_disk_spec(request).body.task_id
    wait_until(
        lambda: list_tasks(account, task_ids=task_id).task_set.task[0],
        lambda task: task.task_status == "Finished",
    )
    return disk, task_id


def add_task(account, action, state):
    """A task of a kind that no action starts yet, as its verb would leave it."""
    task_id, now = f"t-{uuid.uuid4().hex[:20]}", datetime.now(UTC)
    with open_metadata(account.service.data_dir) as (database, _), database.transaction() as session:
        session.add(
            TaskRecord(
                id=task_id,
                kind="export",
                lane="nobody",
                key=task_id,
                arguments="{}",
                state=state,
                run_at=LATER,
                progress_done=1,
                progress_known=4,
                failure='{"kind": "fault", "message": "/secret/path"}' if state is TaskState.FAILED else None,
                created_at=now,
                finished_at=None if state is TaskState.QUEUED else now,
            )
        )
        session.add(
            ShownTaskRecord(
                task_id=task_id,
                account_id=account.account_id,
                region_id=REGION,
                action=action,
                resource_id="m-1",
                created_at=now,
            )
        )
    return task_id


def test_a_finished_task(account, changed):
    """As the CSI driver looks at it."""
    disk, task_id = changed
    found = list_tasks(account, resource_ids=[disk], task_action="ModifyDiskSpec", page_size=1)
    [task] = found.task_set.task
    assert (task.task_id, task.task_action, task.task_status, task.resource_id) == (
        task_id,
        "ModifyDiskSpec",
        "Finished",
        disk,
    )
    assert task.support_cancel == "false"
    for instant in (task.creation_time, task.finished_time):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", instant)
    assert account.describe("Disk", disk)["Category"] == "cloud_auto"
    shown = (
        account.new_sdk()
        .describe_task_attribute(m.DescribeTaskAttributeRequest(region_id=REGION, task_id=task_id))
        .body
    )
    assert (shown.task_process, shown.total_count, shown.success_count, shown.failed_count) == (
        "100%",
        1,
        1,
        0,
    )
    [operation] = shown.operation_progress_set.operation_progress
    assert (operation.operation_status, operation.error_code) == ("Success", "")
    assert operation.related_item_set.related_item[0].value == disk


def test_only_tasks_that_the_reference_knows_are_shown(account):
    account.make_snapshot(account.make_disk(b"x" * 4096))
    assert list_tasks(account).total_count == 0


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 3),
        ({"task_status": "Finished"}, 1),
        ({"task_status": "Failed"}, 1),
        ({"task_status": "Processing"}, 1),
        ({"task_status": "Anything"}, 3),
        ({"task_action": "ExportImage"}, 2),
        ({"task_action": "RedeployInstance"}, 0),
        ({"task_ids": "t-unknown,t-other"}, 0),
        ({"resource_ids": ["m-1"]}, 2),
        ({"start_time": "2999-01-01T00:00Z"}, 0),
        ({"end_time": "2999-01-01T00:00Z"}, 3),
        ({"end_time": "2000-01-01T00:00Z"}, 0),
    ],
)
def test_every_filter(account, changed, filters, count):
    add_task(account, TaskAction.EXPORT_IMAGE, TaskState.QUEUED)
    add_task(account, TaskAction.EXPORT_IMAGE, TaskState.FAILED)
    assert list_tasks(account, **filters).total_count == count


def test_a_task_under_way_can_be_cancelled(account):
    sdk = account.new_sdk()
    task_id = add_task(account, TaskAction.EXPORT_IMAGE, TaskState.QUEUED)
    [task] = list_tasks(account, task_ids=task_id).task_set.task
    assert (task.task_status, task.support_cancel, task.finished_time) == ("Processing", "true", "")
    attribute = m.DescribeTaskAttributeRequest(region_id=REGION, task_id=task_id)
    assert sdk.describe_task_attribute(attribute).body.task_process == "25%"
    assert sdk.cancel_task(m.CancelTaskRequest(region_id=REGION, task_id=task_id)).status_code == 200
    with open_metadata(account.service.data_dir) as (database, _), database.reading() as session:
        assert session.get(TaskRecord, task_id).is_cancel_requested


def test_what_cannot_be_cancelled(account, changed):
    sdk = account.new_sdk()
    ended = add_task(account, TaskAction.IMPORT_IMAGE, TaskState.CANCELLED)
    for task_id, code in (
        (changed[1], (403, "InvalidTaskId.TaskActionNotSupport")),
        (ended, (403, "InvalidTaskId.IncorrectTaskStatus")),
        ("t-nothing", (400, "InvalidTaskId.NotFound")),
    ):
        assert code_of(sdk.cancel_task, m.CancelTaskRequest(region_id=REGION, task_id=task_id)) == code


def test_why_a_task_failed(account):
    task_id = add_task(account, TaskAction.EXPORT_IMAGE, TaskState.FAILED)
    shown = (
        account.new_sdk()
        .describe_task_attribute(m.DescribeTaskAttributeRequest(region_id=REGION, task_id=task_id))
        .body
    )
    [operation] = shown.operation_progress_set.operation_progress
    assert (shown.task_status, shown.failed_count, operation.error_code) == ("Failed", 1, "OperationFailed")
    assert "secret" not in operation.error_msg


def test_regions_and_limits(account):
    sdk = account.new_sdk()
    nowhere = m.DescribeTasksRequest(region_id="cn-nowhere")
    assert code_of(sdk.describe_tasks, nowhere) == (400, "InvalidRegionId.NotFound")
    many = m.DescribeTasksRequest(region_id=REGION, task_ids=",".join(f"t-{number}" for number in range(101)))
    assert code_of(sdk.describe_tasks, many) == (400, "InvalidParameter")
    unknown = m.DescribeTaskAttributeRequest(region_id=REGION, task_id="t-nothing")
    assert code_of(sdk.describe_task_attribute, unknown) == (400, "InvalidTaskId.NotFound")
    found = account.old("DescribeTasks", PageSize=1000)
    assert (found["PageNumber"], found["PageSize"], found["TaskSet"]["Task"]) == (1, 100, [])
