"""Break calls on purpose: for tests and drills that must survive a store failing at any moment."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TypeVar

from lamina.engine.objects.store import Buffer, ObjectInfo, ObjectStore, RequestKind, view_bytes
from lamina.failures import Fault

T = TypeVar("T")


class Effect(Enum):
    """How much of a broken call really happens."""

    NOTHING = "nothing"
    """A put or delete does not reach the store; a read gives no bytes, a listing no rows."""
    HALF = "half"
    """A put stores the first half of its bytes, over what was there; a read or listing gives the first half;
    a delete, which has no half, happens."""
    ALL = "all"


def injected_fault() -> Fault:
    """What a broken call raises unless told otherwise."""
    return Fault("injected by a FaultyStore", retryable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which calls break, and how.

    Attributes:
        at_call: the first call that breaks, counted from 1 since the plan was armed.
        kind: count and break calls of this kind only.
        calls: how many calls in a row break; without a number, all from there on.
        effect: how much of a broken call happens.
        error: makes what it raises: a fault, or any `BaseException` to model a crash. None models a store
            that lies: the call returns as if all was well.
    """

    at_call: int
    kind: RequestKind | None = None
    calls: int | None = 1
    effect: Effect = Effect.NOTHING
    error: Callable[[], BaseException] | None = injected_fault

    def breaks(self, call: int) -> bool:
        """Whether the call with this number breaks."""
        return self.at_call <= call and (self.calls is None or call < self.at_call + self.calls)


class FaultyStore:
    """Passes calls on, except those that its plan breaks.

    To try every moment, arm `at_call` 1, 2, 3, … and stop when the operation ends with `broken` still 0.
    """

    def __init__(self, inner: ObjectStore, plan: FaultPlan | None = None) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._plan = plan
        self._calls = 0
        self._broken = 0

    @property
    def calls(self) -> int:
        """Calls of the plan's kind since it was armed; a listing is one, when its first row is asked for."""
        return self._calls

    @property
    def broken(self) -> int:
        """How many of them were broken."""
        return self._broken

    def arm(self, plan: FaultPlan | None) -> None:
        """Follow this plan from now on, counting from 1 again; None only counts."""
        with self._lock:
            self._plan = plan
            self._calls = 0
            self._broken = 0

    def put(self, key: str, data: Buffer) -> None:
        """Create or replace `key`."""
        self._write(RequestKind.PUT, lambda: self._inner.put(key, data), lambda: self._tear(key, data))

    def put_new(self, key: str, data: Buffer) -> None:
        """Create `key`; the half of a broken one replaces what is there."""
        self._write(
            RequestKind.PUT_NEW, lambda: self._inner.put_new(key, data), lambda: self._tear(key, data)
        )

    def get(self, key: str) -> bytes:
        """All bytes of an object, or what the plan leaves of them."""
        plan = self._next_plan(RequestKind.GET)
        return _cut(plan, _before(plan, lambda: self._inner.get(key)))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Bytes `[offset, offset + length)`, or what the plan leaves of them."""
        plan = self._next_plan(RequestKind.GET_RANGE)
        return _cut(plan, _before(plan, lambda: self._inner.get_range(key, offset, length)))

    def get_tail(self, key: str, length: int) -> tuple[bytes, int]:
        """The last `length` bytes, or what the plan leaves of them, and the object's true size."""
        plan = self._next_plan(RequestKind.GET_TAIL)
        data, size = _before(plan, lambda: self._inner.get_tail(key, length))
        return _cut(plan, data), size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose key starts with `prefix`; a broken listing raises behind the rows that it gives."""
        return self._list(self._inner.list(prefix))

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._write(RequestKind.DELETE, lambda: self._inner.delete(key), lambda: self._inner.delete(key))

    def describe(self) -> str:
        """Where the wrapped store is."""
        return self._inner.describe()

    def _next_plan(self, kind: RequestKind) -> FaultPlan | None:
        """Count a call; the plan, if it breaks this one."""
        with self._lock:
            plan = self._plan
            if plan is not None and plan.kind not in (None, kind):
                return None
            self._calls += 1
            if plan is None or not plan.breaks(self._calls):
                return None
            self._broken += 1
            return plan

    def _write(self, kind: RequestKind, whole: Callable[[], None], half: Callable[[], None]) -> None:
        plan = self._next_plan(kind)
        if plan is None or plan.effect is Effect.ALL:
            whole()
        elif plan.effect is Effect.HALF:
            half()
        _raise_planned(plan)

    def _tear(self, key: str, data: Buffer) -> None:
        view = view_bytes(data)
        self._inner.put(key, view[: len(view) // 2])

    def _list(self, rows: Iterator[ObjectInfo]) -> Iterator[ObjectInfo]:
        plan = self._next_plan(RequestKind.LIST)
        if plan is None:
            yield from rows
            return
        found = [*rows]
        yield from islice(found, _left(plan, len(found)))
        _raise_planned(plan)


def _before(plan: FaultPlan | None, call: Callable[[], T]) -> T:
    """Make a reading call, unless the plan lets it fail before it reaches the store."""
    if plan is not None and plan.effect is Effect.NOTHING:
        _raise_planned(plan)
    return call()


def _cut(plan: FaultPlan | None, data: bytes) -> bytes:
    """What the plan leaves of the bytes that a call read."""
    _raise_planned(plan)
    return data if plan is None else data[: _left(plan, len(data))]


def _left(plan: FaultPlan, count: int) -> int:
    match plan.effect:
        case Effect.NOTHING:
            return 0
        case Effect.HALF:
            return count // 2
        case Effect.ALL:
            return count


def _raise_planned(plan: FaultPlan | None) -> None:
    if plan is not None and plan.error is not None:
        raise plan.error()
