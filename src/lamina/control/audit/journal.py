"""Writes the audit log without keeping calls waiting.

A call that changes something has its row in the transaction of the change: there is no change without its row,
whatever happens to the process. All other calls (readers, refused ones, those that move the bytes of disks) go
into a queue, which one thread writes down a few times a second. `kill -9` or a power cut therefore loses at most
the rows of the last `FLUSH_SECONDS` of such calls, and those that still wait when the database is busy; an
orderly end loses none.

The queue is bounded. When the database does not take rows for a while and the queue is full, new calls wait, and
are then refused: a service that cannot write its audit log does not go on without one.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from lamina.control.audit.records import AuditEntry, CallRecord
from lamina.database import Database, Record
from lamina.failures import Fault
from lamina.telemetry import get_logger, log_failure

FLUSH_SECONDS: Final = 0.2
"""How long a row waits for company at most. Each flush is one transaction of a few milliseconds."""

_LOGGER: Final = get_logger(__name__)
_CAPACITY: Final = 20_000  # about 10 MB, and some ten seconds of a busy service
_BATCH: Final = 1000  # about 10 ms of one writer
_PATIENCE_SECONDS: Final = 5.0  # below the 10 s after which the official clients give up
_PAUSE_SECONDS: Final = 1.0
_INSERT: Final = insert(
    Record.metadata.tables[CallRecord.__tablename__]
)  # twice as fast as by way of objects


class AuditJournal:
    """The queue, and the thread that empties it. Safe for any number of threads.

    Without `start` it has no thread, and `flush` works in the caller's.

    Args:
        database: where the rows go.
        capacity: how many rows may wait.
        patience_seconds: how long a call waits for room.
    """

    def __init__(
        self, database: Database, *, capacity: int = _CAPACITY, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._database = database
        self._capacity = capacity
        self._patience_seconds = patience_seconds
        self._waiting: deque[AuditEntry] = deque()
        self._changed = threading.Condition()
        self._flushing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write from now on."""
        self._thread = threading.Thread(target=self._write, name="audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, and stop. What the database does not take now is lost, and the log says so."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._try_to_flush()

    def require_room(self) -> None:
        """Wait until the row of one more call would find a place.

        Raises:
            Fault: there was none for too long.
        """
        with self._changed:
            if not self._changed.wait_for(self._has_room, timeout=self._patience_seconds):
                raise Fault("the audit log cannot be written, and its queue is full", retryable=True)

    def add(self, entry: AuditEntry) -> None:
        """Have a row written soon. Never waits: whoever calls asked for room before."""
        with self._changed:
            self._waiting.append(entry)

    def flush(self) -> None:
        """Write everything that waits, here and now; what cannot be written keeps waiting.

        Raises:
            DatabaseFaultError: the database failed.
        """
        with self._flushing:
            while self._waiting:
                with self._changed:
                    batch = [self._waiting[at] for at in range(min(_BATCH, len(self._waiting)))]
                with self._database.unguarded() as session:  # rows of calls are met by nobody else
                    write_entries(session, batch)
                with self._changed:
                    for _ in batch:
                        self._waiting.popleft()
                    self._changed.notify_all()

    def _has_room(self) -> bool:
        return len(self._waiting) < self._capacity

    def _write(self) -> None:
        while not self._stopping.wait(FLUSH_SECONDS):
            if not self._try_to_flush():
                self._stopping.wait(_PAUSE_SECONDS)

    def _try_to_flush(self) -> bool:
        try:
            self.flush()
        except Exception as failure:  # noqa: BLE001 - the thread has to live on, whatever the database says
            log_failure(_LOGGER, "the audit log could not be written", failure, waiting=len(self._waiting))
            return False
        return True


def write_entry(session: Session, entry: AuditEntry) -> None:
    """Add the row of a call in the transaction that carries it out."""
    session.execute(_INSERT, asdict(entry))


def write_entries(session: Session, entries: Sequence[AuditEntry]) -> None:
    """Add rows in the caller's transaction.

    A call has one row. The first one stays: if a change was committed and only its answer failed, that row says
    what was done.
    """
    ids = [entry.request_id for entry in entries]
    known = set(session.scalars(select(CallRecord.request_id).where(CallRecord.request_id.in_(ids))))
    rows = [asdict(entry) for entry in entries if entry.request_id not in known]
    if rows:
        session.execute(_INSERT, rows)
