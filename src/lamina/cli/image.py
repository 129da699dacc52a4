"""`lamina image`: list, create, export, import, delete; publishing, the operator's; and the way to `bulk_export`."""

import secrets
from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.lazy_group import Entry, LazyGroup
from lamina.cli.output import json_option, print_json, print_table, progress_bar, say
from lamina.cli.session import with_client
from lamina.clock import SystemClock
from lamina.failures import Refusal
from lamina.transfer.progress import Reading
from lamina.units import GIB

_PAGE: Final = 100
_POLL_SECONDS: Final = 0.25
_STATUSES: Final = "Waiting,Creating,Available,UnAvailable,CreateFailed,Deprecated"
_FORMATS: Final = ("raw", "qcow2", "vhd", "vmdk", "vdi")
_wait_option = click.option("--wait", is_flag=True, help="Return when it is done.")


_COMMANDS: Final = {
    "list": Entry("lamina.cli.image:list_images", "List images, newest first."),
    "create": Entry("lamina.cli.image:create", "Make an image of an instance, or of snapshots."),
    "export": Entry("lamina.cli.image:export", "Write an image to files in a bucket."),
    "import": Entry("lamina.cli.image:import_files", "Make an image from files in buckets."),
    "delete": Entry("lamina.cli.image:delete", "Delete an image; its snapshots stay."),
    "bulk-export": Entry("lamina.cli.bulk_export:start", "Make and export many images in one go."),
    "bulk-list": Entry("lamina.cli.bulk_export:list_bulk_exports", "List such exports, newest first."),
    "bulk-show": Entry("lamina.cli.bulk_export:show", "Show one: progress, objects, failures."),
    "bulk-cancel": Entry("lamina.cli.bulk_export:cancel", "Stop one; what is finished stays."),
    "publish": Entry("lamina.processes.image_commands:publish", "Let every account see an image."),
    "unpublish": Entry("lamina.processes.image_commands:unpublish", "Leave it to its owner again."),
}


@click.group(cls=LazyGroup, entries=_COMMANDS)
def image() -> None:
    """Images of the service: what instances are created from."""


@click.command("list")
@click.option("--mine", is_flag=True, help="Only the account's own.")
@click.option("--status", help=f"One or more of {_STATUSES}.")
@json_option
@with_client
def list_images(client: EcsClient, *, mine: bool, status: str | None, as_json: bool) -> None:
    """List the account's images, those that are shared with it, and public ones, newest first."""
    found = _list(client, {"ImageOwnerAlias": "self" if mine else None, "Status": status or _STATUSES})
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "status", "progress", "owner", "disks", "created"),
        [
            (
                each["ImageId"],
                each["ImageName"],
                each["Status"],
                each["Progress"],
                each["ImageOwnerAlias"],
                ", ".join(f"{disk['Size']} GiB" for disk in each["DiskDeviceMappings"]["DiskDeviceMapping"]),
                each["CreationTime"],
            )
            for each in found
        ],
    )


