"""Writing the log of sizes. Called in the transaction that changes what a snapshot comes to, and by nobody else.

The log is compared with what is told, so that telling the same twice adds nothing. The clock may be wrong, but the
order of the log is right: an event never counts from an instant before that of the one before it, nor from within a
month that is closed. So set back as it may be, an hour is never counted twice, and none is negative.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.metering.months import month_of
from lamina.control.metering.records import FOREVER, MeterRecord, SizeEventRecord, StorageClass
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId

_TICK: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose size it is."""

    snapshot_id: SnapshotId
    disk_id: DiskId
    account_id: AccountId
    region_id: RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What a snapshot comes to.

    Attributes:
        storage_class: as what it is priced.
        size_bytes: bytes of its blocks that the snapshot before it in the chain does not have.
    """

    storage_class: StorageClass
    size_bytes: int


def note_size(
    session: Session,
    subject: Subject,
    holding: Holding | None,
    now: datetime,
    *,
    least_archived: timedelta = timedelta(0),
) -> bool:
    """Add an event if a snapshot comes to something else than the log says.

    Args:
        session: of the transaction that changes it; it writes for the account.
        subject: which snapshot.
        holding: what it comes to from now on; None if nobody pays for it, because it is not finished, or gone.
        now: what the clock says.
        least_archived: for how long an archived snapshot counts at least. The event then counts from the end of that
            time on, which may lie ahead.

    Returns:
        Whether there was anything to add.
    """
    last = session.scalars(
        select(SizeEventRecord)
        .where(SizeEventRecord.snapshot_id == subject.snapshot_id)
        .order_by(SizeEventRecord.number.desc())
        .limit(1)
    ).first()
    if _tell(last) == holding:
        return False
    at = max(now, _open_meter(session, subject.account_id, now).sealed_until)
    if last is not None:
        at = max(at, last.at + _TICK)
        if least_archived and last.storage_class is StorageClass.ARCHIVE:
            at = max(at, _find_archiving(session, subject.snapshot_id) + least_archived)
        last.ends_at = at if last.bytes_after is not None else last.ends_at
    session.add(_make_event(subject, last, holding, at=at, now=now))
    session.flush()
    return True


def _tell(last: SizeEventRecord | None) -> Holding | None:
    """What the log says now."""
    if last is None or last.bytes_after is None:
        return None
    return Holding(storage_class=last.storage_class, size_bytes=last.bytes_after)


def _find_archiving(session: Session, snapshot_id: SnapshotId) -> datetime:
    """Since when a snapshot counts as archived; there is no way back from that."""
    return session.scalars(
        select(SizeEventRecord.at)
        .where(
            SizeEventRecord.snapshot_id == snapshot_id, SizeEventRecord.storage_class == StorageClass.ARCHIVE
        )
        .order_by(SizeEventRecord.number)
        .limit(1)
    ).one()


def _open_meter(session: Session, account_id: AccountId, now: datetime) -> MeterRecord:
    meter = session.get(MeterRecord, account_id)
    if meter is None:
        month = month_of(now)
        meter = MeterRecord(account_id=account_id, sealed_until=month, billed_until=month)
        session.add(meter)
    return meter


def _make_event(
    subject: Subject, last: SizeEventRecord | None, holding: Holding | None, *, at: datetime, now: datetime
) -> SizeEventRecord:
    if holding is not None:
        storage_class, ends_at = holding.storage_class, FOREVER
    else:
        assert last is not None, "what was never there cannot go"
        storage_class, ends_at = last.storage_class, at
    return SizeEventRecord(
        snapshot_id=subject.snapshot_id,
        number=1 if last is None else last.number + 1,
        account_id=subject.account_id,
        region_id=subject.region_id,
        disk_id=subject.disk_id,
        storage_class=storage_class,
        bytes_before=None if last is None else last.bytes_after,
        bytes_after=None if holding is None else holding.size_bytes,
        at=at,
        ends_at=ends_at,
        recorded_at=now,
    )
