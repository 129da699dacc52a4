from collections.abc import Callable
from datetime import UTC, datetime
from itertools import product

import pytest

from lamina.clock import ManualClock
from lamina.engine.objects.delayed import DelayedStore
from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.retrying import RetryingStore, RetryPolicy
from lamina.engine.objects.store import ObjectExistsError, ObjectMissingError, ObjectStore, RequestKind
from lamina.failures import Cancelled, Corruption, Fault, Refusal

POLICY = RetryPolicy(first_wait_seconds=1, longest_wait_seconds=8, total_seconds=60)


class RecordingClock(ManualClock):
    def __init__(self) -> None:
        super().__init__(datetime(2026, 1, 1, tzinfo=UTC))
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        super().sleep(seconds)


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
def broken() -> FaultyStore:
    store = FaultyStore(MemoryStore())
    store.put("there", b"0123456789")
    return store


@pytest.fixture
def store(broken: FaultyStore, clock: RecordingClock) -> RetryingStore:
    return RetryingStore(broken, clock=clock, policy=POLICY, jitter=lambda: 1.0)


CALLS: dict[str, Callable[[ObjectStore], object]] = {
    "put": lambda store: store.put("new", b"data"),
    "put_new": lambda store: store.put_new("new", b"data"),
    "get": lambda store: store.get("there"),
    "get_range": lambda store: store.get_range("there", 2, 3),
    "get_tail": lambda store: store.get_tail("there", 3),
    "list": lambda store: list(store.list("")),
    "delete": lambda store: store.delete("there"),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


# A torn object is there for good: `put_new` must refuse it, as the next test shows.
@pytest.mark.parametrize(
    ("name", "effect"), [pair for pair in product(CALLS, Effect) if pair != ("put_new", Effect.HALF)]
)
def test_a_passing_fault_is_not_seen(
    broken: FaultyStore, store: RetryingStore, clock: RecordingClock, name: str, effect: Effect
) -> None:
    call = CALLS[name]
    expected = call(copy_of(broken))
    broken.arm(FaultPlan(at_call=1, calls=3, effect=effect))
    assert call(store) == expected
    assert broken.broken == 3
    assert broken.calls == 4
    assert clock.waits == [1, 2, 4]


def copy_of(store: FaultyStore) -> MemoryStore:
    copy = MemoryStore()
    for row in store.list(""):
        copy.put(row.key, store.get(row.key))
    return copy


def test_a_torn_creation_is_not_taken_for_our_own(broken: FaultyStore, store: RetryingStore) -> None:
    broken.arm(FaultPlan(at_call=1, effect=Effect.HALF))
    with pytest.raises(ObjectExistsError):
        store.put_new("new", b"data")


@every_call
def test_retries_end_when_their_time_is_over(
    broken: FaultyStore, store: RetryingStore, clock: RecordingClock, call: Callable[..., object]
) -> None:
    broken.arm(FaultPlan(at_call=1, calls=None))
    with pytest.raises(Fault, match=r"injected .* \(gave up after 10 attempts in 55 s\)") as caught:
        call(store)
    assert caught.value.retryable  # by somebody with more patience
    assert isinstance(caught.value.__cause__, Fault)
    assert clock.waits == [1, 2, 4, 8, 8, 8, 8, 8, 8]
    assert clock.monotonic() == 55 <= POLICY.total_seconds


def test_the_time_of_slow_attempts_counts(broken: FaultyStore, clock: RecordingClock) -> None:
    slow = DelayedStore(broken, clock=clock, seconds_per_request=25, bytes_per_second=float("inf"))
    store = RetryingStore(slow, clock=clock, policy=POLICY, jitter=lambda: 1.0)
    broken.arm(FaultPlan(at_call=1, calls=None))
    with pytest.raises(Fault, match="gave up after 3 attempts in 78 s"):
        store.get("there")
    assert broken.calls == 3


@pytest.mark.parametrize(("chance", "waits"), [(0.0, [0.5, 1, 2, 4, 4]), (0.5, [0.75, 1.5, 3, 6, 6])])
def test_half_of_a_wait_is_left_to_chance(
    broken: FaultyStore, clock: RecordingClock, chance: float, waits: list[float]
) -> None:
    store = RetryingStore(broken, clock=clock, policy=POLICY, jitter=lambda: chance)
    broken.arm(FaultPlan(at_call=1, calls=5))
    store.get("there")
    assert clock.waits == waits


def test_the_default_chance_differs_from_call_to_call(broken: FaultyStore, clock: RecordingClock) -> None:
    store = RetryingStore(
        broken, clock=clock, policy=RetryPolicy(longest_wait_seconds=0.1, total_seconds=1000)
    )
    broken.arm(FaultPlan(at_call=1, calls=200))
    store.get("there")
    assert len(set(clock.waits)) > 100
    assert 0.05 <= min(clock.waits) < 0.06
    assert 0.09 < max(clock.waits) <= 0.1


@pytest.mark.parametrize(
    "error",
    [
        Fault("the disk is gone", retryable=False),
        ObjectMissingError("there"),
        Refusal("no"),
        Corruption("bad"),
        Cancelled("stop"),
        ObjectExistsError("there"),
        ZeroDivisionError("a bug"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
@every_call
def test_what_lasts_is_not_tried_again(
    broken: FaultyStore,
    store: RetryingStore,
    clock: RecordingClock,
    call: Callable[..., object],
    error: BaseException,
) -> None:
    broken.arm(FaultPlan(at_call=1, error=lambda: error))
    with pytest.raises(type(error)) as caught:
        call(store)
    assert caught.value is error
    assert broken.calls == 1
    assert clock.waits == []


def test_a_broken_listing_goes_on_where_it_stopped(broken: FaultyStore, store: RetryingStore) -> None:
    names = [f"k{number:02}" for number in range(40)]
    for name in names:
        broken.put(name, b"")
    broken.arm(FaultPlan(at_call=1, calls=1, effect=Effect.HALF))
    assert [row.key for row in store.list("k")] == names
    assert broken.calls == 2


def test_progress_of_a_listing_renews_its_time(clock: RecordingClock) -> None:
    inner = MemoryStore()
    for number in range(20):
        inner.put(f"k{number:02}", b"")
    rows = list(inner.list(""))

    class OneRowMore(MemoryStore):
        """Breaks off one row later at every attempt."""

        attempts = 0

        def list(self, prefix: str):  # type: ignore[no-untyped-def]  # a test's double
            self.attempts += 1
            yield from rows[: self.attempts]
            if self.attempts < len(rows):
                raise Fault("broke off", retryable=True)

    store = RetryingStore(OneRowMore(), clock=clock, policy=POLICY, jitter=lambda: 1.0)
    assert list(store.list("")) == rows
    assert clock.waits == [1] * 19


def test_kinds_are_retried_alone(broken: FaultyStore, store: RetryingStore) -> None:
    broken.arm(FaultPlan(at_call=2, kind=RequestKind.GET))
    store.put("x", b"1")
    assert store.get("x") == b"1"
    assert store.get("x") == b"1"
    assert (broken.calls, broken.broken) == (3, 1)


def test_the_description_is_that_of_the_store(store: RetryingStore) -> None:
    assert store.describe() == "memory"
