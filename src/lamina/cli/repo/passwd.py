"""`lamina repo passwd`."""

from pathlib import Path

import click

from lamina.cli.output import json_option, print_json, say
from lamina.cli.repo.access import Access, with_access
from lamina.engine.seal.keys import Passphrase


@click.command("passwd")
@with_access
@click.option("--new-key-file", type=click.Path(path_type=Path), help="The file that unlocks it from now on.")
@json_option
def command(access: Access, *, new_key_file: Path | None, as_json: bool) -> None:
    """Change what unlocks STORE. No data is rewritten.

    The new secret is --new-key-file, else LAMINA_NEW_PASSPHRASE, else typed twice at a terminal. Who has the
    old secret and an old copy of the folder `keys` can still read everything.
    """
    repository = access.open()
    secret = access.read_new_secret(new_key_file)
    repository.change_secret(secret)
    kind = "passphrase" if isinstance(secret, Passphrase) else "key-file"
    if as_json:
        print_json({"repository": repository.master.repository.hex(), "unlocked_by": kind})
    else:
        say(f"the repository is unlocked by the new {kind} from now on")
