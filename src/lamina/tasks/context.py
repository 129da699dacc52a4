"""What a step sees of its task: its checkpoint, its progress, and whether it should stop."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.orm import Session

from lamina.failures import Cancelled
from lamina.tasks.errors import LeaseLostError, WorkerStoppingError
from lamina.tasks.lease import Lease
from lamina.tasks.outcome import Checkpoints, Failure

T = TypeVar("T")


class Signals:
    """What the rest of the process tells a running task, and what the task tells back. Safe between threads.

    Attributes:
        cancelled: somebody asked for the task to be cancelled.
        lost: another owner has the task.
        stopping: this process is shutting down.
    """

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.lost = threading.Event()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._measured = (0, 0)
        self._read: Callable[[], tuple[int, int]] | None = None
        self._stop: Callable[[], None] | None = None

    def raise_signal(self, signal: threading.Event) -> None:
        """Set one of the events and stop the pipeline that the step follows, if any."""
        signal.set()
        with self._lock:
            stop = self._stop
        if stop is not None:
            stop()

    def report(self, done: int, known: int) -> None:
        """Note measured progress."""
        with self._lock:
            self._measured = (done, known)

    def measure(self) -> tuple[int, int]:
        """The progress at this moment: work done, work known."""
        with self._lock:
            if self._read is not None:
                self._measured = self._read()
            return self._measured

    @contextmanager
    def following(self, read: Callable[[], tuple[int, int]], stop: Callable[[], None]) -> Iterator[None]:
        """Take progress from `read` and pass a wish to stop on to `stop`, for as long as this lasts."""
        with self._lock:
            self._read, self._stop = read, stop
        try:
            if self.cancelled.is_set() or self.lost.is_set() or self.stopping.is_set():
                stop()
            yield
        finally:
            self.measure()
            with self._lock:
                self._read = self._stop = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """One step's view of its task. Made anew for every step.

    Attributes:
        step: the step's name.
        attempt: how often this step was started, from 1.
        failure: while steps are undone, why; otherwise None.
        lease: what makes this owner's writes count.
        checkpoints: what the task's steps saved.
        signals: between this step and the rest of the process.
    """

    step: str
    attempt: int
    failure: Failure | None
    lease: Lease
    checkpoints: Checkpoints
    signals: Signals

    def load(self, value_type: type[T], *, step: str | None = None) -> T | None:
        """What this step, or another one of the task, saved last; None if nothing."""
        return self.checkpoints.load(step or self.step, value_type)

    def save(self, value: object) -> None:
        """Make a checkpoint durable; the next attempt of this step finds it, and so do the steps after it.

        Raises:
            LeaseLostError: another owner has the task.
        """
        self.checkpoints.save(self.step, value)
        with self.lease.jotting() as session:
            self.lease.write_checkpoint(session, self.checkpoints.text)

    def progress(self, done: int, known: int) -> None:
        """Report measured work: so much is done of so much that is known. The heartbeat stores it."""
        self.signals.report(done, known)

    def following(
        self, read: Callable[[], tuple[int, int]], stop: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """While a pipeline runs inside: report what `read` measures, call `stop` when it should stop."""
        return self.signals.following(read, stop)

    @property
    def is_cancelled(self) -> bool:
        """Whether the step should stop now, for whatever reason."""
        return self._find_reason() is not None

    def check(self) -> None:
        """Stop here if the step should stop.

        Raises:
            LeaseLostError: another owner has the task.
            WorkerStoppingError: the process is shutting down.
            Cancelled: somebody asked for the task to be cancelled; never raised while steps are undone.
        """
        reason = self._find_reason()
        if reason is not None:
            raise reason

    def transaction(self, *, of: str | None = None) -> AbstractContextManager[Session]:
        """A writing session whose commit is refused if the lease is lost.

        Args:
            of: the account whose rows it is about, so that others go on beside it; None for those of everybody.

        Raises:
            LeaseLostError: another owner has the task; nothing was written.
        """
        return self.lease.transaction(of=of)

    def _find_reason(self) -> Cancelled | None:
        if self.signals.lost.is_set():
            return LeaseLostError(f"another owner has task {self.lease.task_id}")
        if self.signals.stopping.is_set():
            return WorkerStoppingError("the service is stopping; it continues the task when it starts again")
        if self.signals.cancelled.is_set() and self.failure is None:
            return Cancelled("cancelled on request")
        return None
