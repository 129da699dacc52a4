"""Snapshots as NBD exports when the store lost or spoiled something, or a compaction moved it."""

import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lamina.clock import ManualClock, SystemClock
from lamina.engine import manifest as manifests
from lamina.engine.condemned import CondemnedList, put_condemned
from lamina.engine.format import BLOCK_BYTES, KIND_MANIFEST, LEAF_BLOCKS, SessionId
from lamina.engine.objects.faulty import FaultPlan, FaultyStore
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.objects.store import RequestKind
from lamina.failures import Fault
from lamina.transfer.export import CHANGED_SINCE, ExportRequest, SnapshotExport
from lamina.transfer.restore import DamagedSnapshotError
from tests.factories.damage import flip_object
from tests.factories.transfer import PlainDisk, content, make_repository, open_cold, take

ALLOCATION = "base:allocation"


def status(export, context, offset, length):
    return [(run.length, run.flags) for run in export.block_status(context, offset, length)]


def spoil(store, key, offset=None):
    """Flip a byte of an object: somewhere in its records unless told where."""
    flip_object(store, key, 60 if offset is None else offset)


def packs(store, folder="data/"):
    return [info.key for info in store.list(folder)]


@pytest.fixture
def disk():
    """Two leaves, each with a pack of its own, since two captures make them."""
    return PlainDisk(2 * LEAF_BLOCKS * BLOCK_BYTES, {block: content(block) for block in range(4)})


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def chain(store, disk):
    repository = make_repository(store)
    first = take(repository, disk)
    (old,) = packs(store)
    disk.blocks |= {LEAF_BLOCKS + 1: content("second")}
    second = take(repository, disk, parent=first)
    (new,) = set(packs(store)) - {old}
    return first, second, old, new


def test_a_missing_pack_is_damage_of_its_own_blocks_only(store, disk, chain):
    _, second, old, _ = chain
    store.delete(old)
    with SnapshotExport(open_cold(store), second) as export:
        offset = (LEAF_BLOCKS + 1) * BLOCK_BYTES
        with pytest.raises(DamagedSnapshotError) as caught:
            export.read(0, 4096)
        assert second in str(caught.value)
        assert old in str(caught.value)
        assert "bytes 0-65535" in str(caught.value)
        assert bytes(export.read(offset, BLOCK_BYTES)) == disk.read(offset, BLOCK_BYTES)


