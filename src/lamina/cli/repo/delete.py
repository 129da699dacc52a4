"""`lamina repo delete`."""

import click

from lamina.cli.output import json_option, print_json, say
from lamina.cli.repo.access import Access, with_access
from lamina.ids import SnapshotId


@click.command("delete")
@with_access
@click.argument("snapshot")
@json_option
def command(access: Access, *, snapshot: str, as_json: bool) -> None:
    """Delete SNAPSHOT. Others that share its blocks keep them; `lamina repo sweep` frees the rest."""
    access.open().delete_snapshot(SnapshotId(snapshot))
    if as_json:
        print_json({"snapshot": snapshot, "deleted": True})
    else:
        say(f"snapshot {snapshot} is deleted; `lamina repo sweep` frees its space")
