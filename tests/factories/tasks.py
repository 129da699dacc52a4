"""Tasks for tests: a kind whose steps write down what happens, and ways to break any kind's steps."""

from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from lamina.clock import ManualClock
from lamina.control.kinds import KINDS
from lamina.database import Database
from lamina.tasks.alone import TaskLocks
from lamina.tasks.context import StepContext
from lamina.tasks.queue import enqueue
from lamina.tasks.records import TaskRecord
from lamina.tasks.runner import Runner
from lamina.tasks.task import QUICK, Step, TaskKind
from tests.servers.databases import find_test_url

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class _AbortedError(Exception):
    pass


@contextmanager
def rolled_back(transaction):
    """Carry out the body in a transaction that fails at its very end."""
    with suppress(_AbortedError), transaction as session:
        yield session
        raise _AbortedError


class Killed(BaseException):
    """Stands for `kill -9` within one process: nothing of ours catches it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Arguments of the test kind."""

    text: str = "note"


@dataclass
class Diary:
    """The plant of the test kind: what happened, in order, and what should happen at a step.

    Attributes:
        lines: `run one`, `undo one`, `settle succeeded` and so on.
        on_run: what a step does beyond writing its line.
        on_undo: the same for its undo.
    """

    lines: list[str] = field(default_factory=list)
    on_run: dict[str, Callable[[StepContext], None]] = field(default_factory=dict)
    on_undo: dict[str, Callable[[StepContext], None]] = field(default_factory=dict)
    on_settle: Callable[[], None] = lambda: None


def _step(name: str) -> Step[Diary, Note]:
    def run(diary: Diary, _note: Note, context: StepContext) -> None:
        diary.lines.append(f"run {name}")
        diary.on_run.get(name, lambda _: None)(context)

    def undo(diary: Diary, _note: Note, context: StepContext) -> None:
        diary.lines.append(f"undo {name}")
        diary.on_undo.get(name, lambda _: None)(context)

    return Step(name=name, run=run, undo=undo)


def _settle(diary: Diary, _session, _note: Note, outcome) -> None:
    diary.on_settle()
    diary.lines.append("settle " + ("succeeded" if outcome.failure is None else outcome.failure.kind.value))


DIARY = TaskKind(
    name="diary",
    arguments=Note,
    lane=QUICK,
    steps=(_step("one"), _step("two"), _step("three")),
    settle=_settle,
)


@dataclass
class Bench:
    """A database with a runner of diary tasks; without threads."""

    database: Database
    clock: ManualClock
    diary: Diary
    runner: Runner[Diary]

    def add(self, key: str = "key", kind: TaskKind = DIARY, *, is_background: bool = False) -> str:
        with self.database.transaction() as session:
            return enqueue(session, self.clock, kind, Note(), key=key, is_background=is_background)

    def task(self, task_id: str) -> TaskRecord:
        with self.database.reading() as session:
            return session.get(TaskRecord, task_id)

    def make_runner(
        self, kinds: Sequence[TaskKind] = (DIARY,), locks: TaskLocks | None = None
    ) -> Runner[Diary]:
        return Runner(self.database, self.clock, self.diary, kinds, {QUICK: 2}, locks=locks)


def make_bench(folder: Path) -> Bench:
    database = Database.open(find_test_url(folder))
    clock, diary = ManualClock(START), Diary()
    return Bench(database, clock, diary, Runner(database, clock, diary, (DIARY,), {QUICK: 2}))


def change_step(kind: TaskKind, index: int, *, run=None, undo=None) -> TaskKind:
    """The same kind, but one step's functions are wrapped; a wrapper takes the original function."""
    step = kind.steps[index]
    if run is not None:
        step = replace(step, run=run(step.run))
    if undo is not None and step.undo is not None:
        step = replace(step, undo=undo(step.undo))
    return replace(kind, steps=(*kind.steps[:index], step, *kind.steps[index + 1 :]))


def make_dying_runner(site, kind: TaskKind, index: int) -> Runner:
    """A runner of all kinds of tasks, in the test's own thread, that dies when it gets behind a step the first time."""
    broken = change_step(kind, index, run=once(then_raise(Killed())))
    kinds = [broken if each.name == kind.name else each for each in KINDS]
    lanes = {each.lane: 1 for each in KINDS}
    return Runner(site.installation.database, site.clock, site.installation, kinds, lanes)


def twice(function):
    """Wrapper: the step is done, and done again."""

    def run(plant, arguments, context):
        function(plant, arguments, context)
        function(plant, arguments, context)

    return run


def then_raise(error: BaseException):
    """Wrapper: the step is done, and then ends badly."""

    def wrap(function):
        def run(plant, arguments, context):
            function(plant, arguments, context)
            raise error

        return run

    return wrap


def raise_first(error: BaseException):
    """Wrapper: the step ends badly before it began."""

    def wrap(_function):
        def run(_plant, _arguments, _context):
            raise error

        return run

    return wrap


def once(wrap):
    """Wrapper of a wrapper: only the first call is broken."""

    def outer(function):
        broken = wrap(function)
        calls = []

        def run(plant, arguments, context):
            calls.append(1)
            (broken if len(calls) == 1 else function)(plant, arguments, context)

        return run

    return outer
