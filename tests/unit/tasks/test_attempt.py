"""What becomes of a task: forward, backward, retried, cancelled, taken over."""

from datetime import timedelta

import pytest

from lamina.failures import Cancelled, Corruption, Fault, Refusal
from lamina.tasks.errors import TaskBusyError
from lamina.tasks.lease import LEASE
from lamina.tasks.outcome import FailureKind
from lamina.tasks.queue import enqueue, find_active, forget_finished, is_active, request_cancel
from lamina.tasks.states import TaskState
from lamina.tasks.task import ATTEMPTS_MAX
from tests.factories.tasks import DIARY, Killed, Note, rolled_back

ALL_FORWARD = ["run one", "run two", "run three", "settle succeeded"]


def raising(*errors):
    """Raise these, one per call, and nothing from then on."""
    left = list(errors)

    def step(_context):
        if left:
            raise left.pop(0)

    return step


def always(error):
    def step(_context):
        raise error

    return step


def work_through(bench):
    """Run until nothing is left, waiting for every pause."""
    for _ in range(100):
        bench.runner.run_until_idle()
        bench.clock.advance(timedelta(minutes=2))


def test_a_task_runs_its_steps_in_order_and_settles_once(bench):
    task_id = bench.add()
    assert bench.runner.run_until_idle() == 1
    assert bench.diary.lines == ALL_FORWARD
    task = bench.task(task_id)
    assert (task.state, task.steps_done, task.owner, task.lease_until) == (TaskState.SUCCEEDED, 3, None, None)
    assert task.finished_at == bench.clock.now()


def test_a_task_of_a_rolled_back_transaction_does_not_exist(bench):
    with rolled_back(bench.database.transaction()) as session:
        enqueue(session, bench.clock, DIARY, Note(), key="key")
    assert bench.runner.run_until_idle() == 0


def test_one_active_task_per_key(bench):
    first = bench.add(key="disk")
    with pytest.raises(TaskBusyError) as refused:
        bench.add(key="disk")
    assert (refused.value.key, refused.value.task_id) == ("disk", first)
    bench.add(key="other")
    bench.runner.run_until_idle()
    bench.add(key="disk")  # the first one has ended


@pytest.mark.parametrize(
    "error", [Refusal("no"), Fault("gone", retryable=False), Corruption("bad"), ValueError("bug")]
)
def test_a_final_failure_undoes_the_step_and_those_before_it(bench, error):
    bench.diary.on_run["two"] = always(error)
    task_id = bench.add()
    bench.runner.run_until_idle()
    kind = {Refusal: "refusal", Fault: "fault", Corruption: "corruption", ValueError: "bug"}[type(error)]
    assert bench.diary.lines == ["run one", "run two", "undo two", "undo one", f"settle {kind}"]
    assert bench.task(task_id).state is TaskState.FAILED


def test_a_bugs_words_stay_in_the_log(bench):
    bench.diary.on_run["one"] = always(ValueError("some internal detail"))
    task_id = bench.add()
    bench.runner.run_until_idle()
    assert "some internal detail" not in bench.task(task_id).failure


def test_a_retryable_fault_is_tried_again_after_a_growing_pause(bench):
    bench.diary.on_run["two"] = raising(Fault("slow", retryable=True), Fault("slow", retryable=True))
    task_id = bench.add()
    bench.runner.run_until_idle()
    assert bench.task(task_id).run_at == bench.clock.now() + timedelta(seconds=2)
    bench.clock.advance(timedelta(seconds=1))
    assert bench.runner.run_until_idle() == 0
    bench.clock.advance(timedelta(seconds=1))
    assert bench.runner.run_until_idle() == 1
    assert bench.task(task_id).run_at == bench.clock.now() + timedelta(seconds=4)
    bench.clock.advance(timedelta(seconds=4))
    bench.runner.run_until_idle()
    assert bench.diary.lines == ["run one", "run two", "run two", "run two", "run three", "settle succeeded"]


def test_tries_of_one_step_are_limited_and_start_over_with_the_next(bench):
    bench.diary.on_run["one"] = raising(*[Fault("slow", retryable=True)] * (ATTEMPTS_MAX - 1))
    bench.diary.on_run["two"] = always(Fault("down", retryable=True))
    task_id = bench.add()
    work_through(bench)
    assert bench.diary.lines.count("run one") == ATTEMPTS_MAX
    assert bench.diary.lines.count("run two") == ATTEMPTS_MAX
    assert bench.diary.lines[-3:] == ["undo two", "undo one", "settle fault"]
    assert bench.task(task_id).state is TaskState.FAILED


