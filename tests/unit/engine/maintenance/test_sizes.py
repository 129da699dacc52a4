"""Exclusive and incremental sizes, against a naive count over the whole maps."""

import sqlite3
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.engine.blockmap.page import Stored
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.format import BLOCK_BYTES, LEAF_BLOCKS
from lamina.engine.maintenance.sizes import SizeIndex, SizesBusyError
from lamina.engine.repository import SnapshotNotFoundError
from lamina.failures import Fault
from tests.factories.disks import SparseDisk, fill
from tests.factories.repositories import make_repository, take

BLOCKS = 3 * LEAF_BLOCKS


def read_places(repository, snapshot_id):
    """Block id and stored length of every place that has bytes."""
    manifest = repository.read_manifest(snapshot_id)
    return {
        visit.first_leaf * LEAF_BLOCKS + within: (entry.block_id, entry.location.length)
        for visit in walk_leaves(manifest.root, repository.pages)
        for within, entry in enumerate(visit.leaf.entries)
        if isinstance(entry, Stored)
    }


def count_naively(repository, chains):
    """Incremental and exclusive bytes of every snapshot, and the stored bytes of all."""
    places = {each: read_places(repository, each) for chain in chains.values() for each in chain}
    lengths = {block: length for held in places.values() for block, length in held.values()}
    holders = Counter(block for held in places.values() for block in {block for block, _ in held.values()})
    sizes = {}
    for chain in chains.values():
        before = {}
        for each in chain:
            new = [
                place for place, (block, _) in places[each].items() if before.get(place, (None,))[0] != block
            ]
            own = {block for block, _ in places[each].values() if holders[block] == 1}
            sizes[each] = (len(new) * BLOCK_BYTES, sum(lengths[block] for block in own))
            before = places[each]
    return sizes, sum(lengths.values())


@pytest.fixture
def repository():
    return make_repository()


def count_in(index, chain, snapshots, **options):
    """Count a chain; answers what nobody was told of before, as pairs."""
    index.count(chain, snapshots, **options)
    sizes = index.list_untold()
    index.tell(sizes)
    return {each: (size.incremental_bytes, size.exclusive_bytes) for each, size in sizes.items()}


steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 1), st.integers(0, BLOCKS - 1), st.integers(0, 5)),
        st.tuples(st.just("punch"), st.integers(0, 1), st.integers(0, BLOCKS - 1), st.just(0)),
        st.tuples(st.just("take"), st.integers(0, 1), st.just(0), st.just(0)),
        st.tuples(st.just("delete"), st.integers(0, 1), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("count"), st.integers(0, 1), st.just(0), st.just(0)),
    ),
    min_size=4,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_any_history_is_counted_as_a_walk_of_all_maps_would(history):
    """Two chains that share blocks; snapshots come and go in any order, several between two counts."""
    repository = make_repository()
    disks = [SparseDisk(BLOCKS * BLOCK_BYTES), SparseDisk(BLOCKS * BLOCK_BYTES)]
    chains = {"a": [], "b": []}
    known = {}
    index = SizeIndex(repository)

    def count(name):
        known.update(count_in(index, name, chains[name]))

    for verb, which, where, what in history:
        name = "ab"[which]
        if verb == "write":
            disks[which].write(where * BLOCK_BYTES, fill(f"content {what}"))
        elif verb == "punch":
            disks[which].punch(where * BLOCK_BYTES, BLOCK_BYTES)
        elif verb == "take":
            parent = chains[name][-1] if chains[name] else None
            chains[name].append(take(repository, disks[which], parent=parent).snapshot_id)
        elif verb == "delete" and chains[name]:
            repository.delete_snapshot(chains[name].pop(where % len(chains[name])))
        elif verb == "count":
            count(name)
    count("a")
    count("b")
    expected, stored = count_naively(repository, chains)
    assert {each: pair for each, pair in known.items() if each in expected} == expected
    assert index.stored_bytes == stored
    index.close()


@pytest.mark.parametrize("kept", [each for n in range(6) for each in combinations(range(5), n)])
def test_any_snapshots_may_go_between_two_counts(repository, kept):
    disk = SparseDisk(8 * BLOCK_BYTES)
    chain = []
    for number in range(6):  # places that change in each, in every other, in none; contents that come back
        for place in range(8):
            disk.write(place * BLOCK_BYTES, fill(f"content {number // (place + 1) % 3}"))
        chain.append(take(repository, disk, parent=chain[-1] if chain else None).snapshot_id)
    *old, new = chain
    index = SizeIndex(repository)
    known = count_in(index, "d", old)
    left = [old[number] for number in kept]
    for gone in set(old) - set(left):
        repository.delete_snapshot(gone)
    for now in (left, [*left, new]):
        known |= count_in(index, "d", now)
        expected, stored = count_naively(repository, {"d": now})
        assert ({each: known[each] for each in now}, index.stored_bytes) == (expected, stored)
    index.close()


