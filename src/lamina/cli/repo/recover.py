"""`lamina repo recover`."""

import click
import msgspec

from lamina.cli.output import json_option, print_facts, print_json, progress_bar, say
from lamina.cli.repo.access import Access, with_access
from lamina.cli.repo.facts import Inventory, take_inventory
from lamina.cli.repo.leftovers import Leftovers, SessionState, find_leftovers
from lamina.cli.repo.local_index import IndexReport, rebuild_index
from lamina.cli.stopping import raise_cancelled, stopping_by
from lamina.failures import Corruption
from lamina.transfer.progress import Progress
from lamina.units import format_bytes


@click.command("recover")
@with_access
@json_option
def command(access: Access, *, as_json: bool) -> None:
    """Rebuild what can be rebuilt from STORE alone. Nothing in STORE is changed.

    Drops the local caches and makes them anew, reads the manifest of every snapshot, and reports what was begun and
    not finished. With --json all facts of all manifests are printed: enough to rebuild a database from.
    """
    repository, progress = access.open(), Progress()
    with stopping_by(raise_cancelled), progress_bar("index", progress.read):
        index = rebuild_index(repository, progress)
        inventory = take_inventory(repository, fresh=True)
        leftovers = find_leftovers(repository)
    if as_json:
        print_json(
            {
                "repository": dict(repository.parameters),
                "snapshots": [item.as_json() for item in inventory.snapshots],
                "damaged": [{"snapshot": name, "reason": why} for name, why in inventory.damaged.items()],
                "index": msgspec.to_builtins(index),
                "leftovers": msgspec.to_builtins(leftovers),
            }
        )
    else:
        _print(inventory, index, leftovers)
    damage = [*inventory.damaged.values(), *index.unreadable, *leftovers.damage]
    if damage:
        raise Corruption(f"not everything could be read: {'; '.join(dict.fromkeys(damage))}")


def _print(inventory: Inventory, index: IndexReport, leftovers: Leftovers) -> None:
    print_facts(
        {
            "snapshots": len(inventory.snapshots),
            "damaged": len(inventory.damaged),
            "index": f"{index.blocks} blocks in {index.packs} packs",
            "unreachable": f"{leftovers.unreachable_packs} packs, {format_bytes(leftovers.unreachable_bytes)}",
        }
    )
    for item in leftovers.sessions:
        about = f"{item.kind or 'session'} of {item.snapshot or 'the repository'}"
        if item.state is SessionState.DEAD and item.kind == "capture":
            say(
                f"interrupted: {about}, begun at {item.started_at}; capture again, what was stored is used again"
            )
        else:
            say(f"{item.state.value}: {about} (session {item.session})")
    for name in leftovers.revoked_captures:
        say(f"given up by a sweep: capture of {name}")
    for name in leftovers.deleted_snapshots:
        say(f"deleted and not swept yet: snapshot {name}")
    if leftovers.condemned_lists:
        say(f"unfinished: {leftovers.condemned_lists} lists of earlier sweeps; `lamina repo sweep` goes on")
