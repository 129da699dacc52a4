"""Packs: filled from many threads, read back in few requests."""

import os
import threading
from itertools import pairwise

import pytest

from lamina.clock import SystemClock
from lamina.engine.format import (
    DEFAULT_DOMAIN,
    KIND_DATA_PACK,
    PACK_BYTES_MAX,
    Location,
    PackId,
    data_pack_key,
)
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.objects.store import ObjectMissingError
from lamina.engine.packs.reader import RecordReader, Wanted, plan_requests
from lamina.engine.packs.writer import PackWriter, Unsealed, Uploads
from lamina.engine.seal.keys import MasterKey
from lamina.failures import Corruption, Fault
from tests.factories.damage import flip_object

KEYS = MasterKey(bytes(16), bytes(32)).domain_keys(DEFAULT_DOMAIN)
SESSION = b"session of tests"
TARGET = 100_000


def record(number, length=9_000):
    return Unsealed(number.to_bytes(32, "big"), 0, os.urandom(length))


def read_back(store, records, places):
    reader = RecordReader(KIND_DATA_PACK, store, KEYS, record_bytes_max=PACK_BYTES_MAX)
    return reader.read([Wanted(item.identity, place) for item, place in zip(records, places, strict=True)])


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def stored():
    return []


@pytest.fixture
def uploads(store, stored):
    uploads = Uploads(store, stored.append)
    yield uploads
    uploads.close()


def test_records_from_many_threads_tile_their_packs_and_read_back(store, uploads, stored):
    writer = PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads, target_bytes=TARGET)
    found = {}

    def fill(first):
        for number in range(first, first + 40, 4):
            records = [record(at, 500 + at * 37) for at in range(number, number + 4)]
            found[number] = (records, writer.append(records))

    threads = [threading.Thread(target=fill, args=(start * 40,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.finish()
    uploads.wait()
    assert uploads.confirm() == sum(info.size_bytes for info in store.list("data/"))
    for records, places in found.values():
        assert read_back(store, records, places) == [item.payload for item in records]
    assert len(stored) > 1
    assert all(item.size_bytes <= TARGET for item in stored)
    reader = RecordReader(KIND_DATA_PACK, store, KEYS, record_bytes_max=PACK_BYTES_MAX)
    for item in stored:
        rows, size = reader.read_footer(item.pack)
        assert (tuple(rows), size) == (item.rows, item.size_bytes)


def test_what_is_appended_together_lies_together(store, uploads):
    writer = PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads)
    places = writer.append([record(number) for number in range(20)])
    assert all(a.offset + a.length == b.offset for a, b in pairwise(places))


def test_a_writer_that_got_nothing_stores_nothing(store, uploads):
    PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads).finish()
    uploads.wait()
    assert list(store.list("")) == []


class FullStore(MemoryStore):
    """Has no room."""

    def put(self, key, data):
        raise Fault("no room", retryable=False)


def test_a_failed_upload_surfaces_and_does_not_hang_the_others(stored):
    uploads = Uploads(FullStore(), stored.append)
    writer = PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads, target_bytes=TARGET)

    def fill():
        for number in range(200):
            writer.append([record(number)])
        writer.finish()
        uploads.wait()

    try:
        with pytest.raises(Fault, match="no room"):
            fill()
    finally:
        uploads.close()
    assert stored == []


class ForgetfulStore(MemoryStore):
    """Acknowledges everything and keeps half of it."""

    def put(self, key, data):
        super().put(key, bytes(data)[: len(data) // 2])


def test_a_store_that_keeps_less_than_it_acknowledged_is_found_out(stored):
    uploads = Uploads(ForgetfulStore(), stored.append)
    writer = PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads)
    writer.append([record(1)])
    writer.finish()
    uploads.wait()
    with pytest.raises(Fault, match="acknowledged"):
        uploads.confirm()
    uploads.close()


def test_neighbours_are_read_in_one_request(store, uploads):
    writer = PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads)
    records = [record(number) for number in range(50)]
    places = writer.append(records)
    writer.finish()
    uploads.wait()
    metered = MeteredStore(store, clock=SystemClock())
    assert read_back(metered, records, places) == [item.payload for item in records]
    assert metered.snapshot().total.requests == 1


def test_a_damaged_record_does_not_hide_its_neighbours(store, uploads):
    writer = PackWriter(KIND_DATA_PACK, SESSION, KEYS, uploads)
    records = [record(number) for number in range(3)]
    places = writer.append(records)
    writer.finish()
    uploads.wait()
    key = data_pack_key(PackId(SESSION, 0))
    flip_object(store, key, places[1].offset + 5)
    first, second, third = read_back(store, records, places)
    assert (first, third) == (records[0].payload, records[2].payload)
    assert isinstance(second, Corruption)
    assert key in str(second)
    assert str(places[1].offset) in str(second)


def test_a_missing_pack_is_damage_of_its_records(store):
    place = Location(PackId(SESSION, 9), 48, 100)
    (found,) = read_back(store, [record(1)], [place])
    assert isinstance(found, Corruption)
    assert "missing" in str(found)
    with pytest.raises(ObjectMissingError):
        RecordReader(KIND_DATA_PACK, store, KEYS, record_bytes_max=100).read_footer(place.pack)


def test_requests_are_planned_by_pack_gap_and_size():
    one, two = PackId(SESSION, 1), PackId(SESSION, 2)

    def wanted(pack, offset, length=1000):
        return Wanted(b"", Location(pack, offset, length))

    near = [wanted(one, 0), wanted(one, 1000), wanted(one, 100_000)]
    far = [wanted(one, 500_000)]
    other = [wanted(two, 0)]
    runs = list(plan_requests([*other, *far, *near, *near]))
    assert runs == [near, far, other]
    large = [wanted(one, at * 1_000_000, 1_000_000) for at in range(20)]
    assert all(
        run[-1].location.offset + 1_000_000 - run[0].location.offset <= 8 << 20
        for run in plan_requests(large)
    )
