"""Create a snapshot group."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select

from lamina.control.disks.categories import DiskCategory
from lamina.control.disks.errors import DiskCategoryError
from lamina.control.disks.queries import get_disk
from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskState
from lamina.control.instances.queries import get_instance
from lamina.control.scope import Scope
from lamina.control.snapshots.create import NewSnapshot, add_snapshot, check_disk
from lamina.control.snapshots.errors import (
    GroupCapacityError,
    GroupSizeError,
    GroupWithoutDisksError,
    GroupZoneError,
)
from lamina.control.snapshots.groups.capture import CAPTURE_GROUP, GroupArguments
from lamina.control.snapshots.records import GroupRecord
from lamina.control.snapshots.states import GroupState, SnapshotKind
from lamina.control.tags.put import put_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import DiskId, InstanceId, mint_snapshot_group_id
from lamina.tasks.queue import enqueue, require_free

ESSD_FAMILY: Final = frozenset(
    {DiskCategory.CLOUD_ESSD, DiskCategory.CLOUD_AUTO, DiskCategory.CLOUD_ESSD_ENTRY}
)
"""Categories that groups are taken of (ECS, CreateSnapshotGroup)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewGroup:
    """A group to be. Names and descriptions were checked by whoever asks.

    Attributes:
        instance_id: all disks of this instance, unless disks are named.
        disk_ids: these disks; empty for all of the instance's.
        excluded_disk_ids: the instance's disks that are left out.
        name: the members' names follow from it.
        kind: of the members: who asks.
        tags: key to value; the members get the same.
        categories: what the disks may be.
    """

    instance_id: InstanceId | None = None
    disk_ids: tuple[DiskId, ...] = ()
    excluded_disk_ids: tuple[DiskId, ...] = ()
    name: str | None = None
    description: str | None = None
    kind: SnapshotKind = SnapshotKind.USER
    tags: Mapping[str, str] = field(default_factory=dict)
    categories: frozenset[DiskCategory] = ESSD_FAMILY


def create_group(scope: Scope, new: NewGroup) -> GroupRecord:
    """Start taking snapshots of several disks at one instant; `progressing` until all are done or the group failed.

    Raises:
        InstanceNotFoundError: the account has no such instance.
        GroupWithoutDisksError: no disk is left.
        GroupSizeError, GroupCapacityError: they are too many, or too large together.
        GroupZoneError: they are not in one zone.
        DiskNotFoundError and further: a disk cannot be snapshotted; see `create.create_snapshot`.
        TaskBusyError: something is being done with a disk.
    """
    disks = _choose_disks(scope, new)
    _check_together(scope, disks)
    for disk in disks:
        if disk.category.supports_snapshots and disk.category not in new.categories:
            raise DiskCategoryError(disk.category.value)
        check_disk(scope, disk, new.kind)
        require_free(scope.session, disk.id)  # the task of a group goes by another key
    group = GroupRecord(
        id=mint_snapshot_group_id(),
        account_id=scope.account_id,
        region_id=disks[0].region_id,
        instance_id=new.instance_id,
        name=new.name,
        description=new.description,
        state=GroupState.PROGRESSING,
        created_at=scope.clock.now(),
    )
    scope.session.add(group)
    scope.session.flush()
    put_tags(scope, ResourceType.SNAPSHOT_GROUP, group, new.tags)
    _start(scope, new, group, disks)
    return group


def _start(scope: Scope, new: NewGroup, group: GroupRecord, disks: list[DiskRecord]) -> None:
    members = {
        disk.id: add_snapshot(
            scope,
            disk,
            NewSnapshot(disk_id=disk.id, name=new.name, kind=new.kind, tags=new.tags),
            group.id,
        )
        for disk in disks
    }
    arguments = GroupArguments(
        account_id=scope.account_id,
        region_id=group.region_id,
        group_id=group.id,
        members={disk_id: snapshot.id for disk_id, snapshot in members.items()},
    )
    group.task_id = enqueue(scope.session, scope.clock, CAPTURE_GROUP, arguments, key=group.id)
    for snapshot in members.values():
        snapshot.task_id = group.task_id
    scope.session.flush()


def _choose_disks(scope: Scope, new: NewGroup) -> list[DiskRecord]:
    chosen = list(dict.fromkeys(new.disk_ids))
    if new.instance_id is not None:
        get_instance(scope, new.instance_id)
        if not chosen:
            chosen = _list_disks_of(scope, new.instance_id)
    disks = [get_disk(scope, disk_id) for disk_id in chosen if disk_id not in new.excluded_disk_ids]
    if not disks:
        raise GroupWithoutDisksError
    return disks


def _list_disks_of(scope: Scope, instance_id: InstanceId) -> list[DiskId]:
    return list(
        scope.session.scalars(
            select(DiskRecord.id)
            .where(
                DiskRecord.account_id == scope.account_id,
                DiskRecord.instance_id == instance_id,
                DiskRecord.state != DiskState.DELETING,
            )
            .order_by(DiskRecord.id)
        )
    )


def _check_together(scope: Scope, disks: list[DiskRecord]) -> None:
    if len(disks) > scope.limits.disks_per_group:
        raise GroupSizeError(len(disks), scope.limits.disks_per_group)
    size_gib = sum(disk.size_gib for disk in disks)
    if size_gib > scope.limits.group_gib:
        raise GroupCapacityError(size_gib, scope.limits.group_gib)
    if len({disk.zone_id for disk in disks}) > 1:
        raise GroupZoneError
