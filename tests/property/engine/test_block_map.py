"""Pages, roots, building, walking and comparing block maps, against naive models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamina.engine.blockmap.build import RootBuilder, write_leaf
from lamina.engine.blockmap.diff import diff
from lamina.engine.blockmap.page import Branch, Leaf, PageRef, Stored, Written
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import find_leaf, walk_leaves
from lamina.engine.format import (
    BRANCH_LEAVES,
    BRANCH_SPAN_BYTES,
    DEFAULT_DOMAIN,
    LEAF_BLOCKS,
    BlockId,
    Location,
    PackId,
    PageId,
)
from lamina.engine.seal.hashing import Identity
from lamina.engine.seal.keys import MasterKey
from lamina.failures import Corruption

IDENTITY = Identity(MasterKey(bytes(16), bytes(32)).domain_keys(DEFAULT_DOMAIN))

packs = st.builds(PackId, st.binary(min_size=16, max_size=16), st.integers(0, 2**32 - 1))
locations = st.builds(Location, packs, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
stored = st.builds(Stored, st.binary(min_size=32, max_size=32).map(BlockId), locations)
entries = st.one_of(st.none(), st.just(Written.ZERO), stored)
leaves = st.dictionaries(st.integers(0, LEAF_BLOCKS - 1), entries, max_size=20).map(
    lambda some: Leaf(tuple(some.get(index) for index in range(LEAF_BLOCKS)))
)
refs = st.builds(
    PageRef,
    st.binary(min_size=32, max_size=32).map(PageId),
    locations,
    st.integers(0, LEAF_BLOCKS),
    st.integers(0, LEAF_BLOCKS),
)
branches = st.dictionaries(st.integers(0, BRANCH_LEAVES - 1), refs, max_size=12).map(
    lambda some: Branch(dict(sorted(some.items())))
)


class PagesInMemory:
    """Where a builder writes pages and a walk reads them; counts reads."""

    def __init__(self):
        self.pages = []
        self.reads = 0

    def write_page(self, _page_id, data):
        self.pages.append(data)
        return Location(PackId(bytes(16), 0), len(self.pages) - 1, len(data))

    def read_branch(self, ref):
        self.reads += 1
        return Branch.decode(self.pages[ref.location.offset])

    def read_leaves(self, wanted):
        self.reads += len(wanted)
        return [Leaf.decode(self.pages[ref.location.offset]) for ref in wanted]


def build(pages, model, parent=None, changed=None):
    """A root for a model: leaf index to {block within: entry}; `changed` are the indexes to set."""
    builder = RootBuilder(parent, 4 * BRANCH_SPAN_BYTES, IDENTITY, pages, pages)
    for index in sorted(model if changed is None else changed):
        some = model.get(index, {})
        leaf = Leaf(tuple(some.get(block) for block in range(LEAF_BLOCKS)))
        builder.set_leaf(index, write_leaf(leaf, IDENTITY, pages))
    return builder.finish()


models = st.dictionaries(
    st.integers(0, 3 * BRANCH_LEAVES),
    st.dictionaries(
        st.integers(0, LEAF_BLOCKS - 1), st.one_of(st.just(Written.ZERO), stored), min_size=1, max_size=4
    ),
    max_size=8,
)


@given(leaves)
def test_a_leaf_survives_its_bytes(leaf):
    assert Leaf.decode(leaf.encode()) == leaf


@given(branches)
def test_a_branch_survives_its_bytes(branch):
    found = Branch.decode(branch.encode())
    assert found == branch
    assert list(found.leaves) == sorted(branch.leaves)


@given(st.dictionaries(st.integers(0, 2**32 - 1), refs, max_size=8))
def test_a_root_survives_its_bytes(some):
    root = Root(12345, dict(sorted(some.items())))
    assert Root.decode(12345, root.encode()) == root


@given(st.one_of(st.binary(max_size=800), leaves.map(Leaf.encode), branches.map(Branch.encode)), st.data())
def test_bytes_that_are_no_page_are_corruption_and_nothing_else(data, draw):
    if data:
        at = draw.draw(st.integers(0, len(data) - 1))
        data = data[:at] + draw.draw(st.binary(max_size=3)) + data[at + 1 :]
    for decode in (Leaf.decode, Branch.decode, lambda found: Root.decode(1, found)):
        try:
            page = decode(data)
        except Corruption:
            continue
        assert decode(page.encode()) == page


@given(leaves, st.data())
def test_where_records_lie_is_not_part_of_an_id(leaf, data):
    moved = Leaf(
        tuple(
            Stored(entry.block_id, data.draw(locations)) if isinstance(entry, Stored) else entry
            for entry in leaf.entries
        )
    )
    assert moved.page_id(IDENTITY) == leaf.page_id(IDENTITY)


@given(leaves, leaves)
def test_leaves_of_different_content_have_different_ids(one, other):
    def content(leaf):
        return [entry.block_id if isinstance(entry, Stored) else entry for entry in leaf.entries]

    assert (one.page_id(IDENTITY) == other.page_id(IDENTITY)) == (content(one) == content(other))


@given(models)
def test_a_walk_finds_what_was_built(model):
    pages = PagesInMemory()
    root = build(pages, model)
    found = {
        visit.first_leaf: {at: entry for at, entry in enumerate(visit.leaf.entries) if entry is not None}
        for visit in walk_leaves(root, pages)
    }
    assert found == model
    assert root.data_blocks == sum(isinstance(e, Stored) for leaf in model.values() for e in leaf.values())
    assert root.zero_blocks == sum(e is Written.ZERO for leaf in model.values() for e in leaf.values())
    for index in [*model, 1, 2 * BRANCH_LEAVES - 1]:
        leaf = find_leaf(root, pages, index)
        assert {at: e for at, e in enumerate(leaf.entries) if e is not None} == model.get(index, {})


@given(models, models)
def test_changing_a_parent_gives_the_same_root_as_building_anew(before, after):
    pages = PagesInMemory()
    parent = build(pages, before)
    anew = build(pages, after)
    changed = build(pages, after, parent=parent, changed={*before, *after})
    assert changed.content_id(IDENTITY) == anew.content_id(IDENTITY)
    assert (changed.content_id(IDENTITY) == parent.content_id(IDENTITY)) == (
        {k: {b: getattr(e, "block_id", e) for b, e in v.items()} for k, v in before.items()}
        == {k: {b: getattr(e, "block_id", e) for b, e in v.items()} for k, v in after.items()}
    )


@given(models, models)
def test_a_comparison_finds_exactly_what_differs(before, after):
    pages = PagesInMemory()
    old, new = build(pages, before), build(pages, after)

    def flat(model):
        return {
            index * LEAF_BLOCKS + at: getattr(entry, "block_id", entry)
            for index, leaf in model.items()
            for at, entry in leaf.items()
        }

    a, b = flat(before), flat(after)
    expected = sorted(block for block in {*a, *b} if a.get(block) != b.get(block))
    assert [change.block for change in diff(old, new, pages)] == expected


@given(models)
def test_equal_maps_are_compared_without_reading_a_page(model):
    pages = PagesInMemory()
    root = build(pages, model)
    pages.reads = 0
    assert list(diff(root, root, pages)) == []
    assert pages.reads == 0


def test_leaves_must_come_in_order():
    pages = PagesInMemory()
    builder = RootBuilder(None, BRANCH_SPAN_BYTES * 3, IDENTITY, pages, pages)
    builder.set_leaf(BRANCH_LEAVES, None)
    with pytest.raises(ValueError, match="order"):
        builder.set_leaf(0, None)
