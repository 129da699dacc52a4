"""The command `lamina`: finds the sub-command, runs it, and turns failures into one line and an exit code.

Sub-commands are named here as text and imported when they are used: `lamina --help` imports click and
nothing else. `serve` and the operator's commands put concrete parts together, which only `lamina.processes` may
do; that room is above this one, so it is named as text as well and never imported statically. Everything else
speaks to the service over its API.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import click

from lamina.cli.lazy_group import Entry, LazyGroup
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


COMMANDS: Final = {
    "account": Entry(
        "lamina.processes.account_commands:account", "Accounts and access keys of a data directory."
    ),
    "audit": Entry(
        "lamina.processes.audit_commands:audit", "The audit log of a data directory: who did what."
    ),
    "bill": Entry("lamina.cli.bill:bill", "What snapshots cost: bills, prices, payments, advice."),
    "bucket": Entry(
        "lamina.cli.bucket:bucket", "Buckets of the service: create, list, put, get, make links."
    ),
    "clock": Entry(
        "lamina.processes.clock_commands:clock", "The movable clock of a test installation: show, advance."
    ),
    "disk": Entry("lamina.cli.disk.group:disk", "Disks of the service: import, list, connect, reset."),
    "ecs": Entry("lamina.cli.ecs:ecs", "Call any action of the API."),
    "image": Entry(
        "lamina.cli.image:image", "Images of the service: list, create, export, import, delete, publish."
    ),
    "instance": Entry(
        "lamina.cli.instance:instance", "Instances of the service: list, run, start, stop, delete, lock."
    ),
    "key": Entry("lamina.cli.key:key", "Encryption keys of the service: create, disable, rotate, delete."),
    "migrate": Entry("lamina.cli.migrate.command:migrate", "Bring snapshots into another account."),
    "policy": Entry(
        "lamina.cli.policy:policy", "Automatic snapshot policies of the service: list, show, calendar."
    ),
    "recover": Entry("lamina.processes.commands:recover", "Rebuild the database from the object stores."),
    "region": Entry("lamina.cli.region:region", "Regions of the service: list."),
    "repo": Entry(
        "lamina.cli.repo.group:repo", "Repositories: capture, restore and verify without a service."
    ),
    "serve": Entry("lamina.processes.commands:serve", "Run the service."),
    "snapshot": Entry("lamina.cli.snapshot:snapshot", "Snapshots of the service: create, list, delete."),
}
"""Every sub-command: where it lives, and its line in `lamina --help`."""


@click.group(cls=LazyGroup, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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
