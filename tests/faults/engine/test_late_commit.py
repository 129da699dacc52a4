"""A commit whose request reaches the store after its caller gave up on it."""

from datetime import timedelta

import pytest

from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.store import ObjectExistsError
from lamina.failures import Fault
from tests.factories.disks import SparseDisk
from tests.factories.repositories import STALE, bring_back, make_clock, make_repository, take


class SlowNetwork(MemoryStore):
    """Says that a manifest could not be created, and keeps the request for later."""

    late = None

    def put_new(self, key, data):
        if not key.startswith("snapshots/") or self.late is not None:
            super().put_new(key, data)
            return
        self.late = (key, bytes(data))
        raise Fault("no answer", retryable=True)

    def deliver(self):
        super().put_new(*self.late)


@pytest.fixture
def scene():
    clock = make_clock()
    store = SlowNetwork()
    repository = make_repository(store, clock=clock)
    disk = SparseDisk(1 << 20)
    disk.write(0, bytes(range(1, 256)) * 300)
    with pytest.raises(Fault, match="no answer"):
        take(repository, disk, snapshot_id="s-late")
    return repository, store, disk, clock


def test_what_it_needs_is_still_there_when_it_arrives(scene):
    repository, store, disk, _ = scene
    sweep(repository)
    store.deliver()
    assert repository.list_snapshots() == ["s-late"]
    assert bring_back(repository, "s-late").contents == disk.contents
    sweep(repository)
    assert verify(repository, percent=100).is_sound


def test_after_a_day_it_is_revoked_and_cannot_arrive_any_more(scene):
    repository, store, _, clock = scene
    clock.advance(STALE + timedelta(seconds=1))
    assert sweep(repository).ended_sessions
    with pytest.raises(ObjectExistsError):
        store.deliver()
    assert repository.list_snapshots() == []
    assert list(store.list("data/")) == []
    assert verify(repository, percent=100).is_sound
