"""Listing chains."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import aliased

from lamina.control.disks.records import DiskRecord
from lamina.control.disks.states import DiskRole, DiskState
from lamina.control.instances.records import InstanceRecord
from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.snapshots.records import ChainRecord, SnapshotRecord
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import DiskId, InstanceId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """A chain with what is known of its disk: from its row, or from the latest snapshot when it is gone.

    Attributes:
        instance_id: the instance that the disk belongs to now.
    """

    chain: ChainRecord
    disk_name: str | None
    disk_role: DiskRole
    disk_size_gib: int
    instance_id: InstanceId | None
    instance_name: str | None


def list_chains(
    scope: Scope, disk_ids: Sequence[DiskId] | None, instance_id: InstanceId | None, part: Slice
) -> Page[ChainView]:
    """The chains of the account in the region that have snapshots, newest first.

    Args:
        scope: the caller.
        disk_ids: only the chains of these disks; None is all.
        instance_id: only the chains of the disks that belong to this instance now.
        part: which slice.
    """
    query = select(ChainRecord).where(
        ChainRecord.account_id == scope.account_id,
        ChainRecord.region_id == scope.region_id,
        ChainRecord.snapshot_count > 0,
    )
    if disk_ids is not None:
        query = query.where(ChainRecord.disk_id.in_(disk_ids))
    if instance_id is not None:
        query = query.where(_belongs_to(scope, instance_id))
    order = AgeOrder(created_at=ChainRecord.created_at, id=ChainRecord.disk_id)
    chains, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=_view(scope, chains),
        total_count=total,
        next_key=PageKey(created_at=chains[-1].created_at, id=chains[-1].disk_id) if has_more else None,
    )


def _belongs_to(scope: Scope, instance_id: InstanceId) -> ColumnElement[bool]:
    return ChainRecord.disk_id.in_(
        select(DiskRecord.id).where(
            DiskRecord.account_id == scope.account_id, DiskRecord.instance_id == instance_id
        )
    )


def _view(scope: Scope, chains: Sequence[ChainRecord]) -> tuple[ChainView, ...]:
    ids = [chain.disk_id for chain in chains]
    disks = {
        disk.id: disk
        for disk in scope.session.scalars(
            select(DiskRecord).where(DiskRecord.id.in_(ids), DiskRecord.state != DiskState.DELETING)
        )
    }
    instance_ids = {disk.instance_id for disk in disks.values() if disk.instance_id is not None}
    names = {
        instance.id: instance.name
        for instance in scope.session.scalars(
            select(InstanceRecord).where(InstanceRecord.id.in_(instance_ids))
        )
    }
    latest = _find_latest(scope, ids)
    views = []
    for chain in chains:
        disk, snapshot = disks.get(chain.disk_id), latest[chain.disk_id]
        instance_id = disk.instance_id if disk is not None else None
        views.append(
            ChainView(
                chain=chain,
                disk_name=disk.name if disk is not None else snapshot.disk_name,
                disk_role=disk.role if disk is not None else snapshot.disk_role,
                disk_size_gib=disk.size_gib if disk is not None else snapshot.disk_size_gib,
                instance_id=instance_id,
                instance_name=names.get(instance_id) if instance_id is not None else None,
            )
        )
    return tuple(views)


def _find_latest(scope: Scope, disk_ids: Sequence[DiskId]) -> dict[DiskId, SnapshotRecord]:
    """The latest snapshot of each disk; chains are short, and the index has their order."""
    later = aliased(SnapshotRecord)
    is_followed = (
        select(later.id)
        .where(
            later.disk_id == SnapshotRecord.disk_id,
            later.region_id == scope.region_id,
            later.state != SnapshotState.DELETING,
            (later.created_at > SnapshotRecord.created_at)
            | ((later.created_at == SnapshotRecord.created_at) & (later.id > SnapshotRecord.id)),
        )
        .exists()
    )
    found = scope.session.scalars(
        select(SnapshotRecord).where(
            SnapshotRecord.disk_id.in_(disk_ids),
            SnapshotRecord.region_id == scope.region_id,
            SnapshotRecord.state != SnapshotState.DELETING,
            ~is_followed,
        )
    )
    return {snapshot.disk_id: snapshot for snapshot in found}
