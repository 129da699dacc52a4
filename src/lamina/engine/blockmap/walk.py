"""Walking a block map: the leaves of a range in order, a few requests at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from lamina.engine.blockmap.page import EMPTY_LEAF, Branch, Entry, Leaf, PageRef
from lamina.engine.blockmap.root import Root
from lamina.engine.format import BRANCH_LEAVES, LEAF_BLOCKS
from lamina.failures import Corruption
from lamina.units import BlockIndex

# Leaves that were written together lie side by side: 64 of them are one request of about 350 KiB.
_LEAVES_AT_ONCE: Final = 64


class PageSource(Protocol):
    """Where pages come from. A page that is missing or damaged is a `Corruption`; faults of the store are raised."""

    def read_branch(self, ref: PageRef) -> Branch:
        """The branch that `ref` points to; raises `Corruption`."""
        ...

    def read_leaves(self, refs: Sequence[PageRef]) -> list[Leaf | Corruption]:
        """The leaves that `refs` point to, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Visit:
    """A stop of a walk: one leaf, or a damaged page.

    Attributes:
        first_leaf: index of the (first) leaf.
        leaf_count: one, or the leaves below a damaged branch.
        ref: the page's reference; None for a leaf that is left out of the map.
        leaf: the leaf, or what is wrong with the page.
    """

    first_leaf: int
    leaf_count: int
    ref: PageRef | None
    leaf: Leaf | Corruption


def list_leaf_refs(
    root: Root, pages: PageSource, first: int, end: int
) -> Iterator[tuple[int, PageRef] | Visit]:
    """Index and reference of every leaf in `[first, end)` that has written blocks, in order.

    A branch that cannot be read comes as a `Visit` with its damage.
    """
    for branch_index, branch_ref in root.branches.items():
        base = branch_index * BRANCH_LEAVES
        if base >= end or base + BRANCH_LEAVES <= first:
            continue
        try:
            branch = pages.read_branch(branch_ref)
        except Corruption as damage:
            start, stop = max(base, first), min(base + BRANCH_LEAVES, end)
            yield Visit(start, stop - start, branch_ref, damage)
            continue
        for within, ref in branch.leaves.items():
            if first <= base + within < end:
                yield base + within, ref


def walk_leaves(root: Root, pages: PageSource, first: int = 0, end: int | None = None) -> Iterator[Visit]:
    """Every leaf in `[first, end)` that has written blocks, in order, and the damaged pages among them."""
    batch: list[tuple[int, PageRef]] = []
    for item in list_leaf_refs(root, pages, first, leaf_count(root) if end is None else end):
        if isinstance(item, Visit):
            yield from _read_batch(batch, pages)
            batch = []
            yield item
            continue
        batch.append(item)
        if len(batch) == _LEAVES_AT_ONCE:
            yield from _read_batch(batch, pages)
            batch = []
    yield from _read_batch(batch, pages)


def find_entry(root: Root, pages: PageSource, block: BlockIndex) -> Entry:
    """What the map says about one block; at most two pages are read.

    Raises:
        Corruption: a page on the way is damaged.
    """
    leaf_index, within = divmod(block, LEAF_BLOCKS)
    return find_leaf(root, pages, leaf_index).entries[within]


def find_leaf(root: Root, pages: PageSource, leaf_index: int) -> Leaf:
    """The leaf at an index; the empty one where nothing was written.

    Raises:
        Corruption: a page on the way is damaged.
    """
    branch_index, within = divmod(leaf_index, BRANCH_LEAVES)
    branch_ref = root.branches.get(branch_index)
    if branch_ref is None:
        return EMPTY_LEAF
    ref = pages.read_branch(branch_ref).leaves.get(within)
    if ref is None:
        return EMPTY_LEAF
    (leaf,) = pages.read_leaves([ref])
    if isinstance(leaf, Corruption):
        raise leaf
    return leaf


def leaf_count(root: Root) -> int:
    """The index behind the last leaf that the map can hold."""
    return (max(root.branches, default=-1) + 1) * BRANCH_LEAVES


def _read_batch(batch: Sequence[tuple[int, PageRef]], pages: PageSource) -> Iterator[Visit]:
    leaves = pages.read_leaves([ref for _, ref in batch])
    for (index, ref), leaf in zip(batch, leaves, strict=True):
        yield Visit(index, 1, ref, leaf)
