"""Restores: what is written to a target, what is left alone, and what is said when something is lost."""

import pytest

from lamina.blockio.extents import Extent
from lamina.engine.blockmap.page import Stored
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.format import BLOCK_BYTES, BRANCH_SPAN_BYTES, LEAF_BLOCKS, data_pack_key, map_pack_key
from lamina.engine.repository import SnapshotNotFoundError
from lamina.failures import Cancelled
from lamina.transfer.progress import Progress
from lamina.transfer.restore import (
    DamagedSnapshotError,
    RestoreRequest,
    TargetTooSmallError,
    restore,
)
from tests.factories.damage import flip_object
from tests.factories.disks import SparseDisk, SparseTarget, fill, make_block_disk
from tests.factories.repositories import make_repository, reopen, take


@pytest.fixture
def repository():
    return make_repository()


def _find(repository, snapshot_id, block):
    """Where a block's record and its leaf's page lie."""
    root = repository.read_manifest(snapshot_id).root
    for visit in walk_leaves(root, repository.pages):
        if visit.first_leaf == block // LEAF_BLOCKS:
            return visit.leaf.entries[block % LEAF_BLOCKS], visit.ref
    raise LookupError(block)


def _damage_block(repository, snapshot_id, block):
    entry, _ = _find(repository, snapshot_id, block)
    assert isinstance(entry, Stored)
    flip_object(repository.store, data_pack_key(entry.location.pack), entry.location.offset + 5)


def _damage_leaf(repository, snapshot_id, leaf_index):
    _, ref = _find(repository, snapshot_id, leaf_index * LEAF_BLOCKS)
    flip_object(repository.store, map_pack_key(ref.location.pack), ref.location.offset + 5)


def test_a_blank_target_gets_data_only(repository):
    disk = make_block_disk({3: "a", 4: "b", 400: "c"}, 500 * BLOCK_BYTES)
    disk.zero(10 * BLOCK_BYTES, BLOCK_BYTES)
    snapshot_id = take(repository, disk).snapshot_id
    target = SparseTarget(disk.size_bytes)
    result = restore(repository, snapshot_id, target)
    assert target.disk.contents == disk.contents
    assert target.touched == {3, 4, 400}
    assert target.calls[-1][0] == "flush"
    assert result.written_bytes == 3 * BLOCK_BYTES


def test_written_zeros_are_kept_when_asked_for(repository):
    disk = make_block_disk({0: "a"}, 10 * BLOCK_BYTES)
    disk.zero(2 * BLOCK_BYTES, 3 * BLOCK_BYTES)
    snapshot_id = take(repository, disk).snapshot_id
    target = SparseTarget(disk.size_bytes)
    restore(repository, snapshot_id, target, RestoreRequest(keep_zeros=True))
    assert target.disk.describe() == disk.describe()


def test_written_zeros_are_kept_over_an_existing_disk_too(repository):
    disk = make_block_disk({0: "a"}, 10 * BLOCK_BYTES - 9)
    disk.zero(2 * BLOCK_BYTES, 3 * BLOCK_BYTES)
    disk.zero(9 * BLOCK_BYTES, BLOCK_BYTES - 9)
    snapshot_id = take(repository, disk).snapshot_id
    target = SparseTarget(disk.size_bytes, is_blank=False)
    target.disk.write(3 * BLOCK_BYTES, fill("else", 5 * BLOCK_BYTES))
    restore(repository, snapshot_id, target, RestoreRequest(keep_zeros=True))
    assert target.disk.describe() == disk.describe()


def test_an_empty_disk_comes_back(repository):
    snapshot_id = take(repository, SparseDisk(0)).snapshot_id
    for is_blank in (True, False):
        target = SparseTarget(0, is_blank=is_blank)
        assert restore(repository, snapshot_id, target).written_bytes == 0
        assert not target.touched


def test_over_an_existing_disk_only_what_differs_is_written(repository):
    disk = make_block_disk({block: f"block {block}" for block in range(0, 300, 2)}, 300 * BLOCK_BYTES)
    snapshot_id = take(repository, disk).snapshot_id
    target = SparseTarget(disk.size_bytes, is_blank=False, disk=disk.copy())
    target.disk.write(20 * BLOCK_BYTES + 7, b"changed")  # data that is other data
    target.disk.write(21 * BLOCK_BYTES, b"written")  # a hole that is data
    target.disk.punch(298 * BLOCK_BYTES, BLOCK_BYTES)  # data that is a hole
    result = restore(repository, snapshot_id, target)
    assert target.disk.contents == disk.contents
    assert target.touched == {20, 21, 298}
    assert result.written_bytes == 2 * BLOCK_BYTES
    assert result.kept_bytes == 297 * BLOCK_BYTES


def test_what_a_larger_target_holds_behind_the_disk_is_left_alone(repository):
    disk = make_block_disk({0: "a", 1: "b"}, BLOCK_BYTES + 100)
    snapshot_id = take(repository, disk).snapshot_id
    for is_blank in (True, False):
        target = SparseTarget(5 * BLOCK_BYTES, is_blank=is_blank)
        if not is_blank:
            target.disk.write(0, fill("else", 5 * BLOCK_BYTES))
        behind = target.disk.read(disk.size_bytes, 3 * BLOCK_BYTES)
        restore(repository, snapshot_id, target)
        assert target.disk.read(0, disk.size_bytes) == disk.read(0, disk.size_bytes)
        assert target.disk.read(disk.size_bytes, 3 * BLOCK_BYTES) == behind


