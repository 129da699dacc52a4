"""How a command gets its client, and how it waits for a resource."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from lamina.cli.client import EcsClient, read_profile
from lamina.clock import Clock, SystemClock
from lamina.failures import Refusal
from lamina.settings import Settings

_POLL_SECONDS: Final = 0.25


def with_client(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command `--profile`, and a client as its first argument."""

    @click.option(
        "--profile",
        type=click.Path(dir_okay=False, path_type=Path),
        help="JSON file with endpoint and access key; by default credentials.json of the service in the user's data "
        "folder, unless the environment names others.",
    )
    @functools.wraps(command)
    def connected(*, profile: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's options
        with EcsClient(read_profile(profile, Settings.from_environment())) as client:
            command(client, **options)

    return connected


def get_disk(client: EcsClient, disk_id: str) -> dict[str, Any]:
    """One disk as DescribeDisks shows it.

    Raises:
        Refusal: the account has no such disk.
    """
    return _get_one(client, "Disk", disk_id)


def get_snapshot(client: EcsClient, snapshot_id: str) -> dict[str, Any]:
    """One snapshot as DescribeSnapshots shows it.

    Raises:
        Refusal: the account has no such snapshot.
    """
    return _get_one(client, "Snapshot", snapshot_id)


def wait_for_disk(client: EcsClient, disk_id: str, clock: Clock | None = None) -> dict[str, Any]:
    """Wait until a disk can be used.

    Raises:
        Refusal: the disk is gone.
    """
    while (disk := get_disk(client, disk_id))["Status"] not in ("Available", "In_use"):
        (clock or SystemClock()).sleep(_POLL_SECONDS)
    return disk


def wait_for_snapshot(
    client: EcsClient, snapshot_id: str, watch: Callable[[dict[str, Any]], None], clock: Clock | None = None
) -> dict[str, Any]:
    """Wait until a snapshot is made; `watch` sees it at every look.

    Raises:
        Refusal: the snapshot is gone, or failed.
    """
    while (snapshot := get_snapshot(client, snapshot_id))["Status"] == "progressing":
        watch(snapshot)
        (clock or SystemClock()).sleep(_POLL_SECONDS)
    watch(snapshot)
    if snapshot["Status"] != "accomplished":
        raise Refusal(f"snapshot {snapshot_id} is {snapshot['Status']}; the service's log says why")
    return snapshot


def list_all(client: EcsClient, noun: str, filters: dict[str, object]) -> list[dict[str, Any]]:
    """Every disk or snapshot that matches, page by page."""
    items: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = client.call(
            f"Describe{noun}s",
            {"RegionId": client.region_id, "MaxResults": 100, "NextToken": token, **filters},
        )
        items += page[f"{noun}s"][noun]
        token = page.get("NextToken")
        if not token:
            return items


def _get_one(client: EcsClient, noun: str, resource_id: str) -> dict[str, Any]:
    found = list_all(client, noun, {f"{noun}Ids": f'["{resource_id}"]'})
    if not found:
        raise Refusal(f"there is no {noun.lower()} {resource_id} in {client.region_id}")
    return found[0]
