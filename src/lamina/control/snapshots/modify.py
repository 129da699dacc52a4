"""Rename a snapshot, describe it otherwise, keep it longer."""

from dataclasses import dataclass
from datetime import timedelta

from lamina.control.scope import Scope
from lamina.control.snapshots.changes import mark_changed
from lamina.control.snapshots.errors import RetentionDecreaseError, SnapshotUnfinishedError
from lamina.control.snapshots.queries import get_snapshot
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotChange:
    """What is to be changed; None leaves a thing as it is. Texts were checked by whoever asks.

    Attributes:
        snapshot_id: of which snapshot.
        description: an empty one takes the description away.
        retention_days: counted from the snapshot's creation; at least what it is now.
    """

    snapshot_id: SnapshotId
    name: str | None = None
    description: str | None = None
    retention_days: int | None = None


def modify_snapshot(scope: Scope, change: SnapshotChange) -> SnapshotRecord:
    """Change what a snapshot says about itself. Its data does not change, and neither does its manifest.

    Raises:
        SnapshotNotFoundError: the account has no such snapshot.
        SnapshotUnfinishedError: its retention cannot be changed before it is accomplished.
        RetentionDecreaseError: it would be kept shorter than it is now.
    """
    snapshot = get_snapshot(scope, change.snapshot_id)
    if change.retention_days is not None:
        if snapshot.state is not SnapshotState.ACCOMPLISHED:
            raise SnapshotUnfinishedError(snapshot.id, snapshot.state)
        keep_longer(snapshot, change.retention_days)
    if change.name is not None:
        snapshot.name = change.name
    if change.description is not None:
        snapshot.description = change.description or None
    snapshot.modified_at = scope.clock.now()
    mark_changed(scope.session, snapshot.id)
    return snapshot


def keep_longer(snapshot: SnapshotRecord, retention_days: int) -> None:
    """Give a snapshot a retention, counted from its creation, that is not shorter than the present one.

    Raises:
        RetentionDecreaseError: it would be kept shorter than it is now.
    """
    if snapshot.retention_days is None or retention_days < snapshot.retention_days:
        raise RetentionDecreaseError(snapshot.id, snapshot.retention_days, retention_days)
    snapshot.retention_days = retention_days
    snapshot.expires_at = snapshot.created_at + timedelta(days=retention_days)
