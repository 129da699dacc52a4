"""`lamina policy`: list, show, calendar."""

import json
from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_facts, print_json, print_table
from lamina.cli.session import with_client
from lamina.failures import Refusal

_PAGE: Final = 100


@click.group()
def policy() -> None:
    """Automatic snapshot policies of the service."""


@policy.command("list")
@json_option
@with_client
def list_policies(client: EcsClient, *, as_json: bool) -> None:
    """List policies, newest first."""
    found = _list_policies(client, {})
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "name", "hours", "weekdays", "kept", "disks", "status"),
        [
            (
                each["AutoSnapshotPolicyId"],
                each["AutoSnapshotPolicyName"],
                _show_list(each["TimePoints"]),
                _show_list(each["RepeatWeekdays"]),
                _show_days(each["RetentionDays"]),
                each["DiskNums"],
                each["Status"],
            )
            for each in found
        ],
    )


@policy.command()
@click.argument("policy_id", metavar="POLICY")
@json_option
@with_client
def show(client: EcsClient, *, policy_id: str, as_json: bool) -> None:
    """Show one policy, and what it did last."""
    found = next(iter(_list_policies(client, {"AutoSnapshotPolicyId": policy_id})), None)
    if found is None:
        raise Refusal(f"there is no policy {policy_id} in {client.region_id}")
    runs = client.call(
        "DescribeAutoSnapshotPolicyRuns",
        {"RegionId": client.region_id, "AutoSnapshotPolicyId": policy_id, "MaxResults": 10},
    )["Runs"]["Run"]
    if as_json:
        print_json({**found, "Runs": runs})
        return
    print_facts(
        {
            "id": found["AutoSnapshotPolicyId"],
            "name": found["AutoSnapshotPolicyName"],
            "status": found["Status"],
            "hours": _show_list(found["TimePoints"]),
            "weekdays": _show_list(found["RepeatWeekdays"]),
            "kept": _show_days(found["RetentionDays"]),
            "copied to": _show_list(found["TargetCopyRegions"]) if found["EnableCrossRegionCopy"] else "",
            "copies encrypted with": _show_encryption(found),
            "disks": found["DiskNums"],
            "created": found["CreationTime"],
        }
    )
    if runs:
        click.echo()
        print_table(
            ("point", "disk", "outcome", "snapshot", "reason"),
            [
                (
                    each["PointTime"],
                    each.get("DiskId"),
                    each["Outcome"],
                    each.get("SnapshotId"),
                    each["Reason"],
                )
                for each in runs
            ],
        )


@policy.command()
@click.option("--disk", "disk_id", help="Only this disk.")
@click.option("--policy", "policy_id", help="Only disks with this policy.")
@click.option("--runs", type=click.IntRange(1, 100), default=5, show_default=True, help="Runs per disk.")
@json_option
@with_client
def calendar(
    client: EcsClient, *, disk_id: str | None, policy_id: str | None, runs: int, as_json: bool
) -> None:
    """Show when the next automatic snapshots of each disk are due, in UTC."""
    wanted = {"DiskId": disk_id, "AutoSnapshotPolicyId": policy_id, "RunCount": runs}
    found: list[dict[str, Any]] = []
    token: str | None = None
    while token is None or token:
        page = client.call(
            "DescribeAutoSnapshotPolicyCalendar",
            {"RegionId": client.region_id, "MaxResults": _PAGE, "NextToken": token, **wanted},
        )
        found += page["Calendars"]["Calendar"]
        token = page["NextToken"]
    if as_json:
        print_json(found)
        return
    print_table(
        ("run", "disk", "name", "policy"),
        sorted(
            (time, each["DiskId"], each["DiskName"], each["AutoSnapshotPolicyId"])
            for each in found
            for time in each["NextRunTimes"]["NextRunTime"]
        ),
    )


def _list_policies(client: EcsClient, wanted: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    number = 1
    while True:
        page = client.call(
            "DescribeAutoSnapshotPolicyEx",
            {"RegionId": client.region_id, "PageNumber": number, "PageSize": _PAGE, **wanted},
        )
        found += page["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]
        if number * _PAGE >= page["TotalCount"]:
            return found
        number += 1


def _show_list(text: str) -> str:
    return ", ".join(json.loads(text))


def _show_encryption(found: dict[str, Any]) -> str:
    encryption = found["CopyEncryptionConfiguration"]
    if not (found["EnableCrossRegionCopy"] and encryption["Encrypted"]):
        return ""
    return encryption["KMSKeyId"] or "the service's key"


def _show_days(days: int) -> str:
    return "for ever" if days < 0 else f"{days} days"
