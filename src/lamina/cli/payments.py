"""`lamina bill balance`, `ledger` and `standing`: what the account owes, paid, and where that leaves it."""

from typing import Any, Final

import click

from lamina.cli.client import EcsClient
from lamina.cli.output import json_option, print_facts, print_json, print_table
from lamina.cli.session import with_client

_PAGE: Final = 100


@click.command()
@json_option
@with_client
def balance(client: EcsClient, *, as_json: bool) -> None:
    """Show what the account owes, and until when that is to be paid; negative amounts are owed."""
    answer = client.call("DescribeBalance")
    found = answer["Balances"]["Balance"]
    if as_json:
        print_json({"Standing": answer["Standing"], "Balances": found})
        return
    columns = ("currency", "balance", "overdue", "next due")
    keys = ("Currency", "Amount", "DueAmount", "NextDueTime")
    print_facts({"standing": answer["Standing"]})
    print_table(columns, [[each.get(key) for key in keys] for each in found])


@click.command()
@json_option
@with_client
def ledger(client: EcsClient, *, as_json: bool) -> None:
    """List what the account was charged and paid, latest first."""
    found = _read_all(client, "DescribeLedger", "Entries", "Entry")
    if as_json:
        print_json(found)
        return
    columns = ("number", "time", "kind", "amount", "balance", "currency", "reference", "due", "note")
    keys = ("Number", "Time", "Kind", "Amount", "Balance", "Currency", "Reference", "DueTime", "Note")
    print_table(columns, [[each.get(key) for key in keys] for each in found])


@click.command()
@json_option
@with_client
def standing(client: EcsClient, *, as_json: bool) -> None:
    """Show whether payments are overdue, what follows and when, and what was deleted for it, latest first."""
    events = _read_all(client, "DescribeAccountStanding", "Events", "Event")
    answer = client.call("DescribeAccountStanding")
    times = {name: answer.get(name) for name in ("OverdueTime", "SuspendedTime", "PurgeTime")}
    if as_json:
        print_json({"Standing": answer["Standing"], **times, "Events": events})
        return
    names = ("overdue", "suspended", "purge")
    print_facts({"standing": answer["Standing"], **dict(zip(names, times.values(), strict=True))})
    columns = ("time", "event", "subject", "region", "by", "reason")
    keys = ("Time", "Kind", "Subject", "RegionId", "By", "Reason")
    print_table(columns, [[each.get(key) for key in keys] for each in events])


def _read_all(client: EcsClient, action: str, plural: str, noun: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token: str | None = None
    while token is None or token:
        page = client.call(action, {"MaxResults": _PAGE, "NextToken": token})
        found += page[plural][noun]
        token = page["NextToken"]
    return found