def test_cancelling_between_steps_undoes_what_was_done(bench):
    task_id = bench.add()

    def cancel(_context):
        with bench.database.transaction() as session:
            assert request_cancel(session, task_id)

    bench.diary.on_run["two"] = cancel
    bench.runner.run_until_idle()
    assert bench.diary.lines == [
        "run one",
        "run two",
        "undo three",
        "undo two",
        "undo one",
        "settle cancelled",
    ]
    assert bench.task(task_id).state is TaskState.CANCELLED


def test_a_step_notices_cancellation_at_its_own_check(bench):
    task_id = bench.add()
    seen = []

    def patient(context):
        with bench.database.transaction() as session:
            request_cancel(session, task_id)
        bench.runner.beat()
        seen.append(context.is_cancelled)
        context.check()
        seen.append("went on")

    bench.diary.on_run["one"] = patient
    bench.runner.run_until_idle()
    assert seen == [True]
    assert bench.task(task_id).state is TaskState.CANCELLED


def test_a_followed_pipeline_is_stopped_and_measured_by_the_heartbeat(bench):
    task_id = bench.add()
    stopped = []

    def pipeline(context):
        with context.following(lambda: (3, 10), lambda: stopped.append(True)):
            bench.runner.beat()
            assert (bench.task(task_id).progress_done, bench.task(task_id).progress_known) == (3, 10)
            with bench.database.transaction() as session:
                request_cancel(session, task_id)
            bench.runner.beat()
            raise Cancelled("the pipeline says so")

    bench.diary.on_run["one"] = pipeline
    bench.runner.run_until_idle()
    assert stopped == [True]
    assert bench.task(task_id).state is TaskState.CANCELLED


def test_cancelling_a_queued_task_never_runs_a_step(bench):
    task_id = bench.add()
    with bench.database.transaction() as session:
        request_cancel(session, task_id)
    bench.runner.run_until_idle()
    assert not [line for line in bench.diary.lines if line.startswith("run")]
    assert bench.task(task_id).state is TaskState.CANCELLED


def test_cancelling_a_pausing_task_does_not_wait_for_the_pause(bench):
    bench.diary.on_run["one"] = always(Fault("down", retryable=True))
    task_id = bench.add()
    bench.runner.run_until_idle()
    with bench.database.transaction() as session:
        request_cancel(session, task_id)
    assert bench.runner.run_until_idle() == 1
    assert bench.task(task_id).state is TaskState.CANCELLED


def test_cancelling_while_undoing_does_not_stop_the_undoing(bench):
    task_id = bench.add()

    def cancel(context):
        with bench.database.transaction() as session:
            request_cancel(session, task_id)
        bench.runner.beat()
        context.check()

    bench.diary.on_run["three"] = always(Refusal("no"))
    bench.diary.on_undo["three"] = cancel
    bench.runner.run_until_idle()
    assert bench.diary.lines[-4:] == ["undo three", "undo two", "undo one", "settle refusal"]
    assert bench.task(task_id).state is TaskState.FAILED


def test_a_cancelled_task_stays_cancelled_when_its_undo_has_to_be_tried_again(bench):
    task_id = bench.add()

    def cancel(_context):
        with bench.database.transaction() as session:
            request_cancel(session, task_id)

    bench.diary.on_run["one"] = cancel
    bench.diary.on_undo["one"] = raising(Fault("busy", retryable=True))
    work_through(bench)
    assert bench.diary.lines == ["run one", "undo two", "undo one", "undo one", "settle cancelled"]
    assert bench.task(task_id).state is TaskState.CANCELLED


def test_an_undo_that_fails_for_good_does_not_keep_the_others_from_being_undone(bench):
    bench.diary.on_run["three"] = always(Refusal("no"))
    bench.diary.on_undo["two"] = always(Corruption("cannot"))
    task_id = bench.add()
    bench.runner.run_until_idle()
    assert bench.diary.lines[-4:] == ["undo three", "undo two", "undo one", "settle refusal"]
    assert bench.task(task_id).state is TaskState.FAILED


@pytest.mark.parametrize("step", ["one", "two", "three"])
def test_a_killed_owners_task_goes_on_with_the_step_that_was_under_way(bench, step):
    bench.diary.on_run[step] = raising(Killed())
    task_id = bench.add()
    with pytest.raises(Killed):
        bench.runner.run_until_idle()
    assert bench.runner.run_until_idle() == 0, "the lease still holds"
    bench.clock.advance(LEASE + timedelta(seconds=1))
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.SUCCEEDED
    assert bench.diary.lines.count(f"run {step}") == 2
    assert len(bench.diary.lines) == 5


