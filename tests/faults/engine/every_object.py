"""A small repository that holds objects of every kind and role, and what its snapshots must bring back."""

from dataclasses import dataclass
from functools import cached_property

import msgspec

from lamina.blockio.extents import Extent, normalise
from lamina.engine.blockmap.walk import list_leaf_refs, walk_leaves
from lamina.engine.format import (
    BLOCK_BYTES,
    BRANCH_SPAN_BYTES,
    KIND_SESSION,
    LEAF_BLOCKS,
    LEAF_SPAN_BYTES,
    data_pack_key,
    map_pack_key,
)
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.repository import Repository
from lamina.engine.sessions import SESSIONS, ProcessMark, SessionKind, SessionRecord, mint_session_id
from tests.factories.disks import SparseDisk, fill
from tests.factories.repositories import (
    SECRET,
    copy_store,
    make_clock,
    make_repository,
    objects_of,
    take,
)

FAR = BRANCH_SPAN_BYTES // BLOCK_BYTES  # the first block of the second branch
_DEAD_PID = 2**22 + 1  # above the kernel's limit (PID_MAX_LIMIT): no process has it
DISK_BYTES = BRANCH_SPAN_BYTES + 5 * BLOCK_BYTES + 777

_KINDS = {
    b"K": "key slot",
    b"X": "revocation",
    b"S": "session",
    b"C": "condemned list",
    b"W": "witness list",
    b"P": "data pack",
    b"M": "map pack",
}
SMALL_ROLES = (
    "key slot",
    "manifest",
    "superseded manifest",
    "deleted manifest",
    "deletion marker",
    "revocation",
    "revocation marker",
    "session",
    "condemned list",
    "witness list",
)
PACK_ROLES = ("data pack", "map pack")
ROLES = SMALL_ROLES + PACK_ROLES


@dataclass(frozen=True)
class Span:
    """A record that a snapshot needs: a piece of a pack, and the bytes of the disk that are lost without it."""

    key: str
    offset: int
    length: int
    snapshot_id: str
    lost: Extent


