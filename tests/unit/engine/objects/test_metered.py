import dataclasses
import threading
from datetime import UTC, datetime

import pytest

from lamina.clock import ManualClock
from lamina.engine.objects.delayed import DelayedStore
from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore, RequestUsage
from lamina.engine.objects.store import ObjectMissingError, RequestKind
from lamina.failures import Fault


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def inner(clock: ManualClock) -> FaultyStore:
    return FaultyStore(
        DelayedStore(MemoryStore(), clock=clock, seconds_per_request=2, bytes_per_second=float("inf"))
    )


@pytest.fixture
def store(inner: FaultyStore, clock: ManualClock) -> MeteredStore:
    return MeteredStore(inner, clock=clock)


def usage(store: MeteredStore, kind: RequestKind) -> RequestUsage:
    return store.snapshot().by_kind[kind]


def test_every_kind_is_counted_by_itself(store: MeteredStore) -> None:
    store.put("a", b"12345")
    store.put("b", memoryview(b"12345678").cast("H"))
    store.put_new("c", b"123")
    store.get("a")
    store.get_range("a", 3, 10)
    store.get_tail("a", 4)
    list(store.list(""))
    store.delete("a")
    assert dict(store.snapshot().by_kind) == {
        RequestKind.PUT: RequestUsage(requests=2, bytes_sent=13, seconds=4),
        RequestKind.PUT_NEW: RequestUsage(requests=1, bytes_sent=3, seconds=2),
        RequestKind.GET: RequestUsage(requests=1, bytes_received=5, seconds=2),
        RequestKind.GET_RANGE: RequestUsage(requests=1, bytes_received=2, seconds=2),
        RequestKind.GET_TAIL: RequestUsage(requests=1, bytes_received=4, seconds=2),
        RequestKind.LIST: RequestUsage(requests=1, seconds=2),
        RequestKind.DELETE: RequestUsage(requests=1, seconds=2),
    }
    assert store.snapshot().total == RequestUsage(requests=8, bytes_sent=16, bytes_received=11, seconds=16)


def test_failed_requests_count_and_so_do_their_bytes(inner: FaultyStore, store: MeteredStore) -> None:
    inner.arm(FaultPlan(at_call=1, effect=Effect.ALL))
    with pytest.raises(Fault):
        store.put("a", b"12345")
    with pytest.raises(ObjectMissingError):
        store.get("nothing")
    assert usage(store, RequestKind.PUT) == RequestUsage(requests=1, errors=1, bytes_sent=5, seconds=2)
    assert usage(store, RequestKind.GET) == RequestUsage(requests=1, errors=1, seconds=2)


@pytest.mark.parametrize(("rows", "requests"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3)])
def test_a_listing_counts_a_request_for_every_thousand_rows_started(
    store: MeteredStore, inner: FaultyStore, rows: int, requests: int
) -> None:
    for number in range(rows):
        inner.put(f"{number}", b"")
    assert len(list(store.list(""))) == rows
    assert usage(store, RequestKind.LIST).requests == requests


def test_the_time_a_listing_spends_with_its_reader_is_not_counted(
    store: MeteredStore, clock: ManualClock
) -> None:
    store.put("a", b"")
    for _ in store.list(""):
        clock.sleep(1000)
    assert usage(store, RequestKind.LIST).seconds == 2


def test_a_listing_that_breaks_counts_one_error(inner: FaultyStore, store: MeteredStore) -> None:
    store.put("a", b"")
    store.put("b", b"")
    inner.arm(FaultPlan(at_call=1, effect=Effect.HALF))
    with pytest.raises(Fault):
        list(store.list(""))
    assert usage(store, RequestKind.LIST).errors == 1


def test_a_snapshot_stays_as_it_was(store: MeteredStore) -> None:
    before = store.snapshot()
    store.put("a", b"12345")
    assert before.total == RequestUsage()
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.by_kind = {}  # type: ignore[misc]  # what the test is about
    with pytest.raises(TypeError):
        before.by_kind[RequestKind.PUT] = RequestUsage()  # type: ignore[index]  # what the test is about


def test_threads_do_not_lose_counts(clock: ManualClock) -> None:
    store = MeteredStore(MemoryStore(), clock=clock)

    def work(name: str) -> None:
        for _ in range(500):
            store.put(name, b"12")
            store.get(name)

    threads = [threading.Thread(target=work, args=(f"{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.snapshot().total == RequestUsage(requests=6000, bytes_sent=6000, bytes_received=6000)
