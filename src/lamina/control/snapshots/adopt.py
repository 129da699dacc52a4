"""Make the row of a snapshot from its manifest: after the loss of the database, or of its latest changes."""

from datetime import datetime

from lamina.control.scope import Scope
from lamina.control.snapshots.annotations import DiskFacts, read_annotations
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.settle import count_incremental
from lamina.control.snapshots.states import SnapshotState
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.engine.manifest import Manifest
from lamina.ids import KeyId


def describe_manifest(snapshot: SnapshotRecord, manifest: Manifest, now: datetime) -> None:
    """Write into a row what the manifest measured."""
    snapshot.used_bytes = manifest.used_bytes
    snapshot.changed_bytes = manifest.changed_bytes
    snapshot.stored_bytes = manifest.stored_bytes
    snapshot.incremental_bytes = count_incremental(manifest)
    is_copy = snapshot.source_snapshot_id is not None  # its tracking is another snapshot's, in another region
    snapshot.tracking = None if is_copy else manifest.tracking or None
    snapshot.modified_at = now


def adopt_snapshot(scope: Scope, manifest: Manifest, key_id: KeyId | None = None) -> DiskFacts | None:
    """Add the row of a snapshot that the repository of the scope's account and region, and of a key, has.

    Returns:
        What is known of its disk; None if no service made the snapshot, so that nothing was added.

    Raises:
        Corruption: the manifest's annotations make no sense.
    """
    known = read_annotations(manifest.annotations)
    if known is None:
        return None
    facts, disk = known
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
        key_id=key_id,
    )
    describe_manifest(snapshot, manifest, scope.clock.now())
    scope.session.add(snapshot)
    scope.session.flush()
    put_tags(scope, ResourceType.SNAPSHOT, snapshot.id, facts.tags, region_id=snapshot.region_id)
    sum_up_chain(scope.session, snapshot, scope.clock.now())
    return disk
