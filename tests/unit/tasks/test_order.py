"""Whose turn it is within a lane: what somebody waits for, and what nobody waits for but must not be forgotten."""

import threading
from datetime import timedelta

import pytest

from lamina.tasks.lease import PATIENCE
from lamina.tasks.queue import enqueue
from lamina.tasks.runner import Runner
from lamina.tasks.states import TaskState
from lamina.tasks.task import QUICK
from tests.factories.tasks import DIARY, Note

SECONDS = 20
BURST = 1000


@pytest.fixture
def started(bench):
    """The ids of the tasks in the order in which they began."""
    found = []
    bench.diary.on_run["one"] = lambda context: found.append(context.lease.task_id)
    return found


def add_burst(bench, count=BURST):
    with bench.database.transaction() as session:
        return [
            enqueue(session, bench.clock, DIARY, Note(), key=f"disk {number}", is_background=True)
            for number in range(count)
        ]


def test_a_restore_takes_the_next_free_slot_before_a_burst_of_automatic_snapshots(bench, started):
    burst = add_burst(bench)
    assert bench.runner.run_next(QUICK)
    restore = bench.add("restore")
    assert bench.runner.run_next(QUICK)
    assert bench.runner.run_next(QUICK)
    assert started[1] == restore
    assert {started[0], started[2]} < set(burst)


def test_a_lane_keeps_a_thread_so_that_a_restore_does_not_even_wait_for_a_slot(bench):
    release = threading.Event()
    burst, begun = set(add_burst(bench)), []

    def run(context):
        begun.append(context.lease.task_id)
        if context.lease.task_id in burst:
            assert release.wait(SECONDS)

    restored = threading.Event()
    bench.diary.on_run = {"one": run, "three": lambda context: check(context.lease.task_id)}

    def check(task_id):
        if task_id not in burst:
            restored.set()

    runner = Runner(bench.database, bench.clock, bench.diary, (DIARY,), {QUICK: 3})
    runner.start()
    try:
        restore = bench.add("restore")
        assert restored.wait(SECONDS)
        assert restore in begun
        assert len(begun) <= 3, "two automatic snapshots hold their threads, and nothing else of theirs began"
    finally:
        bench.diary.on_run.clear()
        stopping = threading.Thread(target=runner.stop, kwargs={"patience_seconds": SECONDS})
        stopping.start()
        release.set()
        stopping.join()


def test_work_of_people_that_never_ends_does_not_keep_old_work_of_policies_out(bench, started):
    burst = add_burst(bench, 5)
    bench.clock.advance(PATIENCE + timedelta(seconds=1))
    for number in range(20):
        bench.add(f"people's {number}")
        assert bench.runner.run_next(QUICK)
    assert {bench.task(task_id).state for task_id in burst} == {TaskState.SUCCEEDED}
    assert [at for at, task_id in enumerate(started) if task_id in burst] == [3, 7, 11, 15, 19]


def test_work_of_policies_that_is_not_old_yet_waits(bench, started):
    burst = add_burst(bench, 5)
    for number in range(20):
        bench.add(f"people's {number}")
        assert bench.runner.run_next(QUICK)
    assert not set(burst) & set(started)
