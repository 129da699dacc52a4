"""`Filter.N` of the list actions: a window of creation times."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lamina.api.codes import ApiError, Code
from lamina.api.schema import param

UNKNOWN_FILTER_KEY: Final = Code(404, "InvalidFilterKey.NotFound")
BAD_FILTER_VALUE: Final = Code(404, "InvalidFilterValue")
_FORMATS: Final = ("%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One entry of `Filter.N`."""

    key: str = param(missing=UNKNOWN_FILTER_KEY)
    value: str = param(missing=BAD_FILTER_VALUE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationWindow:
    """Between which instants something was created; `None` is open."""

    start: datetime | None = None
    end: datetime | None = None


def read_creation_window(filters: Iterable[Filter]) -> CreationWindow:
    """The window that the entries describe; their order does not matter.

    Raises:
        ApiError: an entry has another key, or a value that is no time.
    """
    found: dict[str, datetime] = {}
    for entry in filters:
        if entry.key not in ("CreationStartTime", "CreationEndTime"):
            raise ApiError(
                UNKNOWN_FILTER_KEY,
                f"the filter key {entry.key!r} must be CreationStartTime or CreationEndTime",
            )
        found[entry.key] = parse_time(entry.value)
    return CreationWindow(start=found.get("CreationStartTime"), end=found.get("CreationEndTime"))


def parse_time(text: str) -> datetime:
    """A time as clients write it, to the minute or to the second.

    Raises:
        ApiError: it is no time.
    """
    for layout in _FORMATS:
        try:
            return datetime.strptime(text, layout).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ApiError(BAD_FILTER_VALUE, f"the filter value {text!r} must be a time such as 2026-01-31T23:59Z")
