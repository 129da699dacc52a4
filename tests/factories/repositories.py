"""Repositories in memory, and the shortest ways to use one, for tests of the engine and the pipelines."""

from datetime import UTC, datetime, timedelta

import msgspec

from lamina.clock import ManualClock
from lamina.engine.blockmap.page import Stored
from lamina.engine.blockmap.walk import walk_leaves
from lamina.engine.format import KIND_SESSION, LEAF_BLOCKS
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.objects.memory import MemoryStore
from lamina.engine.packs.reader import Wanted
from lamina.engine.repository import Repository
from lamina.engine.seal.keys import KeyFile
from lamina.engine.sessions import SESSIONS, ProcessMark, list_sessions
from lamina.transfer.capture import CaptureRequest, capture
from lamina.transfer.progress import Progress
from lamina.transfer.restore import restore
from tests.factories.disks import WRITTEN_ZERO, SparseTarget

SECRET = KeyFile(b"a key file for tests, of 32 byte")
EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)
STALE = timedelta(hours=25)


def make_clock():
    """A clock that stands still."""
    return ManualClock(EPOCH)


def make_repository(store=None, **options):
    """A new repository, in memory unless a store is given."""
    return Repository.create(store if store is not None else MemoryStore(), SECRET, **options)


def reopen(repository, **options):
    """The same repository as another process sees it: nothing is cached."""
    options.setdefault("clock", repository.clock)
    return Repository.open(repository.store, SECRET, **options)


def take(repository, disk, **request):
    """Capture a disk."""
    request.setdefault("workers", 1)
    return capture(repository, disk, CaptureRequest(**request), Progress())


def bring_back(repository, snapshot_id):
    """Restore into a new blank target; its disk."""
    target = SparseTarget(repository.read_manifest(snapshot_id).size_bytes)
    restore(repository, snapshot_id, target)
    return target.disk


def read_map(repository, snapshot_id):
    """What the block map says, in the terms of `SparseDisk.describe`; read without the restore pipeline."""
    manifest = repository.read_manifest(snapshot_id)
    model = {}
    for visit in walk_leaves(manifest.root, repository.pages):
        for within, entry in enumerate(visit.leaf.entries):
            block = visit.first_leaf * LEAF_BLOCKS + within
            if isinstance(entry, Stored):
                (model[block],) = repository.blocks.read([Wanted(*entry)])
            elif entry is not None:
                model[block] = WRITTEN_ZERO
    return model


def objects_of(store):
    """Every object of a store, by key."""
    return {info.key: store.get(info.key) for info in store.list("")}


def copy_store(store):
    """An independent store in memory with the same objects."""
    twin = MemoryStore()
    for key, data in objects_of(store).items():
        twin.put(key, data)
    return twin


def find_dead_pid():
    """The number of a process that is not there: one above the kernel's limit (PID_MAX_LIMIT)."""
    return 2**22 + 1


def bury(store, repository, dead_pid, session_ids=None):
    """Make sessions (by default all) look like those of a process of this machine that is gone."""
    mark = msgspec.structs.replace(ProcessMark.current(), pid=dead_pid)
    for session in list_sessions(store, repository.cipher):
        if session.record is None or (session_ids is not None and session.session_id not in session_ids):
            continue
        key = SESSIONS + session.session_id
        record = msgspec.structs.replace(session.record, process=mark)
        store.put(key, repository.cipher.seal(KIND_SESSION, key, msgspec.json.encode(record)))


def sweep_clean(repository):
    """Sweep until nothing waits any more, at most three times; the last report."""
    for _ in range(3):
        report = sweep(repository)
        if not report.waiting_packs and not report.waiting_manifests:
            break
    return report
