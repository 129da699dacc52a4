"""Create a snapshot of one disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from sqlalchemy import and_, bindparam, case, func, select

from lamina.control.disks.errors import (
    DiskCategoryError,
    DiskNeverUsedError,
    DiskStateError,
    NeverAttachedError,
)
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.instances.locks import require_not_security_locked
from lamina.control.instances.queries import get_instance, require_state
from lamina.control.instances.states import InstanceState
from lamina.control.keys.queries import require_enabled
from lamina.control.scope import Scope
from lamina.control.snapshots.capture import CAPTURE_SNAPSHOT
from lamina.control.snapshots.capture_data import CaptureArguments
from lamina.control.snapshots.chain import add_to_chain
from lamina.control.snapshots.errors import SnapshotInProgressError, SnapshotQuotaError
from lamina.control.snapshots.queries import is_unfinished
from lamina.control.snapshots.records import SnapshotRecord
from lamina.control.snapshots.states import SnapshotCategory, SnapshotKind, SnapshotState
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import DiskId, SnapshotGroupId, mint_snapshot_id
from lamina.tasks.queue import enqueue

_ALLOWED: Final = (DiskState.IN_USE, DiskState.AVAILABLE)
_STILL: Final = (InstanceState.RUNNING, InstanceState.STOPPED)
_IS_MANUAL: Final = and_(
    SnapshotRecord.kind == SnapshotKind.USER,
    SnapshotRecord.state != SnapshotState.DELETING,
    SnapshotRecord.source_snapshot_id.is_(None),  # copies count where they are
)
# One walk along the chain, and built once: the account's other writers wait meanwhile.
_UNFINISHED_AND_MANUAL: Final = select(
    func.min(case((is_unfinished(), SnapshotRecord.id))), func.count(case((_IS_MANUAL, 1)))
).where(SnapshotRecord.account_id == bindparam("account_id"), SnapshotRecord.disk_id == bindparam("disk_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSnapshot:
    """A snapshot to be. Names and descriptions were checked by whoever asks.

    Attributes:
        disk_id: of which disk.
        retention_days: how long it is kept; None is for ever.
        kind: who asks.
        tags: key to value.
    """

    disk_id: DiskId
    name: str | None = None
    description: str | None = None
    retention_days: int | None = None
    kind: SnapshotKind = SnapshotKind.USER
    tags: Mapping[str, str] = field(default_factory=dict)


def create_snapshot(scope: Scope, new: NewSnapshot) -> SnapshotRecord:
    """Start a snapshot; it is `progressing`, and `accomplished` or `failed` when its task has ended.

    Raises:
        DiskNotFoundError: the account has no such disk.
        DiskCategoryError: such disks have no snapshots.
        DiskStateError: the disk is neither `In_use` nor `Available`.
        NeverAttachedError: it is `Available` and was never attached, so nothing can have been written to it.
        DiskNeverUsedError: its instance was never started, with the same consequence.
        InstanceStateError: its instance is neither `Running` nor `Stopped`.
        InstanceSecurityLockError: the operator locked its instance.
        SnapshotInProgressError: another snapshot of it is being created.
        KeyNotEnabledError, KeyDestroyedError: its key cannot be used now.
        SnapshotQuotaError: it has as many manual snapshots as it may have.
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    disk = get_disk(scope, new.disk_id)
    check_disk(scope, disk, new.kind)
    snapshot = _make_row(scope, disk, new)
    arguments = CaptureArguments(
        account_id=scope.account_id, region_id=disk.region_id, disk_id=disk.id, snapshot_id=snapshot.id
    )
    is_automatic = new.kind is SnapshotKind.AUTO
    snapshot.task_id = enqueue(
        scope.session, scope.clock, CAPTURE_SNAPSHOT, arguments, key=disk.id, is_background=is_automatic
    )
    _add(scope, snapshot, new.tags)
    return snapshot


def check_disk(scope: Scope, disk: DiskRecord, kind: SnapshotKind) -> None:
    """Let only a disk pass that can be snapshotted now; raises as `create_snapshot`."""
    if not disk.category.supports_snapshots:
        raise DiskCategoryError(disk.category.value)
    if disk.state not in _ALLOWED:
        raise DiskStateError(disk.id, disk.state, _ALLOWED)
    if disk.instance_id is not None:
        instance = get_instance(scope, disk.instance_id)
        require_not_security_locked(instance)
        require_state(instance, _STILL)
        if not disk.was_attached:
            raise DiskNeverUsedError(disk.id, instance.id)
    elif not disk.was_attached:
        raise NeverAttachedError(disk.id)
    wanted = {"account_id": scope.account_id, "disk_id": disk.id}
    unfinished_id, manual = scope.session.execute(_UNFINISHED_AND_MANUAL, wanted).one()
    if unfinished_id is not None:
        raise SnapshotInProgressError(disk.id, unfinished_id)
    require_enabled(scope.session, disk.key_id)
    maximum = scope.limits.manual_snapshots_per_disk
    if kind is SnapshotKind.USER and manual >= maximum:
        raise SnapshotQuotaError(disk.id, maximum)


def add_snapshot(
    scope: Scope, disk: DiskRecord, new: NewSnapshot, group_id: SnapshotGroupId | None = None
) -> SnapshotRecord:
    """Add the row of a snapshot that a task will make; whoever calls this starts the task.

    Raises:
        TagKeyError, TagValueError, TagQuotaError: the tags break the rules.
    """
    snapshot = _make_row(scope, disk, new, group_id)
    _add(scope, snapshot, new.tags)
    return snapshot


def _make_row(
    scope: Scope, disk: DiskRecord, new: NewSnapshot, group_id: SnapshotGroupId | None = None
) -> SnapshotRecord:
    now = scope.clock.now()
    return SnapshotRecord(
        id=mint_snapshot_id(),
        account_id=scope.account_id,
        region_id=disk.region_id,
        name=new.name,
        description=new.description,
        kind=new.kind,
        category=SnapshotCategory.STANDARD,
        state=SnapshotState.PROGRESSING,
        disk_id=disk.id,
        disk_size_gib=disk.size_gib,
        disk_role=disk.role,
        disk_name=disk.name,
        retention_days=new.retention_days,
        expires_at=None if new.retention_days is None else now + timedelta(days=new.retention_days),
        created_at=now,
        modified_at=now,
        group_id=group_id,
        key_id=disk.key_id,
    )


def _add(scope: Scope, snapshot: SnapshotRecord, tags: Mapping[str, str]) -> None:
    scope.session.add(snapshot)
    put_tags(scope, ResourceType.SNAPSHOT, snapshot, tags)
    add_to_chain(scope.session, snapshot, scope.clock.now())