def test_a_target_that_is_too_small_is_not_touched(repository):
    snapshot_id = take(repository, make_block_disk({0: "a", 1: "b"})).snapshot_id
    target = SparseTarget(2 * BLOCK_BYTES - 1)
    with pytest.raises(TargetTooSmallError):
        restore(repository, snapshot_id, target)
    assert not target.calls


def test_what_is_not_there_is_said(repository):
    snapshot_id = take(repository, make_block_disk({0: "a"})).snapshot_id
    repository.delete_snapshot(snapshot_id)
    for missing in (snapshot_id, "s-none", "../keys/00000000"):
        with pytest.raises(SnapshotNotFoundError):
            restore(repository, missing, SparseTarget(BLOCK_BYTES))


def test_a_cancelled_restore_says_so(repository):
    snapshot_id = take(repository, make_block_disk({block: f"{block}" for block in range(300)})).snapshot_id
    progress = Progress()
    progress.cancel()
    with pytest.raises(Cancelled):
        restore(repository, snapshot_id, SparseTarget(300 * BLOCK_BYTES), progress=progress)
    assert not list(repository.store.list("sessions/"))


@pytest.mark.parametrize("is_blank", [True, False])
def test_damage_is_told_to_the_byte_and_the_rest_is_restored_with_best_effort(repository, is_blank):
    size = 300 * BLOCK_BYTES - 1000
    disk = make_block_disk({block: f"block {block}" for block in range(300)}, size)
    snapshot_id = take(repository, disk).snapshot_id
    for block in (7, 8, 50, 299):
        _damage_block(repository, snapshot_id, block)
    _damage_leaf(repository, snapshot_id, 1)
    target = SparseTarget(size, is_blank=is_blank)
    target.disk.write(0, b"" if is_blank else fill("before", size))
    before = target.disk.copy()
    with pytest.raises(DamagedSnapshotError) as caught:
        restore(reopen(repository), snapshot_id, target, RestoreRequest(best_effort=True))
    assert caught.value.ranges == (
        Extent(7 * BLOCK_BYTES, 2 * BLOCK_BYTES),
        Extent(50 * BLOCK_BYTES, BLOCK_BYTES),
        Extent(128 * BLOCK_BYTES, 128 * BLOCK_BYTES),
        Extent(299 * BLOCK_BYTES, BLOCK_BYTES - 1000),
    )
    lost = {7, 8, 50, 299, *range(128, 256)}
    assert target.touched == set(range(300)) - lost
    for block in range(300):
        wanted = before if block in lost else disk
        assert target.disk.read(block * BLOCK_BYTES, 64) == wanted.read(block * BLOCK_BYTES, 64)


def test_without_best_effort_nothing_is_written_into_the_damaged_leaf(repository):
    disk = make_block_disk({0: "a", 1: "b", 2: "c"}, 100 * BLOCK_BYTES)
    snapshot_id = take(repository, disk).snapshot_id
    _damage_block(repository, snapshot_id, 1)
    target = SparseTarget(disk.size_bytes, is_blank=False)
    target.disk.write(0, fill("before", disk.size_bytes))
    with pytest.raises(DamagedSnapshotError):
        restore(reopen(repository), snapshot_id, target)
    assert not target.touched


def test_a_damaged_branch_is_damage_of_its_whole_range(repository):
    disk = SparseDisk(2 * BRANCH_SPAN_BYTES + 5)
    disk.write(0, fill("near"))
    disk.write(BRANCH_SPAN_BYTES + 3, fill("far"))
    snapshot_id = take(repository, disk).snapshot_id
    ref = repository.read_manifest(snapshot_id).root.branches[1]
    flip_object(repository.store, map_pack_key(ref.location.pack), ref.location.offset + 9)
    target = SparseTarget(disk.size_bytes)
    with pytest.raises(DamagedSnapshotError) as caught:
        restore(reopen(repository), snapshot_id, target, RestoreRequest(best_effort=True))
    assert caught.value.ranges == (Extent(BRANCH_SPAN_BYTES, BRANCH_SPAN_BYTES),)
    assert target.touched == {0}


def test_holes_of_a_target_are_not_read(repository):
    """A disk of 1 TiB with a few blocks is brought back to a few others without a look at the rest of it."""
    size = 2**40 + BLOCK_BYTES
    far = size // BLOCK_BYTES - 1
    disk = make_block_disk({3: "a", 4: "b", 9_000_000: "c", far: "d"}, size)
    disk.zero(10 * BLOCK_BYTES, BLOCK_BYTES)
    snapshot_id = take(repository, disk).snapshot_id
    target = SparseTarget(size, is_blank=False, disk=make_block_disk({3: "a", 5: "x", 5_000_000: "y"}, size))
    progress = Progress()
    result = restore(repository, snapshot_id, target, progress=progress)
    assert set(target.disk.read_blocks) == {3, 5, 5_000_000}
    for block in (3, 4, 5, 10, 5_000_000, 9_000_000, far):
        place = block * BLOCK_BYTES, BLOCK_BYTES
        assert target.disk.read(*place) == disk.read(*place)
    assert target.touched == {4, 5, 5_000_000, 9_000_000, far}
    assert (result.written_bytes, result.kept_bytes) == (3 * BLOCK_BYTES, size - 5 * BLOCK_BYTES)
    assert progress.read().done_bytes == progress.read().known_bytes == size
