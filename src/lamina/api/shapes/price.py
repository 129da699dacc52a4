"""What a price and a rule of billing look like in answers. Amounts are texts: JSON's numbers are not exact."""

from dataclasses import dataclass
from datetime import datetime

from lamina.control.tariff.prices import PriceList
from lamina.control.tariff.rules import RuleBook
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceShape:
    """What a GiB of snapshots costs in a region in a month, from a day on.

    Attributes:
        region_id: `default` stands for all regions that are not named.
        in_force: whether it is valid at this moment.
        archive_per_gib_month: absent where archived snapshots cost as much as others.
        source: who says so, as of `seen_on`.
    """

    region_id: str
    valid_from: str
    in_force: bool
    currency: str
    standard_per_gib_month: str
    archive_per_gib_month: str | None
    source: str
    seen_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleShape:
    """How bills are computed from a day on; see `lamina.control.tariff.rules.Rule`."""

    valid_from: str
    in_force: bool
    hours_per_month: int
    counted_hours: int
    free_gib: str
    decimals: int
    due_days: int
    suspension_hours: int
    purge_days: int
    source: str
    seen_on: str


def show_prices(prices: PriceList, now: datetime) -> tuple[PriceShape, ...]:
    """The list, the default first."""
    return tuple(
        PriceShape(
            region_id=each.region_id,
            valid_from=each.valid_from.isoformat(),
            in_force=prices.find(RegionId(each.region_id), now) == each,
            currency=each.currency,
            standard_per_gib_month=f"{each.standard:f}",
            archive_per_gib_month=None if each.archive is None else f"{each.archive:f}",
            source=each.source,
            seen_on=each.seen_on.isoformat(),
        )
        for each in prices.prices
    )


def show_rules(rules: RuleBook, now: datetime) -> tuple[RuleShape, ...]:
    """All rules, by day."""
    return tuple(
        RuleShape(
            valid_from=each.valid_from.isoformat(),
            in_force=rules.find(now) == each,
            hours_per_month=each.hours_per_month,
            counted_hours=each.counted_hours,
            free_gib=f"{each.free_gib:f}",
            decimals=each.decimals,
            due_days=each.due_days,
            suspension_hours=each.suspension_hours,
            purge_days=each.purge_days,
            source=each.source,
            seen_on=each.seen_on.isoformat(),
        )
        for each in rules.rules
    )
