"""A store that knows what the snapshots need, and raises the alarm at the very call that breaks one."""

from lamina.engine import manifest as manifests
from lamina.engine.blockmap.walk import leaf_count, list_leaf_refs, walk_leaves
from lamina.engine.format import KIND_DATA_PACK, KIND_MAP_PACK, pack_key, parse_pack_key
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.repository import Repository
from tests.factories.repositories import SECRET


class LostDataError(AssertionError):
    """The one thing that must never happen."""


class GuardedStore(MemoryStore):
    """Looks at every change: no pack goes that a snapshot needs, no snapshot comes whose packs are not all there.

    The packs that a snapshot needs are found by walking its map, not by the product's mark.

    Attributes:
        alarms: what went wrong so far. Collected and not raised, since who calls the store may be the culprit.
        needs: for every manifest that was ever written, the object keys of its packs.
    """

    def __init__(self):
        super().__init__()
        self.alarms = []
        self.needs = {}
        self._observer = None

    def watch(self):
        """Begin to look, at a repository that is there."""
        self._observer = Repository.open(self, SECRET)
        for row in list(self.list(manifests.SNAPSHOTS)):
            self._look_at_new(row.key)

    @property
    def observer(self):
        """A repository whose requests are no steps of anybody."""
        return self._observer

    def put(self, key, data):
        super().put(key, data)
        self._look_at_new(key)

    def put_new(self, key, data):
        super().put_new(key, data)
        self._look_at_new(key)

    def delete(self, key):
        super().delete(key)
        if parse_pack_key(key) is not None:
            for folder in self._observer.list_folders():
                if folder.is_visible and key in self.needs.get(folder.bodies[-1], ()):
                    self.alarms.append(LostDataError(f"{key} was removed, and {folder.bodies[-1]} needs it"))

    def _look_at_new(self, key):
        if self._observer is None or not key.startswith(manifests.SNAPSHOTS):
            return
        if key.endswith((manifests.DELETED, manifests.REVOKED)):
            return
        manifest = self._observer.read_body(key)
        if manifest is None:
            return
        try:
            self.needs[key] = self._list_packs(manifest.root)
        except LostDataError as error:
            self.alarms.append(error)

    def _list_packs(self, root):
        pages = self._observer.pages
        needed = {pack_key(KIND_MAP_PACK, ref.location.pack) for ref in root.branches.values()}
        for item in list_leaf_refs(root, pages, 0, leaf_count(root)):
            if not isinstance(item, tuple):
                raise LostDataError("a snapshot was committed without a branch of its map")
            needed.add(pack_key(KIND_MAP_PACK, item[1].location.pack))
        for visit in walk_leaves(root, pages):
            if not hasattr(visit.leaf, "stored"):
                raise LostDataError("a snapshot was committed without a leaf of its map")
            needed.update(pack_key(KIND_DATA_PACK, entry.location.pack) for entry in visit.leaf.stored)
        missing = needed - {row.key for row in self.list("")}
        if missing:
            raise LostDataError(f"a snapshot was committed without {sorted(missing)}")
        return needed
