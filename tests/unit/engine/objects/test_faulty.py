import pytest

from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.store import ObjectMissingError, RequestKind
from lamina.failures import Fault


class Crash(BaseException):
    pass


@pytest.fixture
def inner() -> MemoryStore:
    store = MemoryStore()
    store.put("a", b"01234567")
    store.put("b", b"")
    return store


@pytest.fixture
def store(inner: MemoryStore) -> FaultyStore:
    return FaultyStore(inner)


def test_every_moment_of_an_operation_can_be_tried() -> None:
    seen = []
    for number in range(1, 10):
        store = FaultyStore(MemoryStore(), FaultPlan(at_call=number))
        try:
            store.put("one", b"1")
            store.put_new("two", b"2")
            store.delete("one")
        except Fault:
            assert store.broken == 1
        if not store.broken:
            break
        seen.append([row.key for row in store.list("")])
    assert seen == [[], ["one"], ["one", "two"]]
    assert number == 4


@pytest.mark.parametrize("method", ["put", "put_new"])
@pytest.mark.parametrize(
    ("effect", "left"), [(Effect.NOTHING, None), (Effect.HALF, b"abcd"), (Effect.ALL, b"abcdefgh")]
)
@pytest.mark.parametrize("lying", [True, False])
def test_a_put_has_the_planned_effect(method: str, effect: Effect, left: bytes | None, lying: bool) -> None:
    inner = MemoryStore()
    store = FaultyStore(inner)
    store.arm(FaultPlan(at_call=1, effect=effect, **({"error": None} if lying else {})))
    if lying:
        getattr(store, method)("new", b"abcdefgh")
    else:
        with pytest.raises(Fault, match="injected") as caught:
            getattr(store, method)("new", b"abcdefgh")
        assert caught.value.retryable
    if left is None:
        with pytest.raises(ObjectMissingError):
            inner.get("new")
    else:
        assert inner.get("new") == left


@pytest.mark.parametrize(
    ("effect", "gone"), [(Effect.NOTHING, False), (Effect.HALF, True), (Effect.ALL, True)]
)
def test_a_delete_has_the_planned_effect(
    inner: MemoryStore, store: FaultyStore, effect: Effect, gone: bool
) -> None:
    store.arm(FaultPlan(at_call=1, effect=effect, error=None))
    store.delete("a")
    assert [row.key for row in inner.list("a")] == ([] if gone else ["a"])


@pytest.mark.parametrize(("effect", "count"), [(Effect.NOTHING, 0), (Effect.HALF, 4), (Effect.ALL, 8)])
def test_a_lying_read_gives_the_planned_part(store: FaultyStore, effect: Effect, count: int) -> None:
    store.arm(FaultPlan(at_call=1, calls=None, effect=effect, error=None))
    assert store.get("a") == b"01234567"[:count]
    assert store.get_range("a", 0, 8) == b"01234567"[:count]
    assert store.get_tail("a", 8) == (b"01234567"[:count], 8)
    assert [row.key for row in store.list("")] == ["a", "b"][: count // 4]
    assert store.broken == 4


def test_a_failing_listing_gives_its_rows_first(store: FaultyStore) -> None:
    store.arm(FaultPlan(at_call=1, effect=Effect.HALF))
    rows = store.list("")
    assert next(rows).key == "a"
    with pytest.raises(Fault, match="injected"):
        next(rows)


def test_a_read_that_does_not_reach_the_store_does_not_find_out_what_is_there(store: FaultyStore) -> None:
    store.arm(FaultPlan(at_call=1, calls=None))
    with pytest.raises(Fault, match="injected"):
        store.get("missing")


@pytest.mark.parametrize("effect", Effect)
def test_a_crash_is_whatever_is_raised(store: FaultyStore, effect: Effect) -> None:
    store.arm(FaultPlan(at_call=1, effect=effect, error=Crash))
    with pytest.raises(Crash):
        store.put("x", b"1")


def test_only_the_planned_kind_is_counted_and_broken(store: FaultyStore) -> None:
    store.arm(FaultPlan(at_call=2, kind=RequestKind.GET_RANGE, calls=2))
    outcomes = []
    for _ in range(4):
        store.get("a")
        list(store.list(""))
        try:
            store.get_range("a", 0, 1)
            outcomes.append("fine")
        except Fault:
            outcomes.append("broken")
    assert outcomes == ["fine", "broken", "broken", "fine"]
    assert (store.calls, store.broken) == (4, 2)


def test_arming_starts_the_count_again(store: FaultyStore) -> None:
    store.get("a")
    assert store.calls == 1
    store.arm(FaultPlan(at_call=1))
    assert store.calls == 0
    with pytest.raises(Fault):
        store.get("a")
    store.arm(None)
    assert store.get("a") == b"01234567"
    assert (store.calls, store.broken) == (1, 0)
