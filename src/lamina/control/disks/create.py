"""Create a disk: empty, from a snapshot, or for bytes that are imported through a connection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.control.disks.categories import (
    DiskCategory,
    PerformanceLevel,
    check_import_size,
    check_size,
    choose_level,
)
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.start import start_build, start_empty
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.keys.choose import AS_SOURCE, Encryption, choose_key
from lamina.control.regions.queries import get_zone
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import SnapshotNotFoundError
from lamina.control.snapshots.holds import place_hold
from lamina.control.snapshots.queries import get_snapshot, require_ready
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import HolderKind
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import SnapshotId, ZoneId, mint_disk_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDisk:
    """A disk to be. Names and descriptions were checked by whoever asks.

    Attributes:
        zone_id: where it lies; a zone of the scope's region.
        category: what it is.
        performance_level: of an ESSD; PL1 unless given.
        size_gib: how large; may be absent when there is a snapshot, and is never below the snapshot's.
        snapshot_id: what it is made from; an accomplished snapshot of the account in the scope's region.
        encryption: how it is encrypted; as its snapshot by default.
        tags: key to value.
    """

    zone_id: ZoneId
    category: DiskCategory
    performance_level: PerformanceLevel | None = None
    size_gib: int | None = None
    snapshot_id: SnapshotId | None = None
    encryption: Encryption = AS_SOURCE
    name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDisk:
    """A disk whose bytes exist elsewhere and will be written through a connection.

    Attributes:
        zone_id: where it lies; a zone of the scope's region.
        size_bytes: how large the original is; the disk has the next whole GiB.
        category: what it is; also a local one.
        role: system or data.
        encryption: how it is encrypted.
        tags: key to value.
    """

    zone_id: ZoneId
    size_bytes: int
    category: DiskCategory = DiskCategory.CLOUD_ESSD
    role: DiskRole = DiskRole.DATA
    encryption: Encryption = AS_SOURCE
    name: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def create_disk(scope: Scope, new: NewDisk) -> DiskRecord:
    """Start making a disk; it is `Creating`, and `Available` when its task has ended.

    Raises:
        ZoneNotFoundError: the region has no such zone.
        SnapshotNotFoundError: the account has no such snapshot in this region.
        SnapshotNotReadyError: the snapshot is not accomplished.
        SnapshotDataMissingError: the object store does not have the snapshot's data.
        DiskCategoryError: such disks cannot be created.
        DiskSizeError: the category has no disks of this size.
        KeyWithoutEncryptionError and further: it cannot be encrypted so; see `keys.choose`.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    get_zone(scope.session, scope.region_id, new.zone_id)
    snapshot = _get_source(scope, new.snapshot_id) if new.snapshot_id is not None else None
    level = choose_level(new.category, new.performance_level)
    size_gib = max(new.size_gib or 0, snapshot.disk_size_gib if snapshot is not None else 0)
    check_size(new.category, level, size_gib)
    key_id = choose_key(scope, new.encryption, snapshot.key_id if snapshot is not None else None)
    disk = DiskRecord(
        id=mint_disk_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        zone_id=new.zone_id,
        name=new.name,
        description=new.description,
        role=DiskRole.DATA,
        category=new.category,
        performance_level=level,
        size_gib=size_gib,
        state=DiskState.CREATING,
        was_attached=False,
        source_snapshot_id=new.snapshot_id,
        key_id=key_id,
        created_at=scope.clock.now(),
    )
    _add(scope, disk, new.tags)
    if snapshot is None:
        disk.task_id = start_empty(scope.session, scope.clock, disk)
    else:
        place_hold(scope.session, snapshot.id, HolderKind.DISK, disk.id)
        disk.task_id = start_build(scope.session, scope.clock, disk, snapshot)
    return disk


def import_disk(scope: Scope, new: ImportedDisk) -> DiskRecord:
    """Start making an empty disk that counts as attached before, so that it can be snapshotted once written.

    Raises:
        ZoneNotFoundError: the region has no such zone.
        DiskSizeError: the category has no disks of this size.
        KeyWithoutEncryptionError and further: it cannot be encrypted so; see `keys.choose`.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    get_zone(scope.session, scope.region_id, new.zone_id)
    now = scope.clock.now()
    disk = DiskRecord(
        id=mint_disk_id(),
        account_id=scope.account_id,
        region_id=scope.region_id,
        zone_id=new.zone_id,
        name=new.name,
        description=new.description,
        role=new.role,
        category=new.category,
        performance_level=choose_level(new.category, None),
        size_gib=check_import_size(new.category, new.size_bytes),
        state=DiskState.CREATING,
        was_attached=True,
        created_at=now,
        attached_at=now,
        detached_at=now,
        key_id=choose_key(scope, new.encryption),
    )
    _add(scope, disk, new.tags)
    disk.task_id = start_empty(scope.session, scope.clock, disk)
    return disk


def _get_source(scope: Scope, snapshot_id: SnapshotId) -> SnapshotRecord:
    snapshot = get_snapshot(scope, snapshot_id)
    if snapshot.region_id != scope.region_id:
        raise SnapshotNotFoundError(snapshot_id)
    require_ready(scope.session, snapshot)
    return snapshot


def _add(scope: Scope, disk: DiskRecord, tags: Mapping[str, str]) -> None:
    scope.session.add(disk)
    scope.session.flush()
    put_tags(scope, ResourceType.DISK, disk, tags)
