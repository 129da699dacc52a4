"""Prices and rules together: all that a bill depends on beside the log of sizes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lamina.control.tariff.prices import Price, PriceList, read_prices
from lamina.control.tariff.rules import Rule, RuleBook, read_rules
from lamina.ids import RegionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in which one price and one rule are valid in a region."""

    starts_at: datetime
    ends_at: datetime
    price: Price
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What is charged."""

    prices: PriceList = field(default_factory=read_prices)
    rules: RuleBook = field(default_factory=read_rules)

    def split(self, region_id: RegionId, starts_at: datetime, ends_at: datetime) -> Iterator[Span]:
        """A time in a region, cut where a price or a rule changes. Cuts are the midnights of UTC."""
        changes = {*self.prices.list_changes(region_id), *self.rules.list_changes()}
        starts = [starts_at, *sorted(each for each in changes if starts_at < each < ends_at)]
        facts = [(self.prices.find(region_id, start), self.rules.find(start)) for start in starts]
        # the list's changes for other regions cut nothing here
        kept = [at for at in range(len(starts)) if at == 0 or facts[at] != facts[at - 1]]
        for at, following in zip(kept, [*kept[1:], None], strict=True):
            price, rule = facts[at]
            end = ends_at if following is None else starts[following]
            yield Span(starts_at=starts[at], ends_at=end, price=price, rule=rule)


def read_tariff(prices: Path | None, rules: Path | None) -> Tariff:
    """The operator's files where there are some, otherwise those that come with the package.

    Raises:
        DatedFileError: a file of the operator's cannot be used.
    """
    return Tariff(prices=read_prices(prices), rules=read_rules(rules))
