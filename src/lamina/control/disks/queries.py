"""Looking disks and connections up. A disk that is being deleted is not found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from lamina.control.disks.categories import DiskCategory, PerformanceLevel
from lamina.control.disks.errors import ConnectionNotFoundError, DiskNotFoundError
from lamina.control.disks.records import ConnectionRecord, DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.locks import is_in_arrears, list_locks
from lamina.control.instances.records import InstanceRecord
from lamina.control.instances.states import LockReason
from lamina.control.paging import Page, PageKey, Slice
from lamina.control.scope import Scope
from lamina.control.tags.listing import LongList, fetch_long_list
from lamina.control.tags.queries import list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import ConnectionId, DiskId, InstanceId, KeyId, PolicyId, SnapshotId, ZoneId

# built once: it begins nearly everything that is done with a disk
_DISK: Final = select(DiskRecord).where(
    DiskRecord.id == bindparam("disk_id"),
    DiskRecord.account_id == bindparam("account_id"),
    DiskRecord.state != DiskState.DELETING,
)

_ALL: Final = LongList(
    record=DiskRecord,
    resource_type=ResourceType.DISK,
    id=DiskRecord.id,
    account_id=DiskRecord.account_id,
    region_id=DiskRecord.region_id,
    created_at=DiskRecord.created_at,
    is_gone=DiskRecord.state == DiskState.DELETING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFilter:
    """Which disks of the scope's account and region are wanted; what is None does not matter.

    Attributes:
        disk_ids: only these; an empty list matches nothing.
        instance_id: attached to this instance.
        is_security_locked: its instance is locked by the operator, or it is not.
        expired_by: its instance was paid for in advance, until this instant at the latest.
        policy_id: this automatic snapshot policy is applied to it.
        has_policy: one is applied to it, or none is.
        tags: key to value; None as a value matches any.
        created_from: not before this instant.
        created_to: not after this instant.
    """

    disk_ids: Sequence[DiskId] | None = None
    name: str | None = None
    state: DiskState | None = None
    category: DiskCategory | None = None
    role: DiskRole | None = None
    zone_id: ZoneId | None = None
    source_snapshot_id: SnapshotId | None = None
    policy_id: PolicyId | None = None
    has_policy: bool | None = None
    instance_id: InstanceId | None = None
    performance_level: PerformanceLevel | None = None
    is_portable: bool | None = None
    is_security_locked: bool | None = None
    expired_by: datetime | None = None
    delete_with_instance: bool | None = None
    delete_auto_snapshot: bool | None = None
    enable_auto_snapshot: bool | None = None
    is_encrypted: bool | None = None
    key_id: KeyId | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskView:
    """A disk with its tags, and why it is locked."""

    disk: DiskRecord
    tags: Mapping[str, str]
    locks: tuple[LockReason, ...] = ()


def get_disk(scope: Scope, disk_id: DiskId) -> DiskRecord:
    """One disk of the account, in any region; a writing transaction keeps others from changing it.

    Raises:
        DiskNotFoundError: the account has no such disk, or it is being deleted.
    """
    wanted = {"disk_id": disk_id, "account_id": scope.account_id}
    disk = scope.session.scalars(_DISK, wanted).one_or_none()
    if disk is None:
        raise DiskNotFoundError(disk_id)
    return disk


def list_disks(scope: Scope, wanted: DiskFilter, part: Slice) -> Page[DiskView]:
    """The disks of the account in the region that match, newest first."""
    disks, total, has_more = fetch_long_list(
        scope, _ALL, wanted.tags, _match(scope, wanted), part, filters=wanted
    )
    tags = list_tags(scope.session, ResourceType.DISK, [disk.id for disk in disks])
    hosts = _find_hosts(scope.session, disks)
    is_overdue = is_in_arrears(scope.session, scope.account_id)
    now = scope.clock.now()
    return Page(
        items=tuple(
            DiskView(
                disk=disk,
                tags=tags[disk.id],
                locks=list_locks(hosts.get(disk.instance_id), is_overdue=is_overdue, now=now),
            )
            for disk in disks
        ),
        total_count=total,
        next_key=PageKey(created_at=disks[-1].created_at, id=disks[-1].id) if has_more else None,
    )


def list_attached(session: Session, instance_id: InstanceId) -> Sequence[DiskRecord]:
    """The disks of an instance, the system disk first: also those that are coming, or about to go."""
    return session.scalars(
        select(DiskRecord).where(DiskRecord.instance_id == instance_id).order_by(DiskRecord.device)
    ).all()


def get_connection(scope: Scope, connection_id: ConnectionId) -> ConnectionRecord:
    """A live connection of the account.

    Raises:
        ConnectionNotFoundError: there is none, or it was not renewed in time.
    """
    connection = scope.session.scalars(
        select(ConnectionRecord).where(
            ConnectionRecord.id == connection_id, ConnectionRecord.account_id == scope.account_id
        )
    ).one_or_none()
    if connection is None or not is_live(scope, connection):
        raise ConnectionNotFoundError(connection_id)
    return connection


def find_connection(scope: Scope, disk_id: DiskId) -> ConnectionRecord | None:
    """The live connection to a disk, if there is one."""
    connection = scope.session.scalars(
        select(ConnectionRecord).where(
            ConnectionRecord.disk_id == disk_id, ConnectionRecord.account_id == scope.account_id
        )
    ).one_or_none()
    return connection if connection is not None and is_live(scope, connection) else None


def is_live(scope: Scope, connection: ConnectionRecord) -> bool:
    """Whether a connection still counts. One that ends later than any could was made under a wrong clock."""
    remaining = connection.expires_at - scope.clock.now()
    return remaining.total_seconds() > 0 and remaining <= 2 * scope.limits.connection


def _find_hosts(session: Session, disks: Sequence[DiskRecord]) -> Mapping[InstanceId | None, InstanceRecord]:
    ids = {disk.instance_id for disk in disks if disk.instance_id is not None}
    rows = session.scalars(select(InstanceRecord).where(InstanceRecord.id.in_(ids)))
    return {instance.id: instance for instance in rows}


def _match(scope: Scope, wanted: DiskFilter) -> list[ColumnElement[bool]]:
    plain = (
        (DiskRecord.name, wanted.name),
        (DiskRecord.state, wanted.state),
        (DiskRecord.category, wanted.category),
        (DiskRecord.role, wanted.role),
        (DiskRecord.zone_id, wanted.zone_id),
        (DiskRecord.source_snapshot_id, wanted.source_snapshot_id),
        (DiskRecord.policy_id, wanted.policy_id),
        (DiskRecord.instance_id, wanted.instance_id),
        (DiskRecord.performance_level, wanted.performance_level),
        (DiskRecord.delete_with_instance, wanted.delete_with_instance),
        (DiskRecord.delete_auto_snapshot, wanted.delete_auto_snapshot),
        (DiskRecord.enable_auto_snapshot, wanted.enable_auto_snapshot),
        (DiskRecord.key_id, wanted.key_id),
    )
    conditions: list[ColumnElement[bool]] = [column == value for column, value in plain if value is not None]
    if wanted.disk_ids is not None:
        conditions.append(DiskRecord.id.in_(wanted.disk_ids))
    if wanted.is_portable is not None:
        portable = [category for category in DiskCategory if category.is_portable is wanted.is_portable]
        conditions.append(DiskRecord.category.in_(portable))
    if wanted.is_security_locked is not None:
        locked = (
            select(InstanceRecord.id)
            .where(
                InstanceRecord.id == DiskRecord.instance_id,
                InstanceRecord.account_id
                == scope.account_id,  # not that it could be another's: it leads to an index
                InstanceRecord.is_security_locked,
            )
            .exists()
        )
        conditions.append(locked if wanted.is_security_locked else ~locked)
    if wanted.expired_by is not None:
        expired = select(InstanceRecord.id).where(
            InstanceRecord.account_id == scope.account_id, InstanceRecord.expires_at <= wanted.expired_by
        )
        conditions.append(DiskRecord.instance_id.in_(expired))
    if wanted.has_policy is not None:
        has_policy = DiskRecord.policy_id.is_not(None)
        conditions.append(has_policy if wanted.has_policy else ~has_policy)
    if wanted.is_encrypted is not None:
        has_key = DiskRecord.key_id.is_not(None)
        conditions.append(has_key if wanted.is_encrypted else ~has_key)
    if wanted.created_from is not None:
        conditions.append(DiskRecord.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(DiskRecord.created_at <= wanted.created_to)
    return conditions
