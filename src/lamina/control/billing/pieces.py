"""Reading the log of sizes: what touches a time, without a look at what lies before or behind it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from lamina.control.billing.meter import Piece, Still
from lamina.control.metering.records import SizeEventRecord
from lamina.ids import AccountId, RegionId

_BYTES: Final = func.coalesce(SizeEventRecord.bytes_after, 0)  # never NULL in what is read


def read_moving(
    session: Session, account_id: AccountId, region_id: RegionId, starts_at: datetime, ends_at: datetime
) -> Sequence[Piece]:
    """The pieces that begin or end within a time, with those of the same snapshots beside them, in order."""
    rows = session.execute(
        select(
            SizeEventRecord.snapshot_id,
            SizeEventRecord.disk_id,
            SizeEventRecord.storage_class,
            _BYTES,
            SizeEventRecord.at,
            SizeEventRecord.ends_at,
        )
        .where(*_touch(account_id, region_id, starts_at, ends_at), ~_is_still(starts_at, ends_at))
        .order_by(SizeEventRecord.snapshot_id, SizeEventRecord.number)
    )
    return [
        Piece(
            snapshot_id=snapshot_id,
            disk_id=disk_id,
            storage_class=storage_class,
            size_bytes=size_bytes,
            starts_at=at,
            ends_at=end,
        )
        for snapshot_id, disk_id, storage_class, size_bytes, at, end in rows
    ]


def read_still(
    session: Session, account_id: AccountId, region_id: RegionId, starts_at: datetime, ends_at: datetime
) -> Sequence[Still]:
    """The snapshots that were there all the time, and always the same: added up by the database."""
    rows = session.execute(
        select(
            SizeEventRecord.disk_id,
            SizeEventRecord.storage_class,
            func.count(),
            func.sum(_BYTES),
        )
        .where(*_touch(account_id, region_id, starts_at, ends_at), _is_still(starts_at, ends_at))
        .group_by(SizeEventRecord.disk_id, SizeEventRecord.storage_class)
    )
    return [
        Still(disk_id=disk_id, storage_class=storage_class, snapshot_count=count, size_bytes=int(size_bytes))
        for disk_id, storage_class, count, size_bytes in rows
    ]


def _touch(
    account_id: AccountId, region_id: RegionId, starts_at: datetime, ends_at: datetime
) -> tuple[ColumnElement[bool], ...]:
    return (
        SizeEventRecord.account_id == account_id,
        SizeEventRecord.region_id == region_id,
        SizeEventRecord.ends_at > starts_at,
        SizeEventRecord.at < ends_at,
        SizeEventRecord.bytes_after.is_not(None),
    )


def _is_still(starts_at: datetime, ends_at: datetime) -> ColumnElement[bool]:
    return (SizeEventRecord.at <= starts_at) & (SizeEventRecord.ends_at >= ends_at)
