"""What runs in scenes: operations, and repositories in the states that matter."""

from functools import partial

from lamina.engine.condemned import CondemnedList, put_condemned, put_witnesses
from lamina.engine.maintenance.compaction import compact
from lamina.engine.maintenance.sweep import sweep
from lamina.engine.repository import SnapshotNotFoundError
from lamina.engine.sessions import mint_session_id
from lamina.transfer.restore import restore
from tests.factories.disks import SparseTarget, make_block_disk
from tests.factories.repositories import make_clock, make_repository, take

OLD = {0: "kept", 1: "old", 130: "far"}
NEW = {0: "kept", 1: "new", 130: "far"}
SMALL = {0: "kept", 5: "five"}
DISK_BYTES = 200 * 65536

squeeze = partial(compact, sparse_below=0.99)


def in_turn(*operations):
    """Several operations as one."""

    def run(repository):
        for operation in operations:
            operation(repository)

    return run


def delete(snapshot_id, repository):
    repository.delete_snapshot(snapshot_id)


def capture_again(blocks, parent, repository, *, snapshot_id="s-second", tolerant=True):
    """A capture that shares blocks with what is there; a tolerant one may find its parent gone."""
    try:
        take(repository, make_block_disk(blocks, DISK_BYTES), snapshot_id=snapshot_id, parent=parent)
    except SnapshotNotFoundError:
        if not tolerant:
            raise


def condemn_everything(repository):
    """As a sweep would that was paused between its look and its list, for so long that captures came to need packs."""
    packs = frozenset(row.key for folder in ("data/", "map/") for row in repository.store.list(folder))
    sweep_id = mint_session_id()
    item = CondemnedList(sweep=sweep_id, pack_keys=packs, manifest_keys=frozenset(), witnesses=None)
    put_condemned(repository.store, repository.cipher, item)
    put_witnesses(repository.store, repository.cipher, sweep_id, [])


def begin(blocks, *, is_condemned=False, is_dropped=False):
    """A repository with one snapshot; its packs may be condemned, or all that is left of it."""
    repository = make_repository(clock=make_clock())
    take(repository, make_block_disk(blocks, DISK_BYTES), snapshot_id="s-first")
    if is_condemned:
        condemn_everything(repository)
    if is_dropped:  # as after a capture that was killed: packs without a manifest
        repository.store.delete("snapshots/s-first/00000000")
    return repository


def contents_of(**snapshots):
    return {f"s-{name}": make_block_disk(blocks, DISK_BYTES).contents for name, blocks in snapshots.items()}


def restore_exactly(blocks, snapshot_id, repository):
    """A restore that brings the right bytes, or says that there is no such snapshot (any more)."""
    target = SparseTarget(DISK_BYTES)
    try:
        restore(repository, snapshot_id, target)
    except SnapshotNotFoundError:
        return
    assert target.disk.contents == make_block_disk(blocks, DISK_BYTES).contents


def begin_sparse():
    """One small snapshot, in packs that a deleted one has left half empty."""
    repository = begin(OLD)
    take(repository, make_block_disk(SMALL, DISK_BYTES), snapshot_id="s-small", parent="s-first")
    delete("s-first", repository)
    sweep(repository)
    return repository
