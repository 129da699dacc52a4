"""Checking what was derived from the log of sizes against the log: the ends of its events, and the latest bills.

The ends are put right, because they follow from the log. A bill never changes once it is made: if it is not what the
log says, that is damage, and said aloud.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import case, func, literal, select
from sqlalchemy.orm import Session, aliased

from lamina.control.billing.lines import BillLine, charge, charge_free
from lamina.control.billing.meter import Window, list_runs, measure
from lamina.control.billing.pieces import read_moving, read_still
from lamina.control.billing.queries import read_lines
from lamina.control.billing.records import BillLineRecord, BillRecord, LineKind
from lamina.control.installation import Installation
from lamina.control.metering.months import name_month, next_month
from lamina.control.metering.records import FOREVER, MeterRecord, SizeEventRecord
from lamina.control.regions.queries import list_regions
from lamina.database import Instant
from lamina.ids import AccountId, RegionId
from lamina.telemetry import get_logger, log

_LOGGER: Final = get_logger(__name__)
_LOOK_BACK: Final = timedelta(days=70)  # the month before this one, and what was looked at when that was new


def check_bills(plant: Installation) -> None:
    """Put the ends of the log right, and compare the latest bill of every account with the log."""
    since = plant.clock.now() - _LOOK_BACK
    with plant.database.reading() as session:
        accounts = session.scalars(select(MeterRecord.account_id).order_by(MeterRecord.account_id)).all()
        regions = [region.id for region in list_regions(session)]
    for account_id in accounts:
        with plant.database.transaction(of=account_id) as session:
            mended = sum(mend_ends(session, account_id, region_id, since) for region_id in regions)
        if mended:
            facts = {"account_id": account_id, "count": mended}
            log(_LOGGER, logging.CRITICAL, "ends in the log of sizes were wrong", **facts)
        _check_latest(plant, account_id)


def mend_ends(session: Session, account_id: AccountId, region_id: RegionId, since: datetime) -> int:
    """Give the events that still held after `since` the end that follows from the log; answers how many had another."""
    event, before, behind = SizeEventRecord, aliased(SizeEventRecord), aliased(SizeEventRecord)
    recent = (event.account_id == account_id, event.region_id == region_id, event.ends_at > since)
    end = case(
        (event.bytes_after.is_(None), event.at), else_=func.coalesce(behind.at, literal(FOREVER, Instant()))
    )
    follows = (behind.snapshot_id == event.snapshot_id) & (behind.number == event.number + 1)
    own = session.execute(select(event, end).outerjoin(behind, follows).where(*recent, event.ends_at != end))
    precedes = (before.snapshot_id == event.snapshot_id) & (before.number == event.number - 1)
    earlier = session.execute(
        select(before, event.at)
        .join(event, precedes)
        .where(*recent, before.bytes_after.is_not(None), before.ends_at != event.at)
    )
    wrong = [(row, instant) for row, instant in [*own, *earlier] if row.ends_at != instant]
    for row, instant in wrong:
        row.ends_at = instant
    session.flush()
    return len({(row.snapshot_id, row.number) for row, _ in wrong})


def compare_bill(session: Session, bill: BillRecord) -> tuple[str, ...]:
    """What in a bill is not as the log and the bill's own prices say; nothing, if all is well."""
    rows = session.scalars(
        select(BillLineRecord).where(BillLineRecord.bill_id == bill.id).order_by(BillLineRecord.number)
    )
    lines = tuple(read_lines(rows))
    found = [
        f"{_name(line)}: {line.amount} is not its price" for line in lines if not _is_priced(line, lines)
    ]
    if sum(line.amount for line in lines) != bill.total:
        found.append(f"{bill.total} is not the sum of its lines")
    for region in list_regions(session):
        of_region = [each for each in lines if each.region_id == region.id and each.kind is LineKind.STORAGE]
        found += _compare_region(session, bill, region.id, of_region)
    return tuple(found)


def _check_latest(plant: Installation, account_id: AccountId) -> None:
    with plant.database.reading() as session:
        bill = session.scalars(
            select(BillRecord)
            .where(BillRecord.account_id == account_id)
            .order_by(BillRecord.month.desc())
            .limit(1)
        ).first()
        differences = () if bill is None else compare_bill(session, bill)
    if bill is not None and differences:
        facts = {"account_id": account_id, "month": name_month(bill.month), "differences": differences}
        log(_LOGGER, logging.CRITICAL, "a bill is not what the log says", **facts)


def _compare_region(
    session: Session, bill: BillRecord, region_id: RegionId, lines: Sequence[BillLine]
) -> Iterator[str]:
    spans = {(line.starts_at, line.ends_at, line.counted_hours) for line in lines}
    billed = {(line.starts_at, line.disk_id, line.storage_class): line for line in lines}
    for starts_at, ends_at, counted_hours in spans or {(bill.month, next_month(bill.month), 1)}:
        place = (bill.account_id, region_id, starts_at, ends_at)
        window = Window.between(starts_at, ends_at, counted_hours)
        pieces, still = read_moving(session, *place), read_still(session, *place)
        for each in measure(list_runs(pieces, window), still, pieces, window):
            line = billed.pop((starts_at, each.disk_id, each.storage_class), None)
            if line is None:
                yield f"{region_id} {each.disk_id}: it is not in the bill"
            elif line.byte_hours != each.byte_units * counted_hours:
                yield f"{_name(line)}: {line.byte_hours} byte-hours are {each.byte_units * counted_hours} in the log"
    for line in billed.values():
        yield f"{_name(line)}: it is not in the log"


def _is_priced(line: BillLine, lines: Iterable[BillLine]) -> bool:
    exponent = line.amount.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is a number"
    if line.kind is LineKind.FREE:
        place = (LineKind.STORAGE, line.region_id, line.storage_class, line.starts_at)
        standard = [
            each for each in lines if (each.kind, each.region_id, each.storage_class, each.starts_at) == place
        ]
        return bool(standard) and charge_free(line.byte_hours, standard, -exponent) == line.amount
    return charge(line.byte_hours, line.price, line.hours_per_month, -exponent) == line.amount


def _name(line: BillLine) -> str:
    return f"{line.region_id} {line.disk_id or 'free'} {line.storage_class.value}"
