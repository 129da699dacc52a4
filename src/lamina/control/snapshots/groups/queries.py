"""Looking snapshot groups up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from lamina.control.paging import AgeOrder, Page, PageKey, Slice, fetch_slice
from lamina.control.scope import Scope
from lamina.control.snapshots.errors import GroupNotFoundError
from lamina.control.snapshots.queries import SnapshotView, view_snapshots
from lamina.control.snapshots.records import GroupRecord, SnapshotRecord
from lamina.control.snapshots.states import GroupState, SnapshotState
from lamina.control.tags.queries import has_tags, list_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import SnapshotGroupId


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFilter:
    """Which groups of the scope's account and region are wanted; what is None does not matter.

    Attributes:
        group_ids: only these; an empty list matches nothing.
        states: only groups that stand at one of these.
        tags: key to value; None as a value matches any.
    """

    group_ids: Sequence[SnapshotGroupId] | None = None
    instance_id: str | None = None
    name: str | None = None
    states: Sequence[GroupState] | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """A group with its members and tags."""

    group: GroupRecord
    members: tuple[SnapshotView, ...]
    tags: Mapping[str, str]


def get_group(scope: Scope, group_id: SnapshotGroupId) -> GroupRecord:
    """One group of the account in the region; a writing transaction keeps others from changing it.

    Raises:
        GroupNotFoundError: there is none.
    """
    group = scope.session.scalars(
        select(GroupRecord).where(
            GroupRecord.id == group_id,
            GroupRecord.account_id == scope.account_id,
            GroupRecord.region_id == scope.region_id,
        )
    ).one_or_none()
    if group is None:
        raise GroupNotFoundError(group_id)
    return group


def list_groups(scope: Scope, wanted: GroupFilter, part: Slice) -> Page[GroupView]:
    """The groups of the account in the region that match, newest first."""
    query = select(GroupRecord).where(
        GroupRecord.account_id == scope.account_id, GroupRecord.region_id == scope.region_id
    )
    for column, value in ((GroupRecord.instance_id, wanted.instance_id), (GroupRecord.name, wanted.name)):
        if value is not None:
            query = query.where(column == value)
    if wanted.group_ids is not None:
        query = query.where(GroupRecord.id.in_(wanted.group_ids))
    if wanted.states is not None:
        query = query.where(GroupRecord.state.in_(wanted.states))
    query = query.where(*has_tags(ResourceType.SNAPSHOT_GROUP, GroupRecord.id, wanted.tags))
    order = AgeOrder(created_at=GroupRecord.created_at, id=GroupRecord.id)
    groups, total, has_more = fetch_slice(scope, query, order, part)
    return Page(
        items=_view(scope, groups),
        total_count=total,
        next_key=PageKey(created_at=groups[-1].created_at, id=groups[-1].id) if has_more else None,
    )


def _view(scope: Scope, groups: Sequence[GroupRecord]) -> tuple[GroupView, ...]:
    ids = [group.id for group in groups]
    snapshots = scope.session.scalars(
        select(SnapshotRecord)
        .where(SnapshotRecord.group_id.in_(ids), SnapshotRecord.state != SnapshotState.DELETING)
        .order_by(SnapshotRecord.disk_id)
    ).all()
    members: dict[str, list[SnapshotView]] = {group_id: [] for group_id in ids}
    for view in view_snapshots(scope, snapshots):
        assert view.snapshot.group_id is not None, "they were found by their group"
        members[view.snapshot.group_id].append(view)
    tags = list_tags(scope.session, ResourceType.SNAPSHOT_GROUP, ids)
    return tuple(
        GroupView(group=group, members=tuple(members[group.id]), tags=tags[group.id]) for group in groups
    )
