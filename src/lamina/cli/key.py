"""`lamina key`: list, create, describe, disable, enable, schedule-deletion, cancel-deletion, rotate."""

import secrets
from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_facts, print_json, print_table, say
from lamina.cli.session import with_client
from lamina.clock import SystemClock
from lamina.failures import Fault

_PAGE: Final = 100
_POLL_SECONDS: Final = 0.25
_WAIT_SECONDS: Final = 600.0
_key_argument = click.argument("key_id", metavar="KEY")


@click.group()
def key() -> None:
    """Encryption keys of the account: what encrypted disks, their snapshots and images are sealed with."""


@key.command("list")
@json_option
@with_client
def list_keys(client: EcsClient, *, as_json: bool) -> None:
    """List keys, newest first."""
    found: list[dict[str, Any]] = []
    while True:
        asked = {
            "RegionId": client.region_id,
            "PageSize": _PAGE,
            "PageNumber": len(found) // _PAGE + 1,
        }
        page = client.call("ListKeys", asked)
        found += page["Keys"]["Key"]
        if len(page["Keys"]["Key"]) < _PAGE:
            break
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "state", "origin", "version", "deleted", "description"),
        [
            (
                each["KeyId"],
                each["KeyState"],
                each["Origin"],
                each["PrimaryKeyVersion"],
                each.get("DeleteDate"),
                each["Description"],
            )
            for each in found
        ],
    )


@key.command()
@click.option("--description", help="What it is for.")
@json_option
@with_client
def create(client: EcsClient, *, description: str | None, as_json: bool) -> None:
    """Make a key; its id goes to standard output."""
    new = {
        "RegionId": client.region_id,
        "Description": description,
        "ClientToken": secrets.token_hex(16),
    }
    answer = client.call("CreateKey", new)
    if as_json:
        print_json(answer["KeyMetadata"])
    else:
        click.echo(answer["KeyMetadata"]["KeyId"])


@key.command()
@_key_argument
@json_option
@with_client
def describe(client: EcsClient, *, key_id: str, as_json: bool) -> None:
    """Show KEY."""
    found = _describe(client, key_id)
    if as_json:
        print_json(found)
    else:
        print_facts(found)


@key.command()
@_key_argument
@with_client
def disable(client: EcsClient, *, key_id: str) -> None:
    """Keep KEY from being used until it is enabled again; nothing is lost."""
    _change(client, "DisableKey", key_id)
    say(f"{key_id} is disabled: nothing that it protects is read or written")


@key.command()
@_key_argument
@with_client
def enable(client: EcsClient, *, key_id: str) -> None:
    """Let KEY be used again."""
    _change(client, "EnableKey", key_id)
    say(f"{key_id} is enabled")


@key.command("schedule-deletion")
@_key_argument
@click.option("--days", type=click.IntRange(7, 366), default=30, show_default=True, help="Waiting period.")
@with_client
def schedule_deletion(client: EcsClient, *, key_id: str, days: int) -> None:
    """Have KEY destroyed after a waiting period, and with it all disks and snapshots that it protects."""
    _change(client, "ScheduleKeyDeletion", key_id, PendingWindowInDays=days)
    say(f"{key_id} is destroyed at {_describe(client, key_id)['DeleteDate']}, with all that it protects")


@key.command("cancel-deletion")
@_key_argument
@with_client
def cancel_deletion(client: EcsClient, *, key_id: str) -> None:
    """Save KEY while its waiting period lasts; it is enabled again."""
    _change(client, "CancelKeyDeletion", key_id)
    say(f"{key_id} is enabled")


@key.command()
@_key_argument
@click.option("--wait", is_flag=True, help="Return when it is done.")
@with_client
def rotate(client: EcsClient, *, key_id: str, wait: bool) -> None:
    """Give KEY new material and destroy the old one; no data is rewritten."""
    before = _describe(client, key_id)["PrimaryKeyVersion"]
    _change(client, "CreateKeyVersion", key_id)
    if not wait:
        say(f"{key_id} is being rotated")
        return
    clock = SystemClock()
    start = clock.monotonic()
    while (version := _describe(client, key_id)["PrimaryKeyVersion"]) == before:
        if clock.monotonic() - start > _WAIT_SECONDS:
            raise Fault(
                f"the rotation of {key_id} has not ended; the service's log tells why", retryable=True
            )
        clock.sleep(_POLL_SECONDS)
    say(f"{key_id} has version {version}")


def _describe(client: EcsClient, key_id: str) -> dict[str, Any]:
    answer = client.call("DescribeKey", {"RegionId": client.region_id, "KeyId": key_id})
    found: dict[str, Any] = answer["KeyMetadata"]
    return found


def _change(client: EcsClient, action: str, key_id: str, **more: int) -> None:
    client.call(action, {"RegionId": client.region_id, "KeyId": key_id, **more})