@pytest.mark.parametrize("step", ["one", "two", "three"])
def test_a_task_whose_owner_was_killed_while_undoing_goes_on_undoing(bench, step):
    bench.diary.on_run["three"] = always(Refusal("no"))
    bench.diary.on_undo[step] = raising(Killed())
    task_id = bench.add()
    with pytest.raises(Killed):
        bench.runner.run_until_idle()
    bench.clock.advance(LEASE + timedelta(seconds=1))
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.FAILED
    assert bench.diary.lines.count("run three") == 1, "a failed task never runs forward again"
    assert bench.diary.lines.count(f"undo {step}") == 2
    assert bench.diary.lines[-1] == "settle refusal"


def test_a_step_that_kills_its_process_every_time_is_given_up(bench):
    bench.diary.on_run["two"] = always(Killed())
    task_id = bench.add()
    for _ in range(ATTEMPTS_MAX):
        with pytest.raises(Killed):
            bench.runner.run_until_idle()
        bench.clock.advance(LEASE + timedelta(seconds=1))
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.FAILED
    assert bench.diary.lines[-3:] == ["undo two", "undo one", "settle fault"]


def test_settling_is_part_of_the_transaction_that_ends_the_task(bench):
    failures = [Fault("the database is busy", retryable=True)]

    def settle():
        if failures:
            raise failures.pop()

    bench.diary.on_settle = settle
    task_id = bench.add()
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.QUEUED
    work_through(bench)
    assert bench.diary.lines == ALL_FORWARD
    assert bench.task(task_id).state is TaskState.SUCCEEDED


def test_a_task_that_can_never_be_settled_ends_all_the_same(bench):
    bench.diary.on_settle = lambda: 1 / 0
    task_id = bench.add()
    work_through(bench)
    task = bench.task(task_id)
    assert task.state is TaskState.FAILED
    assert FailureKind.BUG.value in task.failure


def test_checkpoints_reach_later_attempts_and_later_steps(bench):
    seen = []

    def save(context):
        context.save(Note(text="saved"))
        if context.attempt == 1:
            raise Fault("slow", retryable=True)
        seen.append(context.load(Note))

    bench.diary.on_run["one"] = save
    bench.diary.on_run["two"] = lambda context: seen.extend(
        [context.load(Note), context.load(Note, step="one")]
    )
    bench.add()
    work_through(bench)
    assert seen == [Note(text="saved"), None, Note(text="saved")]


def test_progress_is_stored_by_the_heartbeat(bench):
    task_id = bench.add()

    def report(context):
        context.progress(5, 8)
        bench.runner.beat()

    bench.diary.on_run["one"] = report
    bench.runner.run_until_idle()
    assert (bench.task(task_id).progress_done, bench.task(task_id).progress_known) == (5, 8)


def test_ended_tasks_are_forgotten_only_when_they_are_old(bench):
    old = bench.add(key="old")
    bench.runner.run_until_idle()
    bench.clock.advance(timedelta(days=2))
    fresh = bench.add(key="fresh")
    waiting = bench.add(key="waiting")
    bench.runner.run_next("quick")
    with bench.database.transaction() as session:
        assert forget_finished(session, before=bench.clock.now() - timedelta(days=1), at_most=10) == 1
    assert bench.task(old) is None
    assert bench.task(fresh) is not None
    assert bench.task(waiting) is not None


def test_ended_tasks_are_forgotten_a_few_at_a_time(bench):
    for number in range(5):
        bench.add(key=f"key {number}")
    bench.runner.run_until_idle()
    bench.clock.advance(timedelta(days=2))
    counts = []
    for _ in range(4):
        with bench.database.transaction() as session:
            counts.append(forget_finished(session, before=bench.clock.now(), at_most=2))
    assert counts == [2, 2, 1, 0]


def test_whether_a_task_is_active(bench):
    task_id = bench.add(key="disk")
    with bench.database.reading() as session:
        assert is_active(session, task_id)
        assert not is_active(session, None)
        assert find_active(session, "disk").id == task_id
    bench.runner.run_until_idle()
    with bench.database.transaction() as session:
        assert not is_active(session, task_id)
        assert find_active(session, "disk") is None
        assert not request_cancel(session, task_id), "it is over"