def test_a_spoiled_record_names_its_bytes_and_spares_its_neighbours(store, disk, chain):
    first, _, old, _ = chain
    spoil(store, old)
    with SnapshotExport(open_cold(store), first) as export:
        with pytest.raises(DamagedSnapshotError) as caught:
            export.read(0, 4 * BLOCK_BYTES)
        (bad,) = caught.value.ranges
        assert bad.length == BLOCK_BYTES
        for block in set(range(4)) - {bad.offset // BLOCK_BYTES}:
            assert bytes(export.read(block * BLOCK_BYTES, BLOCK_BYTES)) == disk.read(
                block * BLOCK_BYTES, BLOCK_BYTES
            )


def test_damage_that_stays_costs_one_look_for_a_later_manifest(disk):
    inner = MemoryStore()
    first = take(make_repository(inner), disk)
    inner.delete(packs(inner)[0])
    store = MeteredStore(inner, clock=SystemClock())
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    with SnapshotExport(open_cold(store, clock=clock), first) as export:

        def fail():
            with pytest.raises(DamagedSnapshotError):
                export.read(0, 1)
            return store.snapshot().by_kind[RequestKind.LIST].requests

        looks = fail()
        assert looks == 1
        assert fail() == looks
        clock.sleep(61)
        assert fail() == looks + 1


def test_a_page_that_cannot_be_read_counts_as_data_and_reading_it_fails(store, disk, chain):
    _, second, *_ = chain
    for key in packs(store, "map/"):
        store.delete(key)
    with SnapshotExport(open_cold(store), second) as export:
        assert status(export, ALLOCATION, 0, disk.size_bytes) == [(disk.size_bytes, 0)]
        with pytest.raises(DamagedSnapshotError, match="is missing"):
            export.read(0, 1)


def test_what_cannot_be_compared_counts_as_changed(store, disk, chain):
    first, second, *_ = chain
    for key in packs(store, "map/"):
        store.delete(key)
    with SnapshotExport(open_cold(store), second, ExportRequest(changed_since=first)) as export:
        assert status(export, CHANGED_SINCE + first, 100, 5000) == [(5000, 1)]


def compact(repository, snapshot):
    """What a compaction and the sweep behind it do to a snapshot: the blocks move, and the old places go."""
    store = repository.store
    session = SessionId(secrets.token_hex(16))
    old = repository.read_manifest(snapshot)
    copy = take(repository, AsDisk(repository, snapshot))
    moved = replace(old, root=repository.read_manifest(copy).root)
    key = manifests.next_body_key(repository.find_folder(snapshot), session)
    store.put(key, repository.cipher.seal(KIND_MANIFEST, key, manifests.encode(moved)))
    store.delete(manifests.first_body_key(snapshot))
    for folder in ("data/", "map/"):
        for pack in packs(store, folder):
            if old.session in pack:
                store.delete(pack)


class AsDisk(PlainDisk):
    """The contents of a snapshot as a disk, for a capture that must not find its old blocks again."""

    def __init__(self, repository, snapshot):
        with SnapshotExport(repository, snapshot) as export:
            super().__init__(export.size_bytes)
            offset = 0
            for run in export.block_status(ALLOCATION, 0, export.size_bytes):
                for start in range(offset, offset + run.length, BLOCK_BYTES):
                    if run.flags == 0:
                        self.blocks[start // BLOCK_BYTES] = bytes(export.read(start, BLOCK_BYTES))
                offset += run.length


def test_an_export_follows_a_compaction(store, disk):
    repository = make_repository(store)
    snapshot = take(repository, disk)
    with (
        SnapshotExport(open_cold(store), snapshot, ExportRequest(changed_since=snapshot)) as for_reading,
        SnapshotExport(open_cold(store), snapshot, ExportRequest(changed_since=snapshot)) as for_status,
    ):
        # condemned packs are never used again, which is how a real compaction gets new places
        condemn_all(repository)
        compact(repository, snapshot)
        assert not [key for key in packs(store) if repository.read_manifest(snapshot).session in key]
        assert bytes(for_reading.read(0, 4 * BLOCK_BYTES)) == disk.read(0, 4 * BLOCK_BYTES)
        assert status(for_status, ALLOCATION, 0, disk.size_bytes) == disk.runs(0, disk.size_bytes)
        assert status(for_status, CHANGED_SINCE + snapshot, 0, disk.size_bytes) == [(disk.size_bytes, 0)]


def condemn_all(repository):
    item = CondemnedList(
        sweep=SessionId(secrets.token_hex(16)),
        pack_keys=frozenset(packs(repository.store)),
        manifest_keys=frozenset(),
        witnesses=None,
    )
    put_condemned(repository.store, repository.cipher, item)


def test_a_snapshot_deleted_and_swept_under_an_export_is_a_fault(store, disk):
    repository = make_repository(store)
    snapshot = take(repository, disk)
    with SnapshotExport(open_cold(store), snapshot) as export:
        repository.delete_snapshot(snapshot)
        for key in packs(store):
            store.delete(key)
        with pytest.raises(Fault, match="was deleted while"):
            export.read(0, 1)


def test_a_fault_of_the_store_passes_and_the_next_read_works(disk):
    store = FaultyStore(MemoryStore())
    repository = make_repository(store)
    snapshot = take(repository, disk)
    with SnapshotExport(open_cold(store), snapshot) as export:
        for _ in ("branch", "leaf", "block"):
            store.arm(FaultPlan(at_call=1, kind=RequestKind.GET_RANGE))
            with pytest.raises(Fault, match="injected"):
                export.read(0, 4096)
            store.arm(FaultPlan(at_call=2, kind=RequestKind.GET_RANGE))
            with suppress(Fault):
                export.read(0, 4096)
        store.arm(None)
        assert bytes(export.read(0, 4096)) == disk.read(0, 4096)
