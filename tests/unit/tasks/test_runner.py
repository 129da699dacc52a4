"""The threads: wake up, race, stop. These tests wait for threads, never for a fixed time."""

import itertools
import threading
from datetime import timedelta

from sqlalchemy import update

from lamina.clock import SystemClock
from lamina.tasks.lease import LEASE
from lamina.tasks.outcome import Failure
from lamina.tasks.queue import find_active
from lamina.tasks.reconcile import Reconciler, Reconciling
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.states import TaskState
from lamina.tasks.task import QUICK
from tests.factories.tasks import DIARY, Bench, Diary

SECONDS = 20


def make_runner(bench: Bench, threads: int = 2) -> Runner[Diary]:
    return Runner(bench.database, SystemClock(), bench.diary, (DIARY,), {QUICK: threads})


def test_new_work_wakes_a_sleeping_worker(bench):
    done = threading.Event()
    bench.diary.on_settle = done.set
    runner = make_runner(bench)
    runner.start()
    try:
        for _ in range(3):
            bench.add()
            assert done.wait(SECONDS)
            done.clear()
            wait_until(lambda: not is_busy(bench))
    finally:
        assert runner.stop(patience_seconds=SECONDS)


def test_a_task_whose_arguments_cannot_be_read_any_more_ends_and_keeps_nobody_busy(bench):
    broken = bench.add(key="broken")
    with bench.database.transaction() as session:
        session.execute(update(TaskRecord).values(arguments='{"text": 1}'))
    whole = bench.add(key="whole")
    assert bench.runner.run_until_idle() == 2
    assert [bench.task(each).state for each in (broken, whole)] == [TaskState.FAILED, TaskState.SUCCEEDED]
    assert Failure.of(ValueError()).kind.value in bench.task(broken).failure
    bench.add(key="broken")


def test_no_thread_ends_by_an_error_that_nobody_expected(bench):
    """Neither a worker's, nor the keeper's; each goes on with the next round."""
    done, beaten = threading.Event(), threading.Event()
    bench.diary.on_settle = done.set

    class Brittle(Runner):
        def run_next(self, lane):
            if not done.is_set() and next(rounds) < 4:
                raise ValueError("a bug")
            return super().run_next(lane)

        def beat(self):
            if next(beats) == 0:
                raise ValueError("another bug")
            beaten.set()
            super().beat()

    rounds, beats = itertools.count(), itertools.count()
    runner = Brittle(bench.database, SystemClock(), bench.diary, (DIARY,), {QUICK: 2})
    runner.start()
    try:
        bench.add()
        assert done.wait(SECONDS)
        assert beaten.wait(SECONDS)
    finally:
        assert runner.stop(patience_seconds=SECONDS)


def test_racing_workers_run_every_task_once(bench):
    count = 60
    finished = threading.Semaphore(0)
    bench.diary.on_settle = finished.release
    runners = [make_runner(bench, threads=4) for _ in range(2)]
    tasks = [bench.add(key=f"key {number}") for number in range(count)]
    for runner in runners:
        runner.start()
    try:
        for _ in range(count):
            assert finished.acquire(timeout=SECONDS)
    finally:
        stopped = [runner.stop(patience_seconds=SECONDS) for runner in runners]
    assert stopped == [True, True]
    assert bench.diary.lines.count("settle succeeded") == count
    assert bench.diary.lines.count("run one") == count
    assert {bench.task(task_id).state for task_id in tasks} == {TaskState.SUCCEEDED}
    assert {bench.task(task_id).fence for task_id in tasks} == {1}


class LeapingClock(SystemClock):
    """Every look at it finds that an hour has passed: every lease is over at once."""

    def __init__(self):
        self._hours = itertools.count()

    def now(self):
        return super().now() + timedelta(hours=next(self._hours))


def test_a_clock_that_leaps_takes_no_task_from_a_thread_of_the_same_process(bench):
    count = 60
    finished = threading.Semaphore(0)
    bench.diary.on_settle = finished.release
    runner = Runner(bench.database, LeapingClock(), bench.diary, (DIARY,), {QUICK: 4})
    tasks = [bench.add(key=f"key {number}") for number in range(count)]
    runner.start()
    try:
        for _ in range(count):
            assert finished.acquire(timeout=SECONDS)
    finally:
        assert runner.stop(patience_seconds=SECONDS)
    assert {bench.task(task_id).fence for task_id in tasks} == {1}


def test_stopping_gives_a_long_step_back_to_the_queue_and_does_not_count_it(bench):
    started = threading.Event()

    def long(context):
        stopped = threading.Event()
        with context.following(lambda: (0, 0), stopped.set):
            started.set()
            assert stopped.wait(SECONDS)
        context.check()

    bench.diary.on_run["two"] = long
    runner = make_runner(bench)
    runner.start()
    task_id = bench.add()
    assert started.wait(SECONDS)
    assert runner.stop(patience_seconds=SECONDS)
    task = bench.task(task_id)
    assert (task.state, task.owner, task.steps_done, task.attempt) == (TaskState.QUEUED, None, 1, 0)
    bench.diary.on_run.clear()
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.SUCCEEDED


def test_a_step_that_does_not_listen_is_left_behind(bench):
    started, release = threading.Event(), threading.Event()

    def deaf(_context):
        started.set()
        assert release.wait(SECONDS)

    bench.diary.on_run["one"] = deaf
    runner = make_runner(bench)
    runner.start()
    task_id = bench.add()
    assert started.wait(SECONDS)
    assert not runner.stop(patience_seconds=0.1)
    release.set()
    wait_until(lambda: bench.task(task_id).state is TaskState.QUEUED)


def test_the_keeper_renews_leases_while_a_step_runs(bench):
    started, release = threading.Event(), threading.Event()

    def slow(_context):
        started.set()
        assert release.wait(SECONDS)

    bench.diary.on_run["one"] = slow
    bench.clock.instant = SystemClock().now()
    runner = Runner(bench.database, bench.clock, bench.diary, (DIARY,), {QUICK: 1})
    runner.start()
    task_id = bench.add()
    try:
        assert started.wait(SECONDS)
        bench.clock.advance(timedelta(hours=1))
        wait_until(lambda: bench.task(task_id).lease_until == bench.clock.now() + LEASE)
    finally:
        release.set()
        assert runner.stop(patience_seconds=SECONDS)


def test_reconcilers_run_at_start_and_again_and_do_not_disturb_each_other():
    runs, broken = threading.Semaphore(0), threading.Semaphore(0)

    def fail():
        broken.release()
        raise ValueError("broken")

    reconciling = Reconciling(
        [
            Reconciler(name="works", every_seconds=0.01, run=runs.release),
            Reconciler(name="fails", every_seconds=0.01, run=fail),
        ]
    )
    reconciling.start()
    for _ in range(3):
        assert runs.acquire(timeout=SECONDS)
        assert broken.acquire(timeout=SECONDS)
    reconciling.stop()


def is_busy(bench: Bench) -> bool:
    with bench.database.reading() as session:
        return find_active(session, "key") is not None


def wait_until(condition) -> None:
    clock = SystemClock()
    deadline = clock.monotonic() + SECONDS
    while not condition():
        assert clock.monotonic() < deadline
        clock.sleep(0.005)