@dataclass(frozen=True, kw_only=True)
class EveryObject:
    """A repository with everything in it. Every role is there twice, but for the key slot.

    Attributes:
        store: its objects; work on a copy.
        disks: for every snapshot that exists, the disk that was captured.
    """

    store: MemoryStore
    disks: dict

    @cached_property
    def objects(self):
        """Every object, by key."""
        return objects_of(self.store)

    def role_of(self, key):
        """What part an object plays, by its header and by its name."""
        return self._roles[key]

    def keys_of(self, role):
        """All objects that play this part."""
        return [key for key, found in self._roles.items() if found == role]

    @cached_property
    def _roles(self):
        return {key: self._find_role(key) for key in self.objects}

    def _find_role(self, key):
        kind = self.objects[key][6:7]
        if kind == b"D":
            return "deletion marker" if key.endswith("/deleted") else "revocation marker"
        if kind != b"R":
            return _KINDS[kind]
        (folder,) = [item for item in open_repository(self.store).list_folders() if key in item.bodies]
        if folder.is_deleted:
            return "deleted manifest"
        return "manifest" if key == folder.bodies[-1] else "superseded manifest"

    @cached_property
    def spans(self):
        """Every record that the existing snapshots need, found by walking their maps."""
        found = []
        repository = open_repository(self.store)
        for snapshot_id in self.disks:
            root = repository.read_manifest(snapshot_id).root

            def add(key, location, first, length, *, owner=snapshot_id, size=root.size_bytes):
                lost = Extent(first, min(length, size - first))
                found.append(Span(key, location.offset, location.length, owner, lost))

            for index, ref in root.branches.items():
                key = map_pack_key(ref.location.pack)
                add(key, ref.location, index * BRANCH_SPAN_BYTES, BRANCH_SPAN_BYTES)
            for index, ref in list_leaf_refs(root, repository.pages, 0, 2 * FAR // LEAF_BLOCKS):
                key = map_pack_key(ref.location.pack)
                add(key, ref.location, index * LEAF_SPAN_BYTES, LEAF_SPAN_BYTES)
            for visit in walk_leaves(root, repository.pages):
                for within, entry in enumerate(visit.leaf.entries, visit.first_leaf * LEAF_BLOCKS):
                    if hasattr(entry, "location"):
                        key = data_pack_key(entry.location.pack)
                        add(key, entry.location, within * BLOCK_BYTES, BLOCK_BYTES)
        return found

    def list_lost(self, key, start, end):
        """What each snapshot loses when bytes `[start, end)` of an object are bad: normal extents by snapshot."""
        lost = {snapshot_id: [] for snapshot_id in self.disks}
        for span in self.spans:
            if span.key == key and span.offset < end and start < span.offset + span.length:
                lost[span.snapshot_id].append(span.lost)
        return {snapshot_id: normalise(extents) for snapshot_id, extents in lost.items()}

    def list_records(self, key):
        """Offset and length of every record of a pack that a snapshot needs."""
        return sorted({(span.offset, span.length) for span in self.spans if span.key == key})


def open_repository(store):
    """The repository as a new process sees it: nothing is cached."""
    return Repository.open(store, SECRET, clock=make_clock())


def build():
    """Make the repository."""
    repository = make_repository(clock=make_clock())
    disks = {"s-base": _make_base_disk(), "s-next": _make_next_disk()}
    _leave_sparse_packs(repository)
    take(repository, disks["s-base"], snapshot_id="s-base")
    take(repository, disks["s-next"], snapshot_id="s-next", parent="s-base")
    compact(repository, sparse_below=0.99)
    disks["s-late"] = disks["s-next"].copy()
    disks["s-late"].write(0, fill("late"))
    take(repository, disks["s-late"], snapshot_id="s-late", parent="s-next")
    for number in range(2):
        # This reader lives: every list that is condemned from now on waits for it.
        _publish(repository, SessionKind.READ, "s-base", ProcessMark.current())
        _be_killed(repository, f"s-never{number}")
        _be_deleted(repository, f"s-dead{number}")
        sweep(repository)
    return EveryObject(store=copy_store(repository.store), disks=disks)


def _make_base_disk():
    disk = SparseDisk(DISK_BYTES)
    for block in (0, 1, 3, LEAF_BLOCKS, FAR, FAR + 5):
        disk.write(block * BLOCK_BYTES, fill(f"base {block}")[: DISK_BYTES - block * BLOCK_BYTES])
    disk.zero(6 * BLOCK_BYTES, 2 * BLOCK_BYTES)
    return disk


def _make_next_disk():
    disk = _make_base_disk()
    disk.write(BLOCK_BYTES, fill("next"))
    disk.write((FAR + 2) * BLOCK_BYTES, fill("base 0"))
    disk.punch(3 * BLOCK_BYTES, BLOCK_BYTES)
    return disk


def _leave_sparse_packs(repository):
    """A pack that is dead but for the blocks of the base disk, once its snapshot is swept."""
    big = _make_base_disk()
    big.write(10 * BLOCK_BYTES, fill("only here"))
    take(repository, big, snapshot_id="s-big")
    take(repository, _make_base_disk(), snapshot_id="s-bridge")
    repository.delete_snapshot("s-big")
    sweep(repository)
    repository.delete_snapshot("s-bridge")


def _be_deleted(repository, snapshot_id):
    disk = SparseDisk(3 * BLOCK_BYTES)
    disk.write(0, fill(snapshot_id))
    take(repository, disk, snapshot_id=snapshot_id)
    repository.delete_snapshot(snapshot_id)


def _be_killed(repository, snapshot_id):
    """A capture that was killed: its packs, which nothing refers to, and its session."""
    disk = SparseDisk(BLOCK_BYTES)
    disk.write(0, fill(f"lost {snapshot_id}"))
    take(repository, disk, snapshot_id=snapshot_id)
    repository.store.delete(f"snapshots/{snapshot_id}/00000000")
    gone = msgspec.structs.replace(ProcessMark.current(), pid=_DEAD_PID)
    _publish(repository, SessionKind.CAPTURE, snapshot_id, gone)


def _publish(repository, kind, snapshot_id, process):
    key = SESSIONS + mint_session_id()
    now = repository.clock.now()
    record = SessionRecord(kind=kind, snapshot=snapshot_id, process=process, started_at=now, beat_at=now)
    repository.store.put(key, repository.cipher.seal(KIND_SESSION, key, msgspec.json.encode(record)))
