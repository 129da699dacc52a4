"""The five steps in which snapshots get from one account to another, and the way back from any of them.

There is no call that hands a snapshot over. An image is shared, an instance is made of it in the other account, and
snapshots are taken of that instance's disks. Whatever is made on the way carries a tag with the id of the migration;
the last step takes the tag off the new snapshots, at once. Removing everything that carries it is therefore how a
migration ends, how one that failed is undone, and how one that was killed is cleaned up after.

Only disks that are asked for are shared: an image needs a system disk, and where none of the snapshots is of one, an
empty one is made for it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lamina.cli.client import EcsClient
from lamina.cli.session import list_all
from lamina.clock import Clock, SystemClock

TAG: Final = "lamina-migration"
"""The key of the tag of everything that a migration removes again."""
ORIGIN_TAG: Final = "lamina-migrated-from"
"""The key of the tag of a snapshot that was migrated: the snapshot or disk that it is a copy of."""

INSTANCE_TAG: Final = "lamina-migrated-instance"
"""The key of the tag of an image whose snapshots were all taken for it."""

_POLL_SECONDS: Final = 0.25
_STATUSES: Final = "Waiting,Creating,Available,UnAvailable,CreateFailed,Deprecated"
_SETTLED: Final = ("Running", "Stopped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One migration.

    Attributes:
        id: what everything that is made for it is tagged with.
        source: calls in the account that has the snapshots.
        target: calls in the account that shall have them.
        say: tells a person what happens.
    """

    id: str
    source: EcsClient
    target: EcsClient
    say: Callable[[str], None]
    clock: Clock = field(default_factory=SystemClock)

    @property
    def tags(self) -> list[dict[str, str]]:
        """The mark of what is removed again."""
        return [{"Key": TAG, "Value": self.id}]

    def find(self, client: EcsClient, noun: str) -> list[dict[str, Any]]:
        """What carries the mark in one of the accounts."""
        if noun == "Image":
            page = client.call(
                "DescribeImages",
                {
                    "RegionId": client.region_id,
                    "Status": _STATUSES,
                    "ImageOwnerAlias": "self",
                    "Tag": self.tags,
                },
            )
            images: list[dict[str, Any]] = page["Images"]["Image"]
            return images
        return list_all(client, noun, {"Tag": self.tags})

    def mark(self, client: EcsClient, snapshot_ids: Sequence[str]) -> None:
        """Have snapshots removed again."""
        given = {"ResourceType": "snapshot", "ResourceId": list(snapshot_ids), "Tag": self.tags}
        client.call("TagResources", {"RegionId": client.region_id, **given})

    def pause(self) -> None:
        """Wait a moment before the next look."""
        self.clock.sleep(_POLL_SECONDS)


def wait_for_image(migration: Migration) -> dict[str, Any] | None:
    """The migration's image, when it is no longer being made; None if there is none."""
    while found := migration.find(migration.source, "Image"):
        if found[0]["Status"] not in ("Waiting", "Creating"):
            return found[0]
        migration.pause()
    return None


def wait_for_instances(migration: Migration) -> bool:
    """Wait until the migration's instance can be used and released; answers whether there is one."""
    while found := migration.find(migration.target, "Instance"):
        if all(each["Status"] in _SETTLED for each in found):
            return True
        migration.pause()
    return False


def list_snapshots(image: dict[str, Any]) -> list[str]:
    """The snapshots that an image consists of; an empty disk has none."""
    disks = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    return [disk["SnapshotId"] for disk in disks if disk["SnapshotId"]]
