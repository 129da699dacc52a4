"""Make the row of a snapshot from its manifest and its note: after the loss of the database, or of some of it."""

from datetime import datetime

from lamina.control.scope import Scope
from lamina.control.snapshots.annotations import (
    DiskFacts,
    GroupFacts,
    LockFacts,
    SnapshotFacts,
    read_annotations,
    read_change,
)
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.records import GroupRecord, LockRecord, NoteRecord, SnapshotRecord
from lamina.control.snapshots.settle import count_incremental
from lamina.control.snapshots.states import GroupState, SnapshotKind, SnapshotState
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.manifest import Manifest, Note
from lamina.engine.repository import Repository
from lamina.failures import Corruption
from lamina.ids import KeyId, SnapshotId


def describe_manifest(snapshot: SnapshotRecord, manifest: Manifest, now: datetime) -> None:
    """Write into a row what the manifest measured."""
    snapshot.used_bytes = manifest.used_bytes
    snapshot.changed_bytes = manifest.changed_bytes
    snapshot.stored_bytes = manifest.stored_bytes
    snapshot.incremental_bytes = count_incremental(manifest)
    is_copy = snapshot.source_snapshot_id is not None  # its tracking is another snapshot's, in another region
    snapshot.tracking = None if is_copy else manifest.tracking or None
    snapshot.modified_at = now


def find_note(repository: Repository, snapshot_id: SnapshotId) -> Note | Corruption | None:
    """The note of a snapshot, or what is wrong with it; None if it has none.

    Raises:
        Fault: the store failed.
    """
    try:
        return repository.find_note(snapshot_id)
    except Corruption as damage:
        return damage


def adopt_snapshot(
    scope: Scope, manifest: Manifest, note: Note | Corruption | None, key_id: KeyId | None = None
) -> DiskFacts | None:
    """Add the row of a snapshot that the repository of the scope's account and region, and of a key, has.

    With it come its lock, and its group if no other member brought that back. A damaged note may have told of a lock:
    such a snapshot comes back as a manual one without retention, so that nothing but its owner deletes it.

    Returns:
        What is known of its disk; None if no service made the snapshot, so that nothing was added.

    Raises:
        Corruption: the annotations of the manifest or the note make no sense.
    """
    annotations = (
        {**manifest.annotations, **note.annotations} if isinstance(note, Note) else manifest.annotations
    )
    known, change = read_annotations(annotations), read_change(annotations)
    if known is None:
        return None
    facts, disk = known
    snapshot = _make_row(scope, manifest, facts, disk)
    snapshot.key_id = key_id
    if change is not None:
        snapshot.name = change.name
    scope.session.add(snapshot)
    scope.session.flush()
    put_tags(scope, ResourceType.SNAPSHOT, snapshot, facts.tags)
    if isinstance(note, Note):
        scope.session.add(NoteRecord(snapshot_id=snapshot.id, revision=note.number, is_noted=True))
    elif note is not None:
        snapshot.kind = SnapshotKind.USER
        snapshot.retention_days = snapshot.expires_at = None
    if change is not None:
        _adopt_lock(scope, snapshot, change.lock)
        _adopt_group(scope, snapshot, change.group)
    sum_up_chain(scope.session, snapshot, scope.clock.now())
    return disk


def _make_row(scope: Scope, manifest: Manifest, facts: SnapshotFacts, disk: DiskFacts) -> SnapshotRecord:
    snapshot = SnapshotRecord(
        id=manifest.snapshot_id,
        account_id=scope.account_id,
        region_id=scope.region_id,
        name=manifest.name or None,
        description=facts.description,
        kind=facts.kind,
        category=facts.category,
        state=SnapshotState.ACCOMPLISHED,
        disk_id=disk.id,
        disk_size_gib=disk.size_gib,
        disk_role=disk.role,
        disk_name=disk.name,
        retention_days=facts.retention_days,
        expires_at=facts.expires_at,
        created_at=facts.created_at,
        source_snapshot_id=facts.source_snapshot_id,
        source_region_id=facts.source_region_id,
    )
    describe_manifest(snapshot, manifest, scope.clock.now())
    return snapshot


def _adopt_lock(scope: Scope, snapshot: SnapshotRecord, facts: LockFacts | None) -> None:
    if facts is None:
        return
    lock = LockRecord(
        snapshot_id=snapshot.id,
        account_id=snapshot.account_id,
        region_id=snapshot.region_id,
        cool_off_hours=facts.cool_off_hours,
        duration_days=facts.duration_days,
        created_at=facts.created_at,
        starts_at=facts.starts_at,
        cool_off_until=facts.cool_off_until,
        expires_at=facts.expires_at,
    )
    scope.session.add(lock)


def _adopt_group(scope: Scope, snapshot: SnapshotRecord, facts: GroupFacts | None) -> None:
    if facts is None:
        return
    snapshot.group_id = facts.id
    if scope.session.get(GroupRecord, facts.id) is not None:
        return
    group = GroupRecord(
        id=facts.id,
        account_id=snapshot.account_id,
        region_id=snapshot.region_id,
        instance_id=facts.instance_id,
        name=facts.name,
        description=facts.description,
        state=GroupState.ACCOMPLISHED,
        created_at=facts.created_at,
    )
    scope.session.add(group)
    scope.session.flush()
    put_tags(scope, ResourceType.SNAPSHOT_GROUP, group, facts.tags)