@click.command()
@click.option("--snapshot", "snapshots", multiple=True, help="Of a system disk; further ones of data disks.")
@click.option("--instance", help="All disks of this instance as they are now.")
@click.option("--name", help="2 to 128 characters, starting with a letter.")
@click.option("--description", help="2 to 256 characters.")
@click.option("--family", help="The newest image of a family is found by its name.")
@_wait_option
@json_option
@with_client
def create(client: EcsClient, *, wait: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Make an image of an instance, or of snapshots."""
    if bool(options["snapshots"]) == bool(options["instance"]):
        raise Refusal("say what the image is made of: either --snapshot, or --instance")
    mappings = {
        f"DiskDeviceMapping.{n}.SnapshotId": each for n, each in enumerate(options["snapshots"], start=1)
    }
    answer = client.call(
        "CreateImage",
        {
            "RegionId": client.region_id,
            "InstanceId": options["instance"],
            "ImageName": options["name"],
            "Description": options["description"],
            "ImageFamily": options["family"],
            "ClientToken": secrets.token_hex(16),
            **mappings,
        },
    )
    _finish(client, answer["ImageId"], "being created", wait=wait, as_json=as_json)


@click.command()
@click.argument("image_id", metavar="IMAGE")
@click.argument("bucket", metavar="BUCKET")
@click.option("--format", "image_format", type=click.Choice(_FORMATS), default="raw", show_default=True)
@click.option("--prefix", help="What the names of the files begin with: 1 to 30 letters and digits.")
@_wait_option
@json_option
@with_client
def export(client: EcsClient, *, wait: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Write IMAGE to files in BUCKET, one for each of its disks."""
    answer = client.call(
        "ExportImage",
        {
            "RegionId": client.region_id,
            "ImageId": options["image_id"],
            "OSSBucket": options["bucket"],
            "OSSPrefix": options["prefix"],
            "ImageFormat": options["image_format"],
        },
    )
    task_id = answer["TaskId"]
    if wait:
        _wait_for_task(client, task_id, "export", shows_bar=not as_json)
    if as_json:
        print_json(_get_task(client, task_id))
    else:
        start = f"{options['prefix']}_" if options["prefix"] else ""
        place = f"{options['bucket']}/{start}{options['image_id']}_{task_id}.{options['image_format']}"
        say(f"task {task_id} {'has exported' if wait else 'exports'} image {options['image_id']} to {place}")
        click.echo(task_id)


@click.command("import")
@click.argument("files", metavar="BUCKET/KEY...", nargs=-1, required=True)
@click.option(
    "--format",
    "image_format",
    type=click.Choice(_FORMATS),
    help="Of all files; found by name or content otherwise.",
)
@click.option("--size", type=int, help="GiB of the system disk, at least those of its file.")
@click.option("--name", help="2 to 128 characters, starting with a letter.")
@click.option("--description", help="2 to 256 characters.")
@click.option("--platform", help="Such as Ubuntu.")
@_wait_option
@json_option
@with_client
def import_files(
    client: EcsClient,
    *,
    files: tuple[str, ...],
    wait: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - click's options
) -> None:
    """Make an image from files in buckets: the first is the system disk, further ones are data disks."""
    mappings: dict[str, object] = {}
    for number, file in enumerate(files, start=1):
        bucket, slash, key = file.partition("/")
        if not (bucket and slash and key):
            raise Refusal(f"{file!r} names no file; write BUCKET/KEY")
        entry = {"OSSBucket": bucket, "OSSObject": key, "Format": options["image_format"]}
        mappings |= {f"DiskDeviceMapping.{number}.{name}": value for name, value in entry.items()}
    answer = client.call(
        "ImportImage",
        {
            "RegionId": client.region_id,
            "ImageName": options["name"],
            "Description": options["description"],
            "Platform": options["platform"],
            "DiskDeviceMapping.1.DiskImageSize": options["size"],
            "ClientToken": secrets.token_hex(16),
            **mappings,
        },
    )
    if wait:
        _wait_for_task(client, answer["TaskId"], "import", shows_bar=not as_json)
    _finish(client, answer["ImageId"], "being imported", wait=False, as_json=as_json)


@click.command()
@click.argument("image_id", metavar="IMAGE")
@click.option("--force", is_flag=True, help="Also if instances were created from it.")
@with_client
def delete(client: EcsClient, *, image_id: str, force: bool) -> None:
    """Delete IMAGE; its snapshots stay."""
    client.call("DeleteImage", {"RegionId": client.region_id, "ImageId": image_id, "Force": force})
    say(f"image {image_id} is deleted")


def _finish(client: EcsClient, image_id: str, doing: str, *, wait: bool, as_json: bool) -> None:
    found = _get(client, image_id)
    while wait and found["Status"] in ("Waiting", "Creating"):
        SystemClock().sleep(_POLL_SECONDS)
        found = _get(client, image_id)
    if wait and found["Status"] != "Available":
        raise Refusal(f"image {image_id} is {found['Status']}; the service's log says why")
    if as_json:
        print_json(found)
    else:
        say(f"image {image_id} is {'Available' if found['Status'] == 'Available' else doing}")
        click.echo(image_id)


def _wait_for_task(client: EcsClient, task_id: str, title: str, *, shows_bar: bool) -> None:
    """Wait until a task has ended well; a disk of 100 GiB stands for its work, which is known in percent only.

    Raises:
        Refusal: it failed.
    """
    percent = 0

    def read() -> Reading:
        return Reading(done_bytes=percent * GIB, known_bytes=100 * GIB, stored_bytes=0)

    with progress_bar(title, read, enabled=shows_bar):
        while (task := _get_task(client, task_id))["TaskStatus"] == "Processing":
            percent = int(task["TaskProcess"].rstrip("%"))
            SystemClock().sleep(_POLL_SECONDS)
    if task["TaskStatus"] != "Finished":
        operations = task["OperationProgressSet"]["OperationProgress"]  # one for each file
        reason = next((each["ErrorMsg"] for each in operations if each["ErrorMsg"]), task["TaskStatus"])
        raise Refusal(f"the {title} failed: {reason}")


def _get_task(client: EcsClient, task_id: str) -> dict[str, Any]:
    return client.call("DescribeTaskAttribute", {"RegionId": client.region_id, "TaskId": task_id})


def _get(client: EcsClient, image_id: str) -> dict[str, Any]:
    found = _list(client, {"ImageId": image_id, "Status": _STATUSES})
    if not found:
        raise Refusal(f"there is no image {image_id} in {client.region_id}")
    return found[0]


def _list(client: EcsClient, filters: dict[str, object]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    while True:
        page = client.call(
            "DescribeImages",
            {
                "RegionId": client.region_id,
                "PageSize": _PAGE,
                "PageNumber": len(items) // _PAGE + 1,
                **filters,
            },
        )
        found = page["Images"]["Image"]
        items += found
        if len(found) < _PAGE:
            return items
