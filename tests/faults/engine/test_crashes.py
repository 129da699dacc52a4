"""Every operation, broken off at every call of the store: by a crash, by a failure, and by a store that lies."""

from contextlib import suppress

import pytest

from lamina.engine.format import parse_pack_key
from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from lamina.engine.objects.store import RequestKind
from lamina.failures import Fault
from tests.faults.engine.operations import OPERATIONS, Trial

_CALLS_MAX = 400


class CrashError(BaseException):
    """The process is gone: nothing that it does later reaches the store."""


@pytest.mark.parametrize("effect", [Effect.NOTHING, Effect.ALL])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_crash_at_any_call_costs_nothing(name, effect):
    for call in range(1, _CALLS_MAX):
        trial = Trial(name)
        store = FaultyStore(trial.store, FaultPlan(at_call=call, calls=None, effect=effect, error=CrashError))
        try:
            trial.operation.run(store)
        except CrashError:
            _check(trial, f"crash at call {call}")
        else:
            break
    assert call > 1
    assert not store.broken


@pytest.mark.parametrize("effect", [Effect.NOTHING, Effect.ALL])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_failing_call_costs_nothing(name, effect):
    for call in range(1, _CALLS_MAX):
        trial = Trial(name)
        store = FaultyStore(trial.store, FaultPlan(at_call=call, effect=effect))
        with suppress(Fault):
            trial.operation.run(store)
        if not store.broken:
            break
        _check(trial, f"fault at call {call}")
    assert call > 1


class FaultyPacks(FaultyStore):
    """Breaks puts of packs only."""

    def put(self, key, data):
        if parse_pack_key(key) is None:
            self._inner.put(key, data)
        else:
            super().put(key, data)


@pytest.mark.parametrize("effect", [Effect.NOTHING, Effect.HALF])
@pytest.mark.parametrize("name", ["full capture", "capture", "compact"])
def test_a_store_that_loses_or_tears_packs_gets_no_manifest(name, effect):
    for pack in (1, 2):
        trial = Trial(name)
        bodies = {row.key for row in trial.store.list("snapshots/")}
        plan = FaultPlan(at_call=pack, kind=RequestKind.PUT, effect=effect, error=None)
        with pytest.raises(Fault, match="do not trust this store"):
            trial.operation.run(FaultyPacks(trial.store, plan))
        assert {row.key for row in trial.store.list("snapshots/")} == bodies
        _check(trial, f"pack {pack} was lost")


@pytest.mark.parametrize("name", ["full capture", "capture", "compact"])
def test_a_crash_that_tears_a_pack_costs_nothing(name):
    for pack in (1, 2):
        trial = Trial(name)
        plan = FaultPlan(at_call=pack, calls=None, kind=RequestKind.PUT, effect=Effect.HALF, error=CrashError)
        with pytest.raises(CrashError):
            trial.operation.run(FaultyPacks(trial.store, plan))
        _check(trial, f"pack {pack} was torn")


def test_an_interrupted_capture_is_not_in_vain():
    trial = Trial("full capture")
    store = FaultyStore(
        trial.store, FaultPlan(at_call=1, calls=None, kind=RequestKind.PUT_NEW, error=CrashError)
    )
    with pytest.raises(CrashError):
        trial.operation.run(store)
    packs = {row.key for row in trial.store.list("data/")}
    trial.operation.run(trial.store)
    assert {row.key for row in trial.store.list("data/")} == packs


def _check(trial, moment):
    try:
        trial.check()
    except BaseException as error:
        error.add_note(moment)
        raise
