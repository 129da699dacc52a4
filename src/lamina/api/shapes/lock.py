"""A lock on a snapshot, as LockSnapshot and DescribeLockedSnapshots show it."""

from dataclasses import dataclass
from datetime import datetime

from lamina.control.snapshots.lock_queries import LockView
from lamina.ids import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class LockShape:
    """One lock; while its snapshot is being created, it has no times yet.

    Attributes:
        cool_off_period: hours.
        lock_duration: days.
    """

    snapshot_id: SnapshotId
    lock_mode: str
    lock_status: str
    lock_duration: int
    cool_off_period: int
    lock_creation_time: datetime
    lock_duration_start_time: datetime | None
    cool_off_period_expired_time: datetime | None
    lock_expired_time: datetime | None


def show_lock(view: LockView) -> LockShape:
    """A lock for an answer."""
    lock = view.lock
    return LockShape(
        snapshot_id=lock.snapshot_id,
        lock_mode="compliance",
        lock_status=view.state.value,
        lock_duration=lock.duration_days,
        cool_off_period=lock.cool_off_hours,
        lock_creation_time=lock.created_at,
        lock_duration_start_time=lock.starts_at,
        cool_off_period_expired_time=lock.cool_off_until,
        lock_expired_time=lock.expires_at,
    )
