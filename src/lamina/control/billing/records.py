"""The tables of bills. A bill is written once, when its month is closed, and never changed."""

from datetime import datetime
from decimal import Decimal
from enum import Enum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from lamina.control.accounts.records import AccountRecord
from lamina.control.exact import Exact
from lamina.control.metering.records import StorageClass
from lamina.control.regions.records import RegionRecord
from lamina.database import Record, one_of
from lamina.ids import AccountId, DiskId, RegionId


class LineKind(Enum):
    """What a line of a bill is about."""

    STORAGE = "storage"  # the snapshots of one disk
    FREE = "free"  # what the rules give for nothing, taken off again; of a region


class BillRecord(Record):
    """The bill of one account for one month.

    Attributes:
        id: the account and the month.
        month: its first instant.
        number: counts the bills of the account, from 1 on.
        currency: of all its amounts, such as `USD`.
        total: the sum of its lines.
        closed_at: when it was made.
    """

    __tablename__ = "bills"
    __table_args__ = (
        Index("ix_bills_account", "account_id", "month", "id", unique=True),
        Index("ix_bills_number", "account_id", "number", unique=True),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[AccountId] = mapped_column(ForeignKey(AccountRecord.id))
    month: Mapped[datetime]
    number: Mapped[int]
    currency: Mapped[str]
    total: Mapped[Decimal] = mapped_column(Exact())
    closed_at: Mapped[datetime]


class BillLineRecord(Record):
    """One line: a chain at one price. See `lines.BillLine` for what the columns mean."""

    __tablename__ = "bill_lines"

    bill_id: Mapped[str] = mapped_column(ForeignKey(BillRecord.id), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[LineKind] = mapped_column(one_of(LineKind))
    region_id: Mapped[RegionId] = mapped_column(ForeignKey(RegionRecord.id))
    disk_id: Mapped[DiskId | None]
    storage_class: Mapped[StorageClass] = mapped_column(one_of(StorageClass))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    snapshot_count: Mapped[int]
    hours: Mapped[int]
    byte_hours: Mapped[int]
    end_bytes: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Exact())
    hours_per_month: Mapped[int]
    counted_hours: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Exact())
