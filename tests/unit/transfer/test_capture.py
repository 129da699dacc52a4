"""Captures: what is read, what is stored, what the map says, and what is left when one stops half-way."""

import threading

import pytest

from lamina.blockio.extents import Extent
from lamina.clock import SystemClock
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.format import BLOCK_BYTES, map_pack_key
from lamina.engine.manifest import CaptureMode
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.engine.repository import Repository, SnapshotExistsError, SnapshotNotFoundError
from lamina.failures import Cancelled, Corruption, Fault, Refusal
from lamina.transfer.capture import CaptureRequest, ChangeHint, capture
from lamina.transfer.progress import Progress
from lamina.units import TIB
from tests.factories.damage import flip_object
from tests.factories.disks import SparseDisk, fill, make_block_disk
from tests.factories.repositories import (
    SECRET,
    bring_back,
    make_repository,
    objects_of,
    read_map,
    reopen,
    take,
)

# A session, the condemned lists, the parent's listing and manifest, two pages for the sample, the commit, the end.
_REQUESTS_WITHOUT_CHANGE = 8


@pytest.fixture
def repository():
    return make_repository()


def _expect(repository, result, disk):
    fresh = reopen(repository)
    assert read_map(fresh, result.snapshot_id) == disk.describe()
    assert bring_back(fresh, result.snapshot_id).contents == disk.contents


