"""`lamina bill pay`, `correct`, `accounts` and `forecast`: the operator's side of payments, on the data directory.

They work whether or not the service runs. A payment counts from its entry on: an account that has paid everything that
is due is let in again with its next call.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import click
from sqlalchemy import select

from lamina.cli.output import json_option, print_facts, print_json, print_table
from lamina.clock import Clock, SystemClock
from lamina.control.accounts.errors import AccountNotFoundError
from lamina.control.accounts.records import AccountRecord
from lamina.control.arrears.facts import forecast
from lamina.control.installation import open_metadata
from lamina.control.movable_clock import MovableClock, is_movable
from lamina.control.payments.post import NewEntry, enter, read_amount
from lamina.control.payments.queries import Position, get_position
from lamina.control.payments.records import EntryKind
from lamina.control.preferences import read_preferences
from lamina.control.tariff.tariff import Tariff, read_tariff
from lamina.database import Database
from lamina.ids import AccountId
from lamina.processes.data_dir import choose_data_dir, data_dir_option
from lamina.shared_clock import database_clock

_currency_option = click.option("--currency", help="Such as USD.  [default: that of the price list]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Till:
    """What entering and looking needs of an installation."""

    database: Database
    clock: Clock
    tariff: Tariff


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """An entry as the options say it."""

    kind: EntryKind
    amount: Decimal
    currency: str | None
    reference: str | None
    note: str | None


@click.command()
@click.argument("account_id")
@click.argument("amount")
@_currency_option
@click.option(
    "--reference", help="What the payment is known by elsewhere: the same again is not entered twice."
)
@click.option("--note", help="For people.")
@data_dir_option
@json_option
def pay(account_id: str, amount: str, data_dir: Path | None, *, as_json: bool, **options: str | None) -> None:
    """Enter that an account paid AMOUNT, such as 12.30."""
    wish = _Wish(kind=EntryKind.PAYMENT, amount=read_amount(amount), **options)
    _enter(AccountId(account_id), wish, data_dir, as_json=as_json)


@click.command(context_settings={"ignore_unknown_options": True})  # amounts may begin with a minus
@click.argument("account_id")
@click.argument("amount")
@_currency_option
@click.option("--reference", help="The same again is not entered twice.")
@click.option("--note", required=True, help="Why; the account can read it.")
@data_dir_option
@json_option
def correct(
    account_id: str, amount: str, data_dir: Path | None, *, as_json: bool, **options: str | None
) -> None:
    """Credit an account with AMOUNT, such as 5.00; -5.00 takes back what was entered too much."""
    wish = _Wish(kind=EntryKind.CORRECTION, amount=read_amount(amount), **options)
    _enter(AccountId(account_id), wish, data_dir, as_json=as_json)


@click.command()
@data_dir_option
@json_option
def accounts(data_dir: Path | None, *, as_json: bool) -> None:
    """Show what all accounts owe and how they stand; negative amounts are owed."""
    with _open_till(data_dir) as till, till.database.reading() as session:
        rules = till.tariff.rules
        owners = session.scalars(
            select(AccountRecord).order_by(AccountRecord.created_at, AccountRecord.id)
        ).all()
        now = till.clock.now()
        rows = [
            row for owner in owners for row in _describe(owner, get_position(session, owner.id, now, rules))
        ]
    columns = ("account_id", "name", "standing", "balance", "overdue", "currency", "purge_at")
    _print_rows(rows, columns, as_json=as_json)


@click.command("forecast")
@click.option("--account", "account_id", help="Only this account.  [default: all]")
@data_dir_option
@json_option
def forecast_arrears(account_id: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Tell what is deleted, when and why, if accounts pay nothing of their bills, and what stays. Changes nothing."""
    with _open_till(data_dir) as till, till.database.reading() as session:
        query = select(AccountRecord.id).order_by(AccountRecord.created_at, AccountRecord.id)
        if account_id is not None:
            query = query.where(AccountRecord.id == account_id)
        wanted = session.scalars(query).all()
        if account_id is not None and not wanted:
            raise AccountNotFoundError(AccountId(account_id))
        now, rules = till.clock.now(), till.tariff.rules
        rows: list[dict[str, object]] = [
            {
                "account_id": each,
                "resource": departure.id,
                "region_id": departure.region_id,
                "name": departure.name,
                "goes_at": departure.goes_at and _show(departure.goes_at),
                "reason": departure.detail,
            }
            for each in wanted
            for departure in forecast(session, each, now, rules)
        ]
    columns = ("account_id", "resource", "region_id", "name", "goes_at", "reason")
    _print_rows(rows, columns, as_json=as_json)


@contextmanager
def _open_till(data_dir: Path | None) -> Iterator[_Till]:
    directory = choose_data_dir(data_dir)
    with open_metadata(directory) as (database, _), ExitStack() as stack:
        # what is overdue follows from the time: that of all services, whatever this host thinks
        clock = stack.enter_context(database_clock(database)) if database.is_shared else SystemClock()
        if is_movable(directory):
            clock = MovableClock(directory, clock)
        preferences = read_preferences(directory)
        tariff = read_tariff(preferences.prices, preferences.billing_rules)
        yield _Till(database=database, clock=clock, tariff=tariff)


def _enter(account_id: AccountId, wish: _Wish, data_dir: Path | None, *, as_json: bool) -> None:
    with _open_till(data_dir) as till:
        new = NewEntry(
            kind=wish.kind,
            currency=wish.currency or till.tariff.prices.currency,
            amount=wish.amount,
            reference=wish.reference,
            note=wish.note,
        )
        now, rules = till.clock.now(), till.tariff.rules
        with till.database.transaction(of=account_id) as session:
            entry = enter(session, account_id, new, now, rules)
            standing = get_position(session, account_id, now, rules).standing
    facts = {
        "number": entry.number,
        "kind": entry.kind.value,
        "amount": f"{entry.amount:f}",
        "balance": f"{entry.balance:f}",
        "currency": entry.currency,
        "standing": standing.value,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)


def _describe(account: AccountRecord, position: Position) -> Iterator[dict[str, object]]:
    """A row for each currency; one without amounts for an account that never had a bill."""
    facts = {"account_id": account.id, "name": account.name, "standing": position.standing.value}
    purge_at = position.course and _show(position.course.purging_at)
    if not position.balances:
        yield {**facts, "balance": None, "overdue": None, "currency": None, "purge_at": purge_at}
    for each in position.balances:
        amounts = {"balance": f"{each.amount:f}", "overdue": f"{each.due:f}", "currency": each.currency}
        yield {**facts, **amounts, "purge_at": purge_at}


def _print_rows(rows: list[dict[str, object]], columns: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        names = [name.replace("_", " ") for name in columns]
        print_table(names, [[row[column] for column in columns] for row in rows])


def _show(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
