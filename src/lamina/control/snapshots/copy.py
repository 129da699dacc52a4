"""Copy a snapshot to another region."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import func, select

from lamina.control.keys.choose import AS_SOURCE, Encryption, choose_new_key
from lamina.control.regions.records import RegionRecord
from lamina.control.scope import Scope
from lamina.control.snapshots.chain import sum_up_chain
from lamina.control.snapshots.copy_data import SnapshotCopy
from lamina.control.snapshots.copying import COPY_SNAPSHOT
from lamina.control.snapshots.errors import (
    ArchivedCopyError,
    CopyNotOfferedError,
    CopyRegionError,
    EncryptedCopyError,
    SameRegionError,
    SnapshotNotFoundError,
    SnapshotQuotaError,
)
from lamina.control.snapshots.queries import get_snapshot, require_ready
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotKind, SnapshotState
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import KeyId, RegionId, SnapshotId, mint_snapshot_id
from lamina.tasks.queue import enqueue


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCopy:
    """A copy to be. Names and descriptions were checked by whoever asks.

    Attributes:
        snapshot_id: of which snapshot; one of the account in the scope's region.
        region_id: where the copy goes.
        retention_days: how long the copy is kept; None is for ever.
        encryption: how the copy is encrypted, with a key of its region.
        kind: who asks.
        tags: key to value.
    """

    snapshot_id: SnapshotId
    region_id: RegionId
    name: str | None = None
    description: str | None = None
    retention_days: int | None = None
    encryption: Encryption = AS_SOURCE
    kind: SnapshotKind = SnapshotKind.USER
    tags: Mapping[str, str] = field(default_factory=dict)


def copy_snapshot(scope: Scope, new: NewCopy) -> SnapshotRecord:
    """Start a copy; it is `progressing`, and `accomplished` or `failed` when its task has ended.

    The copy is a snapshot of its own: it stays when the original goes, and disks of its region are made from it. The
    disk of the original cannot be rolled back to it.

    Raises:
        CopyNotOfferedError: the installation does not offer this.
        SnapshotNotFoundError: the account has no such snapshot in this region.
        SameRegionError: it would stay in the region.
        CopyRegionError: there is no such region to copy to.
        SnapshotNotReadyError: it is not accomplished.
        SnapshotDataMissingError: the object store does not have its data.
        KeyWithoutEncryptionError and further: the copy cannot be encrypted so; see `keys.choose`.
        EncryptedCopyError: it is encrypted, and the copy would not be.
        ArchivedCopyError: it is archived.
        SnapshotQuotaError: the disk has as many manual copies in that region as it may have.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    if not scope.limits.may_copy_snapshots:
        raise CopyNotOfferedError
    source = get_snapshot(scope, new.snapshot_id)
    if source.region_id != scope.region_id:
        raise SnapshotNotFoundError(new.snapshot_id)
    if new.region_id == source.region_id:
        raise SameRegionError(source.id, source.region_id)
    if scope.session.get(RegionRecord, new.region_id) is None:
        raise CopyRegionError(new.region_id)
    require_ready(scope.session, source)
    key_id = choose_new_key(replace(scope, region_id=new.region_id), new.encryption)
    if source.key_id is not None and key_id is None:
        raise EncryptedCopyError(source.id, new.region_id)
    if source.category is not SnapshotCategory.STANDARD:
        raise ArchivedCopyError(source.id)
    maximum = scope.limits.manual_snapshots_per_disk
    if new.kind is SnapshotKind.USER and _count_copies(scope, source, new.region_id) >= maximum:
        raise SnapshotQuotaError(source.disk_id, maximum)
    copy = _add(scope, source, new, key_id)
    arguments = SnapshotCopy(
        account_id=scope.account_id,
        source_account_id=source.account_id,
        source_region_id=source.region_id,
        source_id=source.id,
        region_id=copy.region_id,
        snapshot_id=copy.id,
        key_id=key_id,
        source_key_id=source.key_id,
    )
    is_automatic = new.kind is SnapshotKind.AUTO
    copy.task_id = enqueue(
        scope.session, scope.clock, COPY_SNAPSHOT, arguments, key=copy.id, is_background=is_automatic
    )
    return copy


def _add(scope: Scope, source: SnapshotRecord, new: NewCopy, key_id: KeyId | None) -> SnapshotRecord:
    now = scope.clock.now()
    days = new.retention_days
    copy = SnapshotRecord(
        id=mint_snapshot_id(),
        account_id=scope.account_id,
        region_id=new.region_id,
        name=new.name,
        description=new.description,
        kind=new.kind,
        category=SnapshotCategory.STANDARD,
        state=SnapshotState.PROGRESSING,
        disk_id=source.disk_id,
        disk_size_gib=source.disk_size_gib,
        disk_role=source.disk_role,
        disk_name=source.disk_name,
        retention_days=days,
        expires_at=None if days is None else now + timedelta(days=days),
        created_at=now,
        modified_at=now,
        source_snapshot_id=source.id,
        source_region_id=source.region_id,
        key_id=key_id,
    )
    scope.session.add(copy)
    scope.session.flush()
    put_tags(scope, ResourceType.SNAPSHOT, copy, new.tags)
    sum_up_chain(scope.session, copy, scope.clock.now())
    return copy


def _count_copies(scope: Scope, source: SnapshotRecord, region_id: RegionId) -> int:
    query = select(func.count()).where(
        SnapshotRecord.account_id == scope.account_id,
        SnapshotRecord.disk_id == source.disk_id,
        SnapshotRecord.region_id == region_id,
        SnapshotRecord.kind == SnapshotKind.USER,
        SnapshotRecord.source_snapshot_id.is_not(None),
        SnapshotRecord.state != SnapshotState.DELETING,
    )
    return scope.session.scalar(query) or 0
