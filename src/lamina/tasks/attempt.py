"""Carrying out a claimed task: its steps forward, or backward when one failed for good or somebody cancelled.

    forward   each step, its end noted in the row; after the last one the kind settles the resource and the task
              ends, in one transaction
    backward  the step that failed and all before it are undone, last first; then the kind settles the failure

A retryable fault gives the task back to the queue with a pause. A killed process leaves the row as it is, and the
next owner continues with the step that was under way, in the same direction.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from lamina.database import insist
from lamina.failures import Cancelled, Fault, LaminaError
from lamina.tasks.context import Signals, StepContext
from lamina.tasks.errors import LeaseLostError, WorkerStoppingError
from lamina.tasks.lease import Claim
from lamina.tasks.outcome import Failure, FailureKind, Outcome
from lamina.tasks.states import TaskState
from lamina.tasks.task import ATTEMPTS_MAX, BoundStep, BoundTask
from lamina.telemetry import get_logger, log, log_failure

P = TypeVar("P")
T = TypeVar("T")
_LOGGER = get_logger(__name__)


class _RetryLaterError(Exception):
    """This attempt is over; the next one comes after a pause."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Attempt(Generic[P]):
    """One owner's work on one task. `run` returns when the task is over, given back, or another owner's."""

    def __init__(self, claim: Claim, task: BoundTask[P], plant: P, signals: Signals) -> None:
        self._claim = claim
        self._lease = claim.lease
        self._task = task
        self._plant = plant
        self._signals = signals
        self._attempt = claim.attempt
        self._steps_done = claim.steps_done
        self._is_undoing = claim.is_undoing
        if claim.is_cancel_requested:
            signals.cancelled.set()

    def run(self) -> None:
        """Do all that can be done now.

        Raises:
            DatabaseFaultError: the task's row could not be written; the lease runs out by itself.
        """
        try:
            self._go_on()
        except LeaseLostError as lost:
            self._log(logging.WARNING, "a task has another owner now", reason=str(lost))

    def hold_off(self) -> None:
        """Leave the task in the queue for a moment: its former owner is stopped, and may still go on with a step.

        Raises:
            DatabaseFaultError: the task's row could not be written; the lease runs out by itself.
        """
        self._log(logging.WARNING, "a task waits for its former owner")
        with suppress(LeaseLostError):
            self._jot(lambda session: self._lease.hold_off(session, self._attempt))

    def _go_on(self) -> None:
        """The same; raises `LeaseLostError`, also when the task cannot be given back because of that."""
        try:
            failure = self._claim.failure if self._claim.is_undoing else self._go_forward()
            if failure is not None:
                self._go_backward(failure)
        except WorkerStoppingError:
            self._jot(lambda session: self._lease.give_back(session, self._attempt))
        except _RetryLaterError as retry:
            self._log(logging.WARNING, "a task is tried again later", reason=retry.failure.message)
            failed = None if self._is_undoing else retry.failure
            self._jot(lambda session: self._lease.retry_later(session, self._attempt, failed))

    def _go_forward(self) -> Failure | None:
        """All steps that are left, and the end; or why they cannot be done."""
        if self._attempt > ATTEMPTS_MAX:
            return self._give_up()
        try:
            for step in self._task.steps[self._steps_done :]:
                context = self._context(step, None)
                context.check()
                step.run(self._plant, context)
                self._finish_step(self._steps_done + 1)
            self._end(TaskState.SUCCEEDED, None)
        except (LeaseLostError, WorkerStoppingError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the task must not stay as it is
            return self._weigh(error)
        return None

    def _go_backward(self, failure: Failure) -> None:
        """Undo the step that was under way and those before it, then end the task."""
        if not self._is_undoing:
            self._steps_done = min(self._steps_done + 1, len(self._task.steps))
            self._jot(lambda session: self._lease.start_undoing(session, self._steps_done, failure))
            self._is_undoing = True
            self._attempt = 1
        while self._steps_done > 0:
            self._undo(self._task.steps[self._steps_done - 1], failure)
            self._finish_step(self._steps_done - 1)
        is_cancelled = failure.kind is FailureKind.CANCELLED
        self._settle_failure(TaskState.CANCELLED if is_cancelled else TaskState.FAILED, failure)
        if not is_cancelled:
            self._log(logging.ERROR, "a task failed", reason=failure.message, failure_kind=failure.kind.value)

    def _undo(self, step: BoundStep[P], failure: Failure) -> None:
        """Undo one step; if that fails for good, leave the rest of it to the reconcilers."""
        context = self._context(step, failure)
        try:
            if self._attempt <= ATTEMPTS_MAX:
                context.check()
                step.undo(self._plant, context)
                return
        except (LeaseLostError, WorkerStoppingError):
            raise
        except Exception as error:  # noqa: BLE001 - the other steps must be undone in any case
            self._weigh(error)
        self._log(logging.CRITICAL, "a step of a task could not be undone", step=step.name)

    def _settle_failure(self, state: TaskState, failure: Failure) -> None:
        try:
            if self._attempt <= ATTEMPTS_MAX:
                self._end(state, failure)
                return
        except (LeaseLostError, WorkerStoppingError):
            raise
        except Exception as error:  # noqa: BLE001 - a task that cannot be settled must still end
            self._weigh(error)
        self._log(logging.CRITICAL, "a failed task could not be settled", reason=failure.message)
        self._jot(lambda session: self._lease.end(session, state, failure))

    def _end(self, state: TaskState, failure: Failure | None) -> None:
        def end(session: Session) -> None:
            self._task.settle(self._plant, session, Outcome(failure, self._claim.checkpoints))
            self._lease.end(session, state, failure)

        self._run(self._lease.transaction, end)

    def _finish_step(self, steps_done: int) -> None:
        if self._jot(lambda session: self._lease.finish_step(session, steps_done)):
            self._signals.cancelled.set()
        self._steps_done = steps_done
        self._attempt = 1

    def _jot(self, change: Callable[[Session], T]) -> T:
        """Change nothing but the task's row."""
        return self._run(self._lease.jotting, change)

    def _run(self, begin: Callable[[], AbstractContextManager[Session]], change: Callable[[Session], T]) -> T:
        """Make a change in a transaction that is run again if the database gives it up."""

        def transact() -> T:
            with begin() as session:
                return change(session)

        return insist(transact)

    def _weigh(self, error: Exception) -> Failure:
        """What an error means; raises `_RetryLaterError` if it may pass and there are tries left."""
        failure = Failure.of(error)
        if isinstance(error, Fault) and error.retryable and self._attempt < ATTEMPTS_MAX:
            raise _RetryLaterError(failure) from error
        if not isinstance(error, LaminaError):
            log_failure(_LOGGER, "a task met a bug", error, **self._facts())
        elif not isinstance(error, Cancelled):
            self._log(logging.WARNING, "a step of a task failed", reason=str(error))
        return failure

    def _give_up(self) -> Failure:
        if self._claim.failure is not None:
            return self._claim.failure
        return Failure(
            kind=FailureKind.FAULT,
            message=f"the process ended {ATTEMPTS_MAX} times while it worked on this; it was given up",
        )

    def _context(self, step: BoundStep[P], failure: Failure | None) -> StepContext:
        return StepContext(
            step=step.name,
            attempt=self._attempt,
            failure=failure,
            lease=self._lease,
            checkpoints=self._claim.checkpoints,
            signals=self._signals,
        )

    def _facts(self) -> dict[str, object]:
        return {
            "task_id": self._lease.task_id,
            "kind": self._claim.kind,
            "attempt": self._attempt,
            "steps_done": self._steps_done,
        }

    def _log(self, level: int, event: str, **facts: object) -> None:
        log(_LOGGER, level, event, **self._facts(), **facts)
