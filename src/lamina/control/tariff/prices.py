"""The price list: what a GiB of snapshots costs in a month, by region and from which day on.

Prices are data with a date and a source, never code: the vendor's own pages contradict one another over time. A list
comes with the package; an operator puts another one in its place with `prices = "my-prices.csv"` in `lamina.toml`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Final, Self

from lamina.control.metering.records import StorageClass
from lamina.control.tariff.dated_file import (
    DatedFileError,
    midnight,
    parse_lines,
    read_day,
    read_number,
    read_text,
)
from lamina.ids import RegionId

DEFAULT: Final = "default"
"""Stands for every region that the list does not know, and for the time before it knows one."""

COLUMNS: Final = (
    "region_id",
    "valid_from",
    "currency",
    "standard_per_gib_month",
    "archive_per_gib_month",
    "source",
    "seen_on",
)
_SHIPPED: Final = "prices.csv"
_REGION: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One line of the list.

    Attributes:
        region_id: a region, or `default`.
        valid_from: the day, in UTC, from whose start on it is valid until the region's next line.
        currency: ISO 4217, such as `USD`.
        standard: per GiB and month.
        archive: per GiB and month of archived snapshots; None if that is not known: they cost as much as others.
        source: who says so.
        seen_on: when that was read, or the date of the source.
    """

    region_id: str
    valid_from: date
    currency: str
    standard: Decimal
    archive: Decimal | None
    source: str
    seen_on: date

    def of(self, storage_class: StorageClass) -> Decimal:
        """What a GiB costs in a month."""
        if storage_class is StorageClass.ARCHIVE and self.archive is not None:
            return self.archive
        return self.standard


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceList:
    """All prices, in one currency.

    Attributes:
        prices: by region, the default first, and by day.
        currency: of all of them.
    """

    prices: tuple[Price, ...]
    currency: str
    _by_region: Mapping[str, tuple[Price, ...]] = field(repr=False)

    @classmethod
    def of(cls, name: str, prices: tuple[Price, ...]) -> Self:
        """A list of these prices.

        Args:
            name: of the file, for messages.
            prices: in any order.

        Raises:
            DatedFileError: they do not make a list: two lines for one day, two currencies, or no default.
        """
        ordered = tuple(
            sorted(prices, key=lambda each: (each.region_id != DEFAULT, each.region_id, each.valid_from))
        )
        currencies = sorted({each.currency for each in ordered})
        if len(currencies) != 1:
            raise DatedFileError(
                name,
                f"it has prices in {' and '.join(currencies)}, and a bill has one currency: write one list in one",
            )
        by_region = {key: tuple(group) for key, group in groupby(ordered, key=lambda each: each.region_id)}
        for region_id, lines in by_region.items():
            days = [each.valid_from for each in lines]
            if len(set(days)) != len(days):
                raise DatedFileError(name, f"it has two lines for {region_id} from one day on")
        if DEFAULT not in by_region or by_region[DEFAULT][0].valid_from > date(1970, 1, 1):
            raise DatedFileError(
                name,
                f"it needs a line for the region {DEFAULT} from 1970-01-01 on, for whatever it leaves out",
            )
        return cls(prices=ordered, currency=currencies[0], _by_region=by_region)

    def find(self, region_id: RegionId, at: datetime) -> Price:
        """The price in a region at an instant from 1970 on."""
        for lines in (self._by_region.get(region_id, ()), self._by_region[DEFAULT]):
            for price in reversed(lines):
                if midnight(price.valid_from) <= at:
                    return price
        raise AssertionError("the default is valid from 1970 on")

    def list_changes(self, region_id: RegionId) -> list[datetime]:
        """The instants from which another line may be valid in a region."""
        lines = (*self._by_region.get(region_id, ()), *self._by_region[DEFAULT])
        return sorted({midnight(each.valid_from) for each in lines})


def read_prices(own: Path | None = None) -> PriceList:
    """The operator's list, or the one that comes with the package.

    Raises:
        DatedFileError: the operator's cannot be used.
    """
    name, text = read_text(_SHIPPED, own)
    return PriceList.of(name, parse_lines(name, text, COLUMNS, _parse))


def _parse(row: dict[str, str]) -> Price:
    if not _REGION.fullmatch(row["region_id"]):
        raise ValueError(f"region_id is {row['region_id']!r} and must be a region, or {DEFAULT}")
    if not _CURRENCY.fullmatch(row["currency"]):
        raise ValueError(f"currency is {row['currency']!r} and must be three capital letters such as USD")
    if not row["source"]:
        raise ValueError("source is empty; say where the price is from")
    archive = row["archive_per_gib_month"]
    return Price(
        region_id=row["region_id"],
        valid_from=read_day(row["valid_from"], "valid_from"),
        currency=row["currency"],
        standard=read_number(row["standard_per_gib_month"], "standard_per_gib_month"),
        archive=read_number(archive, "archive_per_gib_month") if archive else None,
        source=row["source"],
        seen_on=read_day(row["seen_on"], "seen_on"),
    )
