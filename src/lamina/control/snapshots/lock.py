"""Locks on snapshots: while one lasts nobody deletes the snapshot, not even its owner.

    none -> compliance-cooloff -> compliance -> expired

Only the clock moves a lock forward, so nothing is stored about where it stands. In the cool-off period it can be
changed at will and taken off; afterwards it can only grow. For a snapshot that is being created it begins to count
when the snapshot is accomplished.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.scope import Scope
from lamina.control.snapshots.changes import mark_changed
from lamina.control.snapshots.errors import (
    CoolOffError,
    CoolOffOverError,
    LockDurationError,
    LockNotFoundError,
    SnapshotLockedError,
    SnapshotNotFoundError,
    SnapshotNotLockableError,
)
from lamina.control.snapshots.queries import get_snapshot
from lamina.control.snapshots.records import LockRecord, SnapshotRecord
from lamina.control.snapshots.states import LockState, SnapshotState
from lamina.ids import SnapshotId

_HOURS_PER_DAY: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLock:
    """A lock to be.

    Attributes:
        snapshot_id: on which snapshot.
        duration_days: how long it lasts; shorter than the snapshot's retention.
        cool_off_hours: how long it can be changed; 0 is not at all.
    """

    snapshot_id: SnapshotId
    duration_days: int
    cool_off_hours: int


def lock_snapshot(scope: Scope, new: NewLock) -> LockRecord:
    """Lock a snapshot, or change its lock.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot in this region.
        SnapshotNotLockableError: it failed.
        CoolOffError: the cool-off period is longer than the lock.
        LockDurationError: the lock would outlast the snapshot's retention.
        CoolOffOverError: there is a lock behind its cool-off period, and this is no extension of it.
    """
    snapshot = _get(scope, new.snapshot_id)
    if snapshot.state is SnapshotState.FAILED:
        raise SnapshotNotLockableError(snapshot.id)
    if new.cool_off_hours > new.duration_days * _HOURS_PER_DAY:
        raise CoolOffError(new.cool_off_hours, new.duration_days)
    if snapshot.retention_days is not None and new.duration_days >= snapshot.retention_days:
        raise LockDurationError(snapshot.id, new.duration_days, snapshot.retention_days)
    now = scope.clock.now()
    lock = scope.session.get(LockRecord, snapshot.id)
    if lock is not None and find_state(lock, now) is LockState.COMPLIANCE:
        if new.cool_off_hours or new.duration_days < lock.duration_days:
            raise CoolOffOverError(snapshot.id)
        lock.duration_days = new.duration_days
        if lock.starts_at is not None:
            lock.expires_at = lock.starts_at + timedelta(days=new.duration_days)
        mark_changed(scope.session, snapshot.id)
        return lock
    if lock is None:
        lock = LockRecord(
            snapshot_id=snapshot.id, account_id=snapshot.account_id, region_id=snapshot.region_id
        )
        scope.session.add(lock)
    lock.created_at = now
    lock.duration_days, lock.cool_off_hours = new.duration_days, new.cool_off_hours
    lock.starts_at = lock.cool_off_until = lock.expires_at = None
    if snapshot.state is not SnapshotState.PROGRESSING:
        _start(lock, now)
    mark_changed(scope.session, snapshot.id)
    return lock


def unlock_snapshot(scope: Scope, snapshot_id: SnapshotId) -> None:
    """Take a lock off within its cool-off period.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot in this region.
        LockNotFoundError: it is not locked (any more).
        CoolOffOverError: the cool-off period is over.
    """
    snapshot = _get(scope, snapshot_id)
    lock = scope.session.get(LockRecord, snapshot.id)
    state = find_state(lock, scope.clock.now()) if lock is not None else LockState.EXPIRED
    if lock is None or state is LockState.EXPIRED:
        raise LockNotFoundError(snapshot_id)
    if state is LockState.COMPLIANCE:
        raise CoolOffOverError(snapshot_id)
    scope.session.delete(lock)
    mark_changed(scope.session, snapshot_id)


def require_unlocked(session: Session, snapshot_id: SnapshotId, now: datetime) -> None:
    """Let only a snapshot pass that may be deleted.

    Raises:
        SnapshotLockedError: a lock on it has not expired.
    """
    lock = session.get(LockRecord, snapshot_id)
    if lock is not None and find_state(lock, now) is not LockState.EXPIRED:
        raise SnapshotLockedError(snapshot_id, lock.expires_at)


def start_lock(session: Session, snapshot_id: SnapshotId, now: datetime) -> None:
    """The snapshot is accomplished: a lock that waited for that begins to count."""
    lock = session.get(LockRecord, snapshot_id)
    if lock is not None and lock.starts_at is None:
        _start(lock, now)
        mark_changed(session, snapshot_id)


def drop_lock(session: Session, snapshot_id: SnapshotId) -> None:
    """The snapshot goes, or failed and holds nothing."""
    lock = session.get(LockRecord, snapshot_id)
    if lock is not None:
        session.delete(lock)
        session.flush()


def find_state(lock: LockRecord, now: datetime) -> LockState:
    """Where a lock stands. A clock that was set back makes a lock last longer, never shorter."""
    if lock.cool_off_until is None or lock.expires_at is None:
        return LockState.COOL_OFF if lock.cool_off_hours else LockState.COMPLIANCE
    if now < lock.cool_off_until:
        return LockState.COOL_OFF
    return LockState.COMPLIANCE if now < lock.expires_at else LockState.EXPIRED


def _start(lock: LockRecord, now: datetime) -> None:
    lock.starts_at = now
    lock.cool_off_until = now + timedelta(hours=lock.cool_off_hours)
    lock.expires_at = now + timedelta(days=lock.duration_days)


def _get(scope: Scope, snapshot_id: SnapshotId) -> SnapshotRecord:
    snapshot = get_snapshot(scope, snapshot_id)
    if snapshot.region_id != scope.region_id:
        raise SnapshotNotFoundError(snapshot_id)
    return snapshot
