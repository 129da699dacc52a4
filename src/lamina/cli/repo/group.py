"""`lamina repo`: finds the command's file and imports nothing else."""

from typing import Final

import click

from lamina.cli.lazy_group import Entry, LazyGroup

_SUMMARIES: Final = {
    "init": "Make a repository in an object store.",
    "capture": "Take a snapshot of a disk.",
    "list": "List the snapshots.",
    "show": "Show everything about a snapshot.",
    "diff": "Show what differs between two snapshots.",
    "restore": "Write a snapshot to a file, a block device or standard output.",
    "serve": "Serve a snapshot as a read-only NBD disk.",
    "verify": "Check that everything is there and is what it was.",
    "delete": "Delete a snapshot.",
    "sweep": "Free the space that nothing needs any more.",
    "recover": "Rebuild what can be rebuilt from the store alone.",
    "passwd": "Change what unlocks the repository.",
}
"""Every command, in the order in which people meet them, with its line in `lamina repo --help`."""

COMMANDS: Final = {name: Entry(f"lamina.cli.repo.{name}:command", text) for name, text in _SUMMARIES.items()}


@click.group(cls=LazyGroup, entries=COMMANDS)
def repo() -> None:
    """Repositories: snapshots in an object store, without a service.

    STORE is a path, file:///path or s3://bucket/prefix. A repository is unlocked by a key file (--key-file or
    LAMINA_KEY_FILE) or by a passphrase (LAMINA_PASSPHRASE, or typed at a terminal).
    """
