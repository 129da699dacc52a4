"""`lamina repo show`."""

import click

from lamina.cli.output import json_option, print_facts, print_json
from lamina.cli.repo.access import Access, with_access
from lamina.cli.repo.facts import SnapshotFacts, describe
from lamina.cli.repo.wording import for_people
from lamina.ids import SnapshotId


@click.command("show")
@with_access
@click.argument("snapshot")
@json_option
def command(access: Access, *, snapshot: str, as_json: bool) -> None:
    """Show everything about SNAPSHOT."""
    repository = access.open()
    facts = describe(repository.read_manifest(SnapshotId(snapshot)))
    if as_json:
        print_json(facts.as_json() | {"repository": dict(repository.parameters)})
    else:
        print_facts(_list_lines(facts))


def _list_lines(facts: SnapshotFacts) -> dict[str, object]:
    document = facts.as_json()
    annotations = document.pop("annotations")
    return for_people(document | {f"annotation {name}": value for name, value in sorted(annotations.items())})
