"""Sessions: how captures, readers and compactions make themselves known to sweeps (docs/format.md §5)."""

import os
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from lamina.clock import Clock
from lamina.engine.format import KIND_SESSION, SESSION_BYTES, SessionId
from lamina.engine.objects.store import ObjectMissingError, ObjectStore
from lamina.engine.seal.encryption import ObjectCipher
from lamina.failures import Corruption, Fault

SESSIONS: Final = "sessions/"
_BEAT_SECONDS: Final = 60.0
STALE_AFTER: Final = timedelta(hours=24)


class SessionKind(Enum):
    """What a session does, and so how a sweep may take it out when its process is gone."""

    CAPTURE = "capture"
    READ = "read"
    COMPACTION = "compaction"


class ProcessMark(msgspec.Struct, frozen=True, kw_only=True):
    """Which process runs a session; lets a process on the same machine tell that it is gone."""

    boot: str
    space: str
    pid: int
    started: str

    @classmethod
    def current(cls) -> "ProcessMark":
        """The mark of this process."""
        return cls(
            boot=_boot(), space=_process_space(), pid=os.getpid(), started=_start_of(os.getpid()) or ""
        )

    def is_dead(self) -> bool:
        """Whether the process is gone for certain; False when that cannot be known from here."""
        if not self.boot or self.boot != _boot() or self.space != _process_space():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # it exists and belongs to somebody else
        # A process of this number exists; an unreadable start time (hidepid) proves nothing.
        started = _start_of(self.pid)
        return bool(self.started and started) and started != self.started


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a session's object says."""

    kind: SessionKind
    snapshot: str
    process: ProcessMark
    started_at: datetime
    beat_at: datetime


@dataclass(frozen=True, slots=True)
class RunningSession:
    """A session found in the store.

    Attributes:
        session_id: its id.
        record: what it says of itself; None when its object is damaged.
    """

    session_id: SessionId
    record: SessionRecord | None

    def is_dead(self) -> bool:
        """Whether its process is gone for certain."""
        return self.record is not None and self.record.process.is_dead()

    def is_stale(self, now: datetime) -> bool:
        """Whether its heartbeat stopped a day ago; only a reason to try, never a proof."""
        return self.record is None or now - self.record.beat_at > STALE_AFTER


def mint_session_id() -> SessionId:
    """The id of a new session, sweep or compaction: 128 random bits as hex."""
    return SessionId(secrets.token_hex(SESSION_BYTES))


class Session:
    """A session of this process: published on entry, removed on exit, with a heartbeat in between.

    Attributes:
        session_id: its id.
    """

    def __init__(
        self, store: ObjectStore, cipher: ObjectCipher, clock: Clock, kind: SessionKind, snapshot: str
    ) -> None:
        self.session_id = mint_session_id()
        self._store = store
        self._cipher = cipher
        self._clock = clock
        self._kind = kind
        self._snapshot = snapshot
        self._process = ProcessMark.current()
        self._started_at = clock.now()
        self._stop = threading.Event()
        self._is_unsettled = False
        self._thread = threading.Thread(target=self._beat, name="session-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._publish()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._is_unsettled:
            return
        # The work's own outcome matters more; a sweep takes the object out when this process is gone.
        with suppress(Fault):
            self._store.delete(self._key)

    def leave_unsettled(self) -> None:
        """Leave the object in the store: the commit may still take effect after its caller gave up on it.

        As long as the object is there, nothing that the commit needs is removed; a sweep settles it by revoking
        the capture once the heartbeat is old, or finds that the commit has arrived.
        """
        self._is_unsettled = True

    @property
    def _key(self) -> str:
        return SESSIONS + self.session_id

    def _publish(self) -> None:
        record = SessionRecord(
            kind=self._kind,
            snapshot=self._snapshot,
            process=self._process,
            started_at=self._started_at,
            beat_at=self._clock.now(),
        )
        self._store.put(self._key, self._cipher.seal(KIND_SESSION, self._key, msgspec.json.encode(record)))

    def _beat(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            try:
                self._publish()
            except Fault:
                continue  # the next beat tries again; a day of silence makes a session stale, not a minute


def list_sessions(store: ObjectStore, cipher: ObjectCipher) -> list[RunningSession]:
    """Every session in the store, in the order of its id."""
    sessions = []
    for info in store.list(SESSIONS):
        try:
            body = cipher.open(KIND_SESSION, info.key, store.get(info.key))
            record = msgspec.json.decode(body, type=SessionRecord)
        except ObjectMissingError:
            continue  # it ended meanwhile
        except (Corruption, msgspec.MsgspecError):
            record = None
        sessions.append(RunningSession(SessionId(info.key.removeprefix(SESSIONS)), record))
    return sessions


def _boot() -> str:
    return _read(Path("/proc/sys/kernel/random/boot_id"))


def _process_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _start_of(pid: int) -> str | None:
    """Start time of a process in clock ticks since boot (field 22 of proc(5) stat); None when there is none."""
    text = _read(Path(f"/proc/{pid}/stat"))
    fields = text.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else None  # noqa: PLR2004 - field 22, counted from field 3


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
