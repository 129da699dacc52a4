"""`lamina instance`: list, run, start, stop, delete; and the operator's lock, which is not the API's business."""

import secrets
from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.lazy_group import Entry, LazyGroup
from lamina.cli.output import json_option, print_json, print_table, say
from lamina.cli.session import list_all, with_client
from lamina.clock import SystemClock
from lamina.failures import Refusal

_POLL_SECONDS: Final = 0.25
_SETTLED: Final = ("Running", "Stopped")
_BUILT_IN_IMAGE: Final = "lamina_empty_x86_64.vhd"
_wait_option = click.option("--wait", is_flag=True, help="Return when it has settled.")
_COMMANDS: Final = {
    "list": Entry("lamina.cli.instance:list_instances", "List instances, newest first."),
    "run": Entry("lamina.cli.instance:run", "Make instances from an image and start them."),
    "start": Entry("lamina.cli.instance:start", "Start instances."),
    "stop": Entry("lamina.cli.instance:stop", "Stop instances."),
    "delete": Entry("lamina.cli.instance:delete", "Release instances."),
    "lock": Entry("lamina.processes.instance_commands:lock", "Lock an instance of a data directory."),
    "unlock": Entry("lamina.processes.instance_commands:unlock", "Take that lock off."),
}


@click.group(cls=LazyGroup, entries=_COMMANDS)
def instance() -> None:
    """Instances of the service."""


@click.command("list")
@click.option("--status", help="Pending, Running, Starting, Stopping or Stopped.")
@json_option
@with_client
def list_instances(client: EcsClient, *, status: str | None, as_json: bool) -> None:
    """List instances, newest first."""
    _show(list_all(client, "Instance", {"Status": status}), as_json=as_json)


@click.command()
@click.option("--image", default=_BUILT_IN_IMAGE, show_default=True, help="What its disks are made from.")
@click.option("--family", help="The newest image of this family instead.")
@click.option("--type", "type_id", default="ecs.g6.large", show_default=True, help="The type of machine.")
@click.option("--name", help="What it is called; node-[1,3] counts from node-001 on.")
@click.option("--count", type=click.IntRange(1, 100), default=1, show_default=True, help="How many.")
@click.option("--system-size", type=int, help="GiB of the system disk.")
@click.option("--data-size", type=int, multiple=True, help="GiB of a data disk; may be repeated.")
@_wait_option
@json_option
@with_client
def run(client: EcsClient, *, wait: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Make instances from an image and start them."""
    disks = {f"DataDisk.{n}.Size": size for n, size in enumerate(options["data_size"], start=1)}
    answer = client.call(
        "RunInstances",
        {
            "RegionId": client.region_id,
            "InstanceType": options["type_id"],
            "ImageId": None if options["family"] else options["image"],
            "ImageFamily": options["family"],
            "InstanceName": options["name"],
            "Amount": options["count"],
            "SystemDisk.Size": options["system_size"],
            "ClientToken": secrets.token_hex(16),
            **disks,
        },
    )
    ids = answer["InstanceIdSets"]["InstanceIdSet"]
    _finish(client, ids, "being made", wait=wait, as_json=as_json)


@click.command()
@click.argument("instance_ids", metavar="INSTANCE...", nargs=-1, required=True)
@_wait_option
@json_option
@with_client
def start(client: EcsClient, *, instance_ids: tuple[str, ...], wait: bool, as_json: bool) -> None:
    """Start instances: all of them, or none if one cannot be started."""
    _call(client, "StartInstances", instance_ids, {})
    _finish(client, instance_ids, "starting", wait=wait, as_json=as_json)


@click.command()
@click.argument("instance_ids", metavar="INSTANCE...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Cut the power instead of asking the guest to shut down.")
@_wait_option
@json_option
@with_client
def stop(client: EcsClient, *, instance_ids: tuple[str, ...], force: bool, wait: bool, as_json: bool) -> None:
    """Stop instances: all of them, or none if one cannot be stopped."""
    _call(client, "StopInstances", instance_ids, {"ForceStop": force})
    _finish(client, instance_ids, "stopping", wait=wait, as_json=as_json)


@click.command()
@click.argument("instance_ids", metavar="INSTANCE...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Also while they run.")
@with_client
def delete(client: EcsClient, *, instance_ids: tuple[str, ...], force: bool) -> None:
    """Release instances, all of them or none. Their disks go or stay as each of them says; manual snapshots stay."""
    _call(client, "DeleteInstances", instance_ids, {"Force": force, "ClientToken": secrets.token_hex(16)})
    for instance_id in instance_ids:
        say(f"instance {instance_id} is released")


def _call(client: EcsClient, action: str, instance_ids: tuple[str, ...], given: dict[str, object]) -> None:
    client.call(action, {"RegionId": client.region_id, "InstanceId": list(instance_ids), **given})


def _finish(
    client: EcsClient, instance_ids: tuple[str, ...] | list[str], doing: str, *, wait: bool, as_json: bool
) -> None:
    found = _look(client, instance_ids)
    while wait and not all(each["Status"] in _SETTLED for each in found):
        SystemClock().sleep(_POLL_SECONDS)
        found = _look(client, instance_ids)
    if as_json:
        print_json(found)
        return
    for each in found:
        say(f"instance {each['InstanceId']} is {each['Status'] if wait else doing}")
        click.echo(each["InstanceId"])


def _look(client: EcsClient, instance_ids: tuple[str, ...] | list[str]) -> list[dict[str, Any]]:
    names = ",".join(f'"{instance_id}"' for instance_id in instance_ids)
    found = list_all(client, "Instance", {"InstanceIds": f"[{names}]"})
    missing = sorted(set(instance_ids) - {each["InstanceId"] for each in found})
    if missing:
        raise Refusal(f"instance {missing[0]} is gone; the service's log says why")
    return found


def _show(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "status", "type", "image", "expires", "created"),
        [
            (
                each["InstanceId"],
                each["InstanceName"],
                each["Status"],
                each["InstanceType"],
                each["ImageId"],
                each["ExpiredTime"] if each["InstanceChargeType"] == "PrePaid" else "",
                each["CreationTime"],
            )
            for each in found
        ],
    )
