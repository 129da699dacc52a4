"""What the end of a capture or of a copy means for the row of the snapshot."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from lamina.clock import Clock
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.changes import mark_changed
from lamina.control.snapshots.lock import drop_lock, start_lock
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.remove import drop_snapshot, start_removal
from lamina.control.snapshots.states import SnapshotState
from lamina.engine.manifest import Manifest
from lamina.engine.repository import Repository, SnapshotNotFoundError
from lamina.ids import SnapshotId
from lamina.tasks.outcome import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """Checkpoint: what the copying of a snapshot's data found out.

    Attributes:
        tracking: the freeze that it was copied from; None if there was none.
    """

    used_bytes: int
    changed_bytes: int
    incremental_bytes: int
    stored_bytes: int
    tracking: str | None


def measure(manifest: Manifest, tracking: str | None) -> Copied:
    """What a manifest says about sizes."""
    return Copied(
        used_bytes=manifest.used_bytes,
        changed_bytes=manifest.changed_bytes,
        incremental_bytes=count_incremental(manifest),
        stored_bytes=manifest.stored_bytes,
        tracking=tracking,
    )


def count_incremental(manifest: Manifest) -> int:
    """What a snapshot adds to its chain as far as its capture knows: with a parent, all blocks that changed."""
    return manifest.used_bytes if manifest.parent is None else manifest.changed_bytes


def find_manifest(repository: Repository, snapshot_id: SnapshotId) -> Manifest | None:
    """The manifest that an attempt left which was killed behind the commit; None if there was none."""
    try:
        return repository.read_manifest(snapshot_id)
    except SnapshotNotFoundError:
        return None


def settle_success(session: Session, clock: Clock, snapshot: SnapshotRecord, copied: Copied) -> None:
    """The data is there: `accomplished`, or removed again when the cancellation came too late."""
    snapshot.used_bytes = copied.used_bytes
    snapshot.changed_bytes = copied.changed_bytes
    snapshot.incremental_bytes = copied.incremental_bytes
    snapshot.stored_bytes = copied.stored_bytes
    snapshot.tracking = copied.tracking
    snapshot.modified_at = clock.now()
    if snapshot.state is SnapshotState.DELETING:
        start_removal(session, clock, snapshot)
    else:
        snapshot.move_to(SnapshotState.ACCOMPLISHED)
        start_lock(session, snapshot.id, clock.now())
        if snapshot.group_id is not None:
            mark_changed(session, snapshot.id)  # its manifest does not name the group
    sum_up_chain(session, snapshot, clock.now())


def settle_failure(session: Session, clock: Clock, snapshot: SnapshotRecord, failure: Failure) -> None:
    """The data is not there: `failed`, or gone when that is what was wanted."""
    if snapshot.state is SnapshotState.DELETING:
        drop_snapshot(session, snapshot)
        return
    snapshot.move_to(SnapshotState.FAILED)
    snapshot.failure = failure.message
    snapshot.modified_at = clock.now()
    drop_lock(session, snapshot.id)
    sum_up_chain(session, snapshot, clock.now())
