"""`lamina account`: accounts and their access keys, on the data directory, whether or not the service runs."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from sqlalchemy import select

from lamina.cli.output import json_option, print_facts, print_json, print_table, say
from lamina.clock import SystemClock
from lamina.control.accounts.access_keys import (
    AccessKey,
    NewKey,
    add_access_key,
    delete_access_key,
    disable_access_key,
    enable_access_key,
    list_access_keys,
    rotate_access_key,
)
from lamina.control.accounts.create import create_account
from lamina.control.accounts.records import AccessKeyRecord, AccountRecord
from lamina.control.accounts.states import KeyRole
from lamina.control.first_start import DEFAULT_REGION, read_credentials
from lamina.control.installation import open_metadata
from lamina.ids import AccessKeyId, AccountId
from lamina.processes.data_dir import choose_data_dir, data_dir_option

_OVERLAP_HOURS: Final = 24
_role_option = click.option(
    "--role",
    type=click.Choice([role.value for role in KeyRole]),
    default=KeyRole.ADMINISTRATOR.value,
    show_default=True,
    help="read-only looks; operator creates and changes as well, but does not delete.",
)


@click.group()
def account() -> None:
    """Accounts and access keys of an installation; works whether or not its service runs."""


@account.command("create")
@click.argument("name")
@data_dir_option
@json_option
def create(name: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Add an account called NAME, with an access key of an administrator."""
    directory, clock = choose_data_dir(data_dir), SystemClock()
    with open_metadata(directory) as (database, vault), database.transaction() as session:
        owner = create_account(session, clock, name=name)
        made = add_access_key(session, vault, clock, owner.id)
    _show(_describe_key(directory, made), as_json=as_json)


@account.command("list")
@data_dir_option
@json_option
def list_accounts(data_dir: Path | None, *, as_json: bool) -> None:
    """Show accounts and the ids of their access keys."""
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.reading() as session:
        query = (
            select(AccountRecord, AccessKeyRecord)
            .outerjoin(AccessKeyRecord, AccessKeyRecord.account_id == AccountRecord.id)
            .order_by(AccountRecord.created_at, AccountRecord.id, AccessKeyRecord.created_at)
        )
        rows: list[dict[str, object]] = [
            {
                "account_id": owner.id,
                "name": owner.name,
                "standing": owner.standing.value,
                "access_key_id": made.id if made is not None else None,
                "role": made.role.value if made is not None else None,
                "is_enabled": made.is_enabled if made is not None else None,
            }
            for owner, made in session.execute(query)
        ]
    columns = ("account_id", "name", "standing", "access_key_id", "role", "is_enabled")
    _print_rows(columns, rows, as_json=as_json)


@account.group("key")
def key() -> None:
    """Access keys. A change counts from the next call on; secrets are shown once, when a key is made."""


@key.command("create")
@click.argument("account_id")
@_role_option
@data_dir_option
@json_option
def create_key(account_id: str, role: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Give an account one more access key."""
    directory = choose_data_dir(data_dir)
    with open_metadata(directory) as (database, vault), database.transaction() as session:
        new = NewKey(role=KeyRole(role))
        made = add_access_key(session, vault, SystemClock(), AccountId(account_id), new)
    _show({**_describe_key(directory, made), "role": made.role.value}, as_json=as_json)


@key.command("list")
@click.argument("account_id", required=False)
@data_dir_option
@json_option
def list_keys(account_id: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Show the access keys of an account, or of all."""
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.reading() as session:
        rows: list[dict[str, object]] = [
            {
                "access_key_id": found.id,
                "account_id": found.account_id,
                "role": found.role.value,
                "is_enabled": found.is_enabled,
                "created_at": found.created_at.isoformat(timespec="seconds"),
                "expires_at": found.expires_at.isoformat(timespec="seconds") if found.expires_at else None,
            }
            for found in list_access_keys(session, AccountId(account_id) if account_id else None)
        ]
    columns = ("access_key_id", "account_id", "role", "is_enabled", "created_at", "expires_at")
    _print_rows(columns, rows, as_json=as_json)


@key.command("rotate")
@click.argument("access_key_id")
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 24 * 365),
    default=_OVERLAP_HOURS,
    show_default=True,
    help="For how long the old key goes on to work; 0 ends it at once.",
)
@data_dir_option
@json_option
def rotate_key(access_key_id: str, overlap_hours: int, data_dir: Path | None, *, as_json: bool) -> None:
    """Make a new access key with the account and role of an old one, which ends after a while."""
    directory = choose_data_dir(data_dir)
    with open_metadata(directory) as (database, vault), database.transaction() as session:
        overlap = timedelta(hours=overlap_hours)
        made = rotate_access_key(session, vault, SystemClock(), AccessKeyId(access_key_id), overlap=overlap)
    _show({**_describe_key(directory, made), "role": made.role.value}, as_json=as_json)


@key.command("disable")
@click.argument("access_key_id")
@data_dir_option
def disable_key(access_key_id: str, data_dir: Path | None) -> None:
    """Let nothing in any more that is signed with an access key."""
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.transaction() as session:
        disable_access_key(session, AccessKeyId(access_key_id))
    say(f"access key {access_key_id} is disabled")


@key.command("enable")
@click.argument("access_key_id")
@data_dir_option
def enable_key(access_key_id: str, data_dir: Path | None) -> None:
    """Let an access key in again that was disabled or rotated out."""
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.transaction() as session:
        enable_access_key(session, AccessKeyId(access_key_id))
    say(f"access key {access_key_id} is enabled")


@key.command("delete")
@click.argument("access_key_id")
@data_dir_option
def delete_key(access_key_id: str, data_dir: Path | None) -> None:
    """Forget an access key and its secret for good."""
    with open_metadata(choose_data_dir(data_dir)) as (database, _), database.transaction() as session:
        delete_access_key(session, AccessKeyId(access_key_id))
    say(f"access key {access_key_id} is deleted")


def _print_rows(columns: tuple[str, ...], rows: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(columns, [[row[column] for column in columns] for row in rows])


def _describe_key(directory: Path, made: AccessKey) -> dict[str, object]:
    """The fields of `credentials.json`."""
    first = read_credentials(directory)
    return {
        "account_id": made.account_id,
        "access_key_id": made.id,
        "access_key_secret": made.secret,
        "endpoint": first.endpoint if first is not None else None,
        "region_id": first.region_id if first is not None else DEFAULT_REGION.id,
    }


def _show(facts: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
