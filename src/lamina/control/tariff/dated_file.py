"""Files of dated facts: CSV with a heading, in which each line says from which day on it is valid, and who says so."""

import csv
import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar

from lamina.failures import Refusal

T = TypeVar("T")

_SHIPPED: Final = "control/tariff/data"
_DIGITS_MAX: Final = 18


class DatedFileError(Refusal):
    """A file of prices or rules cannot be used."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} cannot be used: {reason}; mend it, or take it out of lamina.toml")


def read_text(shipped: str, own: Path | None) -> tuple[str, str]:
    """The name and the content of the file that comes with the package, or of the operator's own.

    Raises:
        DatedFileError: the operator's cannot be read.
    """
    if own is None:
        return shipped, files("lamina").joinpath(_SHIPPED, shipped).read_text(encoding="utf-8")
    try:
        return str(own), own.read_text(encoding="utf-8-sig")  # spreadsheets put a mark at the start
    except (OSError, UnicodeDecodeError) as error:
        raise DatedFileError(str(own), f"it cannot be read ({error})") from error


def parse_lines(
    name: str, text: str, columns: Sequence[str], parse: Callable[[dict[str, str]], T]
) -> tuple[T, ...]:
    """Every line as `parse` reads it.

    Raises:
        DatedFileError: the heading is another one, or a line does not fit; the message says which.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    parsed: list[T] = []
    try:
        if tuple(next(reader, ())) != tuple(columns):
            raise DatedFileError(name, f"its first line must be {','.join(columns)}")
        parsed += [parse(_pair(columns, cells)) for cells in reader if cells]
    except (ValueError, csv.Error) as error:
        raise DatedFileError(name, f"line {reader.line_num}: {error}") from error
    if not parsed:
        raise DatedFileError(name, "it says nothing")
    return tuple(parsed)


def _pair(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise ValueError(f"it has {len(cells)} cells and must have {len(columns)}")
    return {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}


def read_day(text: str, what: str) -> date:
    """A day such as `2026-11-01`.

    Raises:
        ValueError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{what} is {text!r} and must be a day such as 2026-11-01") from error


def read_number(text: str, what: str) -> Decimal:
    """A number that is not negative, in plain digits.

    Raises:
        ValueError: it is none.
    """
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{what} is {text!r} and must be a number such as 0.02") from error
    if not (text.isascii() and text.replace(".", "", 1).isdecimal()) or len(text) > _DIGITS_MAX:
        raise ValueError(f"{what} is {text!r} and must be plain digits, at most {_DIGITS_MAX}")
    return number


def read_whole(text: str, what: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`.

    Raises:
        ValueError: it is none.
    """
    if not text.isdecimal() or not text.isascii() or not low <= int(text) <= high:
        raise ValueError(f"{what} is {text!r} and must be a whole number from {low} to {high}")
    return int(text)


def midnight(day: date) -> datetime:
    """The first instant of a day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
