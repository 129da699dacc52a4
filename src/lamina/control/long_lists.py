"""What is remembered of long lists, so that showing ten rows of a million does not cost counting a million.

`TotalCount` belongs to every page, and a database can only find it by counting. Lists of up to 500 rows are counted
for every page. The total of a longer one is remembered for a hundred times as long as counting took, so that at most
1% of the time goes into it: that of a thousand rows may be half a second old, that of a million some seconds. So may
be the places of page numbers from the 10,000th row on; pages that are asked for by token are always exact.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lamina.clock import Clock, SystemClock

FAR: Final = 10_000
"""Offsets from which on places are remembered: skipping less takes about a millisecond."""

_LONG: Final = 500
_LASTING: Final = 100  # times as long as counting took
_LISTS_MAX: Final = 1000
_PLACES_MAX: Final = 1000
_STRIPES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PageKey:
    """The place of a row in a list that is sorted by age, newest first. Stays valid when rows come and go."""

    created_at: datetime
    id: str


@dataclass(slots=True, kw_only=True)
class _LongList:
    """One list as it was at a moment; `places` are offsets and the rows that were there."""

    total: int
    stale_at: float
    places: dict[int, PageKey] = field(default_factory=dict)


class LongLists:
    """The totals of long lists, and places in them. Safe for any number of threads.

    Args:
        clock: measures how long counting takes.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._lists: OrderedDict[Hashable, _LongList] = OrderedDict()
        self._lock = threading.Lock()
        self._counting = tuple(threading.Lock() for _ in range(_STRIPES))

    def count(self, key: Hashable, count: Callable[[], int]) -> int:
        """The length of a list: remembered, or counted now.

        Args:
            key: which list, with its owner and all of its filters.
            count: asks the database.
        """
        known = self._find(key)
        if known is not None and not self._is_stale(known):
            return known.total
        # One of a crowd that wants the same list counts. The others take the old total; where there is none, they
        # wait and find the new one.
        turn = self._counting[hash(key) % _STRIPES]
        if not turn.acquire(blocking=known is None):
            assert known is not None
            return known.total
        try:
            known = self._find(key)
            if known is not None and not self._is_stale(known):
                return known.total
            return self._count_now(key, count)
        finally:
            turn.release()

    def find_place(self, key: Hashable, offset: int) -> tuple[int, PageKey] | None:
        """The last place at or before an offset that is known, and its own offset."""
        known = self._find(key)
        if known is None or self._is_stale(known):
            return None
        with self._lock:
            at = max((each for each in known.places if each <= offset), default=None)
            return None if at is None else (at, known.places[at])

    def keep_place(self, key: Hashable, offset: int, row: PageKey) -> None:
        """Remember which row was at an offset, for as long as the total is remembered."""
        known = self._find(key)
        if known is not None:
            with self._lock:
                if len(known.places) < _PLACES_MAX:
                    known.places[offset] = row

    def _find(self, key: Hashable) -> _LongList | None:
        with self._lock:
            return self._lists.get(key)

    def _is_stale(self, known: _LongList) -> bool:
        return known.stale_at <= self._clock.monotonic()

    def _count_now(self, key: Hashable, count: Callable[[], int]) -> int:
        started = self._clock.monotonic()
        total = count()
        ended = self._clock.monotonic()
        with self._lock:
            self._lists.pop(key, None)
            if total > _LONG:
                self._lists[key] = _LongList(total=total, stale_at=ended + _LASTING * (ended - started))
            if len(self._lists) > _LISTS_MAX:
                self._lists.popitem(last=False)
        return total
