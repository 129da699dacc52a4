"""The lines of a bill: from what was measured to amounts, in exact numbers that are rounded once, in each line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from math import floor

from lamina.control.billing.meter import Piece, Still, Window, count_free, list_runs, measure
from lamina.control.billing.records import LineKind
from lamina.control.metering.records import StorageClass
from lamina.control.tariff.tariff import Span
from lamina.ids import DiskId, RegionId
from lamina.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """What the snapshots of one disk cost at one price; or what is free in a region, with negative numbers.

    amount = byte_hours / 2^30 x price / hours_per_month, rounded. What is free takes off so much that the standard
    lines of the region come to no more than the rounded price of the bytes that are not free: nothing is to be paid
    where all is free, and never less than nothing.

    Attributes:
        kind: what it is about.
        region_id: where the snapshots are.
        disk_id: whose chain; None for what is free.
        storage_class: which of them.
        starts_at: from when on the price was valid, within the month.
        ends_at: until when; for an open month, the end of the last hour that was begun.
        snapshot_count: how many snapshots there were in that time.
        hours: in how many hours there was one.
        byte_hours: bytes times hours, over all snapshots.
        end_bytes: bytes that are there at the end of the time.
        price: of a GiB in a month.
        hours_per_month: by what that is divided for an hour.
        counted_hours: what is begun of so many hours counts whole.
        amount: what is to be paid.
    """

    kind: LineKind
    region_id: RegionId
    disk_id: DiskId | None
    storage_class: StorageClass
    starts_at: datetime
    ends_at: datetime
    snapshot_count: int
    hours: int
    byte_hours: int
    end_bytes: int
    price: Decimal
    hours_per_month: int
    counted_hours: int
    amount: Decimal

    @property
    def gib_hours(self) -> Decimal:
        """What is multiplied with the price, for people: to six places."""
        return round_half_up(Fraction(self.byte_hours, GIB), 6)


def round_half_up(number: Fraction, decimals: int) -> Decimal:
    """To so many places, halves away from zero, as on receipts; -0.005 becomes -0.01."""
    scaled = floor(abs(number) * 10**decimals + Fraction(1, 2))
    # not by arithmetic, which would round to the digits of a context
    return Decimal((int(number < 0 < scaled), tuple(map(int, str(scaled))), -decimals))


def charge(byte_hours: int, price: Decimal, hours_per_month: int, decimals: int) -> Decimal:
    """What so many byte-hours cost."""
    return round_half_up(Fraction(byte_hours, GIB * hours_per_month) * Fraction(price), decimals)


def make_lines(
    region_id: RegionId, span: Span, pieces: Sequence[Piece], still: Sequence[Still]
) -> Iterator[BillLine]:
    """The lines of an account's snapshots in a region, in a time with one price.

    Args:
        region_id: the region.
        span: the time, and what is valid in it.
        pieces: those that touch the time, by snapshot and in the order of their time.
        still: snapshots with which nothing happened in that time, which are not among the pieces.
    """
    hours = span.rule.counted_hours
    window = Window.between(span.starts_at, span.ends_at, hours)
    runs = list(list_runs(pieces, window))
    standard: list[BillLine] = []
    for found in measure(runs, still, pieces, window):
        price, byte_hours = span.price.of(found.storage_class), found.byte_units * hours
        line = BillLine(
            kind=LineKind.STORAGE,
            region_id=region_id,
            disk_id=found.disk_id,
            storage_class=found.storage_class,
            starts_at=span.starts_at,
            ends_at=window.ends_at,
            snapshot_count=found.snapshot_count,
            hours=found.units * hours,
            byte_hours=byte_hours,
            end_bytes=found.end_bytes,
            price=price,
            hours_per_month=span.rule.hours_per_month,
            counted_hours=hours,
            amount=charge(byte_hours, price, span.rule.hours_per_month, span.rule.decimals),
        )
        if line.storage_class is StorageClass.STANDARD:
            standard.append(line)
        yield line
    free = count_free(runs, still, window, floor(span.rule.free_gib * GIB)) * hours
    if free:
        yield _make_free_line(region_id, span, window, -free, standard)


def charge_free(byte_hours: int, standard: Sequence[BillLine], decimals: int) -> Decimal:
    """What is taken off for so many byte-hours, not above zero, from the standard lines of a region and time."""
    one = standard[0]
    paid = charge(
        sum(line.byte_hours for line in standard) + byte_hours, one.price, one.hours_per_month, decimals
    )
    stored = sum(Fraction(line.amount) for line in standard)  # may be less: each was rounded by itself
    return round_half_up(min(Fraction(paid) - stored, Fraction(0)), decimals)


def _make_free_line(
    region_id: RegionId, span: Span, window: Window, byte_hours: int, standard: Sequence[BillLine]
) -> BillLine:
    return BillLine(
        kind=LineKind.FREE,
        region_id=region_id,
        disk_id=None,
        storage_class=StorageClass.STANDARD,
        starts_at=span.starts_at,
        ends_at=window.ends_at,
        snapshot_count=0,
        hours=0,
        byte_hours=byte_hours,
        end_bytes=0,
        price=span.price.standard,
        hours_per_month=span.rule.hours_per_month,
        counted_hours=span.rule.counted_hours,
        amount=charge_free(byte_hours, standard, span.rule.decimals),
    )
