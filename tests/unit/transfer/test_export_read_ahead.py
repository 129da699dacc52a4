"""Read-ahead and the cache under many readers: what is planned, and that nothing is ever mixed up."""

import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from lamina.engine.blockmap.page import Stored
from lamina.engine.format import BLOCK_BYTES, Location, PackId
from lamina.engine.objects.memory import MemoryStore
from lamina.failures import Corruption, Fault
from lamina.transfer.block_cache import BlockCache
from lamina.transfer.export import ExportRequest, SnapshotExport
from lamina.transfer.read_ahead import BackgroundReader, StreamDetector
from tests.factories.transfer import PlainDisk, content, make_repository, open_cold, take

KIB = 1024
MIB = 1024 * KIB


def read_in_order(detector, offsets, length):
    return [plan for plan in (detector.observe(offset, length) for offset in offsets) if plan is not None]


def test_a_stream_is_planned_without_gaps_overlaps_or_bytes_past_the_end():
    size = 50 * MIB + 1000
    plans = read_in_order(StreamDetector(size, 8 * MIB), range(0, size, 64 * KIB), 64 * KIB)
    assert all(first.end == second.offset for first, second in itertools.pairwise(plans))
    assert plans[-1].end == -(-size // BLOCK_BYTES) * BLOCK_BYTES
    assert max(plan.length for plan in plans) <= 8 * MIB
    assert [plan.length for plan in plans[:2]] < [plan.length for plan in plans[2:4]], "the window grows"


def test_two_readers_have_a_stream_each():
    detector = StreamDetector(1000 * MIB, 8 * MIB)
    both = [start + step for step in range(0, 4 * MIB, 256 * KIB) for start in (0, 500 * MIB)]
    plans = read_in_order(detector, both, 256 * KIB)
    assert {plan.offset > 400 * MIB for plan in plans} == {True, False}


def test_requests_out_of_order_are_one_stream():
    offsets = [at * 256 * KIB for at in (1, 0, 3, 2, 5, 4, 8, 6, 7, 9, 11, 10)]
    plans = read_in_order(StreamDetector(1000 * MIB, 8 * MIB), offsets, 256 * KIB)
    assert plans
    assert all(first.end <= second.offset for first, second in itertools.pairwise(plans))


def test_scattered_requests_and_the_same_place_again_are_no_stream():
    detector = StreamDetector(1000 * MIB, 8 * MIB)
    assert not read_in_order(detector, [(at * 389) % 1000 * MIB for at in range(200)], 4 * KIB)
    assert not read_in_order(detector, [0] * 50, 4 * KIB)


def test_without_a_window_nothing_is_planned():
    assert not read_in_order(StreamDetector(100 * MIB, 0), range(0, 100 * MIB, 64 * KIB), 64 * KIB)


def test_work_in_the_background_that_fails_or_comes_too_late_hurts_nobody():
    done = []

    def fetch(extent):
        done.append(extent)
        raise Fault("the store is away", retryable=True)

    reader = BackgroundReader(fetch)
    for number in range(100):
        reader.submit(number)
    reader.close()
    reader.submit("after the end")
    assert done
    assert set(done) <= set(range(100))


def entry(number):
    return Stored(bytes([number]) * 32, Location(PackId(b"s" * 16, 0), number * 100, 100))


def block(number):
    return bytes([number]) * BLOCK_BYTES


def test_a_failed_fetch_is_not_remembered():
    answers = [Fault("away", retryable=True), [Corruption("bad")], [b"too short"], [block(1)]]

    def fetch(_):
        answer = answers.pop(0)
        if isinstance(answer, Fault):
            raise answer
        return answer

    cache = BlockCache(MIB, fetch)
    with pytest.raises(Fault, match="away"):
        cache.load([entry(1)])
    assert str(cache.load([entry(1)])[entry(1).block_id]) == "bad"
    assert "9 bytes" in str(cache.load([entry(1)])[entry(1).block_id])
    assert cache.load([entry(1), entry(1)]) == {entry(1).block_id: block(1)}
    assert cache.load([entry(1)]) == {entry(1).block_id: block(1)}
    assert not answers


def test_many_readers_of_a_small_cache_see_the_right_bytes():
    count = 300
    disk = PlainDisk(count * BLOCK_BYTES + 99, {at: content(at) for at in range(count) if at % 7})
    store = MemoryStore()
    snapshot = take(make_repository(store), disk)

    def read(seed):
        choose = random.Random(seed)
        at = 0
        for _ in range(60):
            length = choose.choice([1, 512, 5000, BLOCK_BYTES, 5 * BLOCK_BYTES])
            at = at + length if choose.random() < 0.7 else choose.randrange(disk.size_bytes)
            at = min(at, disk.size_bytes - length)
            assert bytes(export.read(at, length)) == disk.read(at, length)
            at = 0 if at + 2 * length > disk.size_bytes else at

    request = ExportRequest(cache_bytes=12 * BLOCK_BYTES)
    with (
        SnapshotExport(open_cold(store), snapshot, request) as export,
        ThreadPoolExecutor(8) as threads,
    ):
        list(threads.map(read, range(8)))
