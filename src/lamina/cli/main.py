"""The command `lamina`: finds the sub-command, runs it, and turns failures into one line and an exit code.

Sub-commands are named here as text and imported when they are used: `lamina --help` imports click and
nothing else. `serve` and `account` put concrete parts together, which only `lamina.processes` may do; that
room is above this one, so it is named as text as well and never imported statically. Everything else speaks
to the service over its API.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import click

from lamina.failures import Cancelled, Corruption, LaminaError, Refusal


class ExitCode(IntEnum):
    """What the exit status means; scripts may rely on it."""

    OK = 0
    FAULT = 1  # something that we depend on failed: disk, network, store, service; trying again may help
    REFUSED = (
        2  # wrong usage, unknown thing, wrong state: change the request (click uses 2 for usage as well)
    )
    DAMAGED = 3  # bytes disagree with their identity: look at the message, nothing was papered over
    CANCELLED = 4  # stopped on request, no result was left behind
    INTERRUPTED = 130  # Ctrl-C; 128 + SIGINT, as shells expect


@dataclass(frozen=True, slots=True)
class _Entry:
    target: str
    summary: str


COMMANDS: Final = {
    "account": _Entry(
        "lamina.processes.commands:account", "Accounts of a data directory, without the service."
    ),
    "disk": _Entry("lamina.cli.disk.group:disk", "Disks of the service: import, list, connect, reset."),
    "ecs": _Entry("lamina.cli.ecs:ecs", "Call any action of the API."),
    "recover": _Entry("lamina.processes.commands:recover", "Rebuild the database from the object stores."),
    "repo": _Entry(
        "lamina.cli.repo.group:repo", "Repositories: capture, restore and verify without a service."
    ),
    "serve": _Entry("lamina.processes.commands:serve", "Run the service."),
    "snapshot": _Entry("lamina.cli.snapshot:snapshot", "Snapshots of the service: create, list, delete."),
}
"""Every sub-command: where it lives, and its line in `lamina --help`."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used.

    Args:
        entries: the commands, by name.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].summary) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lamina")
def cli() -> None:
    """Cloud-grade disk snapshots for machines that you own.

    Exit status: 0 done, 1 something failed that may work later, 2 refused or wrong usage, 3 damaged data
    was found, 4 cancelled, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status. The entry point of the package."""
    try:
        cli.main(args=arguments, prog_name="lamina", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as refused:
        refused.show()
        return ExitCode.REFUSED
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        return ExitCode.INTERRUPTED
    except LaminaError as failure:
        _complain(str(failure))
        return exit_code_of(failure)
    return ExitCode.OK


def exit_code_of(failure: LaminaError) -> ExitCode:
    """The exit status that stands for a failure."""
    if isinstance(failure, Corruption):
        return ExitCode.DAMAGED
    if isinstance(failure, Refusal):
        return ExitCode.REFUSED
    return ExitCode.CANCELLED if isinstance(failure, Cancelled) else ExitCode.FAULT


def _complain(message: str) -> None:
    click.echo(f"lamina: {' '.join(message.split())}", err=True)
