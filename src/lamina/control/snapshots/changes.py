"""Marking snapshots that changed after their manifest was written; `notes` writes the change into the repository."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.snapshots.records import NoteRecord, SnapshotRecord
from lamina.ids import SnapshotGroupId, SnapshotId


def mark_changed(session: Session, snapshot_id: SnapshotId) -> None:
    """What a manifest does not say about the snapshot has changed. Part of the transaction that changes it."""
    session.flush()
    note = session.get(NoteRecord, snapshot_id, with_for_update=True)
    if note is None:
        session.add(NoteRecord(snapshot_id=snapshot_id, revision=1, is_noted=False))
    else:
        note.revision += 1
        note.is_noted = False
    session.flush()


def mark_group_changed(session: Session, group_id: SnapshotGroupId) -> None:
    """What is known of a group has changed: every member's note tells it."""
    members = select(SnapshotRecord.id).where(SnapshotRecord.group_id == group_id).order_by(SnapshotRecord.id)
    for snapshot_id in session.scalars(members).all():
        mark_changed(session, snapshot_id)
