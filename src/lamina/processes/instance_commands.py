"""`lamina instance lock` and `unlock`: the operator's, on the data directory, whether or not the service runs."""

from pathlib import Path

import click

from lamina.cli.output import say
from lamina.control.installation import open_metadata
from lamina.control.instances.locks import set_security_lock
from lamina.control.instances.states import LockReason
from lamina.ids import InstanceId
from lamina.processes.data_dir import choose_data_dir, data_dir_option

_reason_option = click.option(
    "--reason",
    type=click.Choice([LockReason.SECURITY.value]),
    default=LockReason.SECURITY.value,
    show_default=True,
    help="Why. What is owed locks by itself.",
)


@click.command()
@click.argument("instance_id", metavar="INSTANCE")
@_reason_option
@data_dir_option
def lock(instance_id: str, reason: str, data_dir: Path | None) -> None:
    """Keep an account from starting, stopping and changing INSTANCE and its disks; it can still release it."""
    _set(instance_id, data_dir, is_locked=True)
    say(f"instance {instance_id} is locked ({reason})")


@click.command()
@click.argument("instance_id", metavar="INSTANCE")
@_reason_option
@data_dir_option
def unlock(instance_id: str, reason: str, data_dir: Path | None) -> None:
    """Let the account do with INSTANCE what it likes again."""
    _set(instance_id, data_dir, is_locked=False)
    say(f"instance {instance_id} is not locked any more ({reason})")


def _set(instance_id: str, data_dir: Path | None, *, is_locked: bool) -> None:
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.transaction() as session:
        set_security_lock(session, InstanceId(instance_id), is_locked=is_locked)
