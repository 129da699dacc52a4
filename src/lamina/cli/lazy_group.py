"""Groups of commands that are imported when they are used, so that `--help` imports click and nothing else."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """A sub-command that is imported when it is used.

    Attributes:
        target: `module:attribute`.
        summary: its line in `--help`.
    """

    target: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def __init__(self, *arguments: Any, entries: Mapping[str, Entry], **options: Any) -> None:  # noqa: ANN401 - click's
        """Make the group; `entries` are the commands by name, the rest is click's."""
        super().__init__(*arguments, **options)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in order."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one command."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._entries[name].summary) for name in self.list_commands(ctx)])
