"""Snapshots as NBD exports: bytes, costs, caching, read-ahead, status runs."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lamina.clock import SystemClock
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS
from lamina.engine.objects.delayed import DelayedStore
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.objects.store import RequestKind
from lamina.engine.repository import SnapshotNotFoundError
from lamina.failures import Refusal
from lamina.ids import SnapshotId
from lamina.transfer.export import CHANGED_SINCE, ExportRequest, SnapshotExport
from tests.factories.transfer import PlainDisk, content, make_repository, open_cold, take

ALLOCATION = "base:allocation"
READS = (RequestKind.GET, RequestKind.GET_RANGE, RequestKind.GET_TAIL, RequestKind.LIST)
TIB = 2**40
KIB = 1024


def blocks_of(*indexes):
    return {index: content(index) for index in indexes}


def reads_of(store):
    usage = store.snapshot().by_kind
    return sum(usage[kind].requests for kind in READS)


def status(export, context, offset, length):
    return [(run.length, run.flags) for run in export.block_status(context, offset, length)]


@pytest.fixture
def store():
    return MeteredStore(MemoryStore(), clock=SystemClock())


@pytest.fixture
def disk():
    """Three leaves, two branches; data, zeros and holes next to each other; a last block of 1,000 bytes."""
    size = 40 * 1024**3 + 1000
    last = size // BLOCK_BYTES
    blocks = blocks_of(0, 1, 2, 5, LEAF_BLOCKS - 1, LEAF_BLOCKS, 70_000, last - 1)
    blocks |= {last: content("last", 1000), 3: None, 4: None, LEAF_BLOCKS + 1: None}
    return PlainDisk(size, blocks)


def test_reads_give_the_bytes_of_the_disk(store, disk):
    repository = make_repository(store)
    with SnapshotExport(repository, take(repository, disk)) as export:
        assert export.size_bytes == disk.size_bytes
        end = disk.size_bytes
        leaf = LEAF_BLOCKS * BLOCK_BYTES
        windows = [
            (0, 1),
            (0, 8 * BLOCK_BYTES),
            (BLOCK_BYTES - 1, 2),
            (3 * BLOCK_BYTES, BLOCK_BYTES),
            (4 * BLOCK_BYTES + 17, BLOCK_BYTES * 2),
            (leaf - 100, 200),
            (leaf - 3 * BLOCK_BYTES, 32 * 1024**2),
            (70_000 * BLOCK_BYTES - 5, 10),
            (end - 1, 1),
            (end - 1000, 1000),
            (end - 3 * BLOCK_BYTES, 3 * BLOCK_BYTES),
            (20 * 1024**3, 4096),
            (5, 0),
        ]
        for offset, length in windows:
            assert bytes(export.read(offset, length)) == disk.read(offset, length), (offset, length)


def test_a_cold_read_of_one_block_costs_four_reads_of_the_store(store, disk):
    snapshot = take(make_repository(store), disk)
    cold = open_cold(store)
    before = reads_of(store)
    with SnapshotExport(cold, snapshot) as export:
        assert reads_of(store) - before == 1
        assert bytes(export.read(5 * BLOCK_BYTES + 7, 100)) == disk.read(5 * BLOCK_BYTES + 7, 100)
        assert reads_of(store) - before == 4
        assert bytes(export.read(5 * BLOCK_BYTES, 4096)) == disk.read(5 * BLOCK_BYTES, 4096)
        assert reads_of(store) - before == 4, "a block that was read is kept"


def test_holes_and_zeros_cost_no_data_request(store, disk):
    snapshot = take(make_repository(store), disk)
    cold = open_cold(store)
    before = reads_of(store)
    with SnapshotExport(cold, snapshot) as export:
        assert bytes(export.read(10 * 1024**3, BLOCK_BYTES)) == bytes(BLOCK_BYTES)
        assert reads_of(store) - before == 2, "manifest and branch; there is no leaf"
        assert bytes(export.read(3 * BLOCK_BYTES, BLOCK_BYTES)) == bytes(BLOCK_BYTES)
        assert reads_of(store) - before == 3


def test_many_threads_fetch_a_block_once(store, disk):
    snapshot = take(make_repository(store), disk)
    with SnapshotExport(open_cold(store), snapshot) as export, ThreadPoolExecutor(16) as threads:
        before = reads_of(store)
        together = threading.Barrier(16)

        def read(_):
            together.wait()
            return bytes(export.read(5 * BLOCK_BYTES, 512))

        assert set(threads.map(read, range(16))) == {disk.read(5 * BLOCK_BYTES, 512)}
        assert reads_of(store) - before == 3, "branch, leaf and block, each once"


def test_the_cache_keeps_to_its_bound(store):
    disk = PlainDisk(64 * BLOCK_BYTES, blocks_of(*range(64)))
    snapshot = take(make_repository(store), disk)
    request = ExportRequest(cache_bytes=4 * BLOCK_BYTES)
    with SnapshotExport(open_cold(store), snapshot, request) as export:
        for block in (0, 1, 2, 3, 0, 4):
            export.read(block * BLOCK_BYTES, 1)
        before = reads_of(store)
        export.read(0, 1)
        assert reads_of(store) == before, "it was used more recently than block 1"
        export.read(BLOCK_BYTES, 1)
        assert reads_of(store) == before + 1
        assert bytes(export.read(0, 64 * BLOCK_BYTES)) == disk.read(0, 64 * BLOCK_BYTES)


def test_equal_blocks_are_fetched_once(store):
    disk = PlainDisk(64 * BLOCK_BYTES, {block: content("same") for block in range(64)})
    snapshot = take(make_repository(store), disk)
    with SnapshotExport(open_cold(store), snapshot) as export:
        before = reads_of(store)
        assert bytes(export.read(0, disk.size_bytes)) == disk.read(0, disk.size_bytes)
        assert reads_of(store) - before == 3


def test_a_stream_is_read_ahead_of_in_few_requests():
    # A store that takes its time, as all do over which reading ahead matters: with one that answers at once, the reader
    # may overtake the threads that fetch for it, and ask for itself.
    clock = SystemClock()
    slow = DelayedStore(MemoryStore(), clock=clock, seconds_per_request=0.005, bytes_per_second=math.inf)
    store = MeteredStore(slow, clock=clock)
    count = 512
    disk = PlainDisk(count * BLOCK_BYTES, blocks_of(*range(count)))
    snapshot = take(make_repository(store), disk)
    with SnapshotExport(open_cold(store), snapshot) as export:
        before = reads_of(store)
        step = 256 * KIB
        for offset in range(0, disk.size_bytes, step):
            assert bytes(export.read(offset, step)) == disk.read(offset, step)
        stream = reads_of(store) - before
    assert stream < disk.size_bytes // step // 4, "a request of the store serves many requests of the client"


def test_scattered_reads_are_not_read_ahead_of(store):
    count = 512
    disk = PlainDisk(count * BLOCK_BYTES, blocks_of(*range(count)))
    snapshot = take(make_repository(store), disk)
    places = [(block * 211) % count for block in range(40)]
    with SnapshotExport(open_cold(store), snapshot) as export:
        for block in places:
            export.read(block * BLOCK_BYTES, 4096)
    received = store.snapshot().by_kind[RequestKind.GET_RANGE].requests
    leaves = len({block // LEAF_BLOCKS for block in places})
    assert received == len(set(places)) + leaves + 1


def test_prefetch_brings_a_range_into_the_cache(store):
    disk = PlainDisk(64 * BLOCK_BYTES, blocks_of(*range(64)))
    snapshot = take(make_repository(store), disk)
    with SnapshotExport(open_cold(store), snapshot) as export:
        before = reads_of(store)
        export.prefetch(0, disk.size_bytes)
        deadline = time.monotonic() + 10
        while reads_of(store) - before < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert bytes(export.read(0, disk.size_bytes)) == disk.read(0, disk.size_bytes)
        assert reads_of(store) - before == 3


def test_allocation_tells_data_zeros_and_holes_without_reading_data(store, disk):
    snapshot = take(make_repository(store), disk)
    with SnapshotExport(open_cold(store), snapshot) as export:
        received = store.snapshot().by_kind[RequestKind.GET_RANGE].bytes_received
        for offset, length in [
            (0, disk.size_bytes),
            (0, 1),
            (BLOCK_BYTES - 10, 3 * BLOCK_BYTES),
            (LEAF_BLOCKS * BLOCK_BYTES - 7, 20),
            (10 * 1024**3, 4096),
            (disk.size_bytes - 5, 5),
        ]:
            assert status(export, ALLOCATION, offset, length) == disk.runs(offset, length)
        assert store.snapshot().by_kind[RequestKind.GET_RANGE].bytes_received - received < 8 * KIB


def test_full_and_zero_leaves_are_told_from_their_branch(store):
    leaf = LEAF_BLOCKS * BLOCK_BYTES
    blocks = blocks_of(*range(2 * LEAF_BLOCKS)) | dict.fromkeys(range(2 * LEAF_BLOCKS, 3 * LEAF_BLOCKS))
    snapshot = take(make_repository(store), PlainDisk(3 * leaf, blocks))
    with SnapshotExport(open_cold(store), snapshot) as export:
        before = reads_of(store)
        assert status(export, ALLOCATION, 0, 3 * leaf) == [(2 * leaf, 0), (leaf, 2)]
        assert reads_of(store) - before == 1


def test_an_empty_disk_of_eight_tebibytes_answers_at_once(store):
    snapshot = take(make_repository(store), PlainDisk(8 * TIB))
    with SnapshotExport(open_cold(store), snapshot) as export:
        before, started = reads_of(store), time.process_time()
        assert status(export, ALLOCATION, 0, 8 * TIB) == [(8 * TIB, 3)]
        assert time.process_time() - started < 0.5
        assert reads_of(store) == before


def test_what_changed_since_an_earlier_snapshot(store, disk):
    repository = make_repository(store)
    first = take(repository, disk)
    later = PlainDisk(disk.size_bytes, disk.blocks)
    later.blocks |= {1: content("new"), 6: content("six"), 70_000: None}
    del later.blocks[2]
    snapshot = take(repository, later, parent=first)
    request = ExportRequest(changed_since=first)
    with SnapshotExport(open_cold(store), snapshot, request) as export:
        context = CHANGED_SINCE + first
        assert list(export.contexts) == [ALLOCATION, context]
        one = BLOCK_BYTES
        rest = disk.size_bytes - 70_001 * one
        assert status(export, context, 0, disk.size_bytes) == [
            (one, 0),
            (2 * one, 1),
            (3 * one, 0),
            (one, 1),
            ((70_000 - 7) * one, 0),
            (one, 1),
            (rest, 0),
        ]
        assert status(export, context, one + 5, 10) == [(10, 1)]
        assert status(export, context, 2 * one + 5, 2 * one) == [(one - 5, 1), (one + 5, 0)]


def test_an_unchanged_disk_is_compared_without_reading_a_page(store, disk):
    repository = make_repository(store)
    first = take(repository, disk)
    second = take(repository, disk, parent=first)
    with SnapshotExport(open_cold(store), second, ExportRequest(changed_since=first)) as export:
        before = reads_of(store)
        assert status(export, CHANGED_SINCE + first, 0, disk.size_bytes) == [(disk.size_bytes, 0)]
        assert reads_of(store) == before


def test_contexts_that_were_not_asked_for_are_refused(store, disk):
    repository = make_repository(store)
    snapshot = take(repository, disk)
    with SnapshotExport(repository, snapshot) as export, pytest.raises(Refusal, match="no metadata context"):
        status(export, CHANGED_SINCE + snapshot, 0, 10)


def test_writes_are_refused(store, disk):
    repository = make_repository(store)
    with SnapshotExport(repository, take(repository, disk)) as export:
        assert export.is_read_only
        export.flush()
        for write in (
            lambda: export.write(0, memoryview(b"x")),
            lambda: export.zero(0, 1, may_punch=True),
            lambda: export.trim(0, 1),
        ):
            with pytest.raises(Refusal, match="read-only"):
                write()


def test_a_session_runs_while_the_export_is_open(store, disk):
    repository = make_repository(store)
    snapshot = take(repository, disk)
    assert not list(store.list("sessions/"))
    export = SnapshotExport(repository, snapshot)
    assert len(list(store.list("sessions/"))) == 1
    export.close()
    export.close()
    assert not list(store.list("sessions/"))


@pytest.mark.parametrize("missing", [{}, {"changed_since": SnapshotId("s-none")}])
def test_unknown_snapshots_are_refused_and_leave_no_session(store, disk, missing):
    repository = make_repository(store)
    snapshot = take(repository, disk) if missing else SnapshotId("s-none")
    with pytest.raises(SnapshotNotFoundError, match="s-none"):
        SnapshotExport(repository, snapshot, ExportRequest(**missing))
    assert not list(store.list("sessions/"))


def test_the_description_names_the_snapshot(store, disk):
    repository = make_repository(store)
    snapshot = take(repository, disk, name="root disk")
    with SnapshotExport(repository, snapshot, ExportRequest(name="x")) as export:
        assert export.name == "x"
        assert snapshot in export.description
        assert "root disk" in export.description
