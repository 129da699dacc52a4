"""Billing months: calendar months in UTC, from which no summer time takes an hour."""

import re
from datetime import UTC, datetime
from typing import Final

_NAME: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def month_of(instant: datetime) -> datetime:
    """The first instant of the month that an instant lies in."""
    return instant.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(month: datetime) -> datetime:
    """The first instant of the month behind the one that starts at `month`."""
    year, index = divmod(month.year * 12 + month.month, 12)
    return month.replace(year=year, month=index + 1)


def name_month(month: datetime) -> str:
    """Such as `2026-11`."""
    return f"{month:%Y-%m}"


def parse_month(text: str) -> datetime:
    """The first instant of a month that is written like `2026-11`.

    Raises:
        ValueError: it is not.
    """
    found = _NAME.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise ValueError("it must be a month such as 2026-11")
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
