"""Put tags on resources that exist, and take them away."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from lamina.control.resources.find import require_resources
from lamina.control.resources.kinds import TABLES
from lamina.control.scope import Scope
from lamina.control.snapshots.changes import mark_changed, mark_group_changed
from lamina.control.tags.put import put_tags, remove_tag, remove_tags
from lamina.control.tags.records import ResourceType
from lamina.ids import SnapshotGroupId, SnapshotId


def tag_resources(scope: Scope, kind: str, resource_ids: Sequence[str], tags: Mapping[str, str]) -> None:
    """Add tags to every resource, or to none; a key that a resource has already gets the new value.

    Raises:
        ResourceNotFoundError: one of them does not exist.
        TagKeyError, TagValueError: a tag breaks the rules.
        TagQuotaError: one of them would have too many tags.
    """
    resource_type = require_resources(scope, kind, resource_ids)
    table = TABLES[resource_type]
    columns = select(table.id, table.region_id, table.created_at)
    found = {each.id: each for each in scope.session.execute(columns.where(table.id.in_(resource_ids)))}
    for resource_id in resource_ids:
        put_tags(scope, resource_type, found[resource_id], tags)
    _mark_changed(scope, resource_type, resource_ids)


def untag_resources(scope: Scope, kind: str, resource_ids: Sequence[str], keys: Sequence[str] | None) -> None:
    """Remove tags by key from every resource; None removes all. What a resource does not have is no error.

    Raises:
        ResourceNotFoundError: one of them does not exist.
    """
    resource_type = require_resources(scope, kind, resource_ids)
    remove_tags(scope, resource_type, resource_ids, keys)
    _mark_changed(scope, resource_type, resource_ids)


def remove_exact_tags(scope: Scope, kind: str, resource_id: str, tags: Mapping[str, str | None]) -> None:
    """Remove tags from one resource: by key where no value is given, otherwise only if the value is that.

    Raises:
        ResourceNotFoundError: it does not exist.
    """
    resource_type = require_resources(scope, kind, [resource_id])
    for key, value in tags.items():
        if value is None:
            remove_tags(scope, resource_type, [resource_id], [key])
        else:
            remove_tag(scope, resource_type, resource_id, key, value)
    _mark_changed(scope, resource_type, [resource_id])


def _mark_changed(scope: Scope, resource_type: ResourceType, resource_ids: Sequence[str]) -> None:
    """The tags of snapshots and of their groups are kept in the repositories, too."""
    for resource_id in resource_ids:
        if resource_type is ResourceType.SNAPSHOT:
            mark_changed(scope.session, SnapshotId(resource_id))
        elif resource_type is ResourceType.SNAPSHOT_GROUP:
            mark_group_changed(scope.session, SnapshotGroupId(resource_id))
