"""What was begun in a repository and not finished: interrupted captures, deletions without a sweep."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from lamina.engine.condemned import list_condemned
from lamina.engine.maintenance.sweep import SweepReport, sweep
from lamina.engine.repository import Repository
from lamina.engine.sessions import RunningSession, list_sessions


class SessionState(Enum):
    """How a session that is in the store looks from here."""

    RUNNING = "running"  # or its process cannot be seen from this machine
    DEAD = "dead"  # its process was on this machine and is gone
    STALE = "stale"  # no heartbeat for a day
    DAMAGED = "damaged"  # its object cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """A session that is in the store.

    Attributes:
        session: its id.
        state: how it looks from here.
        kind: what it does; None when damaged.
        snapshot: the snapshot that it makes or reads; may be empty.
        started_at: when it began; None when damaged.
        beat_at: its last heartbeat; None when damaged.
    """

    session: str
    state: SessionState
    kind: str | None
    snapshot: str | None
    started_at: datetime | None
    beat_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Everything that is half done, or looks so.

    Attributes:
        sessions: sessions in the store; dead captures are interrupted ones.
        revoked_captures: ids of captures that a sweep gave up as dead; they can never commit.
        deleted_snapshots: ids of snapshots that were deleted and not swept yet.
        condemned_lists: lists of earlier sweeps that are not carried out yet.
        unreachable_packs: packs that no snapshot needs and that are on no list yet.
        unreachable_bytes: their size.
        damage: what could not be read while looking.
    """

    sessions: tuple[SessionFacts, ...]
    revoked_captures: tuple[str, ...]
    deleted_snapshots: tuple[str, ...]
    condemned_lists: int
    unreachable_packs: int
    unreachable_bytes: int
    damage: tuple[str, ...]


def find_leftovers(repository: Repository) -> Leftovers:
    """Look for what is half done. Changes nothing; reads the block maps of all snapshots.

    Raises:
        Fault: the store failed.
        Corruption: a condemned list is damaged.
    """
    now = repository.clock.now()
    sessions = [_describe(item, now) for item in list_sessions(repository.store, repository.cipher)]
    folders = repository.list_folders()
    report: SweepReport = sweep(repository, dry_run=True)
    return Leftovers(
        sessions=tuple(sessions),
        revoked_captures=tuple(
            folder.snapshot_id for folder in folders if folder.is_revoked and not folder.bodies
        ),
        deleted_snapshots=tuple(
            folder.snapshot_id for folder in folders if folder.is_deleted and folder.bodies
        ),
        condemned_lists=len(list_condemned(repository.store, repository.cipher).lists),
        unreachable_packs=report.waiting_packs,
        unreachable_bytes=report.waiting_bytes,
        damage=tuple(report.damage),
    )


def _describe(session: RunningSession, now: datetime) -> SessionFacts:
    record = session.record
    return SessionFacts(
        session=session.session_id,
        state=_find_state(session, now),
        kind=record.kind.value if record is not None else None,
        snapshot=record.snapshot if record is not None else None,
        started_at=record.started_at if record is not None else None,
        beat_at=record.beat_at if record is not None else None,
    )


def _find_state(session: RunningSession, now: datetime) -> SessionState:
    if session.record is None:
        return SessionState.DAMAGED
    if session.is_dead():
        return SessionState.DEAD
    return SessionState.STALE if session.is_stale(now) else SessionState.RUNNING
