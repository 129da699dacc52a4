"""Who may write: fences, leases that run out, clocks that jump."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import text

from lamina.failures import Fault
from lamina.ids import TaskId
from lamina.tasks.alone import TaskLocks
from lamina.tasks.errors import LeaseLostError, WorkerStoppingError
from lamina.tasks.lease import LEASE, PATIENCE, Claimant, Vacancy, backoff, claim, requeue_orphans
from lamina.tasks.owner import Owner
from lamina.tasks.states import TaskState
from tests.factories.tasks import Killed

LATER = LEASE + timedelta(seconds=1)


def raising(error):
    def step(_context):
        raise error

    return step


@pytest.fixture
def take(bench):
    """Claim as some process; answers the claim or None."""

    def take(pid=1, **vacancy):
        owner = Owner(host="elsewhere", boot="boot", pid=pid, started=1)
        return claim(
            bench.database,
            bench.clock,
            Claimant(owner=owner, kinds=["diary"]),
            Vacancy(lane="quick", **vacancy),
        )

    return take


def test_a_claimed_task_is_not_claimed_again_while_its_lease_lasts(bench, take):
    bench.add()
    assert take(1) is not None
    assert take(2) is None
    bench.clock.advance(LEASE - timedelta(seconds=1))
    assert take(2) is None


def test_a_renewed_lease_lasts_longer(bench, take):
    bench.add()
    lease = take(1).lease
    bench.clock.advance(LEASE - timedelta(seconds=1))
    with bench.database.transaction() as session:
        assert lease.renew(session, 0, 0) is False
    bench.clock.advance(LEASE - timedelta(seconds=1))
    assert take(2) is None


def test_every_write_of_an_owner_that_lost_its_lease_is_refused(bench, take):
    task_id = bench.add()
    stale = take(1).lease
    bench.clock.advance(LATER)
    fresh = take(2).lease
    assert fresh.fence == stale.fence + 1
    writes = [
        lambda session: stale.renew(session, 1, 1),
        lambda session: stale.write_checkpoint(session, "{}"),
        lambda session: stale.finish_step(session, 1),
        lambda session: stale.give_back(session, 1),
        lambda session: stale.end(session, TaskState.SUCCEEDED, None),
    ]
    for write in writes:
        with pytest.raises(LeaseLostError), bench.database.transaction() as session:
            write(session)
    with pytest.raises(LeaseLostError), stale.transaction():
        pytest.fail("a stale owner got a session")
    with bench.database.transaction() as session:
        fresh.end(session, TaskState.SUCCEEDED, None)
    assert bench.task(task_id).state is TaskState.SUCCEEDED


def test_a_transaction_of_a_stale_owner_writes_nothing_else_either(bench, take):
    bench.add()
    stale = take(1).lease
    bench.clock.advance(LATER)
    take(2)

    def write(session):
        session.execute(text("UPDATE tasks SET key = 'changed'"))
        stale.finish_step(session, 1)

    with pytest.raises(LeaseLostError), bench.database.transaction() as session:
        write(session)
    assert bench.task(stale.task_id).key == "key"


def test_an_owner_notices_in_the_middle_of_a_step_that_its_lease_is_lost(bench, take):
    task_id = bench.add()
    seen = []

    def slow(context):
        bench.clock.advance(LATER)
        assert take(2) is not None
        bench.runner.beat()
        seen.append(context.is_cancelled)
        context.check()

    bench.diary.on_run["one"] = slow
    bench.runner.run_until_idle()
    assert seen == [True]
    assert bench.diary.lines == ["run one"], "nothing is undone or settled: that is the new owner's"
    assert bench.task(task_id).state is TaskState.RUNNING


@pytest.mark.parametrize("error", [Fault("slow", retryable=True), WorkerStoppingError("bye")])
@pytest.mark.parametrize("where", ["run", "undo"])
def test_an_owner_that_cannot_even_give_its_task_back_leaves_it_to_the_new_one(bench, take, error, where):
    task_id = bench.add()

    def slow(_context):
        bench.clock.advance(LATER)
        assert take(2) is not None
        raise error

    if where == "run":
        bench.diary.on_run["one"] = slow
    else:
        bench.diary.on_run["one"] = raising(Fault("gone", retryable=False))
        bench.diary.on_undo["one"] = slow
    assert bench.runner.run_next("quick"), "the thread goes on with other work"
    assert bench.task(task_id).state is TaskState.RUNNING
    assert bench.task(task_id).owner.startswith("elsewhere")


def test_two_owners_never_work_on_a_task_at_the_same_moment(bench, tmp_path):
    """The first one is stopped in the middle of a step for longer than its lease lasts, and then writes on."""
    task_id = bench.add()
    first, second = (bench.make_runner(locks=TaskLocks(tmp_path / "locks")) for _ in range(2))

    def stopped(_context):
        bench.diary.on_run.clear()
        for _ in range(3):
            bench.clock.advance(LATER)
            assert second.run_next("quick"), "it is taken over"
            assert bench.task(task_id).attempt == 1, "and put off, which does not count"
        bench.diary.lines.append("still writing")

    bench.diary.on_run["one"] = stopped
    first.run_next("quick")
    assert bench.diary.lines == ["run one", "still writing"], "its lease is lost, and so is its end"
    bench.clock.advance(LATER)
    assert second.run_next("quick")
    assert bench.diary.lines[2:] == ["run one", "run two", "run three", "settle succeeded"]
    assert bench.task(task_id).state is TaskState.SUCCEEDED


def test_a_lock_belongs_to_one_task_and_ends_with_whoever_holds_it(tmp_path):
    one, other = TaskLocks(tmp_path / "locks"), TaskLocks(tmp_path / "locks")
    with one.taken(TaskId("t-a")) as is_taken, other.taken(TaskId("t-b")) as is_other_taken:
        assert is_taken
        assert is_other_taken
        with other.taken(TaskId("t-a")) as is_taken_twice:
            assert not is_taken_twice
        with one.taken(TaskId("t-a")) as is_taken_twice:
            assert not is_taken_twice, "by a failed try it is not freed"
    with other.taken(TaskId("t-a")) as is_taken:
        assert is_taken


HOLD = """
import sys, time
from pathlib import Path
from lamina.tasks.alone import TaskLocks
with TaskLocks(Path(sys.argv[1])).taken("t-a") as is_taken:
    print(is_taken, flush=True)
    time.sleep(60)
