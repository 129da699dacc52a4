"""Looking at bills: the closed ones as they were written, and the open month as it stands."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select

from lamina.control.billing.close import LINE_COLUMNS, name_bill
from lamina.control.billing.compute import add_up, compute_lines
from lamina.control.billing.errors import BillNotFoundError
from lamina.control.billing.lines import BillLine
from lamina.control.billing.records import BillLineRecord, BillRecord
from lamina.control.metering.months import month_of, name_month, next_month
from lamina.control.metering.records import MeterRecord
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.tariff.tariff import Tariff
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A month of an account, closed or open.

    Attributes:
        month: its first instant.
        number: of the bill; None while the month is open.
        currency: of all amounts.
        lines: by region, time, disk and class.
        total: the sum of their amounts: so far, for an open month.
        forecast: the total at the end of the month if nothing changes until then; of a closed one the same.
        closed_at: when the bill was made; None while the month is open.
    """

    month: datetime
    number: int | None
    currency: str
    lines: tuple[BillLine, ...]
    total: Decimal
    forecast: Decimal
    closed_at: datetime | None

    @property
    def region_totals(self) -> Mapping[RegionId, Decimal]:
        """What each region comes to."""
        totals: dict[RegionId, Decimal] = {}
        for line in self.lines:
            known = totals.get(line.region_id)
            totals[line.region_id] = line.amount if known is None else known + line.amount
        return totals


def list_bills(scope: Scope, part: Slice) -> Page[BillRecord]:
    """The bills of the account, latest month first; open months have none."""
    query = select(BillRecord).where(BillRecord.account_id == scope.account_id)
    order = AgeOrder(created_at=BillRecord.month, id=BillRecord.id)
    bills, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=tuple(bills),
        total_count=total,
        next_key=PageKey(created_at=bills[-1].month, id=bills[-1].id) if has_more else None,
    )


def get_bill(scope: Scope, tariff: Tariff, month: datetime | None = None) -> Bill:
    """A month of the account.

    Args:
        scope: the caller; bills are of all regions.
        tariff: what an open month is computed with.
        month: its first instant; None is the present one.

    Raises:
        BillNotFoundError: the month lies before the first snapshot of the account, or in the future.
    """
    now = scope.clock.now()
    meter = scope.session.get(MeterRecord, scope.account_id)
    present = month_of(now)
    if meter is not None:  # the clock may have been set back into a month that is closed
        present = max(present, meter.sealed_until)
    wanted = present if month is None else month
    bill = scope.session.get(BillRecord, name_bill(scope.account_id, wanted))
    if bill is not None:
        return _read(scope, bill)
    first = present if meter is None else meter.billed_until
    if not first <= wanted <= present:
        raise BillNotFoundError(name_month(wanted), _name_first(scope, first), name_month(present))
    return _estimate(scope, tariff, wanted, now)


def _name_first(scope: Scope, first_open: datetime) -> str:
    query = (
        select(BillRecord.month)
        .where(BillRecord.account_id == scope.account_id)
        .order_by(BillRecord.month)
        .limit(1)
    )
    return name_month(scope.session.scalar(query) or first_open)


def _read(scope: Scope, bill: BillRecord) -> Bill:
    rows = scope.session.scalars(
        select(BillLineRecord).where(BillLineRecord.bill_id == bill.id).order_by(BillLineRecord.number)
    )
    return Bill(
        month=bill.month,
        number=bill.number,
        currency=bill.currency,
        lines=tuple(read_lines(rows)),
        total=bill.total,
        forecast=bill.total,
        closed_at=bill.closed_at,
    )


def read_lines(rows: Iterable[BillLineRecord]) -> Iterable[BillLine]:
    """Rows as lines."""
    return (BillLine(**{name: getattr(row, name) for name in LINE_COLUMNS}) for row in rows)


def _estimate(scope: Scope, tariff: Tariff, month: datetime, now: datetime) -> Bill:
    end = next_month(month)
    until = min(max(now, month), end)
    lines = compute_lines(scope.session, tariff, scope.account_id, month, until)
    expected = compute_lines(scope.session, tariff, scope.account_id, month, end)
    decimals = tariff.rules.find(month).decimals
    return Bill(
        month=month,
        number=None,
        currency=tariff.prices.currency,
        lines=lines,
        total=add_up(lines, decimals),
        forecast=add_up(expected, decimals),
        closed_at=None,
    )
