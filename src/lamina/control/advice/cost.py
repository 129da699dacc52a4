"""What stored bytes cost in a month, by the functions that make bills."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import lcm
from typing import Final, Self

from lamina.control.advice.chains import Weights
from lamina.control.billing.lines import make_lines, round_half_up
from lamina.control.billing.meter import Still
from lamina.control.metering.records import StorageClass
from lamina.control.tariff.tariff import Span, Tariff
from lamina.ids import DiskId, RegionId
from lamina.units import GIB

DECIMALS: Final = 6
"""Places of amounts in advice: a bill's two would show nothing of most snapshots."""

_EXACT: Final = 60  # places; bytes by 2^30 have 30, and prices at most 18
_DAY_HOURS: Final = 24
_ANY_DISK: Final = DiskId("any")  # who has the bytes does not change what they cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What is charged at an instant, for a region's stored bytes.

    Attributes:
        span: whole days, and as many as make whole months of the rule; with the price and the rule of the instant.
    """

    span: Span

    @classmethod
    def at(cls, tariff: Tariff, region_id: RegionId, now: datetime) -> Self:
        """What is valid now, without the rounding of bills."""
        start = now.replace(hour=0, minute=0, second=0, microsecond=0)
        rule = replace(tariff.rules.find(now), decimals=_EXACT)
        price = tariff.prices.find(region_id, now)
        end = start + timedelta(hours=lcm(rule.hours_per_month, _DAY_HOURS))
        return cls(span=Span(starts_at=start, ends_at=end, price=price, rule=rule))

    def charge_month(self, weights: Weights) -> Fraction:
        """What it costs for as many hours as a month has in the rules, free storage taken off."""
        still = [
            Still(disk_id=_ANY_DISK, storage_class=storage_class, snapshot_count=1, size_bytes=size_bytes)
            for storage_class, size_bytes in weights.items()
        ]
        lines = make_lines(RegionId(self.span.price.region_id), self.span, [], still)
        months = Fraction(lcm(self.span.rule.hours_per_month, _DAY_HOURS), self.span.rule.hours_per_month)
        return sum((Fraction(line.amount) for line in lines), Fraction(0)) / months

    def charge_paid(self, weights: Weights) -> Fraction:
        """The same as if nothing was free."""
        return sum(
            (Fraction(size, GIB) * Fraction(self.span.price.of(each)) for each, size in weights.items()),
            Fraction(0),
        )


def replace_weights(all_weights: Weights, before: Weights, after: Weights) -> Mapping[StorageClass, int]:
    """All weights of a region, with those of one chain replaced."""
    return {
        each: all_weights.get(each, 0) - before.get(each, 0) + after.get(each, 0) for each in StorageClass
    }


def show_amount(amount: Fraction) -> Decimal:
    """As advice shows it."""
    return round_half_up(amount, DECIMALS)
