"""A second snapshot of the same content: what it costs, and that it stands alone."""

import pytest

from lamina.blockio.extents import Extent
from lamina.clock import SystemClock
from lamina.engine.format import BLOCK_BYTES
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.manifest import CaptureMode
from lamina.engine.objects.faulty import Effect, FaultPlan, FaultyStore
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.objects.store import RequestKind
from lamina.engine.repository import Repository, SnapshotExistsError, SnapshotNotFoundError
from lamina.engine.sessions import list_sessions
from lamina.failures import Fault
from lamina.transfer.capture import ChangeHint
from lamina.transfer.duplicate import DuplicateRequest, duplicate
from tests.factories.disks import make_block_disk
from tests.factories.repositories import SECRET, bring_back, make_repository, objects_of, reopen, take

BLOCKS = {0: "a", 1: "b", 130: "c"}
# A session, the original's listing and manifest, the commit, the session's end.
_REQUESTS = 5


def make(repository, **options):
    request = DuplicateRequest(original="s-first", snapshot_id="s-second", **options)
    return duplicate(repository, request)


@pytest.fixture
def repository():
    made = make_repository()
    take(made, make_block_disk(BLOCKS), snapshot_id="s-first", name="original", annotations={"a": "b"})
    return made


def test_it_has_the_content_and_nothing_else_of_the_original(repository):
    packs = {key for key in objects_of(repository.store) if not key.startswith("snapshots/")}
    made = make(repository, name="copy", tracking="t", annotations={"c": "d"})
    found = reopen(repository).read_manifest("s-second")
    original = reopen(repository).read_manifest("s-first")
    assert found == made
    assert (found.name, found.tracking, found.annotations) == ("copy", "t", {"c": "d"})
    assert (found.parent, found.mode) == ("s-first", CaptureMode.HINT)
    assert (found.changed_bytes, found.stored_bytes) == (0, 0)
    assert (found.content_id, found.used_bytes) == (original.content_id, original.used_bytes)
    assert {key for key in objects_of(repository.store) if not key.startswith("snapshots/")} == packs
    assert bring_back(reopen(repository), "s-second").contents == make_block_disk(BLOCKS).contents


def test_it_outlives_the_original(repository):
    make(repository)
    repository.delete_snapshot("s-first")
    for _ in range(3):
        sweep(repository)
    assert bring_back(reopen(repository), "s-second").contents == make_block_disk(BLOCKS).contents


def test_a_capture_compares_with_it(repository):
    make(repository, tracking="t")
    disk = make_block_disk({**BLOCKS, 1: "new"})
    hint = ChangeHint(relative_to="t", extents=(Extent(BLOCK_BYTES, BLOCK_BYTES),))
    result = take(repository, disk, parent="s-second", hint=hint)
    assert (result.mode, result.read_bytes, result.hint_lied) == (CaptureMode.HINT, BLOCK_BYTES, False)
    assert bring_back(reopen(repository), result.snapshot_id).contents == disk.contents


def test_its_price_does_not_depend_on_the_disk():
    counts = set()
    for blocks in (1, 500):
        plain = MemoryStore()
        take(
            Repository.create(plain, SECRET),
            make_block_disk({index: str(index) for index in range(blocks)}),
            snapshot_id="s-first",
        )
        store = MeteredStore(plain, clock=SystemClock())
        repository = Repository.open(store, SECRET)
        before = store.snapshot().total
        make(repository)
        after = store.snapshot().total
        assert after.bytes_received - before.bytes_received < 2048
        counts.add(after.requests - before.requests)
    assert counts == {_REQUESTS}


def test_a_taken_id_and_a_missing_original_are_refused(repository):
    make(repository)
    with pytest.raises(SnapshotExistsError):
        make(repository)
    repository.delete_snapshot("s-first")
    with pytest.raises(SnapshotNotFoundError):
        duplicate(repository, DuplicateRequest(original="s-first", snapshot_id="s-third"))
    assert list(list_sessions(repository.store, repository.cipher)) == []


def test_a_commit_that_may_still_arrive_keeps_its_session(repository):
    store = FaultyStore(repository.store)
    broken = Repository.open(store, SECRET)
    store.arm(FaultPlan(at_call=1, kind=RequestKind.PUT_NEW, effect=Effect.ALL))
    with pytest.raises(Fault):
        make(broken)
    assert [item.record.snapshot for item in list_sessions(repository.store, repository.cipher)] == [
        "s-second"
    ]
    assert bring_back(reopen(repository), "s-second").contents == make_block_disk(BLOCKS).contents
