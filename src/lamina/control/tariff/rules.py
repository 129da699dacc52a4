"""The rules of billing, by the day from which they are valid: dated data like the prices, and for the same reason."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Self

from lamina.control.tariff.dated_file import (
    DatedFileError,
    midnight,
    parse_lines,
    read_day,
    read_number,
    read_text,
    read_whole,
)

COLUMNS: Final = (
    "valid_from",
    "hours_per_month",
    "counted_hours",
    "free_gib",
    "decimals",
    "due_days",
    "suspension_hours",
    "purge_days",
    "source",
    "seen_on",
)
_SHIPPED: Final = "rules.csv"
_DAY_HOURS: Final = 24
_MONTH_HOURS_MAX: Final = 10_000
_DECIMALS_MAX: Final = 12
_DUE_DAYS_MAX: Final = 3660


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is valid from a day on.

    Attributes:
        valid_from: the day, in UTC.
        hours_per_month: by how much a monthly price is divided for an hour.
        counted_hours: what is begun counts whole: 1 is the hour, 24 the day in UTC.
        free_gib: standard storage of an account in a region that costs nothing.
        decimals: to how many places the amount of a line is rounded, halves away from zero.
        due_days: a bill is to be paid until so many days after it was made.
        suspension_hours: so long after payments became overdue the service is suspended.
        purge_days: and so long after that same instant everything goes that nothing holds.
        source: who says so.
        seen_on: when that was read, or the date of the source.
    """

    valid_from: date
    hours_per_month: int
    counted_hours: int
    free_gib: Decimal
    decimals: int
    due_days: int
    suspension_hours: int
    purge_days: int
    source: str
    seen_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleBook:
    """All rules, by day."""

    rules: tuple[Rule, ...]

    @classmethod
    def of(cls, name: str, rules: tuple[Rule, ...]) -> Self:
        """A book of these rules, in any order.

        Raises:
            DatedFileError: two for one day, or none for the beginning.
        """
        ordered = tuple(sorted(rules, key=lambda each: each.valid_from))
        if len({each.valid_from for each in ordered}) != len(ordered):
            raise DatedFileError(name, "it has two lines from one day on")
        if ordered[0].valid_from > date(1970, 1, 1):
            raise DatedFileError(name, "its first line must be valid from 1970-01-01 on")
        return cls(rules=ordered)

    def find(self, at: datetime) -> Rule:
        """The rule at an instant from 1970 on."""
        return next(each for each in reversed(self.rules) if midnight(each.valid_from) <= at)

    def list_changes(self) -> list[datetime]:
        """The instants from which another rule is valid."""
        return [midnight(each.valid_from) for each in self.rules]


def read_rules(own: Path | None = None) -> RuleBook:
    """The operator's rules, or those that come with the package.

    Raises:
        DatedFileError: the operator's cannot be used.
    """
    name, text = read_text(_SHIPPED, own)
    return RuleBook.of(name, parse_lines(name, text, COLUMNS, _parse))


def _parse(row: dict[str, str]) -> Rule:
    counted = read_whole(row["counted_hours"], "counted_hours", 1, _DAY_HOURS)
    if _DAY_HOURS % counted:
        raise ValueError(f"counted_hours is {counted} and must divide a day of {_DAY_HOURS}")
    if not row["source"]:
        raise ValueError("source is empty; say where the rule is from")
    suspension_hours = read_whole(row["suspension_hours"], "suspension_hours", 0, _DUE_DAYS_MAX * _DAY_HOURS)
    purge_days = read_whole(row["purge_days"], "purge_days", 0, _DUE_DAYS_MAX)
    if purge_days * _DAY_HOURS < suspension_hours:
        raise ValueError(
            "purge_days must not end before suspension_hours: nothing goes before the suspension"
        )
    return Rule(
        valid_from=read_day(row["valid_from"], "valid_from"),
        hours_per_month=read_whole(row["hours_per_month"], "hours_per_month", 1, _MONTH_HOURS_MAX),
        counted_hours=counted,
        free_gib=read_number(row["free_gib"], "free_gib"),
        decimals=read_whole(row["decimals"], "decimals", 0, _DECIMALS_MAX),
        due_days=read_whole(row["due_days"], "due_days", 0, _DUE_DAYS_MAX),
        suspension_hours=suspension_hours,
        purge_days=purge_days,
        source=row["source"],
        seen_on=read_day(row["seen_on"], "seen_on"),
    )
