"""`lamina snapshot`: create, list, show, delete."""

import secrets
from typing import Any

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_facts, print_json, print_table, progress_bar, say
from lamina.cli.session import get_snapshot, list_all, wait_for_snapshot, with_client
from lamina.transfer.progress import Reading
from lamina.units import GIB, format_bytes


@click.group()
def snapshot() -> None:
    """Snapshots of the service's disks."""


@snapshot.command()
@click.argument("disk_id", metavar="DISK")
@click.option("--name", help="2 to 128 characters, starting with a letter.")
@click.option("--description", help="2 to 256 characters.")
@click.option("--retention-days", type=int, help="Delete it after so many days; without it, it is kept.")
@click.option("--wait", is_flag=True, help="Return when the snapshot is accomplished.")
@json_option
@with_client
def create(client: EcsClient, *, disk_id: str, wait: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Start a snapshot of DISK."""
    answer = client.call(
        "CreateSnapshot",
        {
            "DiskId": disk_id,
            "SnapshotName": options["name"],
            "Description": options["description"],
            "RetentionDays": options["retention_days"],
            "ClientToken": secrets.token_hex(16),
        },
    )
    snapshot_id = answer["SnapshotId"]
    if wait:
        watcher = _Watcher()
        with progress_bar("snapshot", watcher.read, enabled=not as_json):
            wait_for_snapshot(client, snapshot_id, watcher.look)
    if as_json:
        print_json(get_snapshot(client, snapshot_id))
    else:
        say(f"snapshot {snapshot_id} is {'accomplished' if wait else 'being created'}")
        click.echo(snapshot_id)


@snapshot.command("list")
@click.option("--disk", "disk_id", help="Only snapshots of this disk.")
@click.option("--status", help="progressing, accomplished or failed.")
@json_option
@with_client
def list_snapshots(client: EcsClient, *, disk_id: str | None, status: str | None, as_json: bool) -> None:
    """List snapshots, newest first."""
    found = list_all(client, "Snapshot", {"DiskId": disk_id, "Status": status})
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "status", "progress", "disk", "used", "created"),
        [
            (
                each["SnapshotId"],
                each.get("SnapshotName"),
                each["Status"],
                each["Progress"],
                each["SourceDiskId"],
                _show_used(each),
                each["CreationTime"],
            )
            for each in found
        ],
    )


@snapshot.command()
@click.argument("snapshot_id", metavar="SNAPSHOT")
@json_option
@with_client
def show(client: EcsClient, *, snapshot_id: str, as_json: bool) -> None:
    """Show one snapshot."""
    found = get_snapshot(client, snapshot_id)
    if as_json:
        print_json(found)
        return
    print_facts(
        {
            "id": found["SnapshotId"],
            "name": found.get("SnapshotName"),
            "description": found.get("Description"),
            "status": f"{found['Status']} {found['Progress']}",
            "disk": f"{found['SourceDiskId']} of {found['SourceDiskSize']} GiB",
            "used": _show_used(found),
            "usage": found["Usage"],
            "created": found["CreationTime"],
            "kept": f"{found['RetentionDays']} days" if "RetentionDays" in found else "until it is deleted",
        }
    )


@snapshot.command()
@click.argument("snapshot_id", metavar="SNAPSHOT")
@click.option("--force", is_flag=True, help="Also if disks were made from it.")
@with_client
def delete(client: EcsClient, *, snapshot_id: str, force: bool) -> None:
    """Delete SNAPSHOT, or cancel its creation."""
    client.call("DeleteSnapshot", {"SnapshotId": snapshot_id, "Force": force})
    say(f"snapshot {snapshot_id} is deleted")


class _Watcher:
    """Turns what DescribeSnapshots says into a reading for the progress bar."""

    def __init__(self) -> None:
        self._reading = Reading(done_bytes=0, known_bytes=0, stored_bytes=0)

    def look(self, found: dict[str, Any]) -> None:
        known = found.get("FullSnapshotSizeInBytes") or int(found["SourceDiskSize"]) * GIB
        percent = int(found["Progress"].rstrip("%"))
        self._reading = Reading(done_bytes=known * percent // 100, known_bytes=known, stored_bytes=0)

    def read(self) -> Reading:
        return self._reading


def _show_used(found: dict[str, Any]) -> str:
    used = found.get("FullSnapshotSizeInBytes")
    return "" if used is None else format_bytes(used)
