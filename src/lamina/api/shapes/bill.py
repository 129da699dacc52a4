"""What a bill and its lines look like in answers. Amounts are texts: JSON's numbers are not exact."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from lamina.api.schema import param
from lamina.control.billing.lines import BillLine
from lamina.control.billing.queries import Bill
from lamina.control.billing.records import BillRecord
from lamina.control.metering.months import name_month
from lamina.control.snapshots.chain import chain_id
from lamina.ids import DiskId, RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class BillShape:
    """A bill without its lines.

    Attributes:
        number: counts the bills of the account.
    """

    month: str
    number: int
    currency: str
    total: str
    closed_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLineShape:
    """One line; see `lamina.control.billing.lines.BillLine`.

    Attributes:
        kind: storage, or free for what the rules give for nothing.
        start_time: from when on the price was valid.
        end_time: until when; of an open month, the end of the hour that was last begun.
        gib_hours: ByteHours in GiB, to six places.
        end_bytes: what is there at the end.
    """

    kind: str
    region_id: RegionId
    disk_id: DiskId | None
    snapshot_link_id: str | None
    category: str
    start_time: datetime
    end_time: datetime
    snapshot_count: int
    hours: int
    byte_hours: int
    gib_hours: str
    end_bytes: int
    price_per_gib_month: str
    hours_per_month: int
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTotalShape:
    """What a region comes to."""

    region_id: RegionId
    amount: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthShape:
    """A month, closed or open.

    Attributes:
        number: of the bill; absent while the month is open.
        status: closed or open.
        forecast: the total at the end of the month if nothing changes until then.
        closed_time: absent while the month is open.
    """

    month: str
    number: int | None
    status: str
    currency: str
    total: str
    forecast: str
    closed_time: datetime | None
    region_totals: tuple[RegionTotalShape, ...] = param(wire="RegionTotals/RegionTotal")


def show_bill(bill: BillRecord) -> BillShape:
    """A row as answers have it."""
    return BillShape(
        month=name_month(bill.month),
        number=bill.number,
        currency=bill.currency,
        total=_show(bill.total),
        closed_time=bill.closed_at,
    )


def show_month(bill: Bill) -> MonthShape:
    """A bill as answers have it, without its lines."""
    return MonthShape(
        month=name_month(bill.month),
        number=bill.number,
        status="open" if bill.number is None else "closed",
        currency=bill.currency,
        total=_show(bill.total),
        forecast=_show(bill.forecast),
        closed_time=bill.closed_at,
        region_totals=tuple(
            RegionTotalShape(region_id=region_id, amount=_show(amount))
            for region_id, amount in bill.region_totals.items()
        ),
    )


def show_line(line: BillLine) -> BillLineShape:
    """A line as answers have it."""
    return BillLineShape(
        kind=line.kind.value,
        region_id=line.region_id,
        disk_id=line.disk_id,
        snapshot_link_id=None if line.disk_id is None else chain_id(line.disk_id),
        category=line.storage_class.value,
        start_time=line.starts_at,
        end_time=line.ends_at,
        snapshot_count=line.snapshot_count,
        hours=line.hours,
        byte_hours=line.byte_hours,
        gib_hours=_show(line.gib_hours),
        end_bytes=line.end_bytes,
        price_per_gib_month=_show(line.price),
        hours_per_month=line.hours_per_month,
        amount=_show(line.amount),
    )


def _show(number: Decimal) -> str:
    return f"{number:f}"
