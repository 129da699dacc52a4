"""Listing locked snapshots."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select

from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.snapshots.lock import find_state
from lamina.control.snapshots.records import LockRecord
from lamina.control.snapshots.states import LockState
from lamina.ids import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class LockView:
    """A lock, and where it stands at this moment."""

    lock: LockRecord
    state: LockState


def show_lock(lock: LockRecord, now: datetime) -> LockView:
    """A lock as it is now."""
    return LockView(lock=lock, state=find_state(lock, now))


def list_locks(
    scope: Scope, snapshot_ids: Sequence[SnapshotId] | None, state: LockState | None, part: Slice
) -> Page[LockView]:
    """The locks of the account in the region, newest first.

    Args:
        scope: the caller.
        snapshot_ids: only the locks of these; None is all.
        state: only locks that stand there.
        part: which slice.
    """
    now = scope.clock.now()
    query = select(LockRecord).where(
        LockRecord.account_id == scope.account_id, LockRecord.region_id == scope.region_id
    )
    if snapshot_ids is not None:
        query = query.where(LockRecord.snapshot_id.in_(snapshot_ids))
    if state is not None:
        query = query.where(_stands_at(state, now))
    order = AgeOrder(created_at=LockRecord.created_at, id=LockRecord.snapshot_id)
    locks, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(show_lock(lock, now) for lock in locks),
        total_count=total,
        next_key=PageKey(created_at=locks[-1].created_at, id=locks[-1].snapshot_id) if has_more else None,
    )


def _stands_at(state: LockState, now: datetime) -> ColumnElement[bool]:
    """`lock.find_state` as a condition."""
    waits = LockRecord.starts_at.is_(None)
    match state:
        case LockState.COOL_OFF:
            return or_(and_(waits, LockRecord.cool_off_hours > 0), LockRecord.cool_off_until > now)
        case LockState.COMPLIANCE:
            counts = and_(LockRecord.cool_off_until <= now, LockRecord.expires_at > now)
            return or_(and_(waits, LockRecord.cool_off_hours == 0), counts)
        case LockState.EXPIRED:
            return and_(LockRecord.cool_off_until <= now, LockRecord.expires_at <= now)
