"""What changed between two block maps, in time proportional to the difference (guarantee G5)."""

from collections.abc import Iterator
from typing import NamedTuple

from lamina.engine.blockmap.page import EMPTY_LEAF, Entry, Leaf, PageRef, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import PageSource
from lamina.engine.format import BRANCH_LEAVES, LEAF_BLOCKS
from lamina.failures import Corruption
from lamina.units import BlockIndex


class Change(NamedTuple):
    """A block that differs: what the first map says about it, and what the second."""

    block: BlockIndex
    before: Entry
    after: Entry


def diff(
    before: Root, after: Root, pages: PageSource, first_leaf: int = 0, end_leaf: int | None = None
) -> Iterator[Change]:
    """Every block on which the two maps disagree, in order.

    Blocks agree when both were never written, both are written zeros, or both have the same id; where their
    records lie does not matter. Subtrees with equal page ids are not read.

    Raises:
        Corruption: a page that is needed for the comparison is damaged.
    """
    for branch_index in sorted({*before.branches, *after.branches}):
        base = branch_index * BRANCH_LEAVES
        if base + BRANCH_LEAVES <= first_leaf or (end_leaf is not None and base >= end_leaf):
            continue
        old, new = before.branches.get(branch_index), after.branches.get(branch_index)
        if _same_page(old, new):
            continue
        old_leaves, new_leaves = _leaves(old, pages), _leaves(new, pages)
        for within in sorted({*old_leaves, *new_leaves}):
            leaf_index = base + within
            if leaf_index < first_leaf or (end_leaf is not None and leaf_index >= end_leaf):
                continue
            if not _same_page(old_leaves.get(within), new_leaves.get(within)):
                yield from _diff_leaf(leaf_index, old_leaves.get(within), new_leaves.get(within), pages)


def _diff_leaf(index: int, old: PageRef | None, new: PageRef | None, pages: PageSource) -> Iterator[Change]:
    before, after = _leaf(old, pages), _leaf(new, pages)
    for within, (a, b) in enumerate(zip(before.entries, after.entries, strict=True)):
        if not same_content(a, b):
            yield Change(BlockIndex(index * LEAF_BLOCKS + within), a, b)


def same_content(a: Entry, b: Entry) -> bool:
    """Whether two entries say the same about a block."""
    if isinstance(a, Stored) and isinstance(b, Stored):
        return a.block_id == b.block_id
    return a is b


def _same_page(a: PageRef | None, b: PageRef | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.page_id == b.page_id


def _leaves(ref: PageRef | None, pages: PageSource) -> dict[int, PageRef]:
    return {} if ref is None else dict(pages.read_branch(ref).leaves)


def _leaf(ref: PageRef | None, pages: PageSource) -> Leaf:
    if ref is None:
        return EMPTY_LEAF
    (leaf,) = pages.read_leaves([ref])
    if isinstance(leaf, Corruption):
        raise leaf
    return leaf
