"""Snapshots as streams: every byte in order, and honest about damage."""

import pytest

from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS
from lamina.engine.objects.memory import MemoryStore
from lamina.failures import Cancelled
from lamina.transfer.progress import Progress
from lamina.transfer.restore import DamagedSnapshotError, RestoreRequest
from lamina.transfer.stream import stream
from tests.factories.transfer import PlainDisk, content, make_repository, take

LEAF = LEAF_BLOCKS * BLOCK_BYTES


class Pipe:
    """Keeps what is written."""

    def __init__(self):
        self.data = bytearray()

    def __call__(self, piece):
        self.data += piece


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def pipe():
    return Pipe()


@pytest.mark.parametrize("blocks", [(), (0,), (0, 1, 130, 131), (200,), (5, 300), tuple(range(300))])
@pytest.mark.parametrize("tail", [0, 1, BLOCK_BYTES - 1])
def test_every_byte_comes_in_order(store, pipe, blocks, tail):
    size = 310 * BLOCK_BYTES + tail
    disk = PlainDisk(size, {at: content(at) for at in blocks} | {3: None})
    repository = make_repository(store)
    progress = Progress()
    result = stream(repository, take(repository, disk), pipe, progress=progress)
    assert pipe.data == disk.read(0, size)
    assert result.written_bytes == result.size_bytes == size
    assert progress.read().done_bytes == progress.read().known_bytes == size
    assert not list(store.list("sessions/"))


def spoil_pages(store):
    for info in list(store.list("map/")):
        store.delete(info.key)


def test_damage_ends_the_stream_in_front_of_it(store, pipe):
    disk = PlainDisk(3 * LEAF, {2 * LEAF_BLOCKS: content("last leaf")})
    repository = make_repository(store)
    snapshot = take(repository, disk)
    (pack,) = store.list("data/")
    store.delete(pack.key)
    with pytest.raises(DamagedSnapshotError, match=pack.key) as caught:
        stream(repository, snapshot, pipe)
    assert [(bad.offset, bad.length) for bad in caught.value.ranges] == [(2 * LEAF, BLOCK_BYTES)]
    assert pipe.data == bytes(2 * LEAF)


def test_best_effort_goes_on_and_names_every_range(store, pipe):
    first = PlainDisk(3 * LEAF + 5, {0: content(0), 1: content(1), 2 * LEAF_BLOCKS: content(2)})
    repository = make_repository(store)
    parent = take(repository, first)
    (pack,) = store.list("data/")
    first.blocks[LEAF_BLOCKS] = content("good")
    snapshot = take(repository, first, parent=parent)
    store.delete(pack.key)
    with pytest.raises(DamagedSnapshotError) as caught:
        stream(repository, snapshot, pipe, RestoreRequest(best_effort=True))
    ranges = [(bad.offset, bad.length) for bad in caught.value.ranges]
    assert ranges == [(0, 2 * BLOCK_BYTES), (2 * LEAF, BLOCK_BYTES)]
    left = PlainDisk(3 * LEAF + 5, {LEAF_BLOCKS: content("good")})
    assert pipe.data == left.read(0, left.size_bytes)


def test_a_lost_page_is_damage_of_its_range(store, pipe):
    disk = PlainDisk(2 * LEAF, {0: content(0)})
    repository = make_repository(store)
    snapshot = take(repository, disk)
    spoil_pages(store)
    with pytest.raises(DamagedSnapshotError, match="is missing") as caught:
        stream(repository, snapshot, pipe, RestoreRequest(best_effort=True))
    assert [(bad.offset, bad.length) for bad in caught.value.ranges] == [(0, disk.size_bytes)]
    assert pipe.data == bytes(disk.size_bytes)


def test_a_cancelled_stream_stops(store):
    disk = PlainDisk(4 * LEAF, {at: content(at) for at in range(4 * LEAF_BLOCKS)})
    repository = make_repository(store)
    snapshot = take(repository, disk)
    progress = Progress()
    written = []

    def write(piece):
        written.append(len(piece))
        progress.cancel()

    with pytest.raises(Cancelled):
        stream(repository, snapshot, write, progress=progress)
    assert sum(written) < 2 * LEAF
    assert not list(store.list("sessions/"))
