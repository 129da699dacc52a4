"""Rename a snapshot group, or describe it otherwise."""

from lamina.control.scope import Scope
from lamina.control.snapshots.changes import mark_group_changed
from lamina.control.snapshots.groups.queries import get_group
from lamina.control.snapshots.records import GroupRecord
from lamina.ids import SnapshotGroupId


def modify_group(
    scope: Scope, group_id: SnapshotGroupId, *, name: str | None, description: str | None
) -> GroupRecord:
    """Change what is not None; an empty description takes it away. The members keep their names.

    Raises:
        GroupNotFoundError: the account has no such group in this region.
    """
    group = get_group(scope, group_id)
    if name is not None:
        group.name = name
    if description is not None:
        group.description = description or None
    mark_group_changed(scope.session, group.id)
    return group
