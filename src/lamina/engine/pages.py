"""Pages of the block map in a store: read through a small cache, written into map packs."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, TypeVar

from lamina.engine.blockmap.page import PAGE_BYTES_MAX, Branch, Leaf, PageRef
from lamina.engine.format import KIND_MAP_PACK, Location, PageId
from lamina.engine.objects.store import ObjectStore
from lamina.engine.packs.reader import RecordReader, Wanted
from lamina.engine.packs.writer import PackWriter, Unsealed
from lamina.engine.seal.compression import Compressor
from lamina.engine.seal.hashing import Identity
from lamina.engine.seal.keys import DomainKeys
from lamina.failures import Corruption

# A full branch takes about 2 MiB in memory and a full leaf about 50 KiB: 30 MiB in all at the most.
_P = TypeVar("_P")

_BRANCHES_KEPT: Final = 8
_LEAVES_KEPT: Final = 256


class Pages:
    """Reads pages of one domain. Thread-safe. Every page is checked against the id that its parent gives."""

    def __init__(self, store: ObjectStore, keys: DomainKeys, identity: Identity) -> None:
        self._reader = RecordReader(KIND_MAP_PACK, store, keys, record_bytes_max=PAGE_BYTES_MAX)
        self._identity = identity
        self._branches: OrderedDict[Location, Branch] = OrderedDict()
        self._leaves: OrderedDict[Location, Leaf] = OrderedDict()
        self._lock = threading.Lock()

    def read_branch(self, ref: PageRef) -> Branch:
        """The branch that `ref` points to.

        Raises:
            Corruption: it is missing or damaged.
        """
        with self._lock:
            cached = self._branches.get(ref.location)
        if cached is not None:
            return cached
        (data,) = self._reader.read([Wanted(ref.page_id, ref.location)])
        if isinstance(data, Corruption):
            raise data
        branch = Branch.decode(data)
        if branch.page_id(self._identity) != ref.page_id:
            raise Corruption("a branch of the block map is not the one that the map names")
        self._keep(self._branches, _BRANCHES_KEPT, ref.location, branch)
        return branch

    def read_leaves(self, refs: Sequence[PageRef]) -> list[Leaf | Corruption]:
        """The leaves that `refs` point to, or what is wrong with each, in their order."""
        with self._lock:
            found: dict[Location, Leaf | Corruption] = {
                ref.location: self._leaves[ref.location] for ref in refs if ref.location in self._leaves
            }
        missing = [ref for ref in refs if ref.location not in found]
        contents = self._reader.read([Wanted(ref.page_id, ref.location) for ref in missing])
        for ref, data in zip(missing, contents, strict=True):
            found[ref.location] = leaf = self._decode_leaf(ref, data)
            if isinstance(leaf, Leaf):
                self._keep(self._leaves, _LEAVES_KEPT, ref.location, leaf)
        return [found[ref.location] for ref in refs]

    def _decode_leaf(self, ref: PageRef, data: bytes | Corruption) -> Leaf | Corruption:
        if isinstance(data, Corruption):
            return data
        try:
            leaf = Leaf.decode(data)
        except Corruption as damage:
            return damage
        if leaf.page_id(self._identity) != ref.page_id:
            return Corruption("a leaf of the block map is not the one that the map names")
        return leaf

    def _keep(self, cache: "OrderedDict[Location, _P]", most: int, location: Location, page: "_P") -> None:
        with self._lock:
            cache[location] = page
            if len(cache) > most:
                cache.popitem(last=False)


class MapWriter:
    """Writes pages into the map packs of one session. Thread-safe."""

    def __init__(self, packs: PackWriter, compressor: Compressor) -> None:
        self._packs = packs
        self._compressor = compressor

    def write_page(self, page_id: PageId, data: bytes) -> Location:
        """Store a page and tell where it lies."""
        encoding, payload = self._compressor.compress(data)
        (location,) = self._packs.append([Unsealed(page_id, encoding, payload)])
        return location
