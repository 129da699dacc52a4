"""Move the clock of an installation ahead: everything that falls in between happens in order, exactly once.

The clock goes from one instant at which something is due to the next. At each one the reconcilers run, in their order,
and all tasks end, before it goes on; so a policy takes every snapshot of the sixteen days, and what expires meanwhile
goes before the next one is taken. A crash anywhere in between is mended by the next start: the task goes on from
where the clock stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from lamina.clock import Clock
from lamina.control.billing.close import find_closing
from lamina.control.installation import Installation
from lamina.control.instances.records import InstanceRecord
from lamina.control.keys.records import KeyRecord
from lamina.control.movable_clock import ClockNotMovableError, MovableClock
from lamina.control.payments.records import ArrearsRecord
from lamina.control.policies.records import PolicyRecord
from lamina.control.reconcilers import run_timely
from lamina.control.scope import Limits
from lamina.control.snapshots.records import LockRecord, SnapshotRecord
from lamina.ids import TaskId
from lamina.tasks.context import StepContext
from lamina.tasks.outcome import Outcome
from lamina.tasks.queue import enqueue
from lamina.tasks.records import TaskRecord
from lamina.tasks.states import ACTIVE, TaskState
from lamina.tasks.task import Step, TaskKind

CLOCK: Final = "clock"
"""The lane of this kind: it waits for all other tasks, so none of them may wait for it."""

INSTANTS: Final[Sequence[InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]]] = (
    PolicyRecord.next_run_at,
    SnapshotRecord.expires_at,
    LockRecord.cool_off_until,
    LockRecord.expires_at,
    InstanceRecord.expires_at,
    InstanceRecord.auto_release_at,
    KeyRecord.deletes_at,
    ArrearsRecord.next_at,
)
"""Columns that say when something is due; see `find_next` for what else is."""

_STEP_MAX: Final = timedelta(days=1)
_LOOK_SECONDS: Final = 0.02
_KEY: Final = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceArguments:
    """From when to when."""

    start: datetime
    target: datetime


def advance_clock(session: Session, clock: Clock, target: datetime) -> TaskId:
    """Have the clock moved to an instant; one that is past ends at once.

    Raises:
        TaskBusyError: it is being moved already.
    """
    arguments = AdvanceArguments(start=clock.now(), target=target)
    return enqueue(session, clock, ADVANCE_CLOCK, arguments, key=_KEY)


def find_next(session: Session, after: datetime, limits: Limits) -> datetime:
    """The next instant at which something is due: what a column says, or follows from one, or from the calendar.

    What is due by the day needs no more than that no step is longer than one.
    """
    found = [session.scalar(select(func.min(column)).where(column > after)) for column in INSTANTS]
    waiting = limits.expired_instance
    expired = session.scalar(
        select(func.min(InstanceRecord.expires_at)).where(InstanceRecord.expires_at > after - waiting)
    )
    found += [find_closing(after), expired + waiting if expired is not None else None]
    return min([instant for instant in found if instant is not None] + [after + _STEP_MAX])


def _move(plant: Installation, task: AdvanceArguments, context: StepContext) -> None:
    clock = plant.clock
    if not isinstance(clock, MovableClock):
        raise ClockNotMovableError(plant.directory)
    while True:
        _let_happen(plant, context)
        now = clock.now()
        context.progress(*_measure(task, now))
        if now >= task.target:
            return
        with plant.database.reading() as session:
            due = find_next(session, now, plant.limits)
        clock.move_to(min(due, task.target))


def _let_happen(plant: Installation, context: StepContext) -> None:
    """Run the reconcilers and all tasks to their end, until nothing comes of it any more.

    What fails does not count: some of it is taken up again and again, such as rolling a disk back whose snapshot is
    damaged, and time must not stand still for that.
    """
    while True:
        since = plant.clock.now()
        run_timely(plant)
        _wait(plant, context)
        with plant.database.reading() as session:
            done = TaskRecord.state == TaskState.SUCCEEDED, TaskRecord.finished_at >= since
            if session.scalar(select(TaskRecord.id).where(*done, TaskRecord.key != _KEY).limit(1)) is None:
                return


def _wait(plant: Installation, context: StepContext) -> None:
    """Wait for all other tasks."""
    others = select(TaskRecord.id).where(TaskRecord.state.in_(ACTIVE), TaskRecord.key != _KEY).limit(1)
    while True:
        context.check()
        with plant.database.reading() as session:
            if session.scalar(others) is None:
                return
        plant.clock.sleep(_LOOK_SECONDS)


def _measure(task: AdvanceArguments, now: datetime) -> tuple[int, int]:
    known = int((task.target - task.start).total_seconds())
    return min(known, int((now - task.start).total_seconds())), known


def _settle(_plant: Installation, _session: Session, _task: AdvanceArguments, _outcome: Outcome) -> None:
    """The clock stands where it stands."""


ADVANCE_CLOCK: Final = TaskKind(
    name="advance-clock",
    arguments=AdvanceArguments,
    lane=CLOCK,
    steps=(Step(name="move", run=_move),),
    settle=_settle,
)
