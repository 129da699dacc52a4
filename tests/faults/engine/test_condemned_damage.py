"""Damage is not inherited: once its packs are condemned, the next capture of a healthy disk is whole again."""

import pytest

from lamina.blockio.extents import Extent
from lamina.clock import SystemClock
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.condemned import list_condemned
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS, data_pack_key, map_pack_key
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.condemn import condemn_damaged
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.maintenance.verify import verify
from lamina.engine.manifest import CaptureMode
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.objects.metered import MeteredStore
from lamina.transfer.capture import ChangeHint
from tests.factories.disks import fill, make_block_disk
from tests.factories.repositories import bring_back, make_repository, reopen, sweep_clean, take
from tests.faults.engine.damaging import flip

# Three leaves with a few blocks each; zeros that were written and holes lie between them.
BLOCKS = {0: "a", 1: "b", 5: "c", LEAF_BLOCKS: "d", LEAF_BLOCKS + 9: "e", 40 * LEAF_BLOCKS: "f"}
THEN = "then"
WAYS = ["scan", "hint of nothing", "hint of another block", "full"]


@pytest.fixture
def disk():
    return make_block_disk(BLOCKS)


@pytest.fixture
def repository():
    return make_repository()


def take_first(repository, disk):
    return take(repository, disk, snapshot_id="s-first", tracking=THEN).snapshot_id


def take_next(repository, disk, way, name="s-next", parent="s-first"):
    """Capture the disk in one of the `WAYS`; where it is of another block, that block changes."""
    if way == "full":
        return take(reopen(repository), disk, snapshot_id=name)
    extents = ()
    if way == "hint of another block":
        disk.write(2 * BLOCK_BYTES, fill("new"))
        extents = (Extent(2 * BLOCK_BYTES, BLOCK_BYTES),)
    hint = ChangeHint(relative_to=THEN, extents=extents) if way.startswith("hint") else None
    return take(
        reopen(repository), disk, snapshot_id=name, parent=parent, hint=hint, tracking=THEN, sample_blocks=0
    )


def list_places(repository, snapshot_id):
    """Of every block: the key of its pack, and where it lies there."""
    manifest = repository.read_manifest(snapshot_id)
    for visit in walk_leaves(manifest.root, repository.pages):
        for entry in visit.leaf.stored:
            yield data_pack_key(entry.location.pack), entry.location.offset + 1


def list_pages(repository, snapshot_id):
    """Of every leaf and branch: the key of its pack, and where it lies there."""
    root = repository.read_manifest(snapshot_id).root
    refs = [visit.ref for visit in walk_leaves(root, repository.pages)]
    leaves, branches = (
        [(map_pack_key(ref.location.pack), ref.location.offset + 1) for ref in each]
        for each in (refs, root.branches.values())
    )
    return {"leaf": leaves, "branch": branches}


def spoil(repository, key, position):
    """Flip one bit, and let a verification find it."""
    repository.store.put(key, flip(repository.store.get(key), position).data)
    return find_damage(repository)


def find_damage(repository):
    report = verify(reopen(repository), percent=100, workers=1)
    assert not report.is_sound
    return report.damaged_packs


def assert_whole(repository, snapshot_id, disk):
    cold = reopen(repository)
    assert verify(cold, snapshot_id, percent=100, workers=1).is_sound
    assert bring_back(cold, snapshot_id).describe() == disk.describe()


@pytest.mark.parametrize("way", WAYS)
def test_every_block_is_captured_anew_when_its_pack_is_condemned(disk, way):
    count = len(BLOCKS)
    for number in range(count):
        repository, fresh = make_repository(), disk.copy()
        take_first(repository, fresh)
        key, position = list(list_places(repository, "s-first"))[number]
        assert spoil(repository, key, position) == [key]
        assert condemn_damaged(repository, [key]) == [key]
        result = take_next(repository, fresh, way)
        assert_whole(repository, "s-next", fresh)
        expected = {"full": count, "hint of another block": 1}.get(way, 0)
        assert result.changed_bytes == expected * BLOCK_BYTES, "what was healed did not change"
        damaged = verify(reopen(repository), "s-first", percent=100, workers=1).damaged_ranges
        assert sum(each.length for each in damaged) == BLOCK_BYTES, "the old snapshot stays as it is"


@pytest.mark.parametrize("way", WAYS)
def test_damage_is_inherited_while_nobody_condemns_it(repository, disk, way):
    """Why the list is needed: the footer of the pack is sound, so that nothing tells a capture of the damage."""
    take_first(repository, disk)
    spoil(repository, *next(list_places(repository, "s-first")))
    take_next(repository, disk, way)
    assert not verify(reopen(repository), "s-next", percent=100, workers=1).is_sound


@pytest.mark.parametrize("way", WAYS)
def test_a_pack_that_is_missing(repository, disk, way):
    take_first(repository, disk)
    key, _ = next(list_places(repository, "s-first"))
    repository.store.delete(key)
    assert condemn_damaged(repository, find_damage(repository)) == [key]
    take_next(repository, disk, way)
    assert_whole(repository, "s-next", disk)


