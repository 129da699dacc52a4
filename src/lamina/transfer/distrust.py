"""What a capture does not take over from its parent: whatever lies in packs that were condemned as damaged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from lamina.blockio.source import BlockSource
from lamina.engine.blockmap.page import Leaf, PageRef, Stored
from lamina.engine.blockmap.root import Root
from lamina.engine.blockmap.walk import PageSource, walk_leaves
from lamina.engine.condemned import Condemned
from lamina.engine.format import KIND_DATA_PACK, KIND_MAP_PACK, PackId, SessionId
from lamina.engine.manifest import Manifest
from lamina.failures import Corruption
from lamina.transfer.plan import LeafJob, Look, plan_leaf


@dataclass(frozen=True, slots=True)
class Distrust:
    """Packs that a new snapshot must not depend on, although its parent may.

    Attributes:
        lists: the condemned lists that name them.
        data: the data packs.
        pages: the map packs.
    """

    lists: frozenset[SessionId]
    data: frozenset[PackId]
    pages: frozenset[PackId]

    @classmethod
    def of(cls, condemned: Condemned) -> Self:
        """Everything that was condemned because it is damaged."""
        return cls(
            condemned.damaged_lists,
            condemned.damaged_packs(KIND_DATA_PACK),
            condemned.damaged_packs(KIND_MAP_PACK),
        )

    def concerns(self, parent: Manifest) -> bool:
        """Whether a parent may depend on such packs; it need not be walked if not."""
        return not self.lists <= parent.clear_of

    def has_branch(self, root: Root) -> bool:
        """Whether a branch of a map lies in such a pack, so that no page below it can be relied on."""
        return any(ref.location.pack in self.pages for ref in root.branches.values())

    def spoils(self, ref: PageRef) -> bool:
        """Whether a page has to be written anew even if nothing in it changed."""
        return ref.location.pack in self.pages

    def list_leaves(self, root: Root, pages: PageSource) -> Iterator[int]:
        """Indexes of the leaves that cannot be taken over as they are, in order. Reads the whole map.

        Raises:
            Corruption: a branch is damaged, and was not condemned.
        """
        for visit in walk_leaves(root, pages):
            if isinstance(visit.leaf, Corruption):
                if visit.leaf_count > 1:
                    raise visit.leaf
                yield visit.first_leaf
            elif (visit.ref is not None and self.spoils(visit.ref)) or self._list_spoiled(visit.leaf):
                yield visit.first_leaf

    def look_again(self, job: LeafJob, leaf: Leaf, source: BlockSource) -> LeafJob:
        """The same job, but blocks of the parent that lie in such packs are looked at, too."""
        spoiled = [within for within in self._list_spoiled(leaf) if job.looks[within] == Look.KEEP]
        if not spoiled:
            return job
        whole, looks = plan_leaf(source, job.leaf_index), bytearray(job.looks)
        for within in spoiled:
            looks[within] = whole.looks[within]
        return LeafJob(job.leaf_index, bytes(looks))

    def _list_spoiled(self, leaf: Leaf) -> list[int]:
        if not self.data:
            return []
        return [
            within
            for within, entry in enumerate(leaf.entries)
            if isinstance(entry, Stored) and entry.location.pack in self.data
        ]


NO_DISTRUST: Final = Distrust(frozenset(), frozenset(), frozenset())
"""Everything that the parent has is used again."""
