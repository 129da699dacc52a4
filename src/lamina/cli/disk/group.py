"""`lamina disk`: the commands, and those that are one call each."""

import secrets
from typing import Any

import click

from lamina.cli.client import EcsClient
from lamina.cli.disk.attach import connect
from lamina.cli.disk.upload import first_zone, import_file
from lamina.cli.output import json_option, print_facts, print_json, print_table, say
from lamina.cli.session import get_disk, list_all, wait_for_disk, with_client


@click.group()
def disk() -> None:
    """Disks of the service."""


disk.add_command(import_file)
disk.add_command(connect)


@disk.command("list")
@click.option("--status", help="Creating, Available, In_use or ReIniting.")
@json_option
@with_client
def list_disks(client: EcsClient, *, status: str | None, as_json: bool) -> None:
    """List disks, newest first."""
    found = list_all(client, "Disk", {"Status": status})
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "size", "category", "status", "created"),
        [
            (
                each["DiskId"],
                each["DiskName"],
                f"{each['Size']} GiB",
                each["Category"],
                each["Status"],
                each["CreationTime"],
            )
            for each in found
        ],
    )


@disk.command()
@click.argument("disk_id", metavar="DISK")
@json_option
@with_client
def show(client: EcsClient, *, disk_id: str, as_json: bool) -> None:
    """Show one disk."""
    found = get_disk(client, disk_id)
    if as_json:
        print_json(found)
        return
    print_facts(
        {
            "id": found["DiskId"],
            "name": found["DiskName"],
            "description": found["Description"],
            "size": f"{found['Size']} GiB",
            "category": found["Category"],
            "status": found["Status"],
            "zone": found["ZoneId"],
            "made from": found.get("SourceSnapshotId"),
            "created": found["CreationTime"],
            "tags": ", ".join(f"{tag['TagKey']}={tag['TagValue']}" for tag in found["Tags"]["Tag"]),
        }
    )


@disk.command()
@click.option("--size", "size_gib", type=int, help="GiB; may be left out with --snapshot.")
@click.option("--snapshot", "snapshot_id", help="Make it from this snapshot.")
@click.option("--name", help="2 to 128 characters, starting with a letter.")
@click.option("--category", default="cloud_auto", show_default=True, help="The disk category.")
@click.option("--zone", "zone_id", help="Where it lies; by default the region's first zone.")
@click.option("--wait", is_flag=True, help="Return when the disk is Available.")
@json_option
@with_client
def create(client: EcsClient, *, wait: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Create a disk, empty or from a snapshot."""
    answer = client.call(
        "CreateDisk",
        {
            "RegionId": client.region_id,
            "ZoneId": options["zone_id"] or first_zone(client),
            "DiskCategory": options["category"],
            "Size": options["size_gib"],
            "SnapshotId": options["snapshot_id"],
            "DiskName": options["name"],
            "ClientToken": secrets.token_hex(16),
        },
    )
    disk_id = answer["DiskId"]
    made = wait_for_disk(client, disk_id) if wait else get_disk(client, disk_id)
    if as_json:
        print_json(made)
    else:
        say(f"disk {disk_id} is {made['Status']}")
        click.echo(disk_id)


@disk.command()
@click.argument("disk_id", metavar="DISK")
@with_client
def delete(client: EcsClient, *, disk_id: str) -> None:
    """Delete DISK. Its manual snapshots stay."""
    client.call("DeleteDisk", {"DiskId": disk_id})
    say(f"disk {disk_id} is deleted")


@disk.command()
@click.argument("disk_id", metavar="DISK")
@click.argument("snapshot_id", metavar="SNAPSHOT")
@click.option("--wait", is_flag=True, help="Return when the disk is usable again.")
@with_client
def reset(client: EcsClient, *, disk_id: str, snapshot_id: str, wait: bool) -> None:
    """Roll DISK back to SNAPSHOT, one of its own."""
    client.call("ResetDisk", {"DiskId": disk_id, "SnapshotId": snapshot_id})
    if wait:
        wait_for_disk(client, disk_id)
    say(f"disk {disk_id} {'is' if wait else 'is being'} rolled back to {snapshot_id}")
