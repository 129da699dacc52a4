"""Tasks that accounts may look at: whose they are, and how long they are remembered."""

from datetime import timedelta

import pytest

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.respec import respec_disk
from lamina.control.paging import Slice
from lamina.control.reconcilers import forget_old_rows
from lamina.control.shown_tasks.cancel import cancel_task
from lamina.control.shown_tasks.errors import TaskNotCancellableError, TaskNotFoundError
from lamina.control.shown_tasks.queries import TaskFilter, get_task, list_tasks
from lamina.control.shown_tasks.records import ShownTaskRecord
from lamina.control.shown_tasks.show import forget_shown_tasks
from lamina.control.shown_tasks.states import STATES, TaskStatus, find_status
from lamina.tasks.states import TaskState


@pytest.fixture
def task_id(site):
    """A change of a disk that has not begun."""
    disk_id = site.make_disk()
    with site.scope() as scope:
        return respec_disk(scope, disk_id, DiskCategory.CLOUD_AUTO)


def show(site):
    with site.scope() as scope:
        return [view.shown.task_id for view in list_tasks(scope, TaskFilter(), Slice(limit=10)).items]


def test_every_state_has_a_status():
    assert {state for states in STATES.values() for state in states} == set(TaskState)
    assert find_status(TaskState.CANCELLED) is TaskStatus.FAILED


def test_a_task_belongs_to_one_account(site, task_id):
    assert show(site) == [task_id]
    other = site.as_another_account()
    assert show(other) == []
    with other.scope() as scope, pytest.raises(TaskNotFoundError):
        get_task(scope, task_id)
    with other.scope() as scope, pytest.raises(TaskNotFoundError):
        cancel_task(scope, task_id)


def test_progress_is_complete_when_the_task_is(site, task_id):
    with site.scope() as scope:
        before = get_task(scope, task_id)
    site.work()
    with site.scope() as scope:
        after = get_task(scope, task_id)
    assert (before.status, before.progress_percent, before.finished_at) == (TaskStatus.PROCESSING, 0, None)
    assert (after.status, after.progress_percent, after.finished_at) == (
        TaskStatus.FINISHED,
        100,
        site.clock.now(),
    )


def test_a_change_of_a_disk_is_not_cancelled(site, task_id):
    with site.scope() as scope, pytest.raises(TaskNotCancellableError):
        cancel_task(scope, task_id)


def test_what_is_shown_is_forgotten_with_its_task_and_not_before(site, task_id):
    site.clock.advance(timedelta(days=40))
    with site.scope() as scope:
        forget_shown_tasks(scope.session, before=site.clock.now())
    assert show(site) == [task_id], "it has not even begun"
    site.work()
    site.clock.advance(timedelta(days=40))
    forget_old_rows(site.installation)
    assert show(site) == []
    with site.scope() as scope:
        assert scope.session.get(ShownTaskRecord, task_id) is None
