"""`lamina repo init`."""

import click

from lamina.cli.output import json_option, print_facts, print_json, say
from lamina.cli.repo.access import Access, with_access


@click.command("init")
@with_access
@json_option
def command(access: Access, *, as_json: bool) -> None:
    """Make a repository in STORE; a missing folder is made, a missing bucket is not."""
    repository = access.create()
    if as_json:
        print_json(dict(repository.parameters))
        return
    print_facts(repository.parameters)
    say("Keep the key in a safe place, away from STORE: without it nothing in here can ever be read.")
