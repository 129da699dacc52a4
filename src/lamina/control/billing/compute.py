"""What an account owes for a month: the log of sizes times the tariff. Nothing else goes into a bill."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from sqlalchemy.orm import Session

from lamina.control.billing.lines import BillLine, make_lines
from lamina.control.billing.meter import Window
from lamina.control.billing.pieces import read_moving, read_still
from lamina.control.metering.months import next_month
from lamina.control.regions.queries import list_regions
from lamina.control.tariff.tariff import Tariff
from lamina.ids import AccountId

_TICK: Final = timedelta(microseconds=1)


def compute_lines(
    session: Session, tariff: Tariff, account_id: AccountId, month: datetime, until: datetime
) -> tuple[BillLine, ...]:
    """The lines of a month, by region, time, disk and class, up to the end of the hour that was last begun.

    Args:
        session: one that reads is enough.
        tariff: prices and rules.
        account_id: whose.
        month: its first instant.
        until: the present, or the end of the month. What is there now is taken to stay until then.
    """
    end = min(until + _TICK, next_month(month))  # an hour is begun with its first instant
    lines: list[BillLine] = []
    for region in list_regions(session):
        for span in tariff.split(region.id, month, end):
            reach = Window.between(span.starts_at, span.ends_at, span.rule.counted_hours).ends_at
            place = (account_id, region.id, span.starts_at, reach)
            lines += make_lines(region.id, span, read_moving(session, *place), read_still(session, *place))
    return tuple(lines)


def add_up(lines: Iterable[BillLine], decimals: int) -> Decimal:
    """The sum of the amounts, to so many places also when there is none."""
    return sum((line.amount for line in lines), Decimal((0, (0,), -decimals)))
