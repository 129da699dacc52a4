"""How long an instance is paid for in advance."""

import calendar
from datetime import datetime, timedelta

_MONTHS_PER_YEAR = 12


def end_of_weeks(start: datetime, weeks: int) -> datetime:
    """The instant some weeks later."""
    return start + timedelta(weeks=weeks)


def end_of_months(start: datetime, months: int) -> datetime:
    """The same day and time some months later; the last day of a month that is shorter."""
    years, month = divmod(start.month - 1 + months, _MONTHS_PER_YEAR)
    year = start.year + years
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return start.replace(year=year, month=month + 1, day=day)
