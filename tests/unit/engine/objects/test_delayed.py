from datetime import UTC, datetime

import pytest

from lamina.clock import ManualClock
from lamina.engine.objects.delayed import DelayedStore
from lamina.engine.objects.memory import MemoryStore


@pytest.mark.parametrize(
    ("call", "seconds"),
    [
        (lambda store: store.put("a", b"x" * 50), 0.5 + 5),
        (lambda store: store.put_new("b", b"x" * 50), 0.5 + 5),
        (lambda store: store.get("there"), 0.5 + 10),
        (lambda store: store.get_range("there", 90, 20), 0.5 + 1),
        (lambda store: store.get_tail("there", 20), 0.5 + 2),
        (lambda store: list(store.list("")), 0.5),
        (lambda store: list(store.list("none")), 0.5),
        (lambda store: store.delete("there"), 0.5),
    ],
    ids=["put", "put_new", "get", "get_range", "get_tail", "list", "empty list", "delete"],
)
def test_a_request_takes_its_latency_and_the_time_of_its_bytes(call, seconds: float) -> None:
    inner = MemoryStore()
    inner.put("there", b"x" * 100)
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    call(DelayedStore(inner, clock=clock, seconds_per_request=0.5, bytes_per_second=10))
    assert clock.monotonic() == pytest.approx(seconds)


@pytest.mark.parametrize(("rows", "requests"), [(1000, 1), (1001, 2), (2001, 3)])
def test_a_long_listing_takes_a_request_for_every_thousand_rows(rows: int, requests: int) -> None:
    inner = MemoryStore()
    for number in range(rows):
        inner.put(f"{number}", b"")
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    store = DelayedStore(inner, clock=clock, seconds_per_request=0.5, bytes_per_second=10)
    assert len(list(store.list(""))) == rows
    assert clock.monotonic() == 0.5 * requests
