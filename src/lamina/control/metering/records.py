"""The tables of the meter: the log of sizes, and how far each account's log is closed."""

from datetime import UTC, datetime
from enum import Enum
from typing import Final

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.regions.records import RegionRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, DiskId, RegionId, SnapshotId

FOREVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""The end of what has not ended; an instant, so that one index range finds whatever ends after another one."""


class StorageClass(Enum):
    """How stored bytes are priced."""

    STANDARD = "standard"
    ARCHIVE = "archive"


class SizeEventRecord(Record):
    """From an instant on, a snapshot came to something else: one line of the log, which only grows.

    Attributes:
        number: 1 for the first event of the snapshot, and so on.
        disk_id: its chain, together with the region.
        storage_class: as what the bytes are priced from now on; of a snapshot that is gone, as what they were.
        bytes_before: None if it was not there.
        bytes_after: None if it is gone.
        at: when the change counts. The events of a snapshot never share an instant, and none lies in a closed month.
        ends_at: when the next event took over. It follows from the log; kept so that a month is found by an index.
        recorded_at: what the clock said; before `at` when the clock had been set back, and for an archived snapshot
            that was deleted before it had been archived for as long as is billed at least.
    """

    __tablename__ = "size_events"
    __table_args__ = (
        CheckConstraint("bytes_before IS NOT NULL OR bytes_after IS NOT NULL", name="something"),
        CheckConstraint("bytes_after >= 0", name="positive"),
        Index("ix_size_events_account", "account_id", "region_id", "ends_at", "at"),
    )

    snapshot_id: Mapped[SnapshotId] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    disk_id: Mapped[DiskId]
    storage_class: Mapped[StorageClass] = mapped_column(one_of(StorageClass))
    bytes_before: Mapped[int | None]
    bytes_after: Mapped[int | None]
    at: Mapped[datetime]
    ends_at: Mapped[datetime]
    recorded_at: Mapped[datetime]


class MeterRecord(Record):
    """How far the log of an account is closed and billed; made with its first event.

    Attributes:
        sealed_until: no event can be added before this instant any more; the first instant of a month.
        billed_until: the months before this instant have their bills; the first instant of a month.
    """

    __tablename__ = "meters"
    __table_args__ = (Index("ix_meters_billed_until", "billed_until"),)

    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id), primary_key=True)
    sealed_until: Mapped[datetime]
    billed_until: Mapped[datetime]