"""


def test_a_stopped_process_keeps_its_lock_until_it_is_killed(tmp_path):
    locks = TaskLocks(tmp_path / "locks")
    command = [sys.executable, "-c", HOLD, str(tmp_path / "locks")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "True\n"
        process.send_signal(signal.SIGSTOP)
        with locks.taken(TaskId("t-a")) as is_taken:
            assert not is_taken
        process.kill()
    with locks.taken(TaskId("t-a")) as is_taken:
        assert is_taken


def test_a_process_never_takes_over_from_itself(bench, take):
    task_id = bench.add()
    taken = []

    def slow(_context):
        bench.clock.advance(timedelta(days=1))
        taken.append(bench.runner.run_next("quick"))

    bench.diary.on_run["one"] = slow
    bench.runner.run_until_idle()
    assert taken == [False]
    assert bench.task(task_id).state is TaskState.SUCCEEDED


@pytest.mark.parametrize("jump", [timedelta(days=-30), timedelta(hours=-1), timedelta(minutes=-5)])
def test_a_clock_set_back_does_not_keep_a_dead_owners_task_for_ever(bench, take, jump):
    bench.add()
    take(1)
    bench.clock.advance(jump)
    assert take(2) is not None


@pytest.mark.parametrize("jump", [timedelta(days=-30), timedelta(hours=-1), timedelta(minutes=-5)])
def test_a_clock_set_back_does_not_make_a_pause_longer(bench, jump):
    failures = [Fault("slow", retryable=True)]

    def fail_once(_context):
        if failures:
            raise failures.pop()

    bench.diary.on_run["one"] = fail_once
    task_id = bench.add()
    bench.runner.run_until_idle()
    bench.clock.advance(jump)
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.SUCCEEDED


@pytest.mark.parametrize("jump", [timedelta(days=30), timedelta(days=-30)])
def test_a_clock_that_jumps_in_the_middle_of_a_step_does_no_harm(bench, jump):
    task_id = bench.add()
    bench.diary.on_run["two"] = lambda _context: (bench.clock.advance(jump), bench.runner.beat())
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.SUCCEEDED
    assert bench.diary.lines == ["run one", "run two", "run three", "settle succeeded"]


def test_two_owners_racing_after_a_clock_jump_settle_once(bench):
    """The second owner runs a whole task while the first is in the middle of its last step."""
    task_id = bench.add()
    second = bench.make_runner()

    def slow(_context):
        if bench.diary.lines.count("run three") == 1:
            bench.clock.advance(LATER)
            second.run_until_idle()

    bench.diary.on_run["three"] = slow
    bench.runner.run_until_idle()
    assert bench.diary.lines.count("settle succeeded") == 1
    assert bench.task(task_id).state is TaskState.SUCCEEDED


def test_orphans_of_this_host_are_taken_over_without_waiting(bench):
    task_id = bench.add()

    def die(_context):
        raise Killed

    bench.diary.on_run["one"] = die
    with pytest.raises(Killed):
        bench.runner.run_until_idle()
    with bench.database.transaction() as session:
        assert requeue_orphans(session) == 0, "its process is still there: this one"
    with bench.database.transaction() as session:
        record = session.get(type(bench.task(task_id)), task_id)
        owner = Owner.parse(record.owner)
        record.owner = str(Owner(host=owner.host, boot=owner.boot, pid=owner.pid, started=owner.started + 1))
    with bench.database.transaction() as session:
        assert requeue_orphans(session) == 1
    bench.diary.on_run.clear()
    bench.runner.run_until_idle()
    assert bench.task(task_id).state is TaskState.SUCCEEDED


def test_owners_elsewhere_are_never_presumed_dead():
    here = Owner.current()
    assert Owner.parse(str(here)) == here
    assert not here.is_known_gone()
    assert not Owner(host="elsewhere", boot="x", pid=1, started=1).is_known_gone()
    assert Owner(host=here.host, boot="an earlier boot", pid=here.pid, started=here.started).is_known_gone()
    assert Owner(host=here.host, boot=here.boot, pid=2**22 + 1, started=1).is_known_gone()


def test_kinds_that_are_not_known_here_are_left_alone(bench, take):
    bench.add()
    owner = Owner.current()
    for kind, lane in (("other", "quick"), ("diary", "copy")):
        claimant = Claimant(owner=owner, kinds=[kind])
        assert claim(bench.database, bench.clock, claimant, Vacancy(lane=lane)) is None
    assert take(1) is not None


def test_what_somebody_waits_for_goes_first_and_each_kind_by_age(bench, take):
    for key in ("patient 1", "patient 2"):
        bench.add(key, is_background=True)
        bench.clock.advance(timedelta(seconds=1))
    for key in ("urgent 1", "urgent 2"):
        bench.add(key)
        bench.clock.advance(timedelta(seconds=1))
    order = [bench.task(take().lease.task_id).key for _ in range(4)]
    assert order == ["urgent 1", "urgent 2", "patient 1", "patient 2"]


def test_what_nobody_waits_for_goes_first_in_its_turn_once_it_is_old(bench, take):
    bench.add("patient", is_background=True)
    bench.clock.advance(PATIENCE - timedelta(seconds=1))
    bench.add("urgent 1")
    assert bench.task(take(prefers_patient=True).lease.task_id).key == "urgent 1"
    bench.add("urgent 2")
    bench.clock.advance(timedelta(seconds=2))
    assert bench.task(take(prefers_patient=True).lease.task_id).key == "patient"
    assert bench.task(take(prefers_patient=True).lease.task_id).key == "urgent 2"


def test_a_thread_that_is_kept_for_what_somebody_waits_for_takes_nothing_else(bench, take):
    bench.add("patient", is_background=True)
    assert take(takes_background=False) is None
    stale = take()
    bench.clock.advance(LATER)
    assert take(2, takes_background=False) is None
    assert take(2).lease.task_id == stale.lease.task_id


def test_pauses_grow_and_end_at_a_minute():
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 4, 5, 6, 7, 1000)] == [2, 4, 8, 16, 32, 60, 60, 60]
