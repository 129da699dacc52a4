"""Leases: who may work on a task, for how long, and what keeps an owner that lost its lease from writing.

Claiming a task raises its fence by one. Every later write names the fence, in one statement:
`UPDATE tasks … WHERE id = ? AND fence = ? AND state = 'running' RETURNING is_cancel_requested`. No row means
that the lease is lost. So a wrong clock can cost time, when two owners work on one task, but never a result.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self, TypedDict

import msgspec
from sqlalchemy import ColumnElement, Select, and_, or_, select, update
from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.database import Database
from lamina.ids import TaskId
from lamina.tasks.errors import LeaseLostError
from lamina.tasks.outcome import Checkpoints, Failure
from lamina.tasks.owner import Owner
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import TaskState

LEASE: Final = timedelta(seconds=15)
HEARTBEAT_SECONDS: Final = 1.0  # 1 ms of the database per task and second, and cancellation is felt at once
PATIENCE: Final = timedelta(hours=1)
"""What nobody waits for waits for this long at most before it goes first now and then."""

_BACKOFF_MAX_SECONDS: Final = 60
# No owner writes an instant further ahead than this, unless its clock was ahead of ours.
_PLAUSIBLE: Final = timedelta(seconds=2 * _BACKOFF_MAX_SECONDS)


class _Changes(TypedDict, total=False):
    """Columns that a fenced write may set."""

    state: TaskState
    run_at: datetime | None
    owner: str | None
    lease_until: datetime | None
    attempt: int
    is_undoing: bool
    steps_done: int
    checkpoint: str
    progress_done: int
    progress_known: int
    failure: str | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on one task, until somebody else takes it.

    Attributes:
        task_id: the task.
        fence: this owner's number.
        database: where the task's row is.
        clock: for the ends of leases and pauses.
    """

    task_id: TaskId
    fence: int
    database: Database
    clock: Clock

    @classmethod
    def make(cls, record: TaskRecord, database: Database, clock: Clock) -> Self:
        """The right of the next owner of a task."""
        return cls(task_id=record.id, fence=record.fence + 1, database=database, clock=clock)

    @contextmanager
    def transaction(self, *, of: str | None = None) -> Iterator[Session]:
        """A writing session for this owner; it also renews the lease.

        Args:
            of: the account whose rows it is about, as for `Database.transaction`; None for those of everybody.

        Raises:
            LeaseLostError: another owner has the task; nothing was written.
        """
        with self.database.transaction(of=of) as session:
            self._write(session, self._renewed())
            yield session

    def jotting(self) -> AbstractContextManager[Session]:
        """A writing session for the task's own row, which nobody else has to wait for: every write names the fence."""
        return self.database.unguarded()

    def renew(self, session: Session, done: int, known: int) -> bool:
        """Stay the owner and store progress; answers whether somebody asked for the task to be cancelled.

        Raises:
            LeaseLostError: another owner has the task.
        """
        return self._write(session, {**self._renewed(), "progress_done": done, "progress_known": known})

    def write_checkpoint(self, session: Session, text: str) -> None:
        """Store all checkpoints of the task."""
        self._write(session, {**self._renewed(), "checkpoint": text})

    def finish_step(self, session: Session, steps_done: int) -> bool:
        """So many steps are finished (fewer each time while undoing); answers whether to cancel."""
        return self._write(session, {**self._renewed(), "steps_done": steps_done, "attempt": 1})

    def start_undoing(self, session: Session, steps: int, failure: Failure) -> None:
        """From now on, whoever owns the task undoes its first `steps` steps, the last one first."""
        changes = _Changes(is_undoing=True, steps_done=steps, failure=_encode(failure), attempt=1)
        self._write(session, {**self._renewed(), **changes})

    def retry_later(self, session: Session, attempt: int, failure: Failure | None) -> None:
        """Give the task back, to be tried again after a pause; None leaves the recorded failure as it is."""
        changes = _Changes(run_at=self.clock.now() + backoff(attempt))
        if failure is not None:
            changes["failure"] = _encode(failure)
        self._give_back(session, changes)

    def give_back(self, session: Session, attempt: int) -> None:
        """Give the task back unharmed: this attempt does not count."""
        self._give_back(session, _Changes(run_at=None, attempt=attempt - 1))

    def hold_off(self, session: Session, attempt: int) -> None:
        """The same, but for a pause."""
        self._give_back(session, _Changes(run_at=self.clock.now() + backoff(1), attempt=attempt - 1))

    def end(self, session: Session, state: TaskState, failure: Failure | None) -> None:
        """The task is over."""
        changes = _Changes(state=state, owner=None, lease_until=None, finished_at=self.clock.now())
        if failure is not None:
            changes["failure"] = _encode(failure)
        self._write(session, changes)

    def _renewed(self) -> _Changes:
        return {"lease_until": self.clock.now() + LEASE}

    def _give_back(self, session: Session, changes: _Changes) -> None:
        self._write(session, {**changes, "state": TaskState.QUEUED, "owner": None, "lease_until": None})

    def _write(self, session: Session, changes: _Changes) -> bool:
        cancel = session.scalar(
            update(TaskRecord)
            .where(
                TaskRecord.id == self.task_id,
                TaskRecord.fence == self.fence,
                TaskRecord.state == TaskState.RUNNING,
            )
            .values(**changes)
            .returning(TaskRecord.is_cancel_requested)
            .execution_options(synchronize_session=False)
        )
        if cancel is None:
            raise LeaseLostError(f"another owner has task {self.task_id}")
        return cancel


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A task that was just claimed.

    Attributes:
        lease: the right to work on it.
        kind: the name of its kind.
        is_background: whether nobody waits for it.
        arguments: JSON of its arguments.
        attempt: how often the current step was started, this time included.
        steps_done: where it continues.
        is_undoing: whether its steps are being undone.
        is_cancel_requested: whether it should stop.
        failure: why it is being undone, or what ended the last attempt.
        checkpoints: what its steps saved.
    """

    lease: Lease
    kind: str
    is_background: bool
    arguments: str
    attempt: int
    steps_done: int
    is_undoing: bool
    is_cancel_requested: bool
    failure: Failure | None
    checkpoints: Checkpoints


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Who asks for work.

    Attributes:
        owner: this process.
        kinds: names of the kinds it can carry out; others are left to newer or other processes.
    """

    owner: Owner
    kinds: Collection[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vacancy:
    """A worker that is free.

    Attributes:
        lane: of which tasks it takes one.
        held: tasks that this very process is still working on; however late, they need no second try.
        takes_background: whether it may be one that nobody waits for.
        prefers_patient: whether one of those goes first that waited for longer than `PATIENCE`.
    """

    lane: str
    held: Collection[TaskId] = ()
    takes_background: bool = True
    prefers_patient: bool = False


def claim(database: Database, clock: Clock, claimant: Claimant, vacancy: Vacancy) -> Claim | None:
    """Take a task that is due: one whose owner let its lease run out, or the first one in the queue.

    In the queue, what somebody waits for comes first, then what nobody waits for; each by age.

    Args:
        database: where the tasks are.
        clock: what is due.
        claimant: who asks.
        vacancy: for which tasks.
    """
    now = clock.now()
    searches = _list_searches(claimant, vacancy, now)
    with database.reading() as session:  # most looks find nothing, and they must not keep writers waiting
        if all(session.scalar(search.with_only_columns(TaskRecord.id)) is None for search in searches):
            return None
    with database.unguarded() as session:
        # the row is locked, and one that somebody else has locked is skipped
        locking = (search.with_for_update(skip_locked=True) for search in searches)
        found = (session.scalars(search).one_or_none() for search in locking)
        record = next((each for each in found if each is not None), None)
        return None if record is None else _take(record, claimant, Lease.make(record, database, clock), now)


def requeue_orphans(session: Session) -> int:
    """Put tasks of processes that certainly ended back into the queue, without waiting for their leases."""
    count = 0
    for record in session.scalars(select(TaskRecord).where(TaskRecord.state == TaskState.RUNNING)):
        if record.owner is not None and Owner.parse(record.owner).is_known_gone():
            record.state, record.owner, record.lease_until = TaskState.QUEUED, None, None
            count += 1
    return count


def _take(record: TaskRecord, claimant: Claimant, lease: Lease, now: datetime) -> Claim:
    record.state = TaskState.RUNNING
    record.owner = str(claimant.owner)
    record.fence = lease.fence
    record.lease_until = now + LEASE
    record.run_at = None
    record.attempt += 1
    record.started_at = record.started_at or now
    return Claim(
        lease=lease,
        kind=record.kind,
        is_background=record.is_background,
        arguments=record.arguments,
        attempt=record.attempt,
        steps_done=record.steps_done,
        is_undoing=record.is_undoing,
        is_cancel_requested=record.is_cancel_requested,
        failure=None if record.failure is None else msgspec.json.decode(record.failure, type=Failure),
        checkpoints=Checkpoints(record.checkpoint),
    )


def _list_searches(claimant: Claimant, vacancy: Vacancy, now: datetime) -> list[Select[TaskRecord]]:
    """Where to look, one after the other. Each walks along one index and ends at the first hit."""
    mine = select(TaskRecord).where(
        TaskRecord.lane == vacancy.lane,
        TaskRecord.kind.in_(claimant.kinds),
        TaskRecord.id.not_in(vacancy.held),
    )
    if not vacancy.takes_background:
        mine = mine.where(TaskRecord.is_background.is_(False))
    by_age = (TaskRecord.created_at, TaskRecord.id)
    abandoned = mine.where(_is_abandoned(now)).order_by(*by_age).limit(1)
    due = mine.where(_is_due(now)).order_by(TaskRecord.is_background, *by_age).limit(1)
    if not (vacancy.takes_background and vacancy.prefers_patient):
        return [abandoned, due]
    patient = (TaskRecord.is_background.is_(True), TaskRecord.created_at < now - PATIENCE)
    return [abandoned, mine.where(_is_due(now), *patient).order_by(*by_age).limit(1), due]


def backoff(attempt: int) -> timedelta:
    """The pause after the n-th failed attempt: 2, 4, 8 … seconds, one minute at most."""
    return timedelta(seconds=min(2 ** min(attempt, 10), _BACKOFF_MAX_SECONDS))


def _encode(failure: Failure) -> str:
    return msgspec.json.encode(failure).decode()


# A clock that was set back leaves instants in the rows that nobody would write now. Such a task must not wait
# for the clock to get there again.
def _is_due(now: datetime) -> ColumnElement[bool]:
    return and_(
        TaskRecord.state == TaskState.QUEUED,
        or_(TaskRecord.run_at.is_(None), TaskRecord.run_at <= now, TaskRecord.run_at > now + _PLAUSIBLE),
    )


def _is_abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(
        TaskRecord.state == TaskState.RUNNING,
        or_(TaskRecord.lease_until < now, TaskRecord.lease_until > now + _PLAUSIBLE),
    )
