"""`lamina bill advise`: which snapshots to delete, and what that saves."""

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_facts, print_json, print_table
from lamina.cli.session import with_client
from lamina.units import format_bytes


@click.command()
@click.option("--idle-days", type=click.IntRange(1, 3650), help="What counts as without use.  [default: 30]")
@click.option("--top", type=click.IntRange(1, 100), help="How many snapshots to rank.  [default: 20]")
@json_option
@with_client
def advise(client: EcsClient, *, idle_days: int | None, top: int | None, as_json: bool) -> None:
    """Tell which snapshots to delete, what that would really save in a month, and what nobody seems to need.

    What a snapshot is billed for and the next one still needs stays billed: it is not among what is saved.
    """
    found = client.call("DescribeAdvice", {"IdleDays": idle_days, "MaxResults": top})
    snapshots, findings = found["Snapshots"]["Snapshot"], found["Findings"]["Finding"]
    if as_json:
        print_json({**found, "Snapshots": snapshots, "Findings": findings})
        return
    print_table(
        ("snapshot", "name", "disk", "region", "billed", "saved", "freed", "per month"),
        [
            (
                each["SnapshotId"],
                each.get("SnapshotName"),
                each["SourceDiskId"],
                each["RegionId"],
                format_bytes(each["IncrementalBytes"]),
                format_bytes(each["SavedBytes"]),
                format_bytes(each["FreedBytes"]) if "FreedBytes" in each else None,
                each["MonthlySaving"],
            )
            for each in snapshots
        ],
    )
    if findings:
        click.echo()
        print_table(
            ("finding", "of", "region", "snapshots", "saved", "per month", "why"),
            [
                (
                    each["Kind"],
                    each["Subject"],
                    each["RegionId"],
                    each["SnapshotCount"],
                    format_bytes(each["SavedBytes"]),
                    each["MonthlySaving"],
                    each["Reason"],
                )
                for each in findings
            ],
        )
    click.echo()
    facts = {
        "costs per month": f"{found['MonthlyCost']} {found['Currency']}",
        "findings save": f"{found['TotalSaving']} {found['Currency']}",
    }
    if found["UnweighedCount"]:
        facts["not weighed"] = (
            f"{found['UnweighedCount']} snapshots: their key is disabled, or there was no time"
        )
    print_facts(facts)
