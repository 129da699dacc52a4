"""`lamina region`: list."""

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_json, print_table
from lamina.cli.session import with_client


@click.group()
def region() -> None:
    """Regions of the service, and the zones in them."""


@region.command("list")
@json_option
@with_client
def list_regions(client: EcsClient, *, as_json: bool) -> None:
    """List regions with their zones."""
    regions = client.call("DescribeRegions", {})["Regions"]["Region"]
    zones = {
        each["RegionId"]: client.call("DescribeZones", {"RegionId": each["RegionId"]})["Zones"]["Zone"]
        for each in regions
    }
    if as_json:
        print_json([{**each, "Zones": {"Zone": zones[each["RegionId"]]}} for each in regions])
        return
    print_table(
        ("id", "name", "zones", "status"),
        [
            (
                each["RegionId"],
                each["LocalName"],
                " ".join(zone["ZoneId"] for zone in zones[each["RegionId"]]),
                each["Status"],
            )
            for each in regions
        ],
    )
