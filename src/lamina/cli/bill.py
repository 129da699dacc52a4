"""`lamina bill`: show, list, prices; and payments, whose commands are elsewhere."""

import csv
import sys
from collections.abc import Sequence
from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.lazy_group import Entry, LazyGroup
from lamina.cli.output import json_option, print_facts, print_json, print_table
from lamina.cli.session import with_client
from lamina.failures import Refusal
from lamina.units import format_bytes

_LINES_PAGE: Final = 1000
_BILLS_PAGE: Final = 100
_PRICE_COLUMNS: Final = {
    "region_id": "RegionId",
    "valid_from": "ValidFrom",
    "currency": "Currency",
    "standard_per_gib_month": "StandardPerGibMonth",
    "archive_per_gib_month": "ArchivePerGibMonth",
    "source": "Source",
    "seen_on": "SeenOn",
}
_LINE_COLUMNS: Final = {
    "kind": "Kind",
    "region_id": "RegionId",
    "disk_id": "DiskId",
    "category": "Category",
    "start_time": "StartTime",
    "end_time": "EndTime",
    "snapshot_count": "SnapshotCount",
    "hours": "Hours",
    "byte_hours": "ByteHours",
    "gib_hours": "GibHours",
    "end_bytes": "EndBytes",
    "price_per_gib_month": "PricePerGibMonth",
    "hours_per_month": "HoursPerMonth",
    "amount": "Amount",
}
_BILL_COLUMNS: Final = {
    "number": "Number",
    "month": "Month",
    "currency": "Currency",
    "total": "Total",
    "closed_time": "ClosedTime",
}

_csv_option = click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a heading.")


_COMMANDS: Final = {
    "show": Entry("lamina.cli.bill:show", "Show what a month costs, line by line."),
    "list": Entry("lamina.cli.bill:list_bills", "List the bills of the months that are closed."),
    "prices": Entry("lamina.cli.bill:prices", "Show the price list by region."),
    "advise": Entry("lamina.cli.advise:advise", "Tell which snapshots to delete, and what that saves."),
    "balance": Entry("lamina.cli.payments:balance", "Show what the account owes."),
    "ledger": Entry("lamina.cli.payments:ledger", "List charges and payments of the account."),
    "standing": Entry(
        "lamina.cli.payments:standing", "Show whether payments are overdue, and what followed."
    ),
    "forecast": Entry(
        "lamina.processes.payment_commands:forecast_arrears", "Tell what goes, and when, if nothing is paid."
    ),
    "accounts": Entry("lamina.processes.payment_commands:accounts", "Show what all accounts owe."),
    "pay": Entry("lamina.processes.payment_commands:pay", "Enter a payment of an account."),
    "correct": Entry("lamina.processes.payment_commands:correct", "Enter a credit, or take one back."),
}


@click.group(cls=LazyGroup, entries=_COMMANDS)
def bill() -> None:
    """What the storage of snapshots costs, and what was paid."""


@click.command()
@click.option("--month", metavar="YYYY-MM", help="Which month, in UTC; without it, the present one.")
@_csv_option
@json_option
@with_client
def show(client: EcsClient, *, month: str | None, as_csv: bool, as_json: bool) -> None:
    """Show what a month costs, line by line; the present month, what it costs so far."""
    _require_one(as_csv=as_csv, as_json=as_json)
    found, lines = _read_bill(client, month)
    if as_json:
        print_json({**found, "Lines": lines})
    elif as_csv:
        _print_csv(_LINE_COLUMNS, lines)
    else:
        _print_bill(found, lines)


@click.command("list")
@_csv_option
@json_option
@with_client
def list_bills(client: EcsClient, *, as_csv: bool, as_json: bool) -> None:
    """List the bills of the months that are closed, latest first."""
    _require_one(as_csv=as_csv, as_json=as_json)
    found: list[dict[str, Any]] = []
    token: str | None = None
    while token is None or token:
        page = client.call("DescribeBills", {"MaxResults": _BILLS_PAGE, "NextToken": token})
        found += page["Bills"]["Bill"]
        token = page["NextToken"]
    _print(_BILL_COLUMNS, found, as_csv=as_csv, as_json=as_json)


@click.command()
@_csv_option
@json_option
@with_client
def prices(client: EcsClient, *, as_csv: bool, as_json: bool) -> None:
    """Show the price list by region: now, before, and from when on it changes.

    With --csv it is printed as the operator's own list would be written.
    """
    _require_one(as_csv=as_csv, as_json=as_json)
    answer = client.call("DescribePrices")
    found = answer["Prices"]["Price"]
    if as_csv or as_json:
        _print(_PRICE_COLUMNS, found, as_csv=as_csv, as_json=as_json)
        return
    print_table(
        ("region", "valid from", "now", "standard", "archive", "unit"),
        [
            (
                each["RegionId"],
                each["ValidFrom"],
                "yes" if each["InForce"] else "",
                each["StandardPerGibMonth"],
                each.get("ArchivePerGibMonth", each["StandardPerGibMonth"]),
                f"{each['Currency']} per GiB and month",
            )
            for each in found
        ],
    )


def _require_one(*, as_csv: bool, as_json: bool) -> None:
    if as_csv and as_json:
        raise Refusal("--csv and --json exclude one another; leave one out")


def _read_bill(client: EcsClient, month: str | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    lines: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = client.call("DescribeBill", {"Month": month, "MaxResults": _LINES_PAGE, "NextToken": token})
        month = page["Bill"]["Month"]  # the present month may end between two calls
        lines += page["Lines"]["Line"]
        token = page["NextToken"]
        if not token:
            return page["Bill"], lines


def _print_bill(found: dict[str, Any], lines: Sequence[dict[str, Any]]) -> None:
    is_open = found["Status"] == "open"
    facts = {
        "month": found["Month"],
        "bill": "open: the amounts grow until the end of the month" if is_open else found["Number"],
        "closed": found.get("ClosedTime"),
        **{
            f"in {each['RegionId']}": f"{each['Amount']} {found['Currency']}"
            for each in found["RegionTotals"]["RegionTotal"]
        },
        "total": f"{found['Total']} {found['Currency']}",
    }
    if is_open:
        facts["forecast"] = f"{found['Forecast']} {found['Currency']}, if nothing changes"
    print_facts({name: value for name, value in facts.items() if value is not None})
    if lines:
        click.echo()
        print_table(
            (
                "region",
                "disk",
                "category",
                "snapshots",
                "hours",
                "GiB-hours",
                "price",
                "amount",
                "at the end",
            ),
            [
                (
                    each["RegionId"],
                    each.get("DiskId", "free of charge"),
                    each["Category"],
                    each["SnapshotCount"],
                    each["Hours"],
                    each["GibHours"],
                    f"{each['PricePerGibMonth']} / {each['HoursPerMonth']}",
                    each["Amount"],
                    format_bytes(each["EndBytes"]),
                )
                for each in lines
            ],
        )


def _print(columns: dict[str, str], rows: Sequence[dict[str, Any]], *, as_csv: bool, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif as_csv:
        _print_csv(columns, rows)
    else:
        print_table(
            [name.replace("_", " ") for name in columns],
            [[each.get(key) for key in columns.values()] for each in rows],
        )


def _print_csv(columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([each.get(key) for key in columns.values()] for each in rows)
