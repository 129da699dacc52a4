"""What is said about damage: the snapshot, the bytes of the disk, and the place in the store."""

from dataclasses import dataclass

import pytest

from lamina.blockio.extents import Extent
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.format import (
    BLOCK_BYTES,
    BRANCH_SPAN_BYTES,
    LEAF_BLOCKS,
    LEAF_SPAN_BYTES,
    Location,
    data_pack_key,
    map_pack_key,
)
from lamina.engine.maintenance.verify import DamagedRange, verify
from lamina.failures import Corruption
from lamina.transfer.restore import DamagedSnapshotError, RestoreRequest, restore
from tests.factories.disks import SparseTarget, fill, make_block_disk
from tests.factories.repositories import make_repository, reopen, take
from tests.faults.engine.damaging import apply, flip, list_told

_LEAVES = 3
_DISK_BYTES = (_LEAVES * LEAF_BLOCKS - 5) * BLOCK_BYTES - 99
_BEFORE = b"before"


@dataclass
class Scene:
    """A snapshot `s-one` of a disk with data in all of its leaves, each of which has a pack of its own.

    Attributes:
        repository: where it is.
        disk: what it holds.
    """

    repository: object
    disk: object

    @property
    def store(self):
        return self.repository.store

    def find_record(self, block):
        """Object key, offset and length of a block's record."""
        leaf = self._find_visit(block // LEAF_BLOCKS).leaf
        return _place(data_pack_key, leaf.entries[block % LEAF_BLOCKS].location)

    def find_leaf(self, index):
        """The same of a leaf."""
        return _place(map_pack_key, self._find_visit(index).ref.location)

    def find_branch(self):
        """The same of the only branch."""
        return _place(map_pack_key, self.repository.read_manifest("s-one").root.branches[0].location)

    def spoil(self, place):
        """Flip a bit in the middle of a record."""
        key, offset, length = place
        apply(self.store, key, flip(self.store.get(key), offset + length // 2))

    def _find_visit(self, leaf_index):
        root = self.repository.read_manifest("s-one").root
        visits = walk_leaves(root, self.repository.pages, leaf_index, leaf_index + 1)
        return next(visits)


def _place(key_of, location: Location):
    return key_of(location.pack), location.offset, location.length


@pytest.fixture
def scene():
    blocks = {}
    repository = make_repository()
    parent = None
    for leaf in range(_LEAVES):
        blocks |= {leaf * LEAF_BLOCKS + within: f"{leaf} {within}" for within in (0, 1, 2, 50, 122)}
        disk = make_block_disk(blocks, _DISK_BYTES)
        name = "s-one" if leaf == _LEAVES - 1 else f"s-before{leaf}"
        parent = take(repository, disk, snapshot_id=name, parent=parent).snapshot_id
    return Scene(repository, disk)


def bring_back(scene, target=None, **request):
    """Restore it, which must fail; what was said."""
    target = target if target is not None else SparseTarget(_DISK_BYTES)
    request.setdefault("workers", 1)
    with pytest.raises(DamagedSnapshotError) as caught:
        restore(reopen(scene.repository), "s-one", target, RestoreRequest(**request))
    return caught.value


def existing_target():
    """A disk full of something else."""
    target = SparseTarget(_DISK_BYTES, is_blank=False)
    target.disk.write(0, fill(_BEFORE.decode(), _DISK_BYTES))
    return target


LOSSES = {
    "record": (lambda scene: scene.find_record(130), Extent(130 * BLOCK_BYTES, BLOCK_BYTES)),
    "last record": (
        lambda scene: scene.find_record(2 * LEAF_BLOCKS + 122),
        Extent((2 * LEAF_BLOCKS + 122) * BLOCK_BYTES, BLOCK_BYTES - 99),
    ),
    "leaf": (lambda scene: scene.find_leaf(1), Extent(LEAF_SPAN_BYTES, LEAF_SPAN_BYTES)),
    "last leaf": (
        lambda scene: scene.find_leaf(2),
        Extent(2 * LEAF_SPAN_BYTES, _DISK_BYTES - 2 * LEAF_SPAN_BYTES),
    ),
    "branch": (lambda scene: scene.find_branch(), Extent(0, _DISK_BYTES)),
}


@pytest.mark.parametrize("what", LOSSES)
def test_damage_names_the_snapshot_the_bytes_and_the_place(scene, what):
    find, lost = LOSSES[what]
    key, offset, length = place = find(scene)
    scene.spoil(place)
    reason = (
        f"object {key!r} is damaged at bytes {offset}-{offset + length - 1}: a record does not authenticate"
    )

    error = bring_back(scene)
    assert (error.snapshot_id, error.ranges, error.reasons) == ("s-one", (lost,), (reason,))
    assert str(error) == f"snapshot s-one is damaged at bytes {lost.offset}-{lost.end - 1}: {reason}"

    report = verify(reopen(scene.repository), "s-one", percent=100)
    told = DamagedRange(snapshot_id="s-one", offset=lost.offset, length=lost.length, reason=reason)
    assert report.damaged_ranges == [told]
    assert report.damaged_objects == [reason]


@pytest.mark.parametrize("what", LOSSES)
def test_a_missing_pack_names_the_snapshot_the_bytes_and_the_object(scene, what):
    find, lost = LOSSES[what]
    key = find(scene)[0]
    scene.store.delete(key)
    error = bring_back(scene, best_effort=True)
    assert error.reasons == (f"object {key!r} is missing",)
    assert any(item.offset <= lost.offset and lost.end <= item.end for item in error.ranges)
    report = verify(reopen(scene.repository), "s-one")  # this is seen without reading a pack
    assert list_told(report, "s-one") == error.ranges
    assert report.damaged_objects == [f"object {key!r} is missing"]


def test_a_damaged_manifest_is_named_and_nothing_is_written(scene):
    key = "snapshots/s-one/00000000"
    apply(scene.store, key, flip(scene.store.get(key), 100))
    target = existing_target()
    with pytest.raises(Corruption, match=f"object '{key}' is damaged: it does not authenticate"):
        restore(reopen(scene.repository), "s-one", target)
    assert not target.calls
    for percent in (0, 100):
        report = verify(reopen(scene.repository), percent=percent)
        assert report.damaged_objects == [f"object '{key}' is damaged: it does not authenticate"]
        assert report.snapshots == _LEAVES - 1


def test_one_record_is_named_for_every_snapshot_and_place_that_needs_it(scene):
    disk = scene.disk.copy()
    disk.write(70 * BLOCK_BYTES, disk.read(0, BLOCK_BYTES))
    take(scene.repository, disk, snapshot_id="s-two")
    scene.spoil(scene.find_record(0))
    report = verify(reopen(scene.repository), percent=100)
    first, again = Extent(0, BLOCK_BYTES), Extent(70 * BLOCK_BYTES, BLOCK_BYTES)
    for snapshot_id in ("s-before0", "s-before1", "s-one"):
        assert list_told(report, snapshot_id) == (first,)
    assert list_told(report, "s-two") == (first, again)
    assert len(report.damaged_objects) == 1


def test_many_damaged_ranges_are_counted(scene):
    for block in range(0, _LEAVES * LEAF_BLOCKS, LEAF_BLOCKS):
        for within in (0, 2, 50, 122):
            scene.spoil(scene.find_record(block + within))
    error = bring_back(scene, best_effort=True)
    assert len(error.ranges) == 12
    assert "and 4 more ranges" in str(error)


@pytest.mark.parametrize("is_blank", [True, False])
@pytest.mark.parametrize("what", LOSSES)
def test_best_effort_restores_everything_else_and_still_fails(scene, what, is_blank):
    find, lost = LOSSES[what]
    scene.spoil(find(scene))
    target = SparseTarget(_DISK_BYTES) if is_blank else existing_target()
    before = target.disk.copy()
    assert bring_back(scene, target, best_effort=True, workers=2).ranges == (lost,)
    assert target.disk.read(0, lost.offset) == scene.disk.read(0, lost.offset)
    assert target.disk.read(lost.offset, lost.length) == before.read(lost.offset, lost.length)
    behind = _DISK_BYTES - lost.end
    assert target.disk.read(lost.end, behind) == scene.disk.read(lost.end, behind)


@pytest.mark.parametrize("what", LOSSES)
@pytest.mark.parametrize("workers", [1, 2])
def test_without_best_effort_an_existing_disk_keeps_what_lies_in_and_behind_the_damage(scene, what, workers):
    find, lost = LOSSES[what]
    scene.spoil(find(scene))
    target = existing_target()
    before = target.disk.copy()
    assert bring_back(scene, target, workers=workers).ranges == (lost,)
    assert target.disk.read(lost.offset, lost.length) == before.read(lost.offset, lost.length)
    leaf = lost.offset // LEAF_SPAN_BYTES
    assert not target.touched & set(range(leaf * LEAF_BLOCKS, (leaf + 1) * LEAF_BLOCKS))
    if (
        workers == 1
    ):  # one at a time and in order: what comes behind is not touched, what came before is right
        assert all(block < leaf * LEAF_BLOCKS for block in target.touched)
        start = leaf * LEAF_SPAN_BYTES
        assert target.disk.read(0, start) == scene.disk.read(0, start)


def test_a_target_that_holds_a_lost_block_already_needs_nothing(scene):
    scene.spoil(scene.find_record(1))
    target = SparseTarget(_DISK_BYTES, is_blank=False, disk=scene.disk.copy())
    target.disk.punch(0, BLOCK_BYTES)
    result = restore(reopen(scene.repository), "s-one", target)
    assert target.disk.contents == scene.disk.contents
    assert result.written_bytes == BLOCK_BYTES


def test_the_branch_of_a_far_place_is_named_to_the_end_of_the_disk():
    repository = make_repository()
    disk = make_block_disk({0: "near", BRANCH_SPAN_BYTES // BLOCK_BYTES + 3: "far"})
    take(repository, disk, snapshot_id="s-one")
    ref = repository.read_manifest("s-one").root.branches[1]
    key = map_pack_key(ref.location.pack)
    apply(repository.store, key, flip(repository.store.get(key), ref.location.offset))
    report = verify(reopen(repository), "s-one", percent=100)
    assert list_told(report, "s-one") == (Extent(BRANCH_SPAN_BYTES, 4 * BLOCK_BYTES),)
