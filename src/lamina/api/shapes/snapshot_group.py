"""A snapshot group, as DescribeSnapshotGroups shows it. Its tags are `Key` and `Value`, without `Tag` before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lamina.api.schema import param
from lamina.control.snapshots.groups.queries import GroupView
from lamina.control.snapshots.queries import SnapshotView
from lamina.control.snapshots.states import SnapshotState
from lamina.ids import DiskId, SnapshotGroupId, SnapshotId


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTagShape:
    """One tag."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMemberShape:
    """One snapshot of a group."""

    snapshot_id: SnapshotId
    source_disk_id: DiskId
    source_disk_type: str
    progress: str
    available: bool
    tags: tuple[GroupTagShape, ...] = param(wire="Tags/Tag")
    instant_access: bool = False
    instant_access_retention_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotGroupShape:
    """One group; `progress_status` says in words what `status` says."""

    snapshot_group_id: SnapshotGroupId
    name: str
    description: str
    instance_id: str
    status: str
    progress_status: str
    creation_time: datetime
    snapshots: tuple[GroupMemberShape, ...] = param(wire="Snapshots/Snapshot")
    tags: tuple[GroupTagShape, ...] = param(wire="Tags/Tag")
    resource_group_id: str = ""


def show_group(view: GroupView) -> SnapshotGroupShape:
    """A group for an answer."""
    group = view.group
    return SnapshotGroupShape(
        snapshot_group_id=group.id,
        name=group.name or "",
        description=group.description or "",
        instance_id=group.instance_id or "",
        status=group.state.value,
        progress_status=group.state.value,
        creation_time=group.created_at,
        snapshots=tuple(_show_member(member) for member in view.members),
        tags=_show_tags(view.tags),
    )


def _show_member(view: SnapshotView) -> GroupMemberShape:
    snapshot = view.snapshot
    return GroupMemberShape(
        snapshot_id=snapshot.id,
        source_disk_id=snapshot.disk_id,
        source_disk_type=snapshot.disk_role.value,
        progress=f"{view.progress_percent}%",
        available=snapshot.state is SnapshotState.ACCOMPLISHED and not snapshot.is_data_missing,
        tags=_show_tags(view.tags),
    )


def _show_tags(tags: Mapping[str, str]) -> tuple[GroupTagShape, ...]:
    return tuple(GroupTagShape(key=key, value=value) for key, value in tags.items())
