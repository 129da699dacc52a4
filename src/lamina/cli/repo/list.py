"""`lamina repo list`."""

import click

from lamina.cli.output import json_option, print_json, print_table
from lamina.cli.repo.access import Access, with_access
from lamina.cli.repo.facts import take_inventory
from lamina.failures import Corruption
from lamina.units import format_bytes


@click.command("list")
@with_access
@json_option
def command(access: Access, *, as_json: bool) -> None:
    """List the snapshots in STORE, oldest first."""
    inventory = take_inventory(access.open())
    if as_json:
        damaged = [{"snapshot": name, "reason": reason} for name, reason in inventory.damaged.items()]
        print_json({"snapshots": [item.as_json() for item in inventory.snapshots], "damaged": damaged})
    else:
        print_table(
            ("snapshot", "name", "created", "size", "used", "stored", "mode"),
            [
                (
                    item.snapshot,
                    item.name,
                    item.created_at.strftime("%Y-%m-%d %H:%M:%S"),
                    format_bytes(item.size_bytes),
                    format_bytes(item.used_bytes),
                    format_bytes(item.stored_bytes),
                    item.mode.value,
                )
                for item in inventory.snapshots
            ],
        )
    if inventory.damaged:
        raise Corruption("; ".join(f"snapshot {name}: {why}" for name, why in inventory.damaged.items()))
