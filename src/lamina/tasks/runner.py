"""The threads that carry tasks out, and the one that keeps their leases."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import msgspec

from lamina.clock import Clock
from lamina.database import Database
from lamina.tasks.alone import TaskLocks
from lamina.tasks.attempt import Attempt
from lamina.tasks.context import Signals
from lamina.tasks.errors import LeaseLostError
from lamina.tasks.lease import HEARTBEAT_SECONDS, Claim, Claimant, Lease, Vacancy, claim, requeue_orphans
from lamina.tasks.outcome import Failure
from lamina.tasks.owner import Owner
from lamina.tasks.records import CANCEL_TOPIC, name_lane_topic
from lamina.tasks.states import TaskState
from lamina.tasks.task import AnyKind, BoundTask
from lamina.telemetry import get_logger, log_failure

P = TypeVar("P")
_LOGGER: Final = get_logger(__name__)
_LOOK_AGAIN_SECONDS: Final = 1.0  # for pauses that end and leases that run out; new work rings the bell
_TURNS: Final = 4  # one in so many goes to what waited for long, so that nothing waits for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    claim: Claim
    lane: str
    signals: Signals

    @property
    def lease(self) -> Lease:
        return self.claim.lease


class _Bell:
    """Wakes sleepers; a ring between looking and sleeping is not lost."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rings = 0

    def count(self) -> int:
        with self._condition:
            return self._rings

    def ring(self) -> None:
        with self._condition:
            self._rings += 1
            self._condition.notify_all()

    def wait(self, since: int, seconds: float) -> None:
        """Sleep until somebody rang after `since` was counted, but not for longer than `seconds`."""
        with self._condition:
            self._condition.wait_for(lambda: self._rings != since, timeout=seconds)


