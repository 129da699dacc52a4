"""Closing months: each becomes a bill, in order, exactly once, however late anybody gets to it.

    sealed    from now on no event of the log can fall into the month, whatever the clock says
    billed    the bill is computed from what is now certain, written, and entered in the account's ledger

A crash in between is mended by the next look, which computes the same again. Of two processes that close one month the
second finds it billed.
"""

import logging
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from lamina.control.billing.compute import add_up, compute_lines
from lamina.control.billing.lines import BillLine
from lamina.control.billing.records import BillLineRecord, BillRecord
from lamina.control.installation import Installation
from lamina.control.metering.months import month_of, name_month, next_month
from lamina.control.metering.records import MeterRecord
from lamina.control.payments.post import NewCharge, charge_bill
from lamina.failures import Fault
from lamina.ids import AccountId
from lamina.telemetry import get_logger, log, log_failure

GRACE: Final = timedelta(hours=1)
"""How long after its end a month stays open, so that a clock which is set right by minutes changes no closed month."""

_LOGGER: Final = get_logger(__name__)


def close_months(plant: Installation) -> None:
    """Make the bills of all months that are over. An account that fails is logged; the others get theirs."""
    due = month_of(plant.clock.now() - GRACE)
    with plant.database.reading() as session:
        accounts = session.scalars(
            select(MeterRecord.account_id)
            .where(MeterRecord.billed_until < due)
            .order_by(MeterRecord.billed_until, MeterRecord.account_id)
        ).all()
    for account_id in accounts:
        try:
            while (month := _seal(plant, account_id, due)) is not None:
                _bill(plant, account_id, month)
        except Fault as failure:
            log_failure(_LOGGER, "a month could not be closed", failure, account_id=account_id)


def find_closing(after: datetime) -> datetime:
    """The next instant, behind the given one, at which a month may be closed."""
    return next_month(month_of(after - GRACE)) + GRACE


def _seal(plant: Installation, account_id: AccountId, due: datetime) -> datetime | None:
    """Let no event fall into the next month that has no bill; answers which it is, if one is due."""
    with plant.database.transaction(of=account_id) as session:
        meter = session.get_one(MeterRecord, account_id)
        if meter.billed_until >= due:
            return None
        meter.sealed_until = max(meter.sealed_until, next_month(meter.billed_until))
        return meter.billed_until


def _bill(plant: Installation, account_id: AccountId, month: datetime) -> None:
    end = next_month(month)
    with plant.database.reading() as session:
        lines = compute_lines(session, plant.tariff, account_id, month, end)
    decimals = plant.tariff.rules.find(month).decimals
    with plant.database.transaction(of=account_id) as session:
        meter = session.get_one(MeterRecord, account_id)
        if meter.billed_until != month:
            return  # another process was faster
        meter.billed_until = end
        bill = BillRecord(
            id=name_bill(account_id, month),
            account_id=account_id,
            month=month,
            number=_next_number(session, account_id),
            currency=plant.tariff.prices.currency,
            total=add_up(lines, decimals),
            closed_at=plant.clock.now(),
        )
        session.add(bill)
        session.flush()
        if lines:
            rows = [_to_row(bill.id, number, line) for number, line in enumerate(lines, 1)]
            session.execute(insert(BillLineRecord), rows)
        charge = NewCharge(
            bill_id=bill.id,
            currency=bill.currency,
            total=bill.total,
            is_collected=plant.preferences.collect_payments,
        )
        charge_bill(session, account_id, charge, bill.closed_at, plant.tariff.rules)
    facts = {"account_id": account_id, "month": name_month(month), "lines": len(lines)}
    log(_LOGGER, logging.INFO, "a month was closed", **facts, total=f"{bill.total:f} {bill.currency}")


def name_bill(account_id: AccountId, month: datetime) -> str:
    """The id of a bill, such as `1234567890123456-2026-11`."""
    return f"{account_id}-{name_month(month)}"


def _next_number(session: Session, account_id: AccountId) -> int:
    query = select(func.coalesce(func.max(BillRecord.number), 0)).where(BillRecord.account_id == account_id)
    return session.scalars(query).one() + 1


def _to_row(bill_id: str, number: int, line: BillLine) -> dict[str, Any]:
    """A row as SQLAlchemy inserts many at once."""
    return {
        "bill_id": bill_id,
        "number": number,
        **{name: getattr(line, name) for name in LINE_COLUMNS},
    }


LINE_COLUMNS: Final = (
    "kind",
    "region_id",
    "disk_id",
    "storage_class",
    "starts_at",
    "ends_at",
    "snapshot_count",
    "hours",
    "byte_hours",
    "end_bytes",
    "price",
    "hours_per_month",
    "counted_hours",
    "amount",
)
"""What a line and its row have in common."""
