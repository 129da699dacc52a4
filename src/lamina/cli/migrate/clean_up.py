"""The last step of a migration, and the way back from every other one."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from lamina.cli.client import CallRefusedError, EcsClient
from lamina.cli.migrate.migration import (
    INSTANCE_TAG,
    Migration,
    list_snapshots,
    wait_for_image,
    wait_for_instances,
)
from lamina.cli.session import list_all, wait_for_disk
from lamina.failures import Fault, LaminaError

_PATIENCE: Final = 20
"""How often what cannot be removed is tried once more: every 0.25 s, while nothing else can be removed either."""


def clean_up(migration: Migration) -> int:
    """Step 5, and the way back from every other one: remove all that carries the mark; answers how much that was.

    It looks until a look finds nothing. The instance of a migration that was killed or cut off may be made after the
    first look, and then holds the image; once the image has gone, no other can follow.

    Raises:
        Fault: something could not be removed; everything else was.
    """
    removed = 0
    patience = _PATIENCE
    while True:
        gone, left = _remove_marked(migration)
        removed += gone
        if not gone and not left:
            return removed
        patience = _PATIENCE if gone else patience - 1
        if not patience:
            raise Fault(
                f"{'; '.join(left)}. Remove what is left with: lamina migrate --clean-up {migration.id}",
                retryable=True,
            )
        if left:
            migration.pause()


def _remove_marked(migration: Migration) -> tuple[int, Sequence[str]]:
    """Remove what is found in one look; answers how much that was, and what could not be removed and why."""
    source, target = migration.source, migration.target
    wait_for_instances(migration)
    left: list[str] = []
    removed = _remove(migration, target, "Snapshot", _delete_snapshot, left)
    removed += _remove(migration, target, "Instance", _delete_instance, left)
    wait_for_image(migration)
    removed += _remove(migration, source, "Image", _delete_image(migration), left)
    removed += _remove(migration, source, "Snapshot", _delete_snapshot, left)
    removed += _remove(migration, source, "Disk", _delete_disk, left)
    return removed, left


def _remove(
    migration: Migration,
    client: EcsClient,
    noun: str,
    delete: Callable[[EcsClient, dict[str, Any]], None],
    left: list[str],
) -> int:
    removed = 0
    for found in migration.find(client, noun):
        name = f"{noun.lower()} {found[f'{noun}Id']}"
        try:
            delete(client, found)
        except LaminaError as failure:
            if isinstance(failure, CallRefusedError) and failure.code.endswith("NotFound"):
                continue
            left.append(f"{name} was not removed: {failure}")
        else:
            removed += 1
            migration.say(f"removed {name}")
    return removed


def _delete_snapshot(client: EcsClient, found: dict[str, Any]) -> None:
    client.call("DeleteSnapshot", {"SnapshotId": found["SnapshotId"], "Force": True})


def _delete_instance(client: EcsClient, found: dict[str, Any]) -> None:
    client.call("DeleteInstance", {"InstanceId": found["InstanceId"], "Force": True})


def _delete_disk(client: EcsClient, found: dict[str, Any]) -> None:
    wait_for_disk(client, found["DiskId"])
    client.call("DeleteDisk", {"DiskId": found["DiskId"]})


def _mark_snapshots(migration: Migration, taken: Sequence[str]) -> None:
    """Mark what is still there: the snapshots of an image that failed are held by nothing, and may be gone."""
    wanted: dict[str, object] = {"SnapshotIds": json.dumps(taken)}
    present = [each["SnapshotId"] for each in list_all(migration.source, "Snapshot", wanted)] if taken else []
    if present:
        migration.mark(migration.source, present)


def _delete_image(migration: Migration) -> Callable[[EcsClient, dict[str, Any]], None]:
    def delete(client: EcsClient, found: dict[str, Any]) -> None:
        image = {"RegionId": client.region_id, "ImageId": found["ImageId"]}
        if any(tag["TagKey"] == INSTANCE_TAG for tag in found["Tags"]["Tag"]):
            _mark_snapshots(
                migration, list_snapshots(found)
            )  # before the image goes, by which they are found
        shares = client.call("DescribeImageSharePermission", image)["Accounts"]["Account"]
        if shares:
            accounts = [each["AliyunId"] for each in shares]
            client.call("ModifyImageSharePermission", {**image, "RemoveAccount": accounts})
        client.call("DeleteImage", {**image, "Force": True})

    return delete
