"""`lamina image bulk-export`, `bulk-list`, `bulk-show`, `bulk-cancel`: many images made and exported in one go."""

import secrets
from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, live_table, print_facts, print_json, print_table, say
from lamina.cli.session import list_all, with_client
from lamina.clock import SystemClock
from lamina.failures import Cancelled, Fault, Refusal
from lamina.units import format_bytes

_PAGE: Final = 100
_POLL_SECONDS: Final = 0.5
_FORMATS: Final = ("raw", "qcow2", "vhd", "vmdk", "vdi")
_UNFINISHED: Final = ("Running", "Cancelling")
_LIVE_COLUMNS: Final = ("item", "source", "status", "progress", "image", "reason")
_REPORT_COLUMNS: Final = ("item", "source", "status", "seconds", "object", "size", "etag", "reason")


@click.command("bulk-export")
@click.option(
    "--instance", "instances", multiple=True, help="All disks of it, as they are when its turn comes."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="KEY=VALUE", help="All instances that carry all of these."
)
@click.option("--snapshot", "snapshots", multiple=True, help="Of a system disk.")
@click.option("--image", "images", multiple=True, help="One that is there already; it stays.")
@click.option("--bucket", required=True, help="Where the files go.")
@click.option("--format", "image_format", type=click.Choice(_FORMATS), default="raw", show_default=True)
@click.option("--prefix", help="What the names of the files begin with: 1 to 30 letters and digits.")
@click.option("--concurrency", type=int, help="How many are worked on at once.")
@click.option("--delete-images", is_flag=True, help="Remove each image that is made, once it is exported.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Return when all is done.")
@json_option
@with_client
def start(client: EcsClient, *, wait: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Make images of instances and snapshots, and export them and others to a bucket.

    The service does it: it goes on when this command is interrupted.
    """
    found = _find_tagged(client, options["tags"]) if options["tags"] else []
    answer = client.call(
        "StartBulkExport",
        {
            "RegionId": client.region_id,
            "InstanceId": [*options["instances"], *found],
            "SnapshotId": options["snapshots"],
            "ImageId": options["images"],
            "OSSBucket": options["bucket"],
            "OSSPrefix": options["prefix"],
            "ImageFormat": options["image_format"],
            "Concurrency": options["concurrency"],
            "DeleteImages": options["delete_images"],
            "ClientToken": secrets.token_hex(16),
        },
    )
    bulk_id = answer["BulkExportId"]
    if wait:
        _finish(client, bulk_id, as_json=as_json)
    elif as_json:
        print_json(_get(client, bulk_id))
    else:
        say(f"bulk export {bulk_id} is under way")
        click.echo(bulk_id)


@click.command("bulk-list")
@json_option
@with_client
def list_bulk_exports(client: EcsClient, *, as_json: bool) -> None:
    """List bulk exports of the last 30 days, newest first."""
    found = list_all(client, "BulkExport", {"MaxResults": _PAGE})
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "status", "items", "ended", "failed", "bucket", "format", "created"),
        [
            (
                each["BulkExportId"],
                each["Status"],
                each["ItemCount"],
                each["EndedCount"],
                each["FailedCount"],
                each["OSSBucket"],
                each["ImageFormat"],
                each["CreationTime"],
            )
            for each in found
        ],
    )


@click.command("bulk-show")
@click.argument("bulk_id", metavar="BULK-EXPORT")
@click.option("--wait", is_flag=True, help="Return when all is done.")
@json_option
@with_client
def show(client: EcsClient, *, bulk_id: str, wait: bool, as_json: bool) -> None:
    """Show how far BULK-EXPORT is, what it left in the bucket, and what failed."""
    if wait:
        _finish(client, bulk_id, as_json=as_json)
    else:
        _report(_get(client, bulk_id), as_json=as_json)


@click.command("bulk-cancel")
@click.argument("bulk_id", metavar="BULK-EXPORT")
@with_client
def cancel(client: EcsClient, *, bulk_id: str) -> None:
    """Cancel BULK-EXPORT: what is under way is undone, what is finished stays."""
    client.call("CancelBulkExport", {"RegionId": client.region_id, "BulkExportId": bulk_id})
    say(f"bulk export {bulk_id} is being cancelled")


def _find_tagged(client: EcsClient, tags: tuple[str, ...]) -> list[str]:
    wanted = []
    for tag in tags:
        key, equals, value = tag.partition("=")
        if not (key and equals):
            raise Refusal(f"{tag!r} is no tag; write KEY=VALUE")
        wanted.append({"Key": key, "Value": value})
    found = [each["InstanceId"] for each in list_all(client, "Instance", {"Tag": wanted})]
    if not found:
        raise Refusal(f"no instance in {client.region_id} carries {' and '.join(tags)}")
    return found


def _finish(client: EcsClient, bulk_id: str, *, as_json: bool) -> None:
    """Wait for the end, print the report, and fail if an item did.

    Raises:
        Fault: not every item was exported.
        Cancelled: somebody cancelled it.
    """
    try:
        found = _wait(client, bulk_id, is_quiet=as_json)
    except KeyboardInterrupt:
        say(f"bulk export {bulk_id} goes on; see `lamina image bulk-show {bulk_id}`, or `bulk-cancel`")
        raise
    _report(found, as_json=as_json)
    bulk = found["BulkExport"]
    if bulk["Status"] == "Cancelled":
        raise Cancelled(
            f"bulk export {bulk_id} was cancelled; {bulk['FinishedCount']} items had been exported"
        )
    if bulk["FailedCount"]:
        failed = f"{bulk['FailedCount']} of {bulk['ItemCount']} items were not exported"
        raise Fault(f"{failed}; the report says why", retryable=False)


def _wait(client: EcsClient, bulk_id: str, *, is_quiet: bool) -> dict[str, Any]:
    shown: dict[int, str] = {}
    with live_table(_LIVE_COLUMNS, enabled=not is_quiet) as draw:
        while True:
            found = _get(client, bulk_id)
            items = found["Items"]["Item"]
            draw([_describe(item) for item in items])
            if not is_quiet:
                _tell_changes(items, shown)
            if found["BulkExport"]["Status"] not in _UNFINISHED:
                return found
            SystemClock().sleep(_POLL_SECONDS)


def _tell_changes(items: list[dict[str, Any]], shown: dict[int, str]) -> None:
    """One line for each item that ended since the last look."""
    for item in items:
        if "FinishedTime" in item and shown.get(item["Number"]) != item["Status"]:
            shown[item["Number"]] = item["Status"]
            reason = f": {item['Failure']}" if "Failure" in item else ""
            say(f"{item['Number']} of {len(items)}: {item['SourceId']} is {item['Status']}{reason}")


def _describe(item: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(item["Number"]),
        item["SourceId"],
        item["Status"],
        f"{item['Progress']}%",
        item.get("ImageId", ""),
        item.get("Failure", ""),
    )


def _report(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    bulk = found["BulkExport"]
    print_facts(
        {
            "id": bulk["BulkExportId"],
            "status": f"{bulk['Status']}, {found['Progress']}% done",
            "items": f"{bulk['FinishedCount']} exported, {bulk['FailedCount']} failed, "
            f"{bulk['CancelledCount']} cancelled, of {bulk['ItemCount']}",
            "bucket": bulk["OSSBucket"],
            "format": bulk["ImageFormat"],
            "created": bulk["CreationTime"],
            "finished": bulk.get("FinishedTime"),
        }
    )
    click.echo()
    print_table(_REPORT_COLUMNS, [row for item in found["Items"]["Item"] for row in _list_rows(item)])


def _list_rows(item: dict[str, Any]) -> list[tuple[object, ...]]:
    """One row for each object of an item, or one without."""
    head = (item["Number"], item["SourceId"], item["Status"], item.get("Seconds"))
    reason = item.get("Failure") or item.get("Note")
    objects = item["Objects"]["Object"]
    if not objects:
        return [(*head, None, None, None, reason)]
    return [(*head, each["ObjectKey"], format_bytes(each["Size"]), each["ETag"], reason) for each in objects]


def _get(client: EcsClient, bulk_id: str) -> dict[str, Any]:
    return client.call("DescribeBulkExport", {"RegionId": client.region_id, "BulkExportId": bulk_id})