def _hint(parent, *blocks):
    return ChangeHint(
        relative_to=parent, extents=tuple(Extent(block * BLOCK_BYTES, BLOCK_BYTES) for block in blocks)
    )


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 128 * 65536, 128 * 65536 + 1, 130 * 65536 - 1])
def test_disks_of_any_size_come_back(repository, size):
    disk = SparseDisk(size)
    disk.write(0, fill("all", size))
    result = take(repository, disk, workers=2)
    assert result.size_bytes == size
    assert result.used_bytes == -(-size // BLOCK_BYTES) * BLOCK_BYTES
    _expect(repository, result, disk)


def test_never_written_and_written_zero_are_told_apart(repository):
    disk = SparseDisk(6 * BLOCK_BYTES)
    disk.write(0, fill("data"))
    disk.write(BLOCK_BYTES, bytes(BLOCK_BYTES))  # zeros that the disk takes for data
    disk.zero(2 * BLOCK_BYTES, BLOCK_BYTES)
    disk.zero(4 * BLOCK_BYTES + 100, 50)  # of this block, a part was written with zeros
    result = take(repository, disk)
    assert set(read_map(repository, result.snapshot_id)) == {0, 1, 2, 4}
    _expect(repository, result, disk)
    manifest = repository.read_manifest(result.snapshot_id)
    assert (manifest.root.data_blocks, manifest.root.zero_blocks) == (1, 3)


def test_a_block_that_becomes_a_hole_or_zero_loses_its_bytes(repository):
    disk = make_block_disk({0: "a", 1: "b", 2: "c", 200: "d"})
    parent = take(repository, disk).snapshot_id
    disk.punch(0, BLOCK_BYTES)
    disk.zero(BLOCK_BYTES, BLOCK_BYTES)
    disk.punch(200 * BLOCK_BYTES, BLOCK_BYTES)
    result = take(repository, disk, parent=parent)
    assert result.changed_bytes == 3 * BLOCK_BYTES
    assert result.new_bytes == 0
    _expect(repository, result, disk)


def test_equal_blocks_are_stored_once_within_a_disk_and_across_disks(repository):
    first = take(repository, make_block_disk({0: "same", 5: "same", 300: "same"}))
    assert first.new_bytes == BLOCK_BYTES
    other = make_block_disk({9: "same", 10: "other"})
    second = take(repository, other)
    assert second.new_bytes == BLOCK_BYTES
    _expect(repository, second, other)


def test_the_local_index_may_be_damaged_in_the_middle(tmp_path):
    repository = make_repository(cache_dir=tmp_path)
    blocks = {block: f"block {block}" for block in range(300)}
    take(repository, make_block_disk(blocks))
    (cache,) = tmp_path.rglob("blocks.sqlite")
    data = bytearray(cache.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    cache.write_bytes(data)
    disk = make_block_disk({**blocks, 5: "changed"})
    _expect(repository, take(repository, disk), disk)


def test_only_the_extents_of_a_hint_are_read(repository):
    disk = make_block_disk({block: f"block {block}" for block in range(0, 400, 3)})
    parent = take(repository, disk, tracking="then").snapshot_id
    disk.write(30 * BLOCK_BYTES, fill("new"))
    disk.write(391 * BLOCK_BYTES + 17, b"x")
    disk.forget_reads()
    hint = ChangeHint(
        relative_to="then",
        extents=(Extent(391 * BLOCK_BYTES + 17, 1), Extent(30 * BLOCK_BYTES + 5, BLOCK_BYTES)),
    )
    result = take(repository, disk, parent=parent, hint=hint, sample_blocks=0)
    assert result.mode is CaptureMode.HINT
    assert set(disk.read_blocks) == {30, 391}  # block 31, in the hint as well, is a hole
    assert result.read_bytes == 2 * BLOCK_BYTES
    _expect(repository, result, disk)


@pytest.mark.parametrize("relative_to", ["another instant", ""])
def test_a_hint_that_starts_elsewhere_is_refused_and_the_disk_scanned(repository, relative_to):
    disk = make_block_disk({0: "a", 200: "b"})
    parent = take(repository, disk, tracking="then").snapshot_id
    disk.write(0, fill("new"))
    result = take(repository, disk, parent=parent, hint=_hint(relative_to, 200))
    assert result.mode is CaptureMode.SCAN
    assert "relative to" in result.hint_refused
    assert not result.hint_lied
    _expect(repository, result, disk)


def test_a_lying_hint_is_found_out_when_everything_is_sampled(repository):
    disk = make_block_disk({block: f"block {block}" for block in range(100)})
    parent = take(repository, disk, tracking="then").snapshot_id
    disk.write(77 * BLOCK_BYTES, fill("secretly"))
    result = take(repository, disk, parent=parent, hint=_hint("then", 3), sample_blocks=128)
    assert result.hint_lied
    assert result.mode is CaptureMode.SCAN
    assert str(77 * BLOCK_BYTES) in result.hint_refused
    _expect(repository, result, disk)


@pytest.mark.parametrize("secretly", ["punch", "zero", "write"])
def test_a_hint_that_hides_a_hole_or_its_filling_is_found_out(repository, secretly):
    disk = make_block_disk({0: "a", 1: "b"}, 4 * BLOCK_BYTES)
    parent = take(repository, disk, tracking="then").snapshot_id
    if secretly == "write":
        disk.write(3 * BLOCK_BYTES, b"x")
    else:
        getattr(disk, secretly)(BLOCK_BYTES, BLOCK_BYTES)
    result = take(repository, disk, parent=parent, hint=_hint("then", 0), sample_blocks=128)
    assert result.hint_lied
    _expect(repository, result, disk)


@pytest.mark.parametrize("is_hinted", [False, True])
@pytest.mark.parametrize("size", [1, 65536, 65537, 100 * 65536, 129 * 65536 - 3, 300 * 65536])
def test_disks_grow_and_shrink(repository, size, is_hinted):
    disk = make_block_disk({0: "a", 64: "b", 128: "c", 140: "d"}, 141 * BLOCK_BYTES - 9)
    parent = take(repository, disk, tracking="then").snapshot_id
    before = disk.size_bytes
    disk.resize(size)
    if size > before:
        disk.write(before - 10, fill("over the old end", 3 * BLOCK_BYTES))
    else:
        disk.write(size - 1, b"e")
    hint = ChangeHint(relative_to="then", extents=(Extent(before - 10, 10),)) if is_hinted else None
    result = take(repository, disk, parent=parent, hint=hint, sample_blocks=128)
    assert result.mode is (CaptureMode.HINT if is_hinted and size > before else CaptureMode.SCAN)
    assert not result.hint_lied
    _expect(repository, result, disk)


def test_without_changes_the_pages_are_used_again_and_nothing_is_stored():
    metered = MeteredStore(MemoryStore(), clock=SystemClock())
    repository = make_repository(metered)
    disk = make_block_disk({block: f"block {block}" for block in range(0, 9000, 50)})
    parent = take(repository, disk, tracking="then").snapshot_id
    fresh = reopen(repository)
    before = metered.snapshot().total.requests
    result = take(fresh, disk, parent=parent, hint=_hint("then"))
    assert metered.snapshot().total.requests - before <= _REQUESTS_WITHOUT_CHANGE
    assert result.stored_bytes == 0
    manifests = [repository.read_manifest(item) for item in (parent, result.snapshot_id)]
    assert manifests[0].content_id == manifests[1].content_id
    assert manifests[0].root == manifests[1].root
    assert bring_back(fresh, result.snapshot_id).contents == disk.contents


def test_a_hundred_tebibytes_cost_what_changed():
    metered = MeteredStore(MemoryStore(), clock=SystemClock())
    repository = make_repository(metered)
    disk = SparseDisk(100 * TIB)
    for place in range(0, 100, 10):
        disk.write(place * TIB, fill(place))
    parent = take(repository, disk, tracking="then").snapshot_id

    fresh = reopen(repository)
    before = metered.snapshot().total.requests
    take(fresh, disk, parent=parent, hint=_hint("then"))
    assert metered.snapshot().total.requests - before <= _REQUESTS_WITHOUT_CHANGE

    # A change at each end: two branches and two leaves are read and written, not what lies between them.
    disk.write(0, fill("first"))
    disk.write(90 * TIB, fill("last"))
    fresh = reopen(repository)
    before = metered.snapshot().total.requests
    result = take(fresh, disk, parent=parent, hint=_hint("then", 0, 90 * TIB // BLOCK_BYTES))
    assert metered.snapshot().total.requests - before <= _REQUESTS_WITHOUT_CHANGE + 12
    assert result.changed_bytes == 2 * BLOCK_BYTES
    assert read_map(reopen(repository), result.snapshot_id) == disk.describe()


def test_a_damaged_leaf_of_the_parent_is_captured_anew(repository):
    disk = make_block_disk({0: "a", 1: "b", 128: "c", 256: "d"})
    parent = take(repository, disk, tracking="then").snapshot_id
    _damage_leaf(repository, parent, 1)
    disk.write(129 * BLOCK_BYTES, fill("e"))
    result = take(reopen(repository), disk, parent=parent, hint=_hint("then", 129), sample_blocks=0)
    assert result.healed_leaves == 1
    _expect(repository, result, disk)


def test_a_scan_captures_every_damaged_leaf_of_the_parent_anew(repository):
    disk = make_block_disk({0: "a", 1: "b", 128: "c", 256: "d"})
    parent = take(repository, disk).snapshot_id
    for leaf_index in (0, 2):
        _damage_leaf(repository, parent, leaf_index)
    result = take(reopen(repository), disk, parent=parent)
    assert result.healed_leaves == 2
    assert result.new_bytes == 0  # the blocks are there, only the pages were lost
    assert result.stored_bytes > 0
    _expect(repository, result, disk)
    assert (
        repository.read_manifest(result.snapshot_id).content_id == repository.read_manifest(parent).content_id
    )


def test_a_hint_is_not_blamed_for_damage_of_the_parent(repository):
    disk = make_block_disk({0: "a", 1: "b"})
    parent = take(repository, disk, tracking="then").snapshot_id
    _damage_leaf(repository, parent, 0)
    result = take(reopen(repository), disk, parent=parent, hint=_hint("then", 0))
    assert result.mode is CaptureMode.SCAN
    assert "the parent is damaged" in result.hint_refused
    assert not result.hint_lied
    assert result.healed_leaves == 1
    _expect(repository, result, disk)


def test_a_damaged_branch_of_the_parent_is_said_and_nothing_is_committed(repository):
    disk = make_block_disk({0: "a", 128: "c"})
    parent = take(repository, disk).snapshot_id
    ref = repository.read_manifest(parent).root.branches[0]
    flip_object(repository.store, map_pack_key(ref.location.pack), ref.location.offset + 20)
    with pytest.raises(Corruption, match="without a parent"):
        take(reopen(repository), disk, parent=parent)
    assert repository.list_snapshots() == [parent]
    _expect(repository, take(reopen(repository), disk), disk)


def test_a_cancelled_capture_leaves_nothing_that_looks_like_a_snapshot(repository):
    progress = Progress()

    class Interrupted(SparseDisk):
        """Cancels while it is read."""

        def read_into(self, offset, buffers):
            if offset > 100 * BLOCK_BYTES:
                progress.cancel()
            super().read_into(offset, buffers)

    disk = Interrupted(400 * BLOCK_BYTES)
    disk.write(0, fill("data", disk.size_bytes))
    with pytest.raises(Cancelled):
        capture(repository, disk, CaptureRequest(), progress)
    assert {key.split("/")[0] for key in objects_of(repository.store)} <= {"keys", "data", "map"}
    assert repository.list_snapshots() == []


def test_a_disk_that_cannot_be_read_ends_the_capture(repository):
    class Broken(SparseDisk):
        """Fails at one place."""

        def read_into(self, offset, buffers):
            if offset >= 200 * BLOCK_BYTES:
                raise Fault("the disk has a bad place", retryable=False)
            super().read_into(offset, buffers)

    disk = Broken(400 * BLOCK_BYTES)
    disk.write(0, fill("data", disk.size_bytes))
    with pytest.raises(Fault, match="bad place"):
        take(repository, disk, workers=2)
    assert repository.list_snapshots() == []
    assert not list(repository.store.list("sessions/"))


def test_ids_and_parents_that_cannot_be_are_refused(repository):
    disk = make_block_disk({0: "a"})
    take(repository, disk, snapshot_id="s-one")
    with pytest.raises(SnapshotExistsError):
        take(repository, disk, snapshot_id="s-one")
    with pytest.raises(SnapshotNotFoundError):
        take(repository, disk, parent="s-two")
    with pytest.raises(Refusal):
        take(repository, disk, snapshot_id="S/..")
    assert repository.list_snapshots() == ["s-one"]


def test_captures_of_one_repository_at_once(repository):
    disks = [
        make_block_disk({**dict.fromkeys(range(20), "common"), 30 + turn: f"own {turn}"}) for turn in range(4)
    ]
    results = [None] * len(disks)

    def run(turn):
        results[turn] = take(Repository.open(repository.store, SECRET), disks[turn], workers=2)

    threads = [threading.Thread(target=run, args=(turn,)) for turn in range(len(disks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, disk in zip(results, disks, strict=True):
        _expect(repository, result, disk)


def _damage_leaf(repository, snapshot_id, leaf_index):
    root = repository.read_manifest(snapshot_id).root
    (ref,) = [visit.ref for visit in walk_leaves(root, repository.pages) if visit.first_leaf == leaf_index]
    flip_object(
        repository.store, map_pack_key(ref.location.pack), ref.location.offset + ref.location.length - 1
    )
