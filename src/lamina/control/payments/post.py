"""Writing the ledger: bills when they are made, and what the operator says that was paid. Nothing else is entered."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from lamina.control.accounts.errors import AccountNotFoundError
from lamina.control.accounts.history import OPERATOR
from lamina.control.accounts.records import AccountRecord
from lamina.control.payments.errors import AmountError, CurrencyError, ReferenceUsedError
from lamina.control.payments.follow import follow_account
from lamina.control.payments.records import EntryKind, EntryRecord
from lamina.control.payments.settle import ZERO
from lamina.control.tariff.rules import RuleBook
from lamina.ids import AccountId

_DIGITS_MAX: Final = 18
_CURRENCY: Final = re.compile(r"[A-Z]{3}")  # ISO 4217, as in price lists


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """An entry to be.

    Attributes:
        amount: what it adds to the balance.
        reference: names it among those of its kind; the same again is no second entry.
    """

    kind: EntryKind
    currency: str
    amount: Decimal
    reference: str | None = None
    note: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCharge:
    """A bill that was made.

    Attributes:
        total: what is to be paid.
        is_collected: whether it has to be paid at all; see `Preferences.collect_payments`.
    """

    bill_id: str
    currency: str
    total: Decimal
    is_collected: bool


def charge_bill(
    session: Session, account_id: AccountId, new: NewCharge, now: datetime, rules: RuleBook
) -> EntryRecord:
    """Enter a bill, in the transaction that makes it; once, however often it is told."""
    due_at = None
    if new.is_collected and new.total > ZERO:
        due_at = now + timedelta(days=rules.find(now).due_days)
    entry = NewEntry(
        kind=EntryKind.CHARGE,
        currency=new.currency,
        amount=-new.total,
        reference=new.bill_id,
        due_at=due_at,
    )
    made = _post(session, account_id, entry, now)
    follow_account(session, account_id, now, rules)
    return made


def enter(
    session: Session, account_id: AccountId, new: NewEntry, now: datetime, rules: RuleBook
) -> EntryRecord:
    """Enter a payment or a correction; what follows for the standing of the account follows at once.

    Raises:
        AccountNotFoundError: there is no such account.
        AmountError: it is zero, or a payment that takes something.
        CurrencyError: the currency is none; a ledger entry in `usd` would pay no bill in USD.
        ReferenceUsedError: the reference names an entry with another amount.
    """
    if session.get(AccountRecord, account_id) is None:
        raise AccountNotFoundError(account_id)
    if new.amount == ZERO or (new.kind is EntryKind.PAYMENT and new.amount < ZERO):
        raise AmountError(
            f"{new.amount:f}", "a payment is more than zero; for the other way there are corrections"
        )
    if not _CURRENCY.fullmatch(new.currency):
        raise CurrencyError(new.currency)
    made = _post(session, account_id, new, now)
    follow_account(session, account_id, now, rules, by=OPERATOR)
    return made


def read_amount(text: str) -> Decimal:
    """An amount such as `12.30` or, for corrections, `-12.30`.

    Raises:
        AmountError: it is none.
    """
    digits = text.removeprefix("-")
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise AmountError(text, "write it like 12.30") from error
    if not (digits.isascii() and digits.replace(".", "", 1).isdecimal()) or len(digits) > _DIGITS_MAX:
        raise AmountError(text, f"write it like 12.30, with {_DIGITS_MAX} digits at most")
    return number


def _post(session: Session, account_id: AccountId, new: NewEntry, now: datetime) -> EntryRecord:
    known = _find_known(session, account_id, new)
    if known is not None:
        return known
    last = _find_last(session, account_id)
    last_of_currency = _find_last(session, account_id, new.currency)
    number = 1 if last is None else last.number + 1
    entry = EntryRecord(
        id=f"{account_id}-{number:010}",
        account_id=account_id,
        number=number,
        kind=new.kind,
        currency=new.currency,
        amount=new.amount,
        balance=new.amount + (ZERO if last_of_currency is None else last_of_currency.balance),
        reference=new.reference,
        note=new.note,
        due_at=new.due_at,
        recorded_at=now if last is None else max(now, last.recorded_at),  # the clock may have been set back
    )
    session.add(entry)
    session.flush()
    return entry


def _find_known(session: Session, account_id: AccountId, new: NewEntry) -> EntryRecord | None:
    if new.reference is None:
        return None
    known = session.scalars(
        select(EntryRecord).where(
            EntryRecord.account_id == account_id,
            EntryRecord.kind == new.kind,
            EntryRecord.reference == new.reference,
        )
    ).one_or_none()
    if known is not None and (known.amount, known.currency) != (new.amount, new.currency):
        raise ReferenceUsedError(new.reference, known.amount, known.currency)
    return known


def _find_last(session: Session, account_id: AccountId, currency: str | None = None) -> EntryRecord | None:
    query = select(EntryRecord).where(EntryRecord.account_id == account_id)
    if currency is not None:
        query = query.where(EntryRecord.currency == currency)
    newest_first = query.order_by(EntryRecord.recorded_at.desc(), EntryRecord.id.desc())
    return session.scalars(newest_first.limit(1)).first()
