"""Making a block map: new pages where something changed, the parent's pages everywhere else."""

from collections.abc import Iterable
from typing import Protocol

from lamina.engine.blockmap.page import Branch, Leaf, PageRef
from lamina.engine.blockmap.root import Root
from lamina.engine.format import BRANCH_LEAVES, Location, PageId
from lamina.engine.seal.hashing import Identity


class PageSink(Protocol):
    """Where new pages go."""

    def write_page(self, page_id: PageId, data: bytes) -> Location:
        """Store a page and tell where it lies."""
        ...


class BranchSource(Protocol):
    """Where branches of the parent come from."""

    def read_branch(self, ref: PageRef) -> Branch:
        """The branch that `ref` points to."""
        ...


def write_leaf(leaf: Leaf, identity: Identity, sink: PageSink) -> PageRef | None:
    """Store a leaf; None when none of its blocks was ever written, for then it is left out."""
    data_blocks, zero_blocks = leaf.data_blocks, leaf.zero_blocks
    if not data_blocks and not zero_blocks:
        return None
    page_id = leaf.page_id(identity)
    return PageRef(page_id, sink.write_page(page_id, leaf.encode()), data_blocks, zero_blocks)


class RootBuilder:
    """Collects leaves, in the order of their index, into branches and a root.

    Holds the leaf references of one branch at a time, so memory does not grow with the disk. Branches to which
    nothing is set keep the parent's reference without being read: an unchanged 100 TiB disk costs nothing here.
    """

    def __init__(
        self, parent: Root | None, size_bytes: int, identity: Identity, sink: PageSink, source: BranchSource
    ) -> None:
        """Start from the parent's map, or from nothing.

        A parent of another size is fine: what lies behind the end of the disk must be set to None by the caller.
        """
        self._parent = dict(parent.branches) if parent is not None else {}
        self._branches = dict(self._parent)
        self._size_bytes = size_bytes
        self._identity = identity
        self._sink = sink
        self._source = source
        self._index: int | None = None
        self._leaves: dict[int, PageRef] = {}
        self._touched = False

    def set_leaf(self, leaf_index: int, ref: PageRef | None) -> None:
        """Say what the leaf at this index is; indexes must not go back."""
        branch_index, within = divmod(leaf_index, BRANCH_LEAVES)
        if branch_index != self._index:
            self._finish_branch()
            self._start_branch(branch_index)
        if self._leaves.get(within) == ref:
            return
        self._touched = True
        if ref is None:
            self._leaves.pop(within, None)
        else:
            self._leaves[within] = ref

    def drop_branches(self, indexes: Iterable[int]) -> None:
        """Say that nothing in these branches was ever written."""
        for index in indexes:
            self._branches.pop(index, None)

    def finish(self) -> Root:
        """The root of the new map."""
        self._finish_branch()
        return Root(self._size_bytes, dict(sorted(self._branches.items())))

    def _start_branch(self, index: int) -> None:
        if self._index is not None and index < self._index:
            raise ValueError("leaves must be set in the order of their index")
        self._index = index
        ref = self._parent.get(index)
        self._leaves = dict(self._source.read_branch(ref).leaves) if ref is not None else {}
        self._touched = False

    def _finish_branch(self) -> None:
        if self._index is None or not self._touched:
            return
        if not self._leaves:
            self._branches.pop(self._index, None)
            return
        branch = Branch(dict(sorted(self._leaves.items())))
        page_id = branch.page_id(self._identity)
        location = self._sink.write_page(page_id, branch.encode())
        self._branches[self._index] = PageRef(page_id, location, branch.data_blocks, branch.zero_blocks)