@pytest.mark.parametrize("role", ["leaf", "branch"])
@pytest.mark.parametrize("way", WAYS)
def test_every_page_is_written_anew_when_its_pack_is_condemned(disk, way, role):
    for number in range({"leaf": 3, "branch": 1}[role]):
        repository, fresh = make_repository(), disk.copy()
        take_first(repository, fresh)
        key, position = list_pages(repository, "s-first")[role][number]
        condemn_damaged(repository, spoil(repository, key, position))
        take_next(repository, fresh, way)
        assert_whole(repository, "s-next", fresh)
        places = list_pages(reopen(repository), "s-next")
        assert key not in {place for each in places.values() for place, _ in each}


def test_without_its_branch_a_parent_counts_for_nothing(repository, disk):
    take_first(repository, disk)
    condemn_damaged(repository, spoil(repository, *list_pages(repository, "s-first")["branch"][0]))
    result = take_next(repository, disk, "hint of nothing")
    assert (result.mode, result.new_bytes) == (CaptureMode.FULL, 0), "its blocks are found by their ids"
    assert reopen(repository).read_manifest("s-next").parent is None


def test_only_the_first_capture_pays_for_looking_at_the_whole_map(disk):
    metered = MeteredStore(MemoryStore(), clock=SystemClock())
    repository = make_repository(metered)
    take_first(repository, disk)
    key, position = next(list_places(repository, "s-first"))
    condemn_damaged(repository, spoil(repository, key, position))
    disk.forget_reads()
    take_next(repository, disk, "hint of nothing", "s-second")
    # every block of the disk lay in this one pack
    assert sorted(disk.read_blocks) == sorted(BLOCKS)
    disk.forget_reads()
    before = metered.snapshot().total.requests
    take_next(repository, disk, "hint of nothing", "s-third", parent="s-second")
    # opening the repository, the session, the lists, the parent, the commit, the session's end; and no page
    assert metered.snapshot().total.requests - before <= 9
    assert not disk.read_blocks
    assert_whole(repository, "s-third", disk)


def test_a_second_list_is_another_reason_to_look(repository, disk):
    take_first(repository, disk)
    condemn_damaged(repository, spoil(repository, *next(list_places(repository, "s-first"))))
    take_next(repository, disk, "scan", "s-second")
    key, position = next(list_places(repository, "s-second"))
    condemn_damaged(repository, spoil(repository, key, position))
    take_next(repository, disk, "hint of nothing", "s-third", parent="s-second")
    assert_whole(repository, "s-third", disk)


def test_a_pack_is_condemned_once(repository, disk):
    take_first(repository, disk)
    damaged = spoil(repository, *next(list_places(repository, "s-first")))
    assert condemn_damaged(repository, damaged) == damaged
    assert condemn_damaged(repository, find_damage(repository)) == []
    assert len(list_condemned(repository.store, repository.cipher).lists) == 1


def test_sweeps_keep_a_condemned_pack_as_long_as_a_snapshot_refers_to_it(repository, disk):
    take_first(repository, disk)
    disk.write(3 * BLOCK_BYTES, fill("own"))
    take_next(repository, disk, "scan")
    key, position = next(list_places(repository, "s-first"))
    damaged = spoil(repository, key, position)
    condemn_damaged(repository, damaged)
    for _ in range(3):
        report = sweep(repository)
        assert (report.removed_packs, report.waiting_packs, report.damage) == (0, len(damaged), [])
    lost = verify(reopen(repository), "s-first", percent=100, workers=1).damaged_ranges
    assert sum(each.length for each in lost) == BLOCK_BYTES, "what is sound in the pack is still there"
    take_next(repository, disk, "scan", "s-whole", parent="s-next")
    for snapshot_id in ("s-first", "s-next"):
        repository.delete_snapshot(snapshot_id)
    sweep_clean(repository)
    assert key not in {info.key for info in repository.store.list("data/")}
    assert list_condemned(repository.store, repository.cipher).lists == ()
    assert verify(reopen(repository), percent=100, workers=1).is_sound
    assert_whole(repository, "s-whole", disk)


def test_a_list_that_shrinks_still_says_that_its_packs_are_damaged(repository, disk):
    take_first(repository, disk)
    other = make_block_disk({0: "other"})
    take(repository, other, snapshot_id="s-other")
    keys = {next(list_places(repository, name))[0] for name in ("s-first", "s-other")}
    condemn_damaged(repository, keys)
    repository.delete_snapshot("s-other")
    for _ in range(3):
        sweep(repository)
    kept, _ = next(list_places(repository, "s-first"))
    assert list_condemned(repository.store, repository.cipher).damaged_keys == {kept}


def test_a_compaction_leaves_condemned_packs_alone(repository, disk):
    take_first(repository, disk)
    key, position = next(list_places(repository, "s-first"))
    condemn_damaged(repository, spoil(repository, key, position))
    report = compact(reopen(repository), sparse_below=2.0)
    assert (report.sparse_packs, report.skipped) == (0, None)
    take_next(repository, disk, "scan")
    report = compact(reopen(repository), sparse_below=2.0)
    assert report.rewritten_snapshots == 1
    assert_whole(repository, "s-next", disk)
    assert reopen(repository).read_manifest("s-next").clear_of, "the new manifest knows it, too"