def make_chain(repository, *, blocks=400, changes=(3, 5, 7)):
    """A full snapshot, and one more after each few changed blocks."""
    disk = SparseDisk(4 * blocks * BLOCK_BYTES)
    for block in range(blocks):
        disk.write(block * BLOCK_BYTES, fill(f"first {block}"))
    chain = [take(repository, disk).snapshot_id]
    for number, count in enumerate(changes):
        for block in range(count):
            disk.write((blocks // 2 + block) * BLOCK_BYTES, fill(f"later {number} {block}"))
        chain.append(take(repository, disk, parent=chain[-1]).snapshot_id)
    return chain


def test_a_new_snapshot_costs_its_difference_and_not_the_disk(repository, monkeypatch):
    chain = make_chain(repository)
    index = SizeIndex(repository)
    index.count("d", chain[:-1])
    read = []
    plain = repository.pages.read_leaves
    monkeypatch.setattr(
        type(repository.pages), "read_leaves", lambda _self, refs: read.extend(refs) or plain(refs)
    )
    index.count("d", chain)
    assert 0 < len(read) <= 2  # the one leaf that differs, of both snapshots
    read.clear()
    index.count("d", chain[1:])  # the oldest goes, as retention has it
    index.count("d", [chain[1], chain[3]])
    assert len(read) <= 2
    index.close()


def test_the_counts_outlive_the_process_and_the_loss_of_their_file(tmp_path):
    repository = make_repository(cache_dir=tmp_path)
    chain = make_chain(repository)
    index = SizeIndex(repository)
    before = count_in(index, "d", chain, revision=7)
    index.close()
    index = SizeIndex(repository)
    assert index.list_chains() == {"d": 7}
    assert count_in(index, "d", chain) == before
    index.close()
    [path] = tmp_path.glob("*/sizes.sqlite")
    path.write_bytes(b"not a database at all, and long enough to be looked at" * 40)
    index = SizeIndex(repository)
    assert count_in(index, "d", chain) == before
    index.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    index = SizeIndex(repository)
    assert count_in(index, "d", chain) == before
    index.close()


def test_a_count_that_cannot_be_finished_changes_nothing(repository):
    chain = make_chain(repository)
    index = SizeIndex(repository)
    before = count_in(index, "d", chain)
    with pytest.raises(SnapshotNotFoundError):
        index.count("d", [chain[0], "s-nobody", *chain[1:]])
    assert count_in(index, "d", chain) == before
    index.forget("d")
    assert index.list_untold() == {}
    assert (index.stored_bytes, index.list_chains()) == (0, {})
    index.close()


def test_nobody_else_has_the_file_until_it_is_closed(tmp_path):
    repository = make_repository(cache_dir=tmp_path)
    index = SizeIndex(repository)
    with pytest.raises(SizesBusyError):
        SizeIndex(repository)
    index.close()
    SizeIndex(repository).close()


def test_a_file_that_turns_out_to_be_damaged_is_made_anew(tmp_path):
    repository = make_repository(cache_dir=tmp_path)
    chain = make_chain(repository)
    index = SizeIndex(repository)
    before = count_in(index, "d", chain)
    index.close()
    [path] = tmp_path.glob("*/sizes.sqlite")
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"x" * (len(whole) - 4096))
    index = SizeIndex(repository)
    with pytest.raises(Fault):
        index.count("d", chain[1:])
    index.close()
    index = SizeIndex(repository)
    assert count_in(index, "d", chain) == before
    index.close()


def test_a_file_that_cannot_be_used_now_is_a_fault_and_stays(tmp_path):
    repository = make_repository(cache_dir=tmp_path)
    chain = make_chain(repository)
    index = SizeIndex(repository)
    count_in(index, "d", chain[:1])
    index._db.execute("PRAGMA max_page_count = 1")  # as on a full disk: the file cannot grow
    with pytest.raises(Fault):
        index.count("e", chain[1:])
    assert index.list_chains() == {"d": 0}
    index.close()
    index = SizeIndex(repository)
    assert index.list_chains() == {"d": 0}
    index.close()
