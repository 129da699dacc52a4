"""The commands that put concrete parts together: `lamina serve`, `lamina account`, `lamina recover`."""

from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
from sqlalchemy import select

from lamina.cli.output import json_option, print_facts, print_json, print_table, say
from lamina.clock import SystemClock
from lamina.control.accounts.access_keys import AccessKey, add_access_key, disable_access_key
from lamina.control.accounts.create import create_account
from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.first_start import DEFAULT_REGION, furnish, read_credentials
from lamina.control.installation import open_installation, open_metadata
from lamina.control.recover import recover as recover_rows
from lamina.ids import AccessKeyId, AccountId
from lamina.processes.all_in_one import Address
from lamina.processes.all_in_one import serve as serve_all
from lamina.settings import Settings
from lamina.telemetry import configure

_DEFAULT_LISTEN: Final = "127.0.0.1:8788"

_data_dir = click.option(
    "--data",
    "data_dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the installation.  [default: lamina in the user's data folder]",
)


@click.command()
@_data_dir
@click.option("--listen", default=_DEFAULT_LISTEN, show_default=True, help="HOST:PORT to answer on.")
def serve(data_dir: Path | None, listen: str) -> None:
    """Run the service until it is interrupted. Logs are JSON lines on standard error."""
    settings = Settings.from_environment()
    configure()
    serve_all(data_dir or settings.data_dir, Address.parse(listen), settings, say=click.echo)


@click.group()
def account() -> None:
    """Accounts and access keys of an installation; works whether or not its service runs."""


@account.command("create")
@click.argument("name")
@_data_dir
@json_option
def create(name: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Add an account called NAME, with an access key."""
    directory, clock = _choose(data_dir), SystemClock()
    with open_metadata(directory) as (database, vault), database.transaction() as session:
        owner = create_account(session, clock, name=name)
        key = add_access_key(session, vault, clock, owner.id)
    _show_key(directory, key, as_json=as_json)


@account.command("list")
@_data_dir
@json_option
def list_accounts(data_dir: Path | None, *, as_json: bool) -> None:
    """Show accounts and the ids of their access keys."""
    with open_metadata(_choose(data_dir)) as (database, _), database.reading() as session:
        query = (
            select(AccountRecord, AccessKeyRecord)
            .outerjoin(AccessKeyRecord, AccessKeyRecord.account_id == AccountRecord.id)
            .order_by(AccountRecord.created_at, AccountRecord.id, AccessKeyRecord.created_at)
        )
        rows = [
            {
                "account_id": owner.id,
                "name": owner.name,
                "standing": owner.standing.value,
                "access_key_id": key.id if key is not None else None,
                "is_enabled": key.is_enabled if key is not None else None,
            }
            for owner, key in session.execute(query)
        ]
    if as_json:
        print_json(rows)
    else:
        columns = ("account_id", "name", "standing", "access_key_id", "is_enabled")
        print_table(columns, [[row[column] for column in columns] for row in rows])


@account.command("add-key")
@click.argument("account_id")
@_data_dir
@json_option
def add_key(account_id: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Give an account one more access key."""
    directory = _choose(data_dir)
    with open_metadata(directory) as (database, vault), database.transaction() as session:
        key = add_access_key(session, vault, SystemClock(), AccountId(account_id))
    _show_key(directory, key, as_json=as_json)


@account.command("disable-key")
@click.argument("account_id")
@click.argument("access_key_id")
@_data_dir
def disable_key(account_id: str, access_key_id: str, data_dir: Path | None) -> None:
    """Let nothing in any more that is signed with an access key."""
    with open_metadata(_choose(data_dir)) as (database, _), database.transaction() as session:
        disable_access_key(session, AccountId(account_id), AccessKeyId(access_key_id))
    say(f"access key {access_key_id} is disabled")


@click.command()
@_data_dir
@json_option
def recover(data_dir: Path | None, *, as_json: bool) -> None:
    """Rebuild the database from the object stores. The service must not run; root.key must be there."""
    settings = Settings.from_environment()
    with open_installation(data_dir or settings.data_dir, settings, SystemClock()) as installation:
        furnish(installation)
        report = asdict(recover_rows(installation))
    if as_json:
        print_json(report)
    else:
        print_facts({name: " ".join(ids) for name, ids in report.items()})


def _choose(data_dir: Path | None) -> Path:
    return data_dir or Settings.from_environment().data_dir


def _show_key(directory: Path, key: AccessKey, *, as_json: bool) -> None:
    first = read_credentials(directory)
    facts: dict[str, object] = {
        "account_id": key.account_id,
        "access_key_id": key.id,
        "access_key_secret": key.secret,
        "endpoint": first.endpoint if first is not None else None,
        "region_id": first.region_id if first is not None else DEFAULT_REGION.id,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