class Runner(Generic[P]):
    """Carries out the tasks of some kinds.

    What somebody waits for goes first in each lane. Where a lane has several threads, one of them is kept for that:
    however long the work of policies takes, a restore begins at once. What nobody waits for is not forgotten
    either: every fourth free thread takes the oldest such task, once that waited for an hour.

    Without `start` it has no threads, and `run_until_idle` works in the caller's.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        plant: P,
        kinds: Sequence[AnyKind[P]],
        lanes: Mapping[str, int],
        *,
        locks: TaskLocks | None = None,
    ) -> None:
        """Prepare.

        Args:
            database: where the tasks are.
            clock: the installation's.
            plant: what the steps work with.
            kinds: what can be carried out here.
            lanes: lane to number of threads.
            locks: what keeps a former owner of a task away; None where no other process takes tasks over.
        """
        self._database = database
        self._clock = clock
        self._plant = plant
        self._kinds = {kind.name: kind for kind in kinds}
        self._lanes = dict(lanes)
        self._locks = locks
        self._claimant = Claimant(owner=Owner.current(), kinds=tuple(self._kinds))
        self._turns = dict.fromkeys(lanes, 0)
        self._bells = {lane: _Bell() for lane in lanes}
        self._cancelling = _Bell()
        self._stopping = threading.Event()
        self._held: dict[str, _Held] = {}  # by task id
        self._lock = threading.Lock()
        self._claiming = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listening = ExitStack()

    def start(self) -> None:
        """Take over what dead processes of this host left, and start the threads."""
        with self._database.transaction() as session:
            requeue_orphans(session)
        for lane, bell in self._bells.items():
            self._listening.callback(self._database.listen(name_lane_topic(lane), bell.ring))
        self._listening.callback(self._database.listen(CANCEL_TOPIC, self._cancelling.ring))
        workers = [
            threading.Thread(target=self._work, args=(lane,), name=f"task-{lane}-{number}", daemon=True)
            for lane, count in self._lanes.items()
            for number in range(count)
        ]
        self._threads = [threading.Thread(target=self._keep, name="task-keeper", daemon=True), *workers]
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience_seconds: float) -> bool:
        """Ask the running steps to stop and give their tasks back.

        Args:
            patience_seconds: how long to wait for them. A step that takes longer goes on until the process
                ends; the next process takes its task over.

        Returns:
            Whether all of them stopped.
        """
        self._stopping.set()
        self._listening.close()
        with self._lock:
            held = list(self._held.values())
        for each in held:
            each.signals.raise_signal(each.signals.stopping)
        for bell in (self._cancelling, *self._bells.values()):
            bell.ring()
        deadline = self._clock.monotonic() + patience_seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def run_until_idle(self) -> int:
        """Carry out everything that is due, here and now; answers how many tasks were taken."""
        count = 0
        while any(self.run_next(lane) for lane in self._lanes):
            count += 1
        return count

    def run_next(self, lane: str) -> bool:
        """Carry out one task of a lane that is due; answers whether there was one.

        Raises:
            DatabaseFaultError: the database failed.
        """
        with ExitStack() as stack:
            # One thread at a time: until a claim is noted as held, another thread that sees a clock which has just
            # jumped past the end of the lease would take the task for an abandoned one.
            with self._claiming:
                claimed = claim(self._database, self._clock, self._claimant, self._describe_vacancy(lane))
                if claimed is None:
                    return False
                self._turns[lane] += 1
                signals = stack.enter_context(self._holding(claimed, lane))
            bound = self._bind(claimed)
            if bound is None:
                return True
            attempt = Attempt(claimed, bound, self._plant, signals)
            if self._locks is None or stack.enter_context(self._locks.taken(claimed.lease.task_id)):
                attempt.run()
            else:
                attempt.hold_off()
        return True

    def beat(self) -> None:
        """Renew the leases of everything that runs here, store its progress, and learn what was cancelled."""
        with self._lock:
            held = list(self._held.values())
        if not held:
            return
        with self._database.unguarded() as session:  # each write names its fence
            for each in held:
                done, known = each.signals.measure()
                try:
                    if each.lease.renew(session, done, known) and not each.signals.cancelled.is_set():
                        each.signals.raise_signal(each.signals.cancelled)
                except LeaseLostError:
                    each.signals.raise_signal(each.signals.lost)

    def _bind(self, claimed: Claim) -> BoundTask[P] | None:
        """The steps of a task; if its arguments cannot be read any more, it ends, and reconcilers see to the rest."""
        try:
            return self._kinds[claimed.kind].bind(claimed.arguments)
        except msgspec.MsgspecError as error:
            facts = {"task_id": claimed.lease.task_id, "kind": claimed.kind}
            log_failure(_LOGGER, "the arguments of a task cannot be read", error, **facts)
            with suppress(LeaseLostError), claimed.lease.jotting() as session:
                claimed.lease.end(session, TaskState.FAILED, Failure.of(error))
            return None

    def _describe_vacancy(self, lane: str) -> Vacancy:
        with self._lock:
            held = list(self._held.values())
        in_background = sum(each.lane == lane and each.claim.is_background for each in held)
        return Vacancy(
            lane=lane,
            held=[each.lease.task_id for each in held],
            takes_background=in_background < max(1, self._lanes[lane] - 1),
            prefers_patient=self._turns[lane] % _TURNS == _TURNS - 1,
        )

    @contextmanager
    def _holding(self, claimed: Claim, lane: str) -> Iterator[Signals]:
        signals = Signals()
        task_id = claimed.lease.task_id
        with self._lock:
            self._held[task_id] = _Held(claim=claimed, lane=lane, signals=signals)
        if self._stopping.is_set():
            signals.stopping.set()
        try:
            yield signals
        finally:
            with self._lock:
                del self._held[task_id]
            if self._stopping.is_set():
                self._cancelling.ring()  # the keeper waits for the last one

    def _work(self, lane: str) -> None:
        while not self._stopping.is_set():
            rings = self._bells[lane].count()
            try:
                found = self.run_next(lane)
            except Exception as failure:  # noqa: BLE001 - whatever it is, the lane must not lose a thread
                log_failure(_LOGGER, "a worker failed", failure, lane=lane)
                found = False
            if not found:
                self._bells[lane].wait(rings, _LOOK_AGAIN_SECONDS)

    def _keep(self) -> None:
        while not self._stopping.is_set() or self._is_holding():
            rings = self._cancelling.count()
            try:
                self.beat()
            except Exception as failure:  # noqa: BLE001 - without the keeper every lease of the process runs out
                log_failure(_LOGGER, "a heartbeat failed", failure)
            self._cancelling.wait(rings, HEARTBEAT_SECONDS)

    def _is_holding(self) -> bool:
        with self._lock:
            return bool(self._held)
